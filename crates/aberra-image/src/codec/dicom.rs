//! DICOM: each frame is a page, with grey values as a viewer shows them (see [`tone`]). An own reader of the elements, which
//! takes no memory for what a length states and no stack for nested sequences; compressed frames by `openreadout-codecs`.

mod data_set;
pub(crate) mod derived;
mod frames;
mod origin;
mod picture;
mod syntax;
mod table;
mod tag;
mod tone;

use std::borrow::Cow;
use std::io::Read;

use flate2::read::DeflateDecoder;
use image::metadata::Orientation;

use self::data_set::{DataSet, Element, Encoding};
use self::frames::Stored;
use self::picture::{Kind, Photometric, Picture};
use self::syntax::{Compression, Syntax};
use self::table::Table;
use self::tone::Tone;
use super::{Codec, File, Layout, Pages, Raster, damaged, refuse_not_finite, unsupported, ycbcr_to_rgb};
use crate::{ColorMode, Error, Format, Limits, Origin, Remark};

pub(super) const CODEC: Codec = Codec {
    format: Format::Dicom,
    name: "DICOM",
    extensions: &["dcm", "dicom", "dic"],
    has_pages: true,
    recognise: |start| start.get(PREAMBLE..).is_some_and(|rest| rest.starts_with(MAGIC)),
    open: |file| Ok(Box::new(Dicom::open(file)?)),
};

/// What comes before the magic bytes: anything, also the header of a TIFF.
const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";

struct Dicom<'a> {
    /// The data set behind the file's own elements, inflated where it was deflated.
    bytes: Cow<'a, [u8]>,
    syntax: Syntax,
    picture: Picture,
}

impl<'a> Dicom<'a> {
    fn open(File { bytes, limits, .. }: File<'a>) -> Result<Self, Error> {
        let meta = &bytes[PREAMBLE + MAGIC.len()..];
        let length = meta_length(meta);
        let data = &meta[length..];
        let meta = DataSet::read(&meta[..length], Encoding::EXPLICIT)?;
        let syntax = match meta.text(tag::TRANSFER_SYNTAX) {
            None | Some("") => Syntax::guessed(data),
            Some(identifier) => {
                Syntax::named(identifier).map_err(|found| unsupported(Format::Dicom, found))?
            }
        };
        let bytes = if syntax.is_deflated {
            Cow::Owned(inflate(data, syntax.encoding, limits)?)
        } else {
            Cow::Borrowed(data)
        };
        let data = DataSet::read(&bytes, syntax.encoding)?;
        let picture = Picture::of(&data, &syntax)?;
        frames::check_frames(&picture, pixel_data(&data)?, &syntax)?;
        Ok(Self { bytes, syntax, picture })
    }

    fn data(&self) -> Result<DataSet<'_>, Error> {
        DataSet::read(&self.bytes, self.syntax.encoding)
    }
}

/// Inflates a data set up to the end of its pixels, in steps until it is known where that is.
fn inflate(bytes: &[u8], encoding: Encoding, limits: &Limits) -> Result<Vec<u8>, Error> {
    const FIRST: u64 = 1 << 20;
    /// Where pixels that are not found yet are not looked for any more.
    const LAST: u64 = 64 << 20;
    let reason = |error| damaged(Format::Dicom, format!("it cannot be inflated ({error})"));
    let (mut inflating, mut inflated, mut wanted) = (DeflateDecoder::new(bytes), Vec::new(), FIRST);
    loop {
        limits.check_inflated(wanted)?;
        let mut length = inflated.len();
        inflated.reserve_exact(wanted as usize - length);
        inflated.resize(wanted as usize, 0);
        while let read @ 1.. = inflating.read(&mut inflated[length..]).map_err(reason)? {
            length += read;
        }
        if (length as u64) < wanted {
            inflated.truncate(length);
            return Ok(inflated);
        }
        match data_set::pixels_end(&inflated, encoding)? {
            Some(end) if end <= wanted => return Ok(inflated),
            Some(end) => wanted = end,
            None if wanted >= LAST => {
                return Err(damaged(Format::Dicom, "its pixels do not begin within the first 64 MB"));
            }
            None => wanted *= 2,
        }
    }
}

/// Where the file's own elements, which are always explicit, end.
fn meta_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&[2, 0, _, _, v0, v1, l0, l1, ..]) = bytes.get(at..) {
        let next = if matches!(&[v0, v1], b"OB" | b"OW" | b"UN" | b"SQ" | b"UT") {
            let length = bytes.get(at + 8..at + 12).and_then(|length| length.try_into().ok());
            length.and_then(|length| (at + 12).checked_add(u32::from_le_bytes(length) as usize))
        } else {
            Some(at + 8 + usize::from(u16::from_le_bytes([l0, l1])))
        };
        match next.filter(|&next| next <= bytes.len()) {
            Some(next) => at = next,
            None => return bytes.len(),
        }
    }
    at
}

