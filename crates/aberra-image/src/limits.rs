//! What decoding refuses before it allocates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper bounds, checked on the file's header before its pixels are decoded.
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_width_px: 16_384,
            max_height_px: 16_384,
            max_pixels: 64 << 20,
            max_alloc_bytes: 1 << 30,
        }
    }
}
