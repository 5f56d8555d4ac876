//! Bytes -> image, within limits.

use std::any::Any;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;

use crate::codec::{Layout, Raster, damaged, jpeg, plain, tiff};
use crate::error::Kind;
use crate::{Error, Format, Header, Image, ImageId, Limits, Source};

/// Reads and decodes a file. The format is recognised by content, not by name.
///
/// # Errors
/// The file cannot be read, is not an image of a known format, is damaged or truncated, exceeds `limits`, or holds
/// values that are not finite.
pub fn read(path: &Path, limits: &Limits) -> Result<Image, Error> {
    let bytes = read_bytes(path, limits).map_err(|error| error.with_path(path))?;
    let mut image = decode(&bytes, limits).map_err(|error| error.with_path(path))?;
    image.source.path = Some(path.to_owned());
    Ok(image)
}

/// Decodes an image held in memory.
///
/// # Errors
/// As [`read`], less the reading.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, Error> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = recognise(bytes)?;
    let (layout, orientation, raster) = guarded(format, || {
        let layout = checked_layout(bytes, format, limits)?;
        let raster = pixels(bytes, format, &layout, limits)?;
        Ok((layout, orientation(bytes, format, limits), raster))
    })?;
    let (height, width) = (layout.height as usize, layout.width as usize);
    if raster.pixels.len() != height * width * raster.channels {
        return Err(damaged(format, "its decoder returned another number of pixels than its header says"));
    }
    let (raster, height, width) = turn(raster, height, width, orientation);
    Ok(Image {
        channels: raster.channels,
        pixels: raster.pixels,
        height,
        width,
        source: Source {
            path: None,
            id: ImageId::of_bytes(bytes),
            bytes: bytes.len() as u64,
            format,
            color_mode: layout.color_mode,
            bit_depth: layout.bit_depth,
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
    header(&bytes, limits).map_err(|error| error.with_path(path))
}

/// The header of an image held in memory.
///
/// # Errors
/// As [`probe`], less the reading.
pub fn header(bytes: &[u8], limits: &Limits) -> Result<Header, Error> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = recognise(bytes)?;
    guarded(format, || {
        let layout = checked_layout(bytes, format, limits)?;
        let (height, width) = (layout.height as usize, layout.width as usize);
        let is_turned = swaps_sides(orientation(bytes, format, limits));
        let (height, width) = if is_turned { (width, height) } else { (height, width) };
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

fn recognise(bytes: &[u8]) -> Result<Format, Error> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    if begins(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    } else if begins(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].into_iter().any(begins) {
        return Ok(Format::Tiff);
    } else if begins(b"BM") && bytes.len() >= 26 {
        return Ok(Format::Bmp);
    } else if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(Format::Webp);
    }
    let known = format!("expected {}", Format::names());
    let message = if bytes.is_empty() {
        format!("not an image: the file is empty (0 bytes); {known}")
    } else if let Some(name) = other_format(bytes) {
        format!("the file is {name}, which is not supported; {known}: convert it first")
    } else {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).escape_debug().to_string();
        format!("not an image: it begins with \"{start}\"; {known}")
    };
    Err(Error::new(Kind::Format, message))
}

/// Names of common formats that this crate does not decode.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let table: [(usize, &[u8], &str); 9] = [
        (0, b"GIF8", "a GIF"),
        (128, b"DICM", "a DICOM file"),
        (344, b"n+1\0", "a NIfTI file"),
        (4, b"ftyphei", "a HEIC image"),
        (4, b"ftypavif", "an AVIF image"),
        (4, b"jP  ", "a JPEG 2000 image"),
        (0, b"%PDF", "a PDF document"),
        (0, b"PK\x03\x04", "a ZIP archive"),
        (0, b"\x1f\x8b", "a gzip archive"),
    ];
    table.into_iter().find(|(offset, magic, _)| at(*offset, magic)).map(|(_, _, name)| name)
}

/// The layout, once its size is known to be within the limits.
fn checked_layout(bytes: &[u8], format: Format, limits: &Limits) -> Result<Layout, Error> {
    let layout = match format {
        Format::Jpeg => jpeg::layout(bytes),
        Format::Tiff => tiff::layout(bytes),
        _ => plain::layout(bytes, format),
    }?;
    limits.check_size(layout.width, layout.height, layout.bytes_per_pixel)?;
    Ok(layout)
}

fn orientation(bytes: &[u8], format: Format, limits: &Limits) -> Orientation {
    match format {
        Format::Jpeg => jpeg::orientation(bytes),
        Format::Tiff => tiff::orientation(bytes),
        _ => plain::orientation(bytes, format, limits),
    }
}

fn pixels(bytes: &[u8], format: Format, layout: &Layout, limits: &Limits) -> Result<Raster, Error> {
    match format {
        Format::Jpeg => jpeg::pixels(bytes, layout, limits),
        Format::Tiff => tiff::pixels(bytes, layout, limits),
        _ => plain::pixels(bytes, format, limits),
    }
}

/// Runs third-party decoders: a panic becomes an error of the file.
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(damaged(format, format!("its decoder gave up ({text})")))
    })
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Turns and mirrors pixels upright; returns them with their new height and width.
fn turn(raster: Raster, height: usize, width: usize, orientation: Orientation) -> (Raster, usize, usize) {
    if orientation == Orientation::NoTransforms {
        return (raster, height, width);
    }
    let channels = raster.channels;
    let (rows, columns) = if swaps_sides(orientation) { (width, height) } else { (height, width) };
    let mut pixels = Vec::with_capacity(raster.pixels.len());
    for y in 0..rows {
        for x in 0..columns {
            let (from_y, from_x) = match orientation {
                Orientation::NoTransforms => (y, x),
                Orientation::FlipHorizontal => (y, width - 1 - x),
                Orientation::Rotate180 => (height - 1 - y, width - 1 - x),
                Orientation::FlipVertical => (height - 1 - y, x),
                Orientation::Rotate90FlipH => (x, y),
                Orientation::Rotate90 => (height - 1 - x, y),
                Orientation::Rotate270FlipH => (height - 1 - x, width - 1 - y),
                Orientation::Rotate270 => (x, width - 1 - y),
            };
            let at = (from_y * width + from_x) * channels;
            pixels.extend_from_slice(&raster.pixels[at..at + channels]);
        }
    }
    (Raster { pixels, channels }, rows, columns)
}