fn pixel_data<'d, 'a>(data: &'d DataSet<'a>) -> Result<&'d Element<'a>, Error> {
    let element = [tag::PIXEL_DATA, tag::FLOATS, tag::DOUBLES].into_iter().find_map(|tag| data.element(tag));
    element.ok_or_else(|| unsupported(Format::Dicom, "no pixels"))
}

/// The functional groups of a frame: its own before those of all frames.
fn groups<'a>(data: &DataSet<'a>, page: u32) -> Result<Vec<DataSet<'a>>, Error> {
    let own = data.item(tag::FRAME_GROUPS, page as usize)?;
    Ok(own.into_iter().chain(data.item(tag::SHARED_GROUPS, 0)?).collect())
}

/// Millimetres between rows and between columns.
fn spacing(data: &DataSet<'_>, groups: &[DataSet<'_>]) -> Option<[f32; 2]> {
    let measured = groups.iter().find_map(|group| {
        let measures = group.item(tag::PIXEL_MEASURES, 0).ok()??;
        Some(measures.decimals(tag::PIXEL_SPACING)).filter(|spacing| !spacing.is_empty())
    });
    let stated = [tag::PIXEL_SPACING, tag::IMAGER_SPACING].into_iter().map(|tag| data.decimals(tag));
    let spacing = measured.into_iter().chain(stated).find(|spacing| spacing.len() >= 2)?;
    let spacing = [spacing[0] as f32, spacing[1] as f32];
    spacing.iter().all(|&distance| distance > 0.0 && distance.is_finite()).then_some(spacing)
}

impl Pages for Dicom<'_> {
    fn inflated_bytes(&self) -> u64 {
        match &self.bytes {
            Cow::Borrowed(_) => 0,
            Cow::Owned(inflated) => inflated.len() as u64,
        }
    }

    fn count(&self) -> Result<u32, Error> {
        Ok(self.picture.frames)
    }

    fn layout(&self, page: u32) -> Result<Layout, Error> {
        let (picture, data) = (&self.picture, self.data()?);
        let (color_mode, channels) = match picture.photometric {
            Photometric::Grey { .. } => (ColorMode::Grey, 1),
            Photometric::Palette => (ColorMode::Palette, 3),
            _ => (ColorMode::Rgb, 3),
        };
        let samples = picture.samples as u64;
        // A decoder of wavelets holds whole and floating-point numbers of several stages.
        let decoding = match self.syntax.compression {
            Compression::None | Compression::Encapsulated => 4 * samples,
            Compression::Jpeg2000 => 16 * samples,
            _ => 6 * samples,
        };
        Ok(Layout {
            color_mode,
            bit_depth: match picture.kind {
                Kind::Integer { stored, .. } => stored as u8,
                Kind::Float => 32,
                Kind::Double => 64,
            },
            width: picture.columns as u32,
            height: picture.rows as u32,
            // The values in their unit are beside those that are shown.
            bytes_per_pixel: 4 * if channels == 1 { 2 } else { channels } + decoding,
            turning_bytes_per_pixel: 0,
            spacing_mm: spacing(&data, &groups(&data, page)?),
        })
    }

    fn is_lossy(&self, _page: u32) -> bool {
        let is_stated = || self.data().is_ok_and(|data| data.text(tag::LOSSY) == Some("01"));
        self.syntax.is_lossy || is_stated()
    }

    fn origin(&self, page: u32, key: &[u8; 32]) -> Result<Origin, Error> {
        let data = self.data()?;
        origin::of(&data, &groups(&data, page)?, key)
    }

    fn raster(&self, page: u32, _layout: &Layout, _orientation: Orientation) -> Result<Raster, Error> {
        let (picture, data) = (&self.picture, self.data()?);
        let stored = frames::frame(page, picture, pixel_data(&data)?, &self.syntax)?;
        let mut raster = match picture.photometric {
            Photometric::Grey { .. } => {
                grey(&stored, picture, &Tone::of(&data, &groups(&data, page)?, picture)?)?
            }
            Photometric::Palette => palette(&stored, picture, &data)?,
            _ => colors(&stored, picture),
        };
        if picture.frames > 1 {
            raster.remarks.push(Remark::Page { page: page + 1, of: picture.frames });
        }
        Ok(raster)
    }
}

