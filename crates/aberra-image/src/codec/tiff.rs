//! TIFF, through the `tiff` crate: grey, grey + alpha, palette, RGB, RGBA, CMYK, YCbCr, and 3 to 16 bands that are no colours;
//! integers and floats of 1 to 64 bits. The `image` crate knows neither grey floats nor palettes, so its TIFF decoder is not used.
//!
//! Of several pages one is decoded: by default the first of full resolution. A tag that changes pixels is honoured or
//! refused; one that only asks for their values to be corrected is a remark.

pub(crate) mod pages;
mod source;

use std::ops::Range;

use image::metadata::Orientation;
use tiff::ColorType;
use tiff::decoder::ifd::Value;
use tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use tiff::tags::{CompressionMethod, Tag};
use tiff::{TiffError, TiffUnsupportedError};

use self::pages::{Numbers, pages};
use self::source::Source;
use super::{
    Codec, File, Layout, Pages, Raster, Sample, damaged, interleave, jpeg, miscounted, no_such_page, raster,
    unsupported, ycbcr_to_rgb,
};
use crate::error::Kind;
use crate::turn::turn;
use crate::{ColorMode, Error, Format, MAX_CHANNELS, Remark};

pub(super) const CODEC: Codec = Codec {
    format: Format::Tiff,
    name: "TIFF",
    extensions: &["tif", "tiff"],
    has_pages: true,
    recognise: |start| {
        [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].into_iter().any(|magic| start.starts_with(magic))
    },
    open: |file| Ok(Box::new(Tiff { list: pages(file.bytes)?, file })),
};

const PALETTE: u64 = 3;
const BLACK_IS_ZERO: u64 = 1;
const PLANAR: u16 = 2;
const JPEG_COMPRESSION: u16 = 7;
const PREMULTIPLIED_ALPHA: u16 = 1;
const STRAIGHT_ALPHA: u16 = 2;
const LOWEST_BIT_FIRST: u16 = 2;
const FILL_ORDER: Tag = Tag::Unknown(266);
const GREY_RESPONSE_CURVE: Tag = Tag::Unknown(291);
const TRANSFER_FUNCTION: Tag = Tag::Unknown(301);
const INK_SET: Tag = Tag::Unknown(332);
const OTHER_INKS: u16 = 2;
const DECODE: Tag = Tag::Unknown(433);
const YCBCR_COEFFICIENTS: Tag = Tag::Unknown(529);
const REFERENCE_BLACK_WHITE: Tag = Tag::Unknown(532);

struct Tiff<'a> {
    file: File<'a>,
    list: pages::Pages,
}

impl Tiff<'_> {
    fn page(&self, number: u32) -> Result<Page<'_>, Error> {
        Page::open(self.file, &self.list, number)
    }

    fn tag(&self, page: u32, tag: Tag) -> Option<u16> {
        self.page(page).ok()?.tag(tag)
    }
}

impl Pages for Tiff<'_> {
    /// Those of full resolution.
    fn count(&self) -> Result<u32, Error> {
        Ok(u32::try_from(self.list.full.len()).unwrap_or(u32::MAX))
    }

    fn layout(&self, page: u32) -> Result<Layout, Error> {
        let mut page = self.page(page)?;
        let stored = page.stored as u64;
        let channels = match stored {
            _ if page.color_mode == ColorMode::Channels => stored,
            ..=2 => 1,
            _ => 3,
        };
        let sample_bytes = u64::from(page.color.bit_depth().div_ceil(8));
        let is_planar = page.stored > 1 && page.tag(Tag::PlanarConfiguration) == Some(PLANAR);
        let arranged = match stored {
            _ if page.color_mode == ColorMode::Palette => 4 * 3,
            _ if is_planar => 4 * stored,
            1 | 3 => 0,
            _ if page.color_mode == ColorMode::Channels => 0,
            _ => 4 * channels,
        };
        let (width, height) = page.decoder.dimensions().map_err(reason)?;
        Ok(Layout {
            color_mode: page.color_mode,
            bit_depth: page.color.bit_depth(),
            width,
            height,
            // Samples as stored beside the same as f32, then these beside the pixels that are made of them.
            bytes_per_pixel: 4 * stored + arranged.max(sample_bytes * stored),
            turning_bytes_per_pixel: 4 * channels,
            spacing_mm: None,
        })
    }

    /// The orientation tag; upright where there is none.
    fn orientation(&self, page: u32) -> Orientation {
        let tag = self.tag(page, Tag::Orientation).and_then(|tag| u8::try_from(tag).ok());
        tag.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }

    fn is_lossy(&self, page: u32) -> bool {
        self.tag(page, Tag::Compression) == Some(JPEG_COMPRESSION)
    }

    fn raster(&self, page: u32, layout: &Layout, orientation: Orientation) -> Result<Raster, Error> {
        let raster = pixels(self.page(page)?, self.file.bytes, layout)?;
        let (height, width) = (layout.height as usize, layout.width as usize);
        if raster.pixels.len() != height * width * raster.channels {
            return Err(miscounted(Format::Tiff));
        }
        let pixels = turn(raster.pixels, (height, width), raster.channels, orientation);
        Raster { pixels, ..raster }.finite(self.file.limits)
    }
}

