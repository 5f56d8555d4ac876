//! TIFF, through the `tiff` crate: grey, grey + alpha, palette, RGB, RGBA, CMYK, YCbCr; integers and floats of 1 to 64
//! bits. The `image` crate knows neither grey floats nor palettes, so its TIFF decoder is not used.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use tiff::tags::Tag;

use super::{Layout, Raster, Sample, damaged, jpeg, raster};
use crate::error::Kind;
use crate::{ColorMode, Error, Format, Limits};

const PALETTE: u16 = 3;
const BLACK_IS_ZERO: u16 = 1;
const PLANAR: u16 = 2;
const JPEG_COMPRESSION: u16 = 7;
const PREMULTIPLIED_ALPHA: u16 = 1;
const STRAIGHT_ALPHA: u16 = 2;

/// Reads the first page's directory.
pub(crate) fn layout(bytes: &[u8]) -> Result<Layout, Error> {
    let page = Page::open(bytes, &Limits::default())?;
    let channels = if page.stored <= 2 { 1 } else { 3 };
    let mut decoder = page.decoder;
    let (width, height) = decoder.dimensions().map_err(reason)?;
    Ok(Layout {
        color_mode: page.color_mode,
        bit_depth: page.color.bit_depth(),
        width,
        height,
        // Samples as stored, as f32, and the pixels.
        bytes_per_pixel: u64::from(page.color.bit_depth().div_ceil(8)) * page.stored as u64
            + 4 * page.stored as u64
            + 4 * channels,
    })
}

/// The orientation tag; upright where there is none.
pub(crate) fn orientation(bytes: &[u8]) -> Orientation {
    let tag = Page::open(bytes, &Limits::default()).ok().and_then(|mut page| page.tag(Tag::Orientation));
    tag.and_then(|tag| Orientation::from_exif(u8::try_from(tag).ok()?)).unwrap_or(Orientation::NoTransforms)
}

/// Decodes the first page.
pub(crate) fn pixels(bytes: &[u8], layout: &Layout, limits: &Limits) -> Result<Raster, Error> {
    let mut page = Page::open(bytes, limits)?;
    page.check_chunks(bytes)?;
    let mut result = DecodingResult::U8(Vec::new());
    page.decoder.read_image_to_buffer(&mut result).map_err(reason)?;

    let (width, height) = (layout.width as usize, layout.height as usize);
    if page.color_mode == ColorMode::Palette {
        let indices = indices(&result, page.color.bit_depth(), width, height)?;
        return page.look_up(&indices);
    }
    let mut samples = match page.color.bit_depth() {
        bits @ 1..8 => {
            let largest = f32::from((1_u16 << bits) - 1);
            indices(&result, bits, width, height)?.iter().map(|&index| f32::from(index) / largest).collect()
        }
        _ => values(&result),
    };
    refuse_not_finite(&samples)?;
    if page.stored > 1 && page.tag(Tag::PlanarConfiguration) == Some(PLANAR) {
        samples = interleave(&samples, page.stored);
    }
    match page.color {
        ColorType::CMYK(_) => {
            let mut pixels = Vec::with_capacity(width * height * 3);
            for &[cyan, magenta, yellow, black] in samples.as_chunks().0 {
                pixels.extend([cyan, magenta, yellow].map(|ink| (1.0 - ink) * (1.0 - black)));
            }
            Ok(Raster { pixels, channels: 3 })
        }
        ColorType::YCbCr(_) => {
            samples.as_chunks_mut().0.iter_mut().for_each(ycbcr_to_rgb);
            Ok(Raster { pixels: samples, channels: 3 })
        }
        // An extra sample that is not said to be alpha is left out.
        ColorType::Multiband { .. } if !page.has_alpha => Ok(Raster {
            pixels: samples.as_chunks::<2>().0.iter().map(|pair| pair[0]).collect(),
            channels: 1,
        }),
        _ => {
            let premultiplied = page.tag(Tag::ExtraSamples) == Some(PREMULTIPLIED_ALPHA);
            Ok(raster(&samples, page.stored, premultiplied))
        }
    }
}

/// The first page of a file and how its pixels are stored.
struct Page<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    color: ColorType,
    color_mode: ColorMode,
    /// Samples per pixel in the decoder's output.
    stored: usize,
    has_alpha: bool,
}

impl<'a> Page<'a> {
    fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        let mut bounds = TiffLimits::default();
        let alloc = usize::try_from(limits.max_alloc_bytes).unwrap_or(usize::MAX);
        bounds.decoding_buffer_size = alloc;
        bounds.intermediate_buffer_size = alloc;

