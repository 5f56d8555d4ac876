//! One module per file format, all with the same interface: layout (from the header), orientation, raster (upright).

pub(crate) mod jpeg;
pub(crate) mod plain;
mod raster;
pub(crate) mod tiff;

pub(crate) use self::raster::{Raster, Sample, decoded, raster};
use crate::error::Kind;
use crate::{ColorMode, Error, Format};

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
}

/// The error for content that its decoder rejects.
pub(crate) fn damaged(format: Format, reason: impl std::fmt::Display) -> Error {
    let message = format!("not a whole {format} image: {reason}; copy or export the file again");
    Error::new(Kind::Format, message)
}

/// The error for content that may be whole, but of a variant of its format that is not decoded.
pub(crate) fn unsupported(format: Format, found: impl std::fmt::Display) -> Error {
    let message = format!(
        "the file is a {format} with {found}, which is not supported; convert it to an ordinary PNG or TIFF"
    );
    Error::new(Kind::Unsupported, message)
}
