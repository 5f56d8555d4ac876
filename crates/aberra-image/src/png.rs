//! Pixels -> PNG, for heat maps and sample sheets. Writing the bytes is the caller's.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::Kind;
use crate::{Color, Error};

/// Encodes 8-bit pixels, `[height, width]` grey or `[height, width, 3]` RGB, as a PNG. The same pixels always give the
/// same bytes.
///
/// # Errors
/// A side is zero, or `pixels` has another length than the sides and the colour say.
pub fn encode_png(pixels: &[u8], height: usize, width: usize, color: Color) -> Result<Vec<u8>, Error> {
    let (kind, channels) = match color {
        Color::Grey => (ExtendedColorType::L8, 1),
        Color::Rgb => (ExtendedColorType::Rgb8, 3),
    };
    let expected = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
    let sides = u32::try_from(width).ok().zip(u32::try_from(height).ok());
    let (Some((columns, rows)), true) = (sides, expected == Some(pixels.len()) && !pixels.is_empty()) else {
        let message = format!("expected {height} x {width} x {channels} bytes, found {} bytes", pixels.len());
        return Err(Error::new(Kind::Pixels, message));
    };
    let mut encoded = Vec::new();
    PngEncoder::new(&mut encoded)
        .write_image(pixels, columns, rows, kind)
        .map_err(|error| Error::new(Kind::Pixels, format!("cannot encode a PNG: {error}")))?;
    Ok(encoded)
}