        // The decoder rejects palettes, so it is shown a copy that says "grey" and returns the indices.
        let grey = palette_as_grey(bytes);
        let is_palette = grey.is_some();
        let source = grey.map_or(Cow::Borrowed(bytes), Cow::Owned);
        let mut decoder = Decoder::new(Cursor::new(source)).map_err(reason)?.with_limits(bounds);
        let color = decoder.colortype().map_err(reason)?;
        let extra: Option<Vec<u16>> = decoder.find_tag_unsigned_vec(Tag::ExtraSamples).map_err(reason)?;
        let has_alpha = matches!(extra.as_deref(), Some([PREMULTIPLIED_ALPHA | STRAIGHT_ALPHA, ..]));
        let (color_mode, stored) = match color {
            ColorType::Gray(bits) if is_palette && bits <= 8 => (ColorMode::Palette, 1),
            ColorType::Gray(_) if !is_palette => (ColorMode::Grey, 1),
            ColorType::Multiband { num_samples: 2, .. } if has_alpha => (ColorMode::GreyAlpha, 2),
            ColorType::Multiband { num_samples: 2, .. } => (ColorMode::Grey, 2),
            ColorType::RGB(_) => (ColorMode::Rgb, 3),
            ColorType::YCbCr(8) => (ColorMode::Rgb, 3),
            ColorType::RGBA(_) => (ColorMode::Rgba, 4),
            ColorType::CMYK(_) => (ColorMode::Cmyk, 4),
            other => {
                let found =
                    format!("expected grey, palette, RGB, RGBA, CMYK or 8-bit YCbCr, found {other:?}");
                return Err(damaged(Format::Tiff, found));
            }
        };
        Ok(Self { decoder, color, color_mode, stored, has_alpha })
    }

    /// The first value of a tag.
    fn tag(&mut self, tag: Tag) -> Option<u16> {
        let values: Vec<u16> = self.decoder.find_tag_unsigned_vec(tag).ok()??;
        values.first().copied()
    }

    /// Every strip or tile must lie within the file, and be whole where it is a JPEG (whose decoder is lenient there).
    fn check_chunks(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let is_jpeg = self.tag(Tag::Compression) == Some(JPEG_COMPRESSION);
        let mut list = |first, second| -> Result<Vec<u64>, Error> {
            let values = self.decoder.find_tag_unsigned_vec(first).map_err(reason)?;
            match values {
                Some(values) => Ok(values),
                None => Ok(self.decoder.find_tag_unsigned_vec(second).map_err(reason)?.unwrap_or_default()),
            }
        };
        let offsets = list(Tag::StripOffsets, Tag::TileOffsets)?;
        let lengths = list(Tag::StripByteCounts, Tag::TileByteCounts)?;
        for (offset, length) in offsets.into_iter().zip(lengths) {
            let end = offset.saturating_add(length);
            let chunk = usize::try_from(offset)
                .ok()
                .zip(usize::try_from(end).ok())
                .and_then(|(start, end)| bytes.get(start..end));
            let Some(chunk) = chunk else {
                let found = format!("it is truncated: data up to byte {end} in a file of {}", bytes.len());
                return Err(damaged(Format::Tiff, found));
            };
            if is_jpeg && !jpeg::is_complete(chunk) {
                return Err(damaged(Format::Tiff, "a strip or tile of it is a truncated JPEG"));
            }
        }
        Ok(())
    }

    /// Colours of palette indices. The table holds all red, then all green, then all blue values, 16 bits each, of which
    /// the upper 8 count: some writers leave the lower ones 0, others repeat the upper ones there.
    fn look_up(&mut self, indices: &[u8]) -> Result<Raster, Error> {
        let table: Vec<u16> =
            self.decoder.find_tag_unsigned_vec(Tag::ColorMap).map_err(reason)?.unwrap_or_default();
        let colors = table.len() / 3;
        let mut pixels = Vec::with_capacity(indices.len() * 3);
        for &index in indices {
            let index = usize::from(index);
            if index >= colors {
                let found = format!("its palette has {colors} colours, but a pixel has colour {index}");
                return Err(damaged(Format::Tiff, found));
            }
            pixels.extend([0, 1, 2].map(|channel| ((table[channel * colors + index] >> 8) as u8).value()));
        }
        Ok(Raster { pixels, channels: 3 })
    }
}