/// Decodes a page, as it lies in the file.
fn pixels(mut page: Page<'_>, bytes: &[u8], layout: &Layout) -> Result<Raster, Error> {
    page.refuse_what_would_be_ignored()?;
    page.check_chunks(bytes)?;
    let mut result = DecodingResult::U8(Vec::new());
    page.decoder.read_image_to_buffer(&mut result).map_err(reason)?;

    let (width, height) = (layout.width as usize, layout.height as usize);
    if page.color_mode == ColorMode::Palette {
        let indices = indices(&result, page.color.bit_depth(), width, height)?;
        return page.look_up(&indices);
    }
    let is_planar = page.stored > 1 && page.tag(Tag::PlanarConfiguration) == Some(PLANAR);
    let mut samples = match page.color.bit_depth() {
        bits @ 1..8 if page.stored == 1 => {
            let largest = f32::from((1_u16 << bits) - 1);
            indices(&result, bits, width, height)?.iter().map(|&index| f32::from(index) / largest).collect()
        }
        bits @ 1..8 => {
            let found = format!("{} samples of {bits} bits per pixel", page.stored);
            return Err(unsupported(Format::Tiff, found));
        }
        _ => values(&result),
    };
    drop(result);
    if is_planar {
        samples = interleave(&samples, page.stored);
    }
    let mut remarks = std::mem::take(&mut page.remarks);
    if page.has_extra_samples() {
        remarks.push(Remark::ExtraSamples);
    }
    let mut raster = match page.color {
        ColorType::CMYK(_) => {
            let mut pixels = Vec::with_capacity(width * height * 3);
            for &[cyan, magenta, yellow, black] in samples.as_chunks().0 {
                pixels.extend([cyan, magenta, yellow].map(|ink| (1.0 - ink) * (1.0 - black)));
            }
            Raster::of(pixels, 3)
        }
        ColorType::YCbCr(_) => {
            samples.as_chunks_mut().0.iter_mut().for_each(ycbcr_to_rgb);
            Raster::of(samples, 3)
        }
        _ if page.color_mode == ColorMode::Channels => Raster::of(samples, page.stored),
        // An extra sample that is not said to be alpha is left out.
        ColorType::Multiband { .. } if !page.has_alpha => {
            Raster::of(samples.as_chunks::<2>().0.iter().map(|pair| pair[0]).collect(), 1)
        }
        _ => {
            let premultiplied = page.tag(Tag::ExtraSamples) == Some(PREMULTIPLIED_ALPHA);
            raster(samples, page.stored, premultiplied)
        }
    };
    raster.remarks.extend(remarks);
    Ok(raster)
}

/// A page of a file and how its pixels are stored.
struct Page<'a> {
    decoder: Decoder<Source<'a>>,
    color: ColorType,
    color_mode: ColorMode,
    /// Samples per pixel in the decoder's output.
    stored: usize,
    has_alpha: bool,
    remarks: Vec<Remark>,
}

