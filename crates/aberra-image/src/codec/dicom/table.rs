//! Tables that a DICOM file looks values up in: of its modality, of what is of interest (VOI), and of its palette.

use super::data_set::{DataSet, Element};
use super::tag;
use crate::codec::damaged;
use crate::{Error, Format};

/// Values for whole numbers from a first one on; what lies outside has the value at the nearer end.
pub(super) struct Table {
    first: i64,
    values: Vec<u16>,
    /// The largest value that an entry can hold.
    pub(super) largest: f64,
}

impl Table {
    /// The table of the first item of a sequence, if there is one. `is_signed` says whether the numbers that are looked up may
    /// be negative.
    pub(super) fn of_sequence(
        data: &DataSet<'_>,
        sequence: u32,
        is_signed: bool,
    ) -> Result<Option<Self>, Error> {
        let Some(item) = data.item(sequence, 0)? else { return Ok(None) };
        let (Some(descriptor), Some(values)) =
            (item.element(tag::TABLE_DESCRIPTOR), item.element(tag::TABLE_DATA))
        else {
            return Err(incomplete());
        };
        Self::of(descriptor, |entries| entries_of(values, entries), is_signed).map(Some)
    }

    /// The tables of a palette: red, green, blue.
    pub(super) fn of_palette(data: &DataSet<'_>, is_signed: bool) -> Result<[Self; 3], Error> {
        let table = |[descriptor, values, segments]: [u32; 3]| {
            let descriptor = data.element(descriptor).ok_or_else(incomplete)?;
            match (data.element(values), data.element(segments)) {
                (Some(values), _) => Self::of(descriptor, |entries| entries_of(values, entries), is_signed),
                (None, Some(segments)) => {
                    Self::of(descriptor, |entries| expanded(segments, entries), is_signed)
                }
                (None, None) => Err(incomplete()),
            }
        };
        let [red, green, blue] = tag::PALETTE.map(table);
        Ok([red?, green?, blue?])
    }

    fn of(
        descriptor: &Element<'_>,
        values: impl FnOnce(usize) -> Result<Vec<u16>, Error>,
        is_signed: bool,
    ) -> Result<Self, Error> {
        let mut descriptor = descriptor.shorts();
        let mut next = || descriptor.next().ok_or_else(incomplete);
        let (entries, first, bits) = (next()?, next()?, next()?);
        if !(1..=16).contains(&bits) {
            return Err(damaged(Format::Dicom, format!("a table of it has entries of {bits} bits")));
        }
        // The number that does not fit in 16 bits is written as 0.
        let entries = if entries == 0 { 1 << 16 } else { usize::from(entries) };
        let values = values(entries)?;
        let first = if is_signed { i64::from(first as i16) } else { i64::from(first) };
        Ok(Self { first, values, largest: f64::from(u16::MAX >> (16 - bits)) })
    }

    pub(super) fn value(&self, number: i64) -> f64 {
        let last = self.values.len() as i64 - 1;
        let at = number.saturating_sub(self.first).clamp(0, last.max(0));
        self.values.get(at as usize).copied().unwrap_or(0).into()
    }
}

fn incomplete() -> Error {
    damaged(Format::Dicom, "a table of it is not complete")
}

/// Entries of a byte or two each, as the length of the data shows.
fn entries_of(data: &Element<'_>, entries: usize) -> Result<Vec<u16>, Error> {
    let values: Vec<u16> = match data.value.len() {
        length if length >= 2 * entries => data.shorts().take(entries).collect(),
        length if length >= entries => {
            // Bytes in words, of which the first may be the upper one.
            let at = |index: usize| if data.is_big_endian() && data.vr == *b"OW" { index ^ 1 } else { index };
            (0..entries).map(|index| data.value.get(at(index)).copied().unwrap_or(0).into()).collect()
        }
        _ => return Err(incomplete()),
    };
    Ok(values)
}

/// Entries written as segments: lists of values, straight lines, and segments to be repeated.
fn expanded(data: &Element<'_>, entries: usize) -> Result<Vec<u16>, Error> {
    const LIST: u16 = 0;
    const LINE: u16 = 1;
    const REPEAT: u16 = 2;
    let words: Vec<u16> = data.shorts().collect();
    let mut values: Vec<u16> = Vec::new();
    // Where to read on, and what is left of segments that are repeated: how many, and where to go on then.
    let (mut at, mut repeated) = (0, None);
    while values.len() < entries {
        if let Some((0, back)) = repeated {
            (at, repeated) = (back, None);
        }
        let &[kind, length, ..] = words.get(at..).unwrap_or_default() else { return Err(incomplete()) };
        let length = usize::from(length);
        repeated = repeated.map(|(left, back)| (left - 1, back));
        match kind {
            LIST => {
                values.extend(words.get(at + 2..at + 2 + length).ok_or_else(incomplete)?);
                at += 2 + length;
            }
            LINE => {
                let end = f64::from(*words.get(at + 2).ok_or_else(incomplete)?);
                let start = f64::from(*values.last().ok_or_else(incomplete)?);
                let step = (end - start) / length.max(1) as f64;
                values.extend((1..=length).map(|index| (start + step * index as f64).round() as u16));
                at += 3;
            }
            REPEAT if repeated.is_none() => {
                let (Some(&low), Some(&high)) = (words.get(at + 2), words.get(at + 3)) else {
                    return Err(incomplete());
                };
                let bytes = usize::from(high) << 16 | usize::from(low);
                repeated = Some((length, at + 4));
                at = bytes / 2;
            }
            _ => return Err(incomplete()),
        }
    }
    values.truncate(entries);
    Ok(values)
}
