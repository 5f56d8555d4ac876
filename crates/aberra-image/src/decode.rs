//! Bytes -> image, within limits.

use std::any::Any;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;

use crate::claim::{is_raw_name, other_format};
use crate::codec::tiff::pages;
use crate::codec::{Layout, Raster, damaged, jpeg, plain, tiff};
use crate::error::Kind;
use crate::turn::{turn, upright};
use crate::{Error, Format, Header, Image, ImageId, Limits, Source};

/// Reads and decodes a file. The format is recognised by content, not by name. Of several pages it is the first of full
/// resolution, of an animation the first frame: [`Source::remarks`] say so.
///
/// # Errors
/// The file cannot be read, is not an image of a known format, is damaged or truncated, exceeds `limits`, or holds
/// values that are not finite.
pub fn read(path: &Path, limits: &Limits) -> Result<Image, Error> {
    read_page(path, 0, limits)
}

/// Reads and decodes one page of a file, from 0; see [`count_pages`].
///
/// # Errors
/// As [`read`]; there is no such page.
pub fn read_page(path: &Path, page: u32, limits: &Limits) -> Result<Image, Error> {
    let bytes = read_bytes(path, limits).map_err(|error| error.with_path(path))?;
    let read = refuse_raw(path, &bytes).and_then(|()| decode_page(&bytes, page, limits));
    let mut image = read.map_err(|error| error.with_path(path))?;
    image.source.path = Some(path.to_owned());
    Ok(image)
}

/// Decodes an image held in memory, as [`read`] does.
///
/// # Errors
/// As [`read`], less the reading.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, Error> {
    decode_page(bytes, 0, limits)
}

/// The number of images in a file that can be decoded one by one: pages of full resolution of a TIFF, else 1.
///
/// # Errors
/// A TIFF cannot be read or has no pages. What is no TIFF is not looked at further.
pub fn count_pages(path: &Path, limits: &Limits) -> Result<u32, Error> {
    let mut start = Vec::with_capacity(4);
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
    if read.is_ok() && Format::of_content(&start) != Some(Format::Tiff) {
        return Ok(1);
    }
    let bytes = read_bytes(path, limits).map_err(|error| error.with_path(path))?;
    let counted = refuse_raw(path, &bytes).and_then(|()| match recognise(&bytes)? {
        Format::Tiff => guarded(Format::Tiff, || tiff::count(&bytes)),
        _ => Ok(1),
    });
    counted.map_err(|error| error.with_path(path))
}

/// Decodes one page of a file held in memory, from 0.
///
/// # Errors
/// As [`decode`]; there is no such page.
pub fn decode_page(bytes: &[u8], page: u32, limits: &Limits) -> Result<Image, Error> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = recognise(bytes)?;
    if page > 0 && format != Format::Tiff {
        let message =
            format!("expected page {} of the image, found a {format}, of which one is read", page + 1);
        return Err(Error::new(Kind::Format, message));
    }
    let (layout, orientation, raster) = guarded(format, || {
        let (layout, orientation) = checked_layout(bytes, page, format, limits)?;
        let raster = pixels(bytes, page, format, (&layout, orientation), limits)?;
        Ok((layout, orientation, raster))
    })?;
    let (height, width) = upright((layout.height as usize, layout.width as usize), orientation);
    if raster.pixels.len() != height * width * raster.channels {
        return Err(miscounted(format));
    }
    Ok(Image {
        channels: raster.channels,
        pixels: raster.pixels,
        height,
        width,
        source: Source {
            path: None,
            id: ImageId { frame: page, ..ImageId::of_bytes(bytes) },
            bytes: bytes.len() as u64,
            format,
            color_mode: layout.color_mode,
            bit_depth: layout.bit_depth,
            orientation: orientation.to_exif(),
            is_lossy: is_lossy(bytes, page, format),
            remarks: raster.remarks,
        },
    })
}

/// Reads a file's header without decoding its pixels: fast, and rejects what [`read`] would reject by its header.
///
/// # Errors
/// The file cannot be read, is not an image of a known format, or its header exceeds `limits`. Damage after the header
/// goes unnoticed.
pub fn probe(path: &Path, limits: &Limits) -> Result<Header, Error> {
    let bytes = read_bytes(path, limits).map_err(|error| error.with_path(path))?;
    let read = refuse_raw(path, &bytes).and_then(|()| header(&bytes, limits));
    read.map_err(|error| error.with_path(path))
}

