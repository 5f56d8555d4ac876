//! PNG, BMP and WebP, through the `image` crate.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use super::{Layout, Raster, damaged, decoded, unsupported};
use crate::error::Kind;
use crate::{ColorMode, Error, Format, Limits, Remark};

/// Reads the header.
pub(crate) fn layout(bytes: &[u8], format: Format) -> Result<Layout, Error> {
    match format {
        Format::Png => png_layout(bytes),
        Format::Bmp => bmp_layout(bytes),
        _ => {
            check_webp_chunks(bytes)?;
            let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| reason(format, error))?;
            let (width, height) = decoder.dimensions();
            let color_mode = if decoder.color_type().has_alpha() { ColorMode::Rgba } else { ColorMode::Rgb };
            // The lossy decoder keeps three planes, the lossless one four bytes a pixel.
            Ok(Layout {
                color_mode,
                bit_depth: 8,
                width,
                height,
                bytes_per_pixel: 4 + 12,
                turning_bytes_per_pixel: 4,
            })
        }
    }
}

/// EXIF orientation; upright where there is none.
pub(crate) fn orientation(bytes: &[u8], format: Format, limits: &Limits) -> Orientation {
    open(bytes, format, limits)
        .and_then(|mut decoder| decoder.orientation())
        .unwrap_or(Orientation::NoTransforms)
}

/// Decodes the pixels and turns them upright.
pub(crate) fn pixels(
    bytes: &[u8],
    format: Format,
    orientation: Orientation,
    limits: &Limits,
) -> Result<Raster, Error> {
    if format == Format::Webp {
        check_webp_length(bytes)?;
    }
    let decoder = open(bytes, format, limits).map_err(|error| reason(format, error))?;
    let color = decoder.color_type();
    let (width, height) = decoder.dimensions();
    let size = (height as usize, width as usize);
    let stored = usize::from(color.channel_count());
    let read = |samples: &mut [u8]| decoder.read_image_boxed(samples).map_err(|error| reason(format, error));
    let mut raster = match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            decoded::<u8>(size, stored, orientation, read)?
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            decoded::<u16>(size, stored, orientation, read)?
        }
        other => return Err(unsupported(format, format!("pixels stored as {other:?}"))),
    };
    raster.remarks.extend(frames(bytes, format).map(|frames| Remark::Animation { frames }));
    Ok(raster)
}

/// The number of frames, if the file is an animation.
fn frames(bytes: &[u8], format: Format) -> Option<u32> {
    let frames = match format {
        Format::Png => {
            let animation = chunks(bytes, format).take_while(|(name, _)| name != b"IDAT");
            let (_, at) = animation.into_iter().find(|(name, _)| name == b"acTL")?;
            u32::from_be_bytes(four(bytes, at)?)
        }
        Format::Webp => chunks(bytes, format).filter(|(name, _)| name == b"ANMF").count() as u32,
        _ => 0,
    };
    (frames > 1).then_some(frames)
}

/// Whether a WebP is compressed with loss, which only its file says.
pub(crate) fn is_lossy_webp(bytes: &[u8]) -> bool {
    !chunks(bytes, Format::Webp).any(|(name, _)| name == *b"VP8L")
}

/// Names of the chunks of a PNG or WebP, and where their data begin.
fn chunks(bytes: &[u8], format: Format) -> impl Iterator<Item = ([u8; 4], usize)> {
    let is_png = format == Format::Png;
    let mut at = if is_png { 8 } else { 12 };
    std::iter::from_fn(move || {
        // PNG: length, name, data, checksum; RIFF: name, length, data, padding to an even length.
        let (first, second) = (four(bytes, at)?, four(bytes, at + 4)?);
        let data = at + 8;
        let (name, length) = if is_png {
            (second, u32::from_be_bytes(first) as usize)
        } else {
            (first, u32::from_le_bytes(second) as usize)
        };
        let after = if is_png { 4 } else { length % 2 };
        at = data.checked_add(length)?.checked_add(after)?;
        Some((name, data))
    })
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

fn open<'a>(
    bytes: &'a [u8],
    format: Format,
    limits: &Limits,
) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    let mut bounds = image::Limits::no_limits();
    bounds.max_image_width = Some(limits.max_width_px);
    bounds.max_image_height = Some(limits.max_height_px);
    bounds.max_alloc = Some(limits.max_alloc_bytes);
    let reader = Cursor::new(bytes);
    Ok(match format {
        Format::Png => Box::new(PngDecoder::with_limits(reader, bounds)?),
        Format::Bmp => Box::new(BmpDecoder::new(reader)?),
        _ => Box::new(WebPDecoder::new(reader)?),
    })
}

