//! Pixels -> PNG and JPEG, for heat maps, sample sheets and reports. Writing the bytes is the caller's.

use image::codecs::jpeg::JpegEncoder;
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
    encode(pixels, height, width, color, "PNG", |bytes, columns, rows, kind| {
        PngEncoder::new(bytes).write_image(pixels, columns, rows, kind)
    })
}

/// Encodes 8-bit pixels, as [`encode_png`] takes them, as a JPEG of `quality` 1 to 100. The same pixels always give the
/// same bytes.
///
/// # Errors
/// A side is zero or above 65535, or `pixels` has another length than the sides and the colour say.
pub fn encode_jpeg(
    pixels: &[u8],
    height: usize,
    width: usize,
    color: Color,
    quality: u8,
) -> Result<Vec<u8>, Error> {
    encode(pixels, height, width, color, "JPEG", |bytes, columns, rows, kind| {
        JpegEncoder::new_with_quality(bytes, quality.clamp(1, 100)).write_image(pixels, columns, rows, kind)
    })
}

fn encode(
    pixels: &[u8],
    height: usize,
    width: usize,
    color: Color,
    format: &str,
    write: impl FnOnce(&mut Vec<u8>, u32, u32, ExtendedColorType) -> image::ImageResult<()>,
) -> Result<Vec<u8>, Error> {
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
    write(&mut encoded, columns, rows, kind)
        .map_err(|error| Error::new(Kind::Pixels, format!("cannot encode a {format}: {error}")))?;
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, decode};

    #[test]
    fn what_is_encoded_decodes_to_nearly_the_same() {
        let ramp: Vec<u8> = (0..16 * 24).map(|at| (at % 24 * 10) as u8).collect();
        for (bytes, tolerance) in [
            (encode_png(&ramp, 16, 24, Color::Grey).unwrap(), 0.0),
            (encode_jpeg(&ramp, 16, 24, Color::Grey, 95).unwrap(), 0.03),
        ] {
            let image = decode(&bytes, &Limits::default()).unwrap();
            assert_eq!((image.height, image.width, image.channels), (16, 24, 1));
            let worst = image.pixels.iter().zip(&ramp).map(|(a, &b)| (a - f32::from(b) / 255.0).abs());
            assert!(worst.fold(0.0, f32::max) <= tolerance);
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        assert!(encode_jpeg(&[0; 5], 2, 2, Color::Grey, 90).is_err());
        assert!(encode_jpeg(&[], 0, 0, Color::Grey, 90).is_err());
        assert!(encode_png(&[0; 4], 2, 2, Color::Rgb).is_err());
    }
}
