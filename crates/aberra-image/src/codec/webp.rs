//! WebP, through the `image` crate; of an animated one the first frame.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageResult};

use super::plain::{self, four};
use super::{Codec, File, Layout, Pages, Raster, damaged};
use crate::{ColorMode, Error, Format, Remark};

pub(super) const CODEC: Codec = Codec {
    format: Format::Webp,
    name: "WebP",
    extensions: &["webp"],
    has_pages: false,
    recognise: |start| start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP"),
    open: |file| Ok(Box::new(Webp(file))),
};

struct Webp<'a>(File<'a>);

impl Webp<'_> {
    fn decoder(&self) -> ImageResult<WebPDecoder<Cursor<&[u8]>>> {
        WebPDecoder::new(Cursor::new(self.0.bytes))
    }

    /// Names of the chunks: name, length, data, padding to an even length.
    fn chunks(&self) -> impl Iterator<Item = [u8; 4]> {
        let mut at: usize = 12;
        std::iter::from_fn(move || {
            let (name, length) = (four(self.0.bytes, at)?, four(self.0.bytes, at + 4)?);
            let length = u32::from_le_bytes(length) as usize;
            at = (at + 8).checked_add(length)?.checked_add(length % 2)?;
            Some(name)
        })
    }
}

impl Pages for Webp<'_> {
    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        check_chunks(self.0.bytes)?;
        let decoder = self.decoder().map_err(|error| plain::reason(Format::Webp, error))?;
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
            spacing_mm: None,
        })
    }

    fn orientation(&self, _page: u32) -> Orientation {
        plain::orientation(self.decoder())
    }

    /// Only the file says whether it is compressed with loss.
    fn is_lossy(&self, _page: u32) -> bool {
        !self.chunks().any(|name| name == *b"VP8L")
    }

    fn raster(&self, _page: u32, _layout: &Layout, orientation: Orientation) -> Result<Raster, Error> {
        check_length(self.0.bytes)?;
        let mut raster = plain::raster(Format::Webp, self.decoder(), orientation, self.0.as_grey)?;
        let frames = self.chunks().filter(|name| name == b"ANMF").count() as u32;
        if frames > 1 {
            raster.remarks.push(Remark::Animation { frames });
        }
        Ok(raster)
    }
}

/// The decoder of lossy WebP pads truncated data; the length in the file's first chunk reveals it.
fn check_length(bytes: &[u8]) -> Result<(), Error> {
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
fn check_chunks(bytes: &[u8]) -> Result<(), Error> {
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
