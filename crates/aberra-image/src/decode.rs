//! Bytes -> image, within limits.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::{DynamicImage, ImageReader};

use crate::error::Kind;
use crate::{ColorMode, Error, Format, Image, Limits, Source};

/// Reads and decodes a file. The format is recognised by content, not by name.
///
/// # Errors
/// The file cannot be read, is not an image of a known format, exceeds `limits`, or holds values that are not finite.
pub fn read(path: &Path, limits: &Limits) -> Result<Image, Error> {
    let io = |error: std::io::Error| Error::new(Kind::Io, error.to_string()).with_path(path);
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(limits.max_bytes + 1).read_to_end(&mut bytes).map_err(io)?;
    let mut image = decode(&bytes, limits).map_err(|error| error.with_path(path))?;
    image.source.path = Some(path.to_owned());
    Ok(image)
}

/// Decodes an image held in memory.
///
/// # Errors
/// As [`read`], less the reading.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, Error> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(Error::new(Kind::Limit, "the file is too long"));
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| Error::new(Kind::Io, error.to_string()))?;
    let mut bounds = image::Limits::default();
    bounds.max_image_width = Some(limits.max_width_px);
    bounds.max_image_height = Some(limits.max_height_px);
    bounds.max_alloc = Some(limits.max_alloc_bytes);
    reader.limits(bounds);
    let format = match reader.format() {
        Some(image::ImageFormat::Png) => Format::Png,
        Some(image::ImageFormat::Jpeg) => Format::Jpeg,
        Some(image::ImageFormat::Tiff) => Format::Tiff,
        Some(image::ImageFormat::Bmp) => Format::Bmp,
        Some(image::ImageFormat::WebP) => Format::Webp,
        _ => return Err(Error::new(Kind::Format, "not an image of a known format")),
    };
    let decoded = reader.decode().map_err(|error| Error::new(Kind::Format, error.to_string()))?;
    let grey = matches!(decoded, DynamicImage::ImageLuma8(_) | DynamicImage::ImageLuma16(_));
    let (height, width) = (decoded.height() as usize, decoded.width() as usize);
    let pixels = if grey {
        decoded.into_luma16().into_raw().iter().map(|&v| f32::from(v) / 65535.0).collect()
    } else {
        decoded.into_rgb32f().into_raw()
    };
    Ok(Image {
        pixels,
        height,
        width,
        channels: if grey { 1 } else { 3 },
        source: Source {
            path: None,
            content_hash: *blake3::hash(bytes).as_bytes(),
            bytes: bytes.len() as u64,
            format,
            color_mode: if grey { ColorMode::Grey } else { ColorMode::Rgb },
            bit_depth: 8,
        },
    })
}
