//! GIF, through the `image` crate: each frame is a page, as it is shown when those before it lie below it.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, ImageDecoder};

use super::{Codec, File, Layout, Pages, Raster, damaged, decoded, plain};
use crate::{ColorMode, Error, Format, Remark};

pub(super) const CODEC: Codec = Codec {
    format: Format::Gif,
    name: "GIF",
    extensions: &["gif"],
    has_pages: true,
    recognise: |start| start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a"),
    open: |file| {
        let gif = Gif { file, frames: frames(file.bytes) };
        match gif.frames {
            0 => Err(damaged(Format::Gif, "it has no whole frame, or is truncated")),
            _ => Ok(Box::new(gif)),
        }
    },
};

struct Gif<'a> {
    file: File<'a>,
    /// Those that are whole.
    frames: u32,
}

impl Pages for Gif<'_> {
    fn count(&self) -> Result<u32, Error> {
        Ok(self.frames)
    }

    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        let Some(&[w0, w1, h0, h1, flags]) = self.file.bytes.get(6..11) else {
            return Err(damaged(Format::Gif, "its header is truncated"));
        };
        Ok(Layout {
            color_mode: ColorMode::Palette,
            bit_depth: if flags & HAS_TABLE != 0 { (flags & TABLE_BITS) + 1 } else { 8 },
            width: u16::from_le_bytes([w0, w1]).into(),
            height: u16::from_le_bytes([h0, h1]).into(),
            // The frame below, the frame and its colours, four bytes a pixel each, beside the result.
            bytes_per_pixel: 4 * 3 + 3 * 4,
            turning_bytes_per_pixel: 0,
            spacing_mm: None,
        })
    }

    fn raster(&self, page: u32, layout: &Layout, orientation: Orientation) -> Result<Raster, Error> {
        let reason = |error| plain::reason(Format::Gif, error);
        let mut decoder = GifDecoder::new(Cursor::new(self.file.bytes)).map_err(reason)?;
        decoder.set_limits(plain::bounds(self.file.limits)).map_err(reason)?;
        let frame = decoder.into_frames().nth(page as usize);
        let frame = frame.ok_or_else(|| damaged(Format::Gif, "it has fewer frames than it lists"))?;
        let picture = frame.map_err(reason)?.into_buffer();
        let size = (layout.height as usize, layout.width as usize);
        let mut raster = decoded::<u8>(size, 4, orientation, false, |samples| {
            let whole = || damaged(Format::Gif, "a frame of it has another size than its header says");
            if picture.as_raw().len() != samples.len() {
                return Err(whole());
            }
            samples.copy_from_slice(picture.as_raw());
            Ok(())
        })?;
        if self.frames > 1 {
            raster.remarks.push(Remark::Page { page: page + 1, of: self.frames });
        }
        Ok(raster)
    }
}

const HAS_TABLE: u8 = 0x80;
const TABLE_BITS: u8 = 7;

/// The number of frames whose data are whole.
fn frames(bytes: &[u8]) -> u32 {
    const EXTENSION: u8 = 0x21;
    const FRAME: u8 = 0x2c;
    let table = |flags: u8| if flags & HAS_TABLE != 0 { 3 << ((flags & TABLE_BITS) + 1) } else { 0 };
    let Some(&flags) = bytes.get(10) else { return 0 };
    let (mut at, mut frames): (usize, u32) = (13 + table(flags), 0);
    loop {
        let is_frame = match bytes.get(at) {
            Some(&EXTENSION) => {
                at += 2;
                false
            }
            Some(&FRAME) => {
                let Some(&flags) = bytes.get(at + 9) else { return frames };
                // The descriptor, a table of its own, and the size of its first codes.
                at += 10 + table(flags) + 1;
                true
            }
            _ => return frames,
        };
        // Blocks of data, each after its length, up to an empty one.
        loop {
            let Some(&length) = bytes.get(at) else { return frames };
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
        frames = frames.saturating_add(u32::from(is_frame));
    }
}
