//! One module per file format, all with the same interface: layout (from the header), orientation, raster.

pub(crate) mod jpeg;
pub(crate) mod plain;
pub(crate) mod tiff;

use crate::error::Kind;
use crate::{ColorMode, Error, Format, Remark};

/// The pixel layout that the header declares, before orientation is applied.
pub(crate) struct Layout {
    pub color_mode: ColorMode,
    pub bit_depth: u8,
    pub width: u32,
    pub height: u32,
    /// Bytes per pixel that decoding takes, the resulting `f32` pixels included.
    pub bytes_per_pixel: u64,
}

/// Pixels as values of [`Image`](crate::Image), before orientation: `channels` is 1 or 3.
pub(crate) struct Raster {
    pub pixels: Vec<f32>,
    pub channels: usize,
    /// What was decided while decoding.
    pub remarks: Vec<Remark>,
}

/// Integers or floats as a file stores them.
pub(crate) trait Sample: Copy {
    /// The value in an image.
    fn value(self) -> f32;
}

macro_rules! integer_sample {
    ($($integer:ty),*) => {$(
        impl Sample for $integer {
            fn value(self) -> f32 {
                (self as f64 / <$integer>::MAX as f64) as f32
            }
        }
    )*};
}
integer_sample!(u32, u64, i8, i16, i32, i64);

impl Sample for u8 {
    fn value(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Sample for u16 {
    fn value(self) -> f32 {
        f32::from(self) / 65535.0
    }
}

impl Sample for f32 {
    fn value(self) -> f32 {
        self
    }
}

/// Interleaved samples, `stored` to a pixel (1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha), composited over black.
/// `premultiplied` says that the colours are composited already. Alpha that is 0 everywhere says nothing (cameras and
/// Windows write it so), and is ignored.
pub(crate) fn raster<S: Sample>(samples: &[S], stored: usize, premultiplied: bool) -> Raster {
    let alpha = || samples.iter().skip(stored - 1).step_by(stored).map(|alpha| alpha.value());
    let has_alpha = matches!(stored, 2 | 4) && !samples.is_empty();
    let is_ignored = has_alpha && alpha().all(|alpha| alpha == 0.0);
    let is_transparent = has_alpha && !is_ignored && alpha().any(|alpha| alpha < 1.0);
    let over_black = |value: S, alpha: S| {
        if premultiplied || is_ignored { value.value() } else { value.value() * alpha.value() }
    };
    let pixels = match stored {
        2 => samples.as_chunks().0.iter().map(|&[grey, alpha]| over_black(grey, alpha)).collect(),
        4 => {
            let mut pixels = Vec::with_capacity(samples.len() / 4 * 3);
            for &[red, green, blue, alpha] in samples.as_chunks().0 {
                pixels.extend([red, green, blue].map(|value| over_black(value, alpha)));
            }
            pixels
        }
        _ => samples.iter().map(|sample| sample.value()).collect(),
    };
    let remarks = match (is_ignored, is_transparent) {
        (true, _) => vec![Remark::AlphaIgnored],
        (_, true) => vec![Remark::Transparent],
        _ => Vec::new(),
    };
    Raster { pixels, channels: if stored <= 2 { 1 } else { 3 }, remarks }
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
