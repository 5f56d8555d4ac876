//! Windows bitmaps, through the `image` crate.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ImageDecoder, ImageResult};

use super::{Codec, File, Layout, Pages, Raster, plain};
use crate::{ColorMode, Error, Format};

pub(super) const CODEC: Codec = Codec {
    format: Format::Bmp,
    name: "BMP",
    extensions: &["bmp"],
    has_pages: false,
    // A text may begin with the two letters: the reserved bytes after the length are 0.
    recognise: |start| start.starts_with(b"BM") && start.get(6..10) == Some(&[0; 4]) && start.len() >= 26,
    open: |file| Ok(Box::new(Bmp(file))),
};

struct Bmp<'a>(File<'a>);

impl Bmp<'_> {
    fn decoder(&self) -> ImageResult<BmpDecoder<Cursor<&[u8]>>> {
        BmpDecoder::new(Cursor::new(self.0.bytes))
    }
}

impl Pages for Bmp<'_> {
    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        let bytes = self.0.bytes;
        let decoder = self.decoder().map_err(|error| plain::reason(Format::Bmp, error))?;
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
        Ok(Layout {
            color_mode,
            bit_depth,
            width,
            height,
            bytes_per_pixel: 12,
            turning_bytes_per_pixel: 4,
            spacing_mm: None,
        })
    }

    fn orientation(&self, _page: u32) -> Orientation {
        plain::orientation(self.decoder())
    }

    fn raster(&self, _page: u32, _layout: &Layout, orientation: Orientation) -> Result<Raster, Error> {
        plain::raster(Format::Bmp, self.decoder(), orientation, self.0.as_grey)
    }
}