/// The header of an image held in memory.
///
/// # Errors
/// As [`probe`], less the reading.
pub fn header(bytes: &[u8], limits: &Limits) -> Result<Header, Error> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = recognise(bytes)?;
    guarded(format, || {
        let (layout, orientation) = checked_layout(bytes, 0, format, limits)?;
        let (height, width) = upright((layout.height as usize, layout.width as usize), orientation);
        let (color_mode, bit_depth) = (layout.color_mode, layout.bit_depth);
        Ok(Header { format, color_mode, bit_depth, height, width, bytes: bytes.len() as u64 })
    })
}

fn read_bytes(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let cannot_read = |error: std::io::Error| Error::new(Kind::Io, format!("cannot read the file: {error}"));
    let metadata = std::fs::metadata(path).map_err(cannot_read)?;
    if metadata.is_dir() {
        return Err(Error::new(Kind::Io, "expected an image file, found a folder; name the files within it"));
    }
    if !metadata.is_file() {
        return Err(Error::new(Kind::Io, "expected a regular file, found a device, pipe or socket"));
    }
    limits.check_bytes(metadata.len())?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    let file = File::open(path).map_err(cannot_read)?;
    file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(cannot_read)?;
    Ok(bytes)
}

/// A TIFF that is named like a raw file of a camera: what can be decoded of it is a preview.
fn refuse_raw(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let is_tiff = matches!(recognise(bytes), Ok(Format::Tiff));
    if is_tiff && is_raw_name(path) { Err(pages::raw()) } else { Ok(()) }
}

fn recognise(bytes: &[u8]) -> Result<Format, Error> {
    if let Some(format) = Format::of_content(bytes) {
        return Ok(format);
    } else if bytes.starts_with(b"BM") && bytes.len() >= 26 {
        return Ok(Format::Bmp);
    }
    let known = format!("expected {}", Format::names());
    let (kind, message) = if bytes.is_empty() {
        (Kind::Format, format!("not an image: the file is empty (0 bytes); {known}"))
    } else if let Some(name) = other_format(bytes) {
        let message = format!("the file is {name}, which is not supported; {known}: convert it first");
        (Kind::Unsupported, message)
    } else {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).escape_debug().to_string();
        (Kind::Format, format!("not an image: it begins with \"{start}\"; {known}"))
    };
    Err(Error::new(kind, message))
}

/// Whether values may have been changed by compression.
fn is_lossy(bytes: &[u8], page: u32, format: Format) -> bool {
    match format {
        Format::Jpeg => true,
        Format::Webp => plain::is_lossy_webp(bytes),
        Format::Tiff => tiff::is_lossy(bytes, page),
        _ => false,
    }
}

/// The layout and the orientation, once the size is known to be within the limits.
fn checked_layout(
    bytes: &[u8],
    page: u32,
    format: Format,
    limits: &Limits,
) -> Result<(Layout, Orientation), Error> {
    let layout = match format {
        Format::Jpeg => jpeg::layout(bytes),
        Format::Tiff => tiff::layout(bytes, page),
        _ => plain::layout(bytes, format),
    }?;
    limits.check_size(layout.width, layout.height, layout.bytes_per_pixel)?;
    let orientation = orientation(bytes, page, format, limits);
    if orientation != Orientation::NoTransforms {
        let bytes_per_pixel = layout.bytes_per_pixel + layout.turning_bytes_per_pixel;
        limits.check_size(layout.width, layout.height, bytes_per_pixel)?;
    }
    Ok((layout, orientation))
}

fn orientation(bytes: &[u8], page: u32, format: Format, limits: &Limits) -> Orientation {
    match format {
        Format::Jpeg => jpeg::orientation(bytes),
        Format::Tiff => tiff::orientation(bytes, page),
        _ => plain::orientation(bytes, format, limits),
    }
}

/// The pixels, upright.
fn pixels(
    bytes: &[u8],
    page: u32,
    format: Format,
    (layout, orientation): (&Layout, Orientation),
    limits: &Limits,
) -> Result<Raster, Error> {
    match format {
        Format::Jpeg => jpeg::pixels(bytes, layout, orientation, limits),
        Format::Tiff => {
            let raster = tiff::pixels(bytes, page, layout, limits)?;
            let (height, width) = (layout.height as usize, layout.width as usize);
            if raster.pixels.len() != height * width * raster.channels {
                return Err(miscounted(format));
            }
            let pixels = turn(raster.pixels, (height, width), raster.channels, orientation);
            Ok(Raster { pixels, ..raster })
        }
        _ => plain::pixels(bytes, format, orientation, limits),
    }
}

fn miscounted(format: Format) -> Error {
    damaged(format, "its decoder returned another number of pixels than its header says")
}

/// Runs third-party decoders: a panic becomes an error of the file.
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(damaged(format, format!("its decoder gave up ({text})")))
    })
}