/// A copy of a file whose first directory says "palette", saying "grey" instead; `None` for all others.
fn palette_as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_little = bytes.starts_with(b"II");
    let number = |at: usize, length: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        let shift = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        let value = if is_little { field.iter().rev().fold(0, shift) } else { field.iter().fold(0, shift) };
        usize::try_from(value).ok()
    };
    let is_big_tiff = number(2, 2)? == 43;
    let (directory, count_length, entry_length, value_at) = match is_big_tiff {
        true => (number(8, 8)?, 8, 20, 12),
        false => (number(4, 4)?, 2, 12, 8),
    };
    let count = number(directory, count_length)?.min(u16::MAX.into());
    let first = directory.checked_add(count_length)?;
    let entry = (0..count)
        .map(|index| first + index * entry_length)
        .find(|&at| number(at, 2) == Some(usize::from(Tag::PhotometricInterpretation.to_u16())))?;
    let at = entry + value_at;
    if number(at, 2)? != usize::from(PALETTE) {
        return None;
    }
    let mut copy = bytes.to_vec();
    let grey = if is_little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    copy.get_mut(at..at + 2)?.copy_from_slice(&grey);
    Some(copy)
}

/// One integer per pixel out of rows that hold several to a byte, most significant first, and end on a byte.
fn indices(result: &DecodingResult, bits: u8, width: usize, height: usize) -> Result<Vec<u8>, Error> {
    let DecodingResult::U8(bytes) = result else {
        return Err(damaged(Format::Tiff, format!("expected unsigned integers of {bits} bits")));
    };
    let bits = usize::from(bits);
    let row_bytes = (width * bits).div_ceil(8);
    if bytes.len() < row_bytes * height {
        return Err(damaged(Format::Tiff, "it holds fewer samples than its tags say"));
    }
    let mask = ((1_u16 << bits) - 1) as u8;
    let mut indices = Vec::with_capacity(width * height);
    for row in bytes.chunks_exact(row_bytes).take(height) {
        indices.extend((0..width).map(|x| {
            let bit = x * bits;
            (row[bit / 8] >> (8 - bits - bit % 8)) & mask
        }));
    }
    Ok(indices)
}

fn values(result: &DecodingResult) -> Vec<f32> {
    fn all<S: Sample>(samples: &[S]) -> Vec<f32> {
        samples.iter().map(|sample| sample.value()).collect()
    }
    match result {
        DecodingResult::U8(samples) => all(samples),
        DecodingResult::U16(samples) => all(samples),
        DecodingResult::U32(samples) => all(samples),
        DecodingResult::U64(samples) => all(samples),
        DecodingResult::I8(samples) => all(samples),
        DecodingResult::I16(samples) => all(samples),
        DecodingResult::I32(samples) => all(samples),
        DecodingResult::I64(samples) => all(samples),
        DecodingResult::F16(samples) => samples.iter().map(|sample| sample.to_f32()).collect(),
        DecodingResult::F32(samples) => all(samples),
        DecodingResult::F64(samples) => samples.iter().map(|&sample| sample as f32).collect(),
    }
}

fn refuse_not_finite(values: &[f32]) -> Result<(), Error> {
    let nan = values.iter().filter(|value| value.is_nan()).count();
    let infinite = values.iter().filter(|value| value.is_infinite()).count();
    if nan + infinite == 0 {
        return Ok(());
    }
    let message = format!(
        "expected finite values, found {nan} NaN and {infinite} infinite (or beyond 32-bit floats) among {}; replace \
         them, for instance by the background value",
        values.len()
    );
    Err(Error::new(Kind::Pixels, message))
}

fn interleave(planes: &[f32], stored: usize) -> Vec<f32> {
    let plane = planes.len() / stored;
    let mut interleaved = Vec::with_capacity(planes.len());
    for index in 0..plane {
        interleaved.extend((0..stored).map(|channel| planes[channel * plane + index]));
    }
    interleaved
}

/// Rec. 601 at full range, as in JPEG.
fn ycbcr_to_rgb(pixel: &mut [f32; 3]) {
    let [luma, blue, red] = *pixel;
    let (blue, red) = (blue - 128.0 / 255.0, red - 128.0 / 255.0);
    *pixel = [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
        .map(|value| value.clamp(0.0, 1.0));
}

fn reason(error: TiffError) -> Error {
    match error {
        TiffError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            damaged(Format::Tiff, "it is truncated")
        }
        TiffError::LimitsExceeded => Error::new(
            Kind::Limit,
            "decoding the TIFF takes more memory than allowed; if the image is what you expect, raise the setting \
             `max_alloc_bytes`",
        ),
        error => damaged(Format::Tiff, error),
    }
}
