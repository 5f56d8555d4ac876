//! Stored grey values -> 0 to 1, as a viewer shows them: rescaled to the units of the modality, then through the first window
//! or table of interest (VOI) of the frame. Without one, the whole range that stored values can have becomes 0 to 1, so that
//! nothing is lost and no value of the image decides it. Where the lowest value is the brightest (MONOCHROME1), that is
//! turned around at last.

use super::data_set::DataSet;
use super::picture::{Kind, Photometric, Picture};
use super::table::Table;
use super::tag;
use crate::{Error, Remark};

/// From stored values to 0 to 1.
pub(super) struct Tone {
    modality: Modality,
    interest: Interest,
    is_inverted: bool,
    /// Whether the values of the modality have a unit: rescaled ones, and floating-point numbers.
    has_unit: bool,
    /// What the file asks for and cannot be done.
    pub(super) remark: Option<Remark>,
}

enum Modality {
    Linear { slope: f64, intercept: f64 },
    Table(Table),
}

enum Interest {
    /// From the lowest to the highest value that there can be.
    Range {
        low: f64,
        high: f64,
    },
    Window {
        center: f64,
        width: f64,
        function: Function,
    },
    Table(Table),
    /// Floating-point numbers have no range, and stay as they are.
    Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Function {
    Linear,
    Exact,
    Sigmoid,
}

impl Tone {
    /// That of a frame, whose own functional groups precede those of all and these the data set.
    pub(super) fn of(data: &DataSet<'_>, groups: &[DataSet<'_>], picture: &Picture) -> Result<Self, Error> {
        let is_signed = matches!(picture.kind, Kind::Integer { is_signed: true, .. });
        let is_float = !matches!(picture.kind, Kind::Integer { .. });
        let mut has_unit = is_float;
        let modality = match Table::of_sequence(data, tag::MODALITY_TABLES, is_signed)? {
            Some(table) if !is_float => {
                has_unit = true;
                Modality::Table(table)
            }
            _ => {
                let group = groups.iter().find_map(|group| group.item(tag::FRAME_RESCALE, 0).transpose());
                let group = group.transpose()?;
                let from = group.as_ref().filter(|group| group.decimal(tag::SLOPE).is_some()).unwrap_or(data);
                let (slope, intercept) = (from.decimal(tag::SLOPE), from.decimal(tag::INTERCEPT));
                has_unit |= slope.is_some() || intercept.is_some();
                Modality::Linear { slope: slope.unwrap_or(1.0), intercept: intercept.unwrap_or(0.0) }
            }
        };
        let (interest, remark) = interest(data, groups, picture, &modality)?;
        let is_inverted = picture.photometric == Photometric::Grey { is_inverted: true };
        Ok(Self { modality, interest, is_inverted, has_unit, remark })
    }

    /// The value of a stored number as it is shown.
    pub(super) fn value(&self, stored: f64) -> f32 {
        self.shown(self.measured(stored))
    }

    /// The value of a stored number in the unit of the modality.
    pub(super) fn measured(&self, stored: f64) -> f64 {
        self.modality.value(stored)
    }

    pub(super) fn has_unit(&self) -> bool {
        self.has_unit
    }

    fn shown(&self, value: f64) -> f32 {
        let shown = match &self.interest {
            Interest::Range { low, high } if high > low => (value - low) / (high - low),
            Interest::Range { .. } => 0.0,
            Interest::Window { center, width, function } => windowed(value, *center, *width, *function),
            Interest::Table(table) => table.value(value as i64) / table.largest,
            Interest::Kept if self.is_inverted => return -value as f32,
            Interest::Kept => return value as f32,
        };
        let shown = shown.clamp(0.0, 1.0);
        (if self.is_inverted { 1.0 - shown } else { shown }) as f32
    }
}

impl Modality {
    /// The value of a stored number, of a whole one where there is a table.
    fn value(&self, stored: f64) -> f64 {
        match self {
            Self::Linear { slope, intercept } => stored * slope + intercept,
            Self::Table(table) => table.value(stored as i64),
        }
    }

    /// The lowest and the highest value.
    fn range(&self, picture: &Picture) -> Option<(f64, f64)> {
        let Kind::Integer { stored, is_signed, .. } = picture.kind else { return None };
        let values = 1_i64 << stored;
        let ends = if is_signed { [-values / 2, values / 2 - 1] } else { [0, values - 1] };
        Some(match self {
            Self::Linear { .. } => {
                let [first, last] = ends.map(|end: i64| self.value(end as f64));
                (first.min(last), first.max(last))
            }
            Self::Table(table) => (0.0, table.largest),
        })
    }
}

fn interest(
    data: &DataSet<'_>,
    groups: &[DataSet<'_>],
    picture: &Picture,
    modality: &Modality,
) -> Result<(Interest, Option<Remark>), Error> {
    let range = modality.range(picture);
    let whole = match range {
        Some((low, high)) => Interest::Range { low, high },
        None => Interest::Kept,
    };
    let may_be_negative = range.is_some_and(|(low, _)| low < 0.0);
    if let (Some(_), Some(table)) = (range, Table::of_sequence(data, tag::VOI_TABLES, may_be_negative)?) {
        return Ok((Interest::Table(table), None));
    }
    let group = groups.iter().find_map(|group| group.item(tag::FRAME_WINDOW, 0).transpose()).transpose()?;
    let from = group.as_ref().filter(|group| group.decimal(tag::WINDOW_CENTER).is_some()).unwrap_or(data);
    let (Some(center), Some(width)) = (from.decimal(tag::WINDOW_CENTER), from.decimal(tag::WINDOW_WIDTH))
    else {
        return Ok((whole, None));
    };
    let function = match from.text(tag::WINDOW_FUNCTION) {
        Some("LINEAR_EXACT") => Function::Exact,
        Some("SIGMOID") => Function::Sigmoid,
        _ => Function::Linear,
    };
    let narrowest = if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
    if width < narrowest {
        return Ok((whole, Some(Remark::NotCorrected)));
    }
    Ok((Interest::Window { center, width, function }, None))
}

/// DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3.
fn windowed(value: f64, center: f64, width: f64, function: Function) -> f64 {
    let (center, width) = match function {
        Function::Linear => (center - 0.5, width - 1.0),
        Function::Exact => (center, width),
        Function::Sigmoid => return 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
    };
    if value <= center - width / 2.0 {
        0.0
    } else if value > center + width / 2.0 {
        1.0
    } else {
        (value - center) / width + 0.5
    }
}