impl<'a> Page<'a> {
    /// Opens page `number` of those of full resolution, from 0.
    fn open(File { bytes, limits, .. }: File<'a>, pages: &pages::Pages, number: u32) -> Result<Self, Error> {
        let mut bounds = TiffLimits::default();
        let alloc = usize::try_from(limits.max_alloc_bytes).unwrap_or(usize::MAX);
        bounds.decoding_buffer_size = alloc;
        bounds.intermediate_buffer_size = alloc;

        let of = u32::try_from(pages.full.len()).unwrap_or(u32::MAX);
        let directory =
            pages.full.get(number as usize).ok_or_else(|| no_such_page(Format::Tiff, number, of))?;
        let mut remarks = Vec::new();
        if of > 1 || pages.unlisted > 0 {
            let of = of.saturating_add(pages.unlisted);
            remarks.push(Remark::Page { page: number + 1, of });
        }
        if number == 0 && pages.begins_reduced {
            remarks.push(Remark::ReducedCopy);
        }

        if directory.depth > 1 {
            return Err(unsupported(Format::Tiff, "several slices in one page (tag ImageDepth)"));
        }
        let numbers = Numbers::of(bytes);
        let mut source = Source::new(bytes);
        let (at, length) = numbers.first_offset();
        source.patch(at, numbers.written(directory.at as u64, length));
        // The decoder rejects palettes, so it gets "grey" and returns the indices.
        let palette = directory.photometric.filter(|(_, value)| *value == PALETTE);
        if let Some((at, _)) = palette {
            source.patch(at, numbers.written(BLACK_IS_ZERO, 2));
        }
        let is_palette = palette.is_some();
        let mut decoder = Decoder::new(source).map_err(reason)?.with_limits(bounds);
        let color = decoder.colortype().map_err(reason)?;
        // Of other depths the decoder returns packed bits as if they were samples.
        if !matches!(color.bit_depth(), 1..=8 | 16 | 32 | 64) {
            return Err(unsupported(Format::Tiff, format!("{} bits per sample", color.bit_depth())));
        }
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
            ColorType::Multiband { num_samples, .. }
                if !has_alpha
                    && usize::from(num_samples) <= MAX_CHANNELS
                    && directory.photometric.is_some_and(|(_, value)| value == BLACK_IS_ZERO) =>
            {
                (ColorMode::Channels, num_samples.into())
            }
            ColorType::Multiband { num_samples, .. } => {
                let found = format!(
                    "{num_samples} bands in one image (not up to {MAX_CHANNELS}, none of them alpha, where 0 is black)"
                );
                return Err(unsupported(Format::Tiff, found));
            }
            other => {
                let found = format!("{other:?} (not grey, palette, RGB, RGBA, CMYK or 8-bit YCbCr)");
                return Err(unsupported(Format::Tiff, found));
            }
        };
        Ok(Self { decoder, color, color_mode, stored, has_alpha, remarks })
    }

    /// Whether pixels have samples that are neither colour nor alpha.
    fn has_extra_samples(&mut self) -> bool {
        let samples = self.tag(Tag::SamplesPerPixel).unwrap_or(1);
        let used = if self.color_mode == ColorMode::Grey { 1 } else { self.stored };
        usize::from(samples) > used
    }

    /// Tags that change what pixels show, and that the decoder does not know. A correction that no common program applies is
    /// a remark; what would make another image is an error.
    fn refuse_what_would_be_ignored(&mut self) -> Result<(), Error> {
        if self.color_mode == ColorMode::Cmyk && self.tag(INK_SET) == Some(OTHER_INKS) {
            return Err(unsupported(Format::Tiff, "other inks than cyan, magenta, yellow and black"));
        }
        if matches!(self.color, ColorType::YCbCr(_)) {
            const REC_601: [f64; 3] = [0.299, 0.587, 0.114];
            const FULL_RANGE: [f64; 6] = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
            self.expect(YCBCR_COEFFICIENTS, &REC_601, "luma of other coefficients than Rec. 601's")?;
            self.expect(REFERENCE_BLACK_WHITE, &FULL_RANGE, "YCbCr of a limited range")?;
        }
        let corrected = [GREY_RESPONSE_CURVE, TRANSFER_FUNCTION, DECODE];
        let mut is_corrected = corrected.iter().any(|&tag| self.has(tag));
        if matches!(self.color, ColorType::RGB(_) | ColorType::RGBA(_)) {
            let largest = 2_f64.powi(self.color.bit_depth().into()) - 1.0;
            let full = [0.0, largest, 0.0, largest, 0.0, largest];
            is_corrected |= self.expect(REFERENCE_BLACK_WHITE, &full, "").is_err();
        }
        if is_corrected {
            self.remarks.push(Remark::NotCorrected);
        }
        Ok(())
    }

    fn has(&mut self, tag: Tag) -> bool {
        self.decoder.find_tag(tag).is_ok_and(|value| value.is_some())
    }

    /// Accepts a tag that is absent or has these values.
    fn expect(&mut self, tag: Tag, values: &[f64], otherwise: &str) -> Result<(), Error> {
        const TOLERANCE: f64 = 1e-3;
        let Some(value) = self.decoder.find_tag(tag).map_err(reason)? else { return Ok(()) };
        let found = numbers(value);
        let is_as_expected = found.len() == values.len()
            && found.iter().zip(values).all(|(found, value)| (found - value).abs() < TOLERANCE);
        if is_as_expected { Ok(()) } else { Err(unsupported(Format::Tiff, otherwise)) }
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
        let is_reversed = !is_jpeg && self.tag(FILL_ORDER) == Some(LOWEST_BIT_FIRST);
        let mut reversed: Vec<Range<usize>> = Vec::new();
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
            if let Some(variant) = is_jpeg.then(|| jpeg::unsupported_variant(chunk)).flatten() {
                return Err(unsupported(Format::Tiff, format!("a JPEG of {variant} in it")));
            }
            if is_jpeg && !jpeg::is_complete(chunk) {
                return Err(damaged(Format::Tiff, "a strip or tile of it is a truncated JPEG"));
            }
            if is_reversed {
                reversed.push(offset as usize..end as usize);
            }
        }
        self.decoder.inner().reverse(reversed);
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
        Ok(Raster { remarks: std::mem::take(&mut self.remarks), ..Raster::of(pixels, 3) })
    }
}

