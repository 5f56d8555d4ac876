//! Limits that are checked before decoding allocates memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::Kind;

/// What is read: upper bounds, checked on the file's header before its pixels are decoded, and which values are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Length of a file in bytes.
    pub max_bytes: u64,
    /// Columns.
    pub max_width_px: u32,
    /// Rows.
    pub max_height_px: u32,
    /// Rows x columns.
    pub max_pixels: u64,
    /// Bytes a decoder may allocate.
    pub max_alloc_bytes: u64,
    /// Whether values that are NaN or infinite are accepted: as pixels that were not measured, which preprocessing fills from their
    /// neighbours and maps leave out. Otherwise images with such values are refused (TIFF, NumPy), or have the lowest value of the volume
    /// there (NIfTI).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub not_finite: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_width_px: 16_384,
            max_height_px: 16_384,
            max_pixels: 64 << 20,
            max_alloc_bytes: 1 << 30,
            not_finite: false,
        }
    }
}

impl Limits {
    /// Rejects a file of `bytes` bytes when that is too many.
    pub(crate) fn check_bytes(&self, bytes: u64) -> Result<(), Error> {
        within("the file is", bytes, "bytes long", "max_bytes", self.max_bytes)
    }

    /// Rejects content that takes `bytes` bytes once it is inflated, when that is too many for a file or for memory.
    pub(crate) fn check_inflated(&self, bytes: u64) -> Result<(), Error> {
        within("the inflated file is", bytes, "bytes long", "max_bytes", self.max_bytes)?;
        within("inflating the file takes", bytes, "bytes of memory", "max_alloc_bytes", self.max_alloc_bytes)
    }

    /// Rejects `width` x `height` pixels, each of which takes `bytes_per_pixel` while decoding, when that is too many.
    pub(crate) fn check_size(&self, width: u32, height: u32, bytes_per_pixel: u64) -> Result<(), Error> {
        if width == 0 || height == 0 {
            let message = format!("the image is {width} x {height} pixels: it has no pixels");
            return Err(Error::new(Kind::Format, message));
        }
        let pixels = u64::from(width) * u64::from(height);
        within("the image is", width.into(), "pixels wide", "max_width_px", self.max_width_px.into())?;
        within("the image is", height.into(), "pixels high", "max_height_px", self.max_height_px.into())?;
        within("the image has", pixels, "pixels", "max_pixels", self.max_pixels)?;
        let bytes = pixels.saturating_mul(bytes_per_pixel);
        within("decoding the image takes", bytes, "bytes of memory", "max_alloc_bytes", self.max_alloc_bytes)
    }
}

fn within(subject: &str, found: u64, unit: &str, setting: &str, limit: u64) -> Result<(), Error> {
    if found <= limit {
        return Ok(());
    }
    let message = format!(
        "{subject} {found} {unit}, but the limit is {limit}; if the image is what you expect, raise the setting \
         `{setting}`"
    );
    Err(Error::new(Kind::Limit, message))
}
