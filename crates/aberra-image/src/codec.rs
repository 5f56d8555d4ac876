//! The formats: one module each, with the same interface, and one line each in the list of all.

mod bmp;
pub(crate) mod dicom;
mod gif;
pub(crate) mod jpeg;
pub(crate) mod nifti;
mod numpy;
mod plain;
mod png;
mod raster;
pub(crate) mod tiff;
mod webp;

use std::fmt;

use image::metadata::Orientation;

pub(crate) use self::raster::{Raster, Sample, decoded, interleave, raster, ycbcr_to_rgb};
use crate::error::Kind;
use crate::image::are_finite;
use crate::{ColorMode, Error, Format, Limits, Origin};

/// The formats that are decoded, in the order in which they are tried.
pub(crate) const CODECS: [Codec; 9] = [
    png::CODEC,
    jpeg::CODEC,
    dicom::CODEC,
    tiff::CODEC,
    bmp::CODEC,
    webp::CODEC,
    gif::CODEC,
    nifti::CODEC,
    numpy::CODEC,
];

/// What a format is called, how its files are recognised, and how one is opened.
pub(crate) struct Codec {
    pub format: Format,
    pub name: &'static str,
    /// Extensions of its files, in lower case.
    pub extensions: &'static [&'static str],
    /// Whether a file can hold several images.
    pub has_pages: bool,
    /// Whether a file whose [first bytes](crate::claim::LONGEST_START) are these is of the format.
    pub recognise: fn(&[u8]) -> bool,
    pub open: for<'a> fn(File<'a>) -> Result<Box<dyn Pages + 'a>, Error>,
}

/// The content of a file, and what decoding it may take.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    pub bytes: &'a [u8],
    pub limits: &'a Limits,
    /// Colours may become grey as they are decoded: nobody asks for them.
    pub as_grey: bool,
}

/// The images in a file, each by its number from 0: what their headers say, before memory is taken for pixels, and the pixels.
pub(crate) trait Pages {
    /// How many there are; at least 1.
    fn count(&self) -> Result<u32, Error> {
        Ok(1)
    }

    /// What the header declares.
    fn layout(&self, page: u32) -> Result<Layout, Error>;

    /// How the stored pixels have to be turned to be upright.
    fn orientation(&self, _page: u32) -> Orientation {
        Orientation::NoTransforms
    }

    /// Whether compression may have changed values.
    fn is_lossy(&self, _page: u32) -> bool {
        false
    }

    /// Millimetres from one image to the next, where they are a volume that says so.
    fn slice_spacing_mm(&self) -> Option<f32> {
        None
    }

    /// What the image belongs to. Identifiers become hashes with this key.
    fn origin(&self, _page: u32, _key: &[u8; 32]) -> Result<Origin, Error> {
        Ok(Origin::default())
    }

    /// Bytes of memory that the content of a file takes which is compressed as a whole, once it is inflated; 0 for one that is not.
    fn inflated_bytes(&self) -> u64 {
        0
    }

    /// The content of a file that is compressed as a whole, as far as its images need it; `None` for one that is not.
    fn inflated(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    /// A file of 32-bit floats on the same voxel grid, with these values of the images, `[height, width]` each, and 0 in images
    /// without; `None` for a format that has none.
    fn map_file(&self, _planes: &[Option<Vec<f32>>]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    /// The pixels, upright. The layout has been checked against the limits.
    fn raster(&self, page: u32, layout: &Layout, orientation: Orientation) -> Result<Raster, Error>;
}

/// The pixel layout that the header declares, before orientation is applied.
pub(crate) struct Layout {
    pub color_mode: ColorMode,
    pub bit_depth: u8,
    pub width: u32,
    pub height: u32,
    /// Bytes per pixel that decoding takes if nothing is turned, the resulting `f32` pixels included.
    pub bytes_per_pixel: u64,
    /// ... and how many more if the image has to be turned.
    pub turning_bytes_per_pixel: u64,
    /// Millimetres from row to row and from column to column, where the file says.
    pub spacing_mm: Option<[f32; 2]>,
}

impl Format {
    /// The formats that are decoded.
    pub const DECODED: [Self; CODECS.len()] = {
        let mut formats = [Self::Memory; CODECS.len()];
        let mut at = 0;
        while at < formats.len() {
            formats[at] = CODECS[at].format;
            at += 1;
        }
        formats
    };

    /// The names of the formats that are decoded, for messages: "PNG, JPEG or TIFF".
    pub fn names() -> String {
        let [others @ .., last] = Self::DECODED.map(|format| format.to_string());
        format!("{} or {last}", others.join(", "))
    }

    /// Extensions of files of this format, in lower case.
    pub fn extensions(self) -> &'static [&'static str] {
        self.codec().map_or(&[], |codec| codec.extensions)
    }

    /// Its line in the list; `None` for what is not decoded.
    pub(crate) fn codec(self) -> Option<&'static Codec> {
        const { &CODECS }.iter().find(|codec| codec.format == self)
    }

    /// The format whose files begin so.
    pub(crate) fn of_content(start: &[u8]) -> Option<Self> {
        const { &CODECS }.iter().find(|codec| (codec.recognise)(start)).map(|codec| codec.format)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.codec().map_or("memory", |codec| codec.name))
    }
}

/// The error for a page that a file does not have.
pub(crate) fn no_such_page(format: Format, page: u32, of: u32) -> Error {
    let wanted = u64::from(page) + 1;
    let message = match of {
        of if format == Format::Tiff => {
            format!("expected page {wanted} of the TIFF, found {of} of full resolution")
        }
        1 => format!("expected page {wanted} of the image, found a {format}, of which one is read"),
        _ => format!("expected page {wanted} of the {format}, found {of}"),
    };
    Error::new(Kind::Format, message)
}

/// Refuses values of which some are no numbers or infinite.
pub(crate) fn refuse_not_finite(values: &[f32], remedy: &str) -> Result<(), Error> {
    if are_finite(values) {
        return Ok(());
    }
    let nan = values.iter().filter(|value| value.is_nan()).count();
    let infinite = values.iter().filter(|value| value.is_infinite()).count();
    let message = format!(
        "expected finite values, found {nan} NaN and {infinite} infinite (or beyond 32-bit floats) among {}; replace \
         them, for instance by the background value{remedy}",
        values.len()
    );
    Err(Error::new(Kind::Pixels, message))
}

/// The error for an image or volume without any finite value.
pub(crate) fn nothing_finite() -> Error {
    Error::new(Kind::Pixels, "expected finite values, found none; leave it out")
}

/// The error for a decoder that contradicts the header.
pub(crate) fn miscounted(format: Format) -> Error {
    damaged(format, "its decoder returned another number of pixels than its header says")
}

/// The error for content that its decoder rejects.
pub(crate) fn damaged(format: Format, reason: impl fmt::Display) -> Error {
    let message = format!("not a whole {format} image: {reason}; copy or export the file again");
    Error::new(Kind::Format, message)
}

/// The error for content that may be whole, but of a variant of its format that is not decoded.
pub(crate) fn unsupported(format: Format, found: impl fmt::Display) -> Error {
    let message = format!(
        "the file is a {format} with {found}, which is not supported; convert it to an ordinary PNG or TIFF"
    );
    Error::new(Kind::Unsupported, message)
}