/// One integer per pixel out of rows that hold several to a byte, most significant first, and end on a byte.
fn indices(result: &DecodingResult, bits: u8, width: usize, height: usize) -> Result<Vec<u8>, Error> {
    let DecodingResult::U8(bytes) = result else {
        return Err(unsupported(Format::Tiff, format!("signed values of {bits} bits")));
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

/// The numbers of a tag: by the specification fractions, but programs write other types, too. Nothing for text.
fn numbers(value: Value) -> Vec<f64> {
    let number = match value {
        Value::List(values) => return values.into_iter().flat_map(numbers).collect(),
        Value::Rational(above, below) => f64::from(above) / f64::from(below),
        Value::SRational(above, below) => f64::from(above) / f64::from(below),
        Value::Float(number) => f64::from(number),
        Value::Double(number) => number,
        Value::Byte(number) => f64::from(number),
        Value::Short(number) => f64::from(number),
        Value::Unsigned(number) => f64::from(number),
        _ => return Vec::new(),
    };
    vec![number]
}

/// What is said of compressions that the decoder does not know by name.
fn compression(method: CompressionMethod) -> String {
    match method.to_u16() {
        34712 | 33003..=33005 => "JPEG 2000".to_owned(),
        34887 => "LERC".to_owned(),
        34925 => "LZMA".to_owned(),
        50002 => "JPEG XL".to_owned(),
        number => match method {
            CompressionMethod::Unknown(_) => format!("unknown ({number})"),
            named => format!("{named:?}"),
        },
    }
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
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedCompressionMethod(method)) => {
            unsupported(Format::Tiff, format!("{} compression", compression(method)))
        }
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedSampleDepth(bits)) => {
            unsupported(Format::Tiff, format!("{bits} bits per sample"))
        }
        TiffError::UnsupportedError(error) => {
            unsupported(Format::Tiff, format!("pixels of a rare kind ({error})"))
        }
        error => damaged(Format::Tiff, error),
    }
}
