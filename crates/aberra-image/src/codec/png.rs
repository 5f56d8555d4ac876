//! PNG, through the `image` crate; of an animated one the first frame.

use std::io::Cursor;

use image::ImageResult;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;

use super::plain::{self, bounds, four};
use super::{Codec, File, Layout, Pages, Raster, damaged};
use crate::{ColorMode, Error, Format, Remark};

pub(super) const CODEC: Codec = Codec {
    format: Format::Png,
    name: "PNG",
    extensions: &["png"],
    has_pages: false,
    recognise: |start| start.starts_with(b"\x89PNG\r\n\x1a\n"),
    open: |file| Ok(Box::new(Png(file))),
};

struct Png<'a>(File<'a>);

impl Png<'_> {
    fn decoder(&self) -> ImageResult<PngDecoder<Cursor<&[u8]>>> {
        PngDecoder::with_limits(Cursor::new(self.0.bytes), bounds(self.0.limits))
    }

    /// The number of frames, if the file is an animation.
    fn frames(&self) -> Option<u32> {
        let (_, at) =
            self.chunks().take_while(|(name, _)| name != b"IDAT").find(|(name, _)| name == b"acTL")?;
        Some(u32::from_be_bytes(four(self.0.bytes, at)?)).filter(|&frames| frames > 1)
    }

    /// Names of the chunks, and where their data begin: length, name, data, checksum.
    fn chunks(&self) -> impl Iterator<Item = ([u8; 4], usize)> {
        let mut at: usize = 8;
        std::iter::from_fn(move || {
            let (length, name) = (four(self.0.bytes, at)?, four(self.0.bytes, at + 4)?);
            let data = at + 8;
            at = data.checked_add(u32::from_be_bytes(length) as usize)?.checked_add(4)?;
            Some((name, data))
        })
    }
}

impl Pages for Png<'_> {
    /// The header chunk: length, "IHDR", width, height, bit depth, colour type.
    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        let Some([0, 0, 0, 13, b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3, bit_depth, color]) =
            self.0.bytes.get(8..26)
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
            spacing_mm: None,
        })
    }

    fn orientation(&self, _page: u32) -> Orientation {
        plain::orientation(self.decoder())
    }

    fn raster(&self, _page: u32, _layout: &Layout, orientation: Orientation) -> Result<Raster, Error> {
        let mut raster = plain::raster(Format::Png, self.decoder(), orientation, self.0.as_grey)?;
        raster.remarks.extend(self.frames().map(|frames| Remark::Animation { frames }));
        Ok(raster)
    }
}