fn grey(stored: &Stored<'_>, picture: &Picture, tone: &Tone) -> Result<Raster, Error> {
    let all = |value: &dyn Fn(f64) -> f32| match picture.kind {
        Kind::Integer { .. } => looked_up(stored, picture, |number| value(number as f64)),
        Kind::Float => floats(stored, |bytes| value(f32::from_le_bytes(bytes).into())),
        Kind::Double => floats(stored, |bytes| value(f64::from_le_bytes(bytes))),
    };
    let pixels = all(&|number| tone.value(number));
    refuse_not_finite(&pixels, "")?;
    let unscaled = tone.has_unit().then(|| all(&|number| tone.measured(number) as f32));
    unscaled.as_deref().map_or(Ok(()), |values| refuse_not_finite(values, ""))?;
    let remarks = tone.remark.clone().into_iter().collect();
    Ok(Raster { unscaled, remarks, ..Raster::of(pixels, 1) })
}

fn palette(stored: &Stored<'_>, picture: &Picture, data: &DataSet<'_>) -> Result<Raster, Error> {
    let is_signed = matches!(picture.kind, Kind::Integer { is_signed: true, .. });
    let tables = Table::of_palette(data, is_signed)?;
    let mut pixels = vec![0.0; 3 * picture.values()];
    for (channel, table) in tables.iter().enumerate() {
        let values = looked_up(stored, picture, |index| (table.value(index) / table.largest) as f32);
        pixels.iter_mut().skip(channel).step_by(3).zip(values).for_each(|(pixel, value)| *pixel = value);
    }
    Ok(Raster::of(pixels, 3))
}

fn colors(stored: &Stored<'_>, picture: &Picture) -> Raster {
    let Kind::Integer { stored: bits, .. } = picture.kind else { return raster_of(Vec::new()) };
    let largest = f64::from(u32::MAX >> (32 - u32::from(bits)));
    let values = looked_up(stored, picture, |value| (value as f64 / largest) as f32);
    let mut pixels = if stored.is_planar { super::interleave(&values, 3) } else { values };
    if stored.photometric == Photometric::Ybr {
        pixels.as_chunks_mut().0.iter_mut().for_each(ycbcr_to_rgb);
    }
    raster_of(pixels)
}

fn raster_of(pixels: Vec<f32>) -> Raster {
    Raster::of(pixels, 3)
}

fn floats<const SIZE: usize>(stored: &Stored<'_>, float: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    let value = |&bytes: &[u8; SIZE]| {
        let mut bytes = bytes;
        if stored.is_big_endian {
            bytes.reverse();
        }
        float(bytes)
    };
    stored.bytes.as_chunks::<SIZE>().0.iter().map(value).collect()
}

/// The values of the whole numbers that are stored. Where there are more pixels than numbers, each number's value is found
/// once.
fn looked_up(stored: &Stored<'_>, picture: &Picture, value: impl Fn(i64) -> f32) -> Vec<f32> {
    let Kind::Integer { stored: bits, high_bit, is_signed, .. } = picture.kind else { return Vec::new() };
    let (shift, mask) = (u32::from(high_bit + 1 - bits), u32::MAX >> (32 - u32::from(bits)));
    // Above the highest bit that counts may lie an overlay.
    let meant = |raw: u32| {
        let number = i64::from((raw >> shift) & mask);
        if is_signed && number >> (bits - 1) == 1 { number - (1_i64 << bits) } else { number }
    };
    let count = picture.values();
    let is_tabulated = stored.bytes_per_value < 4 && count > 1 << (8 * stored.bytes_per_value);
    let table: Vec<f32> = match is_tabulated {
        true => (0..1_u32 << (8 * stored.bytes_per_value)).map(|raw| value(meant(raw))).collect(),
        false => Vec::new(),
    };
    let of = |raw: u32| if is_tabulated { table[raw as usize] } else { value(meant(raw)) };
    let (bytes, is_big_endian) = (&stored.bytes[..], stored.is_big_endian);
    match stored.bytes_per_value {
        1 => bytes.iter().take(count).map(|&byte| of(byte.into())).collect(),
        2 => {
            let number = |&pair: &[u8; 2]| {
                if is_big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
            };
            bytes.as_chunks().0.iter().take(count).map(|pair| of(number(pair).into())).collect()
        }
        _ => {
            let number = |&four: &[u8; 4]| {
                if is_big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
            };
            bytes.as_chunks().0.iter().take(count).map(|four| of(number(four))).collect()
        }
    }
}
