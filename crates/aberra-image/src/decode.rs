//! Bytes -> image, within limits.

use std::any::Any;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;

use crate::claim::{LONGEST_START, is_raw_name, other_format};
use crate::codec::tiff::pages;
use crate::codec::{self, Layout, Pages, damaged, miscounted, no_such_page, unsupported};
use crate::error::Kind;
use crate::file_bytes::read_bytes;
use crate::turn::{swaps_sides, upright};
use crate::{Error, Format, Header, Image, ImageId, Limits, Origin, Source};

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
    read_with(path, limits, |bytes| decode_page(bytes, page, limits))
}

/// Reads a file and decodes it [in grey](decode_grey).
///
/// # Errors
/// As [`read`].
pub fn read_grey(path: &Path, limits: &Limits) -> Result<Image, Error> {
    read_with(path, limits, |bytes| decode_grey(bytes, limits))
}

fn read_with(
    path: &Path,
    limits: &Limits,
    decode: impl FnOnce(&[u8]) -> Result<Image, Error>,
) -> Result<Image, Error> {
    let bytes = read_bytes(path, limits).map_err(|error| error.with_path(path))?;
    let read = refuse_raw(path, &bytes).and_then(|()| decode(&bytes));
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

/// Decodes an image held in memory of which nobody asks for colours: what [`decode`] and then [`Image::into_grey`] give where it is in
/// colours, bit for bit, in a third of the memory; other images as they are.
///
/// # Errors
/// As [`decode`].
pub fn decode_grey(bytes: &[u8], limits: &Limits) -> Result<Image, Error> {
    limits.check_bytes(bytes.len() as u64)?;
    let file = codec::File { bytes, limits, as_grey: true };
    let image = Images::of_file(file, None)?.decode(0)?;
    Ok(if image.is_grey_or_rgb() { image.into_grey() } else { image })
}

/// The number of images in a file that can be decoded one by one: pages of full resolution of a TIFF, frames of a GIF or
/// DICOM file, slices of a NIfTI volume, else 1.
///
/// # Errors
/// A file of such a format cannot be read or has no pages. What is of another format is not looked at further.
pub fn count_pages(path: &Path, limits: &Limits) -> Result<u32, Error> {
    let mut start = Vec::with_capacity(LONGEST_START);
    let read = File::open(path).and_then(|file| file.take(LONGEST_START as u64).read_to_end(&mut start));
    let has_pages = Format::of_content(&start).and_then(Format::codec).is_some_and(|codec| codec.has_pages);
    if read.is_ok() && !has_pages {
        return Ok(1);
    }
    let bytes = read_bytes(path, limits).map_err(|error| error.with_path(path))?;
    let counted = refuse_raw(path, &bytes).and_then(|()| Images::open(&bytes, limits)?.count());
    counted.map_err(|error| error.with_path(path))
}

/// Decodes one page of a file held in memory, from 0.
///
/// # Errors
/// As [`decode`]; there is no such page.
pub fn decode_page(bytes: &[u8], page: u32, limits: &Limits) -> Result<Image, Error> {
    Images::open(bytes, limits)?.decode(page)
}

/// The images in a file held in memory, which is opened once: cheaper than [`decode_page`] for several of them.
pub struct Images<'a> {
    file: codec::File<'a>,
    format: Format,
    pages: Box<dyn Pages + 'a>,
    /// Of the file as it lies on disk, where `file` is what it was inflated to.
    before: Option<FileIdentity>,
}

/// Which file it is: the identity of its first image, and its length in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileIdentity {
    pub(crate) id: ImageId,
    pub(crate) bytes: u64,
}

impl FileIdentity {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { id: ImageId::of_bytes(bytes), bytes: bytes.len() as u64 }
    }
}

impl<'a> Images<'a> {
    /// Recognises the file by its content and reads what lists its images.
    ///
    /// # Errors
    /// The content is too long, not of a known format, or its header is damaged or truncated.
    pub fn open(bytes: &'a [u8], limits: &'a Limits) -> Result<Self, Error> {
        limits.check_bytes(bytes.len() as u64)?;
        Self::open_as(bytes, limits, None)
    }

    /// Opens what a file was inflated to, or the file itself.
    pub(crate) fn open_as(
        bytes: &'a [u8],
        limits: &'a Limits,
        before: Option<FileIdentity>,
    ) -> Result<Self, Error> {
        Self::of_file(codec::File { bytes, limits, as_grey: false }, before)
    }

    fn of_file(file: codec::File<'a>, before: Option<FileIdentity>) -> Result<Self, Error> {
        let format = recognise(file.bytes)?;
        let Some(codec) = format.codec() else { return Err(unsupported(format, "no decoder")) };
        let pages = guarded(format, || (codec.open)(file))?;
        Ok(Self { file, format, pages, before })
    }

    /// Bytes of memory that the file takes once it is inflated, if it is compressed as a whole, else 0. A `.nii.gz` is
    /// not inflated to know it: its header says so.
    pub fn inflated_bytes(&self) -> u64 {
        self.pages.inflated_bytes()
    }

