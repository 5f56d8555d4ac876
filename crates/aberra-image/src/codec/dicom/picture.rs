//! What a DICOM data set says about its pixels, checked.

use super::data_set::DataSet;
use super::syntax::{Compression, Syntax};
use super::tag;
use crate::codec::{damaged, unsupported};
use crate::{Error, Format};

/// What the values of pixels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Photometric {
    /// Grey; `is_inverted` where the lowest value is the brightest.
    Grey {
        is_inverted: bool,
    },
    Palette,
    Rgb,
    /// Luma and colour differences of full range.
    Ybr,
    /// The same, with one pair of differences for two neighbours.
    YbrHalved,
    /// What only JPEG 2000 turns into colours.
    YbrOfJpeg2000,
}

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whole numbers, of which some bits count.
    Integer {
        allocated: u16,
        stored: u16,
        high_bit: u16,
        is_signed: bool,
    },
    Float,
    Double,
}

/// The pixels of every frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Values for each pixel, 1 or 3.
    pub(super) samples: usize,
    pub(super) photometric: Photometric,
    /// All values of a colour lie together.
    pub(super) is_planar: bool,
    pub(super) kind: Kind,
    pub(super) frames: u32,
}

impl Picture {
    pub(super) fn of(data: &DataSet<'_>, syntax: &Syntax) -> Result<Self, Error> {
        let kind = kind(data)?;
        let needed = |tag, name: &str| {
            data.short(tag).ok_or_else(|| damaged(Format::Dicom, format!("it does not say its {name}")))
        };
        let samples = data.short(tag::SAMPLES_PER_PIXEL).unwrap_or(1);
        let photometric = photometric(data.text(tag::PHOTOMETRIC))?;
        let expected =
            if matches!(photometric, Photometric::Grey { .. } | Photometric::Palette) { 1 } else { 3 };
        if samples != expected {
            let found = format!("{samples} samples per pixel where its colours need {expected}");
            return Err(unsupported(Format::Dicom, found));
        }
        let is_integer = matches!(kind, Kind::Integer { .. });
        if !is_integer && (samples != 1 || photometric == Photometric::Palette) {
            return Err(unsupported(Format::Dicom, "colours in floating-point numbers"));
        }
        let is_of_bytes = matches!(kind, Kind::Integer { allocated: 8, .. });
        if photometric == Photometric::YbrHalved && !is_of_bytes {
            return Err(unsupported(Format::Dicom, "halved colour differences of more than 8 bits"));
        }
        if photometric == Photometric::YbrOfJpeg2000 && syntax.compression != Compression::Jpeg2000 {
            return Err(unsupported(Format::Dicom, "colours of JPEG 2000 in another compression"));
        }
        let frames = match data.text(tag::FRAMES) {
            None | Some("") => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|&frames: &u32| frames > 0)
                .ok_or_else(|| damaged(Format::Dicom, "its number of frames is not readable"))?,
        };
        Ok(Self {
            rows: needed(tag::ROWS, "rows")?.into(),
            columns: needed(tag::COLUMNS, "columns")?.into(),
            samples: samples.into(),
            photometric,
            is_planar: samples > 1 && data.short(tag::PLANAR) == Some(1),
            kind,
            frames,
        })
    }

    /// Values in each frame.
    pub(super) fn values(&self) -> usize {
        self.rows * self.columns * self.samples
    }

    /// Bits of a frame that is not compressed.
    pub(super) fn frame_bits(&self) -> u64 {
        let values = self.values() as u64;
        match self.kind {
            Kind::Integer { allocated, .. } if self.photometric == Photometric::YbrHalved => {
                values / 3 * 2 * u64::from(allocated)
            }
            Kind::Integer { allocated, .. } => values * u64::from(allocated),
            Kind::Float => values * 32,
            Kind::Double => values * 64,
        }
    }
}

fn kind(data: &DataSet<'_>) -> Result<Kind, Error> {
    if data.element(tag::PIXEL_DATA).is_none() {
        if data.element(tag::FLOATS).is_some() {
            return Ok(Kind::Float);
        }
        if data.element(tag::DOUBLES).is_some() {
            return Ok(Kind::Double);
        }
        return Err(unsupported(Format::Dicom, "no pixels (a report, plan, waveform or the like)"));
    }
    let missing = || damaged(Format::Dicom, "it does not say its bits per sample");
    let allocated = data.short(tag::BITS_ALLOCATED).ok_or_else(missing)?;
    let stored = data.short(tag::BITS_STORED).unwrap_or(allocated);
    let high_bit = data.short(tag::HIGH_BIT).unwrap_or(stored.wrapping_sub(1));
    if !matches!(allocated, 1 | 8 | 16 | 32) {
        return Err(unsupported(Format::Dicom, format!("{allocated} bits for each sample")));
    }
    if stored == 0 || stored > allocated || high_bit >= allocated || high_bit + 1 < stored {
        let found = format!("{stored} bits up to bit {high_bit} do not fit in {allocated}");
        return Err(damaged(Format::Dicom, found));
    }
    Ok(Kind::Integer { allocated, stored, high_bit, is_signed: data.short(tag::SIGNED) == Some(1) })
}

fn photometric(text: Option<&str>) -> Result<Photometric, Error> {
    Ok(match text.unwrap_or_default() {
        "MONOCHROME1" => Photometric::Grey { is_inverted: true },
        "MONOCHROME2" => Photometric::Grey { is_inverted: false },
        "PALETTE COLOR" => Photometric::Palette,
        "RGB" => Photometric::Rgb,
        "YBR_FULL" => Photometric::Ybr,
        "YBR_FULL_422" => Photometric::YbrHalved,
        "YBR_ICT" | "YBR_RCT" => Photometric::YbrOfJpeg2000,
        "" => return Err(damaged(Format::Dicom, "it does not say what its values mean")),
        known @ ("YBR_PARTIAL_422" | "YBR_PARTIAL_420" | "HSV" | "ARGB" | "CMYK" | "XYB") => {
            return Err(unsupported(Format::Dicom, format!("colours stored as {known}")));
        }
        _ => return Err(unsupported(Format::Dicom, "values of an unknown meaning")),
    })
}