fn reason(format: Format, error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            damaged(format, "it is truncated")
        }
        ImageError::Unsupported(error) => unsupported(format, format!("a variant of it ({error})")),
        ImageError::Limits(error) => {
            let message = format!(
                "decoding the {format} takes more than allowed ({error}); if the image is what you expect, raise the \
                 setting `max_alloc_bytes`"
            );
            Error::new(Kind::Limit, message)
        }
        error => damaged(format, error),
    }
}

/// The decoder of lossy WebP pads truncated data; the length in the file's first chunk reveals it.
fn check_webp_length(bytes: &[u8]) -> Result<(), Error> {
    const BEFORE_CONTENT: u64 = 8;
    let Some(&[b0, b1, b2, b3]) = bytes.get(4..8) else {
        return Err(damaged(Format::Webp, "it is truncated"));
    };
    let expected = u64::from(u32::from_le_bytes([b0, b1, b2, b3])) + BEFORE_CONTENT;
    if (bytes.len() as u64) < expected {
        let found = format!("it is truncated: {} of its {expected} bytes are there", bytes.len());
        return Err(damaged(Format::Webp, found));
    }
    Ok(())
}

/// The decoder takes memory for a chunk by the length that the chunk states, up to 4 GB, before it reads it.
fn check_webp_chunks(bytes: &[u8]) -> Result<(), Error> {
    let length = |at: usize| Some(u32::from_le_bytes(four(bytes, at)?) as usize);
    let content_end = length(4).map_or(0, |length| length.saturating_add(8));
    let mut at = 12;
    while at < content_end {
        let Some(length) = length(at + 4) else { break };
        let end = at.saturating_add(8).saturating_add(length);
        if end > bytes.len() {
            let found = format!("it is truncated: {} of its {end} bytes are there", bytes.len());
            return Err(damaged(Format::Webp, found));
        }
        at = end + length % 2;
    }
    Ok(())
}

/// The header chunk of a PNG: length, "IHDR", width, height, bit depth, colour type.
fn png_layout(bytes: &[u8]) -> Result<Layout, Error> {
    let Some([0, 0, 0, 13, b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3, bit_depth, color]) =
        bytes.get(8..26)
    else {
        return Err(damaged(Format::Png, "its header chunk is missing or truncated"));
    };
    // The decoder adds alpha where some colours are marked as transparent.
    let (color_mode, samples, channels) = match color {
        0 => (ColorMode::Grey, 2, 1),
        2 => (ColorMode::Rgb, 4, 3),
        3 => (ColorMode::Palette, 4, 3),
        4 => (ColorMode::GreyAlpha, 2, 1),
        6 => (ColorMode::Rgba, 4, 3),
        other => return Err(damaged(Format::Png, format!("unknown colour type {other}"))),
    };
    Ok(Layout {
        color_mode,
        bit_depth: *bit_depth,
        width: u32::from_be_bytes([*w0, *w1, *w2, *w3]),
        height: u32::from_be_bytes([*h0, *h1, *h2, *h3]),
        bytes_per_pixel: channels * 4,
        turning_bytes_per_pixel: samples * if *bit_depth == 16 { 2 } else { 1 },
    })
}

fn bmp_layout(bytes: &[u8]) -> Result<Layout, Error> {
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| reason(Format::Bmp, error))?;
    let (width, height) = decoder.dimensions();
    // The old header of 12 bytes has its bit count 4 bytes earlier.
    let at = if bytes.get(14..18) == Some(&[12, 0, 0, 0]) { 24 } else { 28 };
    let bits = bytes.get(at..at + 2).map_or(24, |bits| u16::from_le_bytes([bits[0], bits[1]]));
    let (color_mode, bit_depth) = match bits {
        1..=8 => (ColorMode::Palette, bits as u8),
        16 => (ColorMode::Rgb, 5),
        _ if decoder.color_type().has_alpha() => (ColorMode::Rgba, 8),
        _ => (ColorMode::Rgb, 8),
    };
    Ok(Layout { color_mode, bit_depth, width, height, bytes_per_pixel: 12, turning_bytes_per_pixel: 4 })
}