    /// Bytes of memory that decoding one image takes, by its number from 0, about.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn decoding_bytes(&self, page: u32) -> Result<u64, Error> {
        guarded(self.format, || {
            let (layout, _) = self.checked_layout(page)?;
            let pixels = u64::from(layout.width) * u64::from(layout.height);
            let per_pixel = layout.bytes_per_pixel.saturating_add(layout.turning_bytes_per_pixel);
            Ok(pixels.saturating_mul(per_pixel))
        })
    }

    /// What the file is inflated to, if it is compressed as a whole.
    pub(crate) fn inflated(&self) -> Result<Option<Vec<u8>>, Error> {
        guarded(self.format, || self.pages.inflated())
    }

    /// A volume of 32-bit floats as a compressed NIfTI file (`.nii.gz`), on the voxel grid of this file: its sides, axes and affine
    /// are the same, so that a viewer lays one over the other. `planes` are the values of its images by their numbers from 0,
    /// `[height, width]` each; where there are none, and beyond the last, the volume is 0.
    ///
    /// # Errors
    /// The file has no voxel grid (only NIfTI has), or values of another number than an image has pixels.
    pub fn map_file(&self, planes: &[Option<Vec<f32>>]) -> Result<Vec<u8>, Error> {
        let Header { height, width, .. } = self.header(0)?;
        if let Some(plane) = planes.iter().flatten().find(|plane| plane.len() != height * width) {
            let message = format!("expected {height} x {width} values of each slice, found {}", plane.len());
            return Err(Error::new(Kind::Pixels, message));
        }
        guarded(self.format, || self.pages.map_file(planes))?.ok_or_else(|| {
            let message =
                format!("expected a NIfTI volume, found a {}, which has no voxel grid", self.format);
            Error::new(Kind::Unsupported, message)
        })
    }

    /// What the file is.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The number of images, at least 1; see [`count_pages`].
    ///
    /// # Errors
    /// What the file says about it contradicts itself.
    pub fn count(&self) -> Result<u32, Error> {
        guarded(self.format, || self.pages.count())
    }

    /// The header of one image, by its number from 0.
    ///
    /// # Errors
    /// There is no such image, or its header exceeds the limits.
    pub fn header(&self, page: u32) -> Result<Header, Error> {
        guarded(self.format, || {
            let (layout, orientation) = self.checked_layout(page)?;
            let (height, width) = upright((layout.height as usize, layout.width as usize), orientation);
            Ok(Header {
                format: self.format,
                color_mode: layout.color_mode,
                bit_depth: layout.bit_depth,
                height,
                width,
                bytes: self.before.map_or(self.file.bytes.len() as u64, |before| before.bytes),
                spacing_mm: upright_spacing(&layout, orientation),
                slice_spacing_mm: self.pages.slice_spacing_mm(),
            })
        })
    }

    /// What one image, by its number from 0, belongs to: its patient, series and place, as far as the file says. Identifiers
    /// become hashes with this key: the same key must be used for files that are to be told apart or brought together.
    ///
    /// # Errors
    /// There is no such image, or its header is damaged.
    pub fn origin(&self, page: u32, key: &[u8; 32]) -> Result<Origin, Error> {
        guarded(self.format, || {
            self.check_page(page)?;
            self.pages.origin(page, key)
        })
    }

    /// Decodes one image, by its number from 0.
    ///
    /// # Errors
    /// As [`decode_page`].
    pub fn decode(&self, page: u32) -> Result<Image, Error> {
        let format = self.format;
        let (layout, orientation, raster) = guarded(format, || {
            let (layout, orientation) = self.checked_layout(page)?;
            let raster = self.pages.raster(page, &layout, orientation)?;
            Ok((layout, orientation, raster))
        })?;
        let (height, width) = upright((layout.height as usize, layout.width as usize), orientation);
        if raster.pixels.len() != height * width * raster.channels {
            return Err(miscounted(format));
        }
        let FileIdentity { id, bytes } = self.before.unwrap_or_else(|| FileIdentity::of(self.file.bytes));
        Ok(Image {
            channels: raster.channels,
            pixels: raster.pixels,
            height,
            width,
            unscaled: raster.unscaled,
            not_finite: raster.not_finite,
            source: Source {
                path: None,
                id: ImageId { frame: page, ..id },
                bytes,
                format,
                color_mode: layout.color_mode,
                bit_depth: layout.bit_depth,
                orientation: orientation.to_exif(),
                is_lossy: guarded(format, || Ok(self.pages.is_lossy(page)))?,
                spacing_mm: upright_spacing(&layout, orientation),
                channels: Vec::new(),
                remarks: raster.remarks,
            },
        })
    }

    fn check_page(&self, page: u32) -> Result<(), Error> {
        let count = if page == 0 { 1 } else { self.pages.count()? };
        if page < count { Ok(()) } else { Err(no_such_page(self.format, page, count)) }
    }

    /// The layout and the orientation, once the size is known to be within the limits.
    fn checked_layout(&self, page: u32) -> Result<(Layout, Orientation), Error> {
        self.check_page(page)?;
        let (layout, limits) = (self.pages.layout(page)?, self.file.limits);
        limits.check_size(layout.width, layout.height, layout.bytes_per_pixel)?;
        let orientation = self.pages.orientation(page);
        if orientation != Orientation::NoTransforms {
            let bytes_per_pixel = layout.bytes_per_pixel + layout.turning_bytes_per_pixel;
            limits.check_size(layout.width, layout.height, bytes_per_pixel)?;
        }
        Ok((layout, orientation))
    }
}

fn upright_spacing(layout: &Layout, orientation: Orientation) -> Option<[f32; 2]> {
    let [rows, columns] = layout.spacing_mm?;
    Some(if swaps_sides(orientation) { [columns, rows] } else { [rows, columns] })
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
    Images::open(bytes, limits)?.header(0)
}

/// A TIFF that is named like a raw file of a camera: what can be decoded of it is a preview.
pub(crate) fn refuse_raw(path: &Path, bytes: &[u8]) -> Result<(), Error> {
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

/// Runs third-party decoders: a panic becomes an error of the file.
fn guarded<T>(format: Format, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(damaged(format, format!("its decoder gave up ({text})")))
    })
}
