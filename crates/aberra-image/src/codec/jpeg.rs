//! JPEG, through `zune-jpeg` in its strict mode: a damaged or truncated file is an error, never a half-grey image.
//!
//! The `image` crate would decode leniently, so its JPEG decoder is not used. Strictness is about pixels: stray bytes between
//! the segments of a header cost none, so they are taken out first.

use std::borrow::Cow;
use std::ops::Range;

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Codec, File, Layout, Pages, Raster, damaged, decoded, unsupported};
use crate::{ColorMode, Error, Format};

pub(super) const CODEC: Codec = Codec {
    format: Format::Jpeg,
    name: "JPEG",
    extensions: &["jpg", "jpeg", "jpe", "jfif"],
    has_pages: false,
    recognise: |start| start.starts_with(b"\xff\xd8\xff"),
    open: |file| Ok(Box::new(Jpeg(file))),
};

struct Jpeg<'a>(File<'a>);

impl Pages for Jpeg<'_> {
    fn layout(&self, _page: u32) -> Result<Layout, Error> {
        layout(self.0.bytes)
    }

    fn orientation(&self, _page: u32) -> Orientation {
        orientation(self.0.bytes)
    }

    fn is_lossy(&self, _page: u32) -> bool {
        true
    }

    fn raster(&self, _page: u32, layout: &Layout, orientation: Orientation) -> Result<Raster, Error> {
        pixels(self.0, layout, orientation)
    }
}

/// Reads the frame header.
fn layout(bytes: &[u8]) -> Result<Layout, Error> {
    let Some(frame) = scan(bytes).frame else {
        return Err(damaged(Format::Jpeg, "it has no frame header, or is truncated before it"));
    };
    if let Some(variant) = frame.unsupported() {
        return Err(unsupported(Format::Jpeg, variant));
    }
    let (color_mode, channels) = match frame.components {
        1 => (ColorMode::Grey, 1),
        3 => (ColorMode::Rgb, 3),
        4 => (ColorMode::Cmyk, 3),
        other => return Err(damaged(Format::Jpeg, format!("expected 1, 3 or 4 components, found {other}"))),
    };
    // A progressive file keeps all its 16-bit coefficients.
    let coefficients = if frame.progressive { 2 * u64::from(frame.components) } else { 0 };
    Ok(Layout {
        color_mode,
        bit_depth: frame.bit_depth,
        width: frame.width.into(),
        height: frame.height.into(),
        bytes_per_pixel: 4 * channels + coefficients,
        turning_bytes_per_pixel: channels,
        spacing_mm: None,
    })
}

/// EXIF orientation; upright where there is none.
fn orientation(bytes: &[u8]) -> Orientation {
    let bytes = without_stray_bytes(bytes);
    let mut decoder = JpegDecoder::new(ZCursor::new(&*bytes));
    let exif = decoder.decode_headers().ok().and_then(|()| decoder.exif());
    exif.and_then(|exif| Orientation::from_exif_chunk(exif)).unwrap_or(Orientation::NoTransforms)
}

/// Decodes the pixels and turns them upright.
fn pixels(
    File { bytes, limits, as_grey }: File<'_>,
    layout: &Layout,
    orientation: Orientation,
) -> Result<Raster, Error> {
    if !is_complete(bytes) {
        let found = format!("it is truncated: no end-of-image marker in its {} bytes", bytes.len());
        return Err(damaged(Format::Jpeg, found));
    }
    let (color, channels) = match layout.color_mode {
        ColorMode::Grey => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(limits.max_width_px as usize)
        .set_max_height(limits.max_height_px as usize)
        .jpeg_set_out_colorspace(color);
    let bytes = without_stray_bytes(bytes);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*bytes), options);
    let size = (layout.height as usize, layout.width as usize);
    decoded::<u8>(size, channels, orientation, as_grey, |samples| {
        decoder.decode_headers().map_err(|error| damaged(Format::Jpeg, error))?;
        if decoder.output_buffer_size() != Some(samples.len()) {
            return Err(damaged(
                Format::Jpeg,
                "its decoder finds another number of pixels than its header says",
            ));
        }
        decoder.decode_into(samples).map_err(|error| damaged(Format::Jpeg, error))
    })
}

/// Whether an end-of-image marker follows the last scan.
pub(crate) fn is_complete(bytes: &[u8]) -> bool {
    scan(bytes).ended
}

/// What the first frame of a JPEG is, if it is a variant that is not decoded.
pub(crate) fn unsupported_variant(bytes: &[u8]) -> Option<String> {
    scan(bytes).frame?.unsupported()
}

/// The file without what lies between the segments of its headers, which means nothing.
fn without_stray_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    let stray = scan(bytes).stray;
    if stray.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut clean = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for Range { start, end } in stray {
        clean.extend_from_slice(&bytes[from..start]);
        from = end;
    }
    clean.extend_from_slice(&bytes[from..]);
    Cow::Owned(clean)
}

struct Frame {
    /// The second byte of its marker.
    marker: u8,
    bit_depth: u8,
    width: u16,
    height: u16,
    components: u8,
    progressive: bool,
}

impl Frame {
    fn unsupported(&self) -> Option<String> {
        match self.marker {
            JPEG_LS => Some("JPEG-LS compression".to_owned()),
            0xc3 => Some("lossless compression".to_owned()),
            0xc5..=0xc7 | 0xcd..=0xcf => Some("hierarchical compression".to_owned()),
            0xc9..=0xcb => Some("arithmetic coding".to_owned()),
            _ if self.bit_depth != 8 => Some(format!("{} bits per sample", self.bit_depth)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Scan {
    frame: Option<Frame>,
    ended: bool,
    /// Bytes between the segments of headers, in order.
    stray: Vec<Range<usize>>,
}

/// The marker of a frame of JPEG-LS.
const JPEG_LS: u8 = 0xf7;

/// Walks the markers: segments by their length, entropy-coded data byte by byte.
fn scan(bytes: &[u8]) -> Scan {
    const START_OF_IMAGE: u8 = 0xd8;
    const END_OF_IMAGE: u8 = 0xd9;
    const START_OF_SCAN: u8 = 0xda;
    let mut found = Scan::default();
    let (mut at, mut is_entropy_coded) = (0, false);
    // Where the segment before ended.
    let mut end = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(offset) = rest.iter().position(|&byte| byte == 0xff) else { return found };
        let Some(&marker) = rest.get(offset + 1) else { return found };
        let start = at + offset;
        at = start + 1;
        match marker {
            0xff => continue, // a fill byte before a marker
            0 | 0x01 | 0xd0..=0xd7 => {
                // A stuffed byte, or a marker without a segment: stray between headers.
                at += 1;
                continue;
            }
            _ => {}
        }
        if !is_entropy_coded && start > end && bytes[end..start].iter().any(|&byte| byte != 0xff) {
            found.stray.push(end..start);
        }
        match marker {
            START_OF_IMAGE => at += 1,
            END_OF_IMAGE => {
                found.ended = true;
                return found;
            }
            _ => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { return found };
                let is_frame = marker == JPEG_LS
                    || matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
                if let (true, Some(&[bit_depth, h0, h1, w0, w1, components])) =
                    (is_frame && found.frame.is_none(), bytes.get(at + 3..at + 9))
                {
                    found.frame = Some(Frame {
                        marker,
                        bit_depth,
                        width: u16::from_be_bytes([w0, w1]),
                        height: u16::from_be_bytes([h0, h1]),
                        components,
                        progressive: matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce),
                    });
                }
                at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
                is_entropy_coded = marker == START_OF_SCAN;
            }
        }
        end = at;
    }
}
