//! Percentiles of many values without sorting them.

/// The values at two percentiles (0 to 100), linearly interpolated between neighbouring order statistics as NumPy does
/// by default; `None` if there are no values. All values must be finite.
pub(crate) fn percentiles<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    percentiles: [f64; 2],
) -> Option<[f32; 2]> {
    /// 16 MB.
    const MOST_COPIED: usize = 4 << 20;
    match bytes(rows.clone()) {
        Some(counts) => percentiles_of_bytes(&counts, percentiles),
        None => percentiles_copying(rows, percentiles, MOST_COPIED),
    }
}

/// What the bytes of an 8-bit file become.
const LEVELS: [f32; 256] = {
    let mut levels = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        levels[byte] = byte as f32 / 255.0;
        byte += 1;
    }
    levels
};

/// Counts of values that are all 255ths from 0 to 1, as those of 8-bit files; `None` if any is not.
fn bytes<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Option<[usize; 256]> {
    const TABLES: usize = 4;
    // In turn, as below.
    let mut tables = [[0_u32; 256]; TABLES];
    let mut counts = [0; 256];
    let step = |value: f32| (value * 255.0 + 0.5) as u8;
    for row in rows {
        // Pieces are short enough for the tables' counts, and the first of another file ends the attempt.
        for piece in row.chunks(1 << 12) {
            let (groups, rest) = piece.as_chunks::<TABLES>();
            let mut are_bytes = true;
            for group in groups {
                for (table, &value) in tables.iter_mut().zip(group) {
                    let byte = step(value);
                    are_bytes &= value.to_bits() == LEVELS[usize::from(byte)].to_bits();
                    table[usize::from(byte)] += 1;
                }
            }
            for &value in rest {
                let byte = step(value);
                are_bytes &= value.to_bits() == LEVELS[usize::from(byte)].to_bits();
                tables[0][usize::from(byte)] += 1;
            }
            if !are_bytes {
                return None;
            }
        }
    }
    for table in tables {
        counts.iter_mut().zip(table).for_each(|(count, one)| *count += one as usize);
    }
    Some(counts)
}

fn percentiles_of_bytes(counts: &[usize; 256], percentiles: [f64; 2]) -> Option<[f32; 2]> {
    let total: usize = counts.iter().sum();
    let value = |rank: usize| LEVELS[place(counts, rank).0];
    (total > 0).then(|| {
        percentiles.map(|percentile| {
            let (rank, share) = rank(percentile, total);
            interpolated(value(rank), value((rank + 1).min(total - 1)), share)
        })
    })
}

/// The order statistic below a percentile, and how far the percentile lies on the way to the next.
fn rank(percentile: f64, total: usize) -> (usize, f64) {
    let position = (percentile / 100.0).clamp(0.0, 1.0) * (total - 1) as f64;
    let rank = (position.floor() as usize).min(total - 1);
    (rank, position - rank as f64)
}

fn interpolated(value: f32, next: f32, share: f64) -> f32 {
    (f64::from(value) + share * (f64::from(next) - f64::from(value))) as f32
}

/// The same, copying at most that many values for each percentile.
fn percentiles_copying<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    percentiles: [f64; 2],
    most_copied: usize,
) -> Option<[f32; 2]> {
    // Two tables in turn: neighbours are often equal, and one count would wait for the other.
    let mut tables = [vec![0_usize; 1 << BIN_BITS], vec![0_usize; 1 << BIN_BITS]];
    let [even, odd] = &mut tables;
    for row in rows.clone() {
        let (pairs, rest) = row.as_chunks::<2>();
        for &[first, second] in pairs {
            even[bin(first)] += 1;
            odd[bin(second)] += 1;
        }
        for &value in rest {
            even[bin(value)] += 1;
        }
    }
    let [mut counts, odd] = tables;
    counts.iter_mut().zip(odd).for_each(|(count, odd)| *count += odd);
    let total: usize = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let ranks = percentiles.map(|percentile| rank(percentile, total));
    let places = ranks.map(|(rank, _)| place(&counts, rank));
    // What few values lie in a bin is copied and looked at; many are counted once more, which takes no memory.
    let is_small = |bin: usize| counts[bin] <= most_copied;
    let copied = places.map(|(bin, _)| is_small(bin).then_some(bin));
    let members = members(rows.clone(), copied, &counts);
    let mut found = [0.0; 2];
    for (index, mut members) in members.into_iter().enumerate() {
        let (wanted, rank) = places[index];
        let (value, next) = match copied[index] {
            Some(_) => order_statistics(&mut members, rank),
            None => counted(rows.clone(), wanted, rank),
        };
        let next = next.unwrap_or_else(|| {
            let higher = rows.clone().flatten().copied().filter(|&value| bin(value) > wanted);
            higher.min_by(f32::total_cmp).unwrap_or(value)
        });
        found[index] = interpolated(value, next, ranks[index].1);
    }
    Some(found)
}

/// The sign, the exponent and the leading mantissa bits of a value make its bin.
const BIN_BITS: u32 = 12;

/// Bins in the order of the values in them.
fn bin(value: f32) -> usize {
    (key(value) >> (u32::BITS - BIN_BITS)) as usize
}

/// A number in the order of the values.
fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | (1 << 31) }
}

fn value_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key ^ (1 << 31) } else { !key })
}

/// The bin that the value of a rank, counted from 0, lies in, and its rank there.
fn place(counts: &[usize], rank: usize) -> (usize, usize) {
    let mut below = 0;
    for (bin, &count) in counts.iter().enumerate() {
        if below + count > rank {
            return (bin, rank - below);
        }
        below += count;
    }
    (0, 0)
}

/// The values in each of two bins, where wanted.
fn members<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    bins: [Option<usize>; 2],
    counts: &[usize],
) -> [Vec<f32>; 2] {
    if bins == [None; 2] {
        return [Vec::new(), Vec::new()];
    }
    // Every value is written, and stays only where it belongs: a branch would be guessed wrongly too often.
    let [mut first, mut second] = bins.map(|bin| vec![0.0; bin.map_or(0, |bin| counts[bin]) + 1]);
    let bins = bins.map(|bin| bin.unwrap_or(usize::MAX));
    let (mut in_first, mut in_second) = (0, 0);
    for row in rows {
        for &value in row {
            let bin = bin(value);
            first[in_first] = value;
            second[in_second] = value;
            in_first += usize::from(bin == bins[0]);
            in_second += usize::from(bin == bins[1]);
        }
    }
    first.truncate(in_first);
    second.truncate(in_second);
    [first, second]
}

/// The value of the given rank, counted from 0, and the one after it, if there is one.
fn order_statistics(members: &mut [f32], rank: usize) -> (f32, Option<f32>) {
    let Some(last) = members.len().checked_sub(1) else { return (0.0, None) };
    let (_, &mut value, above) = members.select_nth_unstable_by(rank.min(last), f32::total_cmp);
    (value, above.iter().copied().min_by(f32::total_cmp))
}

/// As [`order_statistics`] of all values in a bin, which are counted in finer and finer bins.
fn counted<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, bin: usize, rank: usize) -> (f32, Option<f32>) {
    const STEP: u32 = (u32::BITS - BIN_BITS) / 2;
    let keys = || rows.clone().flatten().map(|&value| key(value));
    let (mut prefix, mut rank, mut count) = (bin as u32, rank, 0);
    for shift in [STEP, 0] {
        let mut counts = vec![0_usize; 1 << STEP];
        for key in keys().filter(|key| key >> (shift + STEP) == prefix) {
            counts[(key >> shift) as usize & ((1 << STEP) - 1)] += 1;
        }
        let (finer, within) = place(&counts, rank);
        (prefix, rank, count) = ((prefix << STEP) | finer as u32, within, counts[finer]);
    }
    let next = match rank + 1 < count {
        true => Some(prefix),
        false => keys().filter(|&key| key > prefix && key >> (2 * STEP) == bin as u32).min(),
    };
    (value_of(prefix), next.map(value_of))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted_reference(values: &[f32], percentile: f64) -> f32 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f32::total_cmp);
        let position = percentile / 100.0 * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
        (f64::from(low) + position.fract() * (f64::from(high) - f64::from(low))) as f32
    }

    proptest! {
        #[test]
        fn agrees_with_sorting(
            values in prop::collection::vec(-1e6_f32..1e6, 1..300),
            first in 0.0..=100.0_f64,
            second in 0.0..=100.0_f64,
        ) {
            let found = percentiles(values.chunks(7), [first, second]).unwrap();
            let expected = [first, second].map(|percentile| sorted_reference(&values, percentile));
            for (found, expected) in found.into_iter().zip(expected) {
                prop_assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1e-3), "{found} {expected}");
            }
        }
    }

    proptest! {
        /// Of many equal values as well, and across 0.
        #[test]
        fn counting_finds_what_copying_finds(
            values in prop::collection::vec(prop_oneof![-2.0_f32..2.0, 0.5_f32..0.500_01, Just(0.5), Just(0.0), Just(-0.0)], 1..300),
            first in 0.0..=100.0_f64,
            second in 0.0..=100.0_f64,
        ) {
            let copied = percentiles(values.chunks(7), [first, second]).unwrap();
            for most_copied in [0, 3, 30] {
                let counted = percentiles_copying(values.chunks(7), [first, second], most_copied).unwrap();
                prop_assert_eq!(copied.map(f32::to_bits), counted.map(f32::to_bits));
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_counted_to_the_same_bits(
            values in prop::collection::vec(any::<u8>(), 1..300),
            odd in prop_oneof![Just(None), Just(Some(-0.0_f32)), Just(Some(0.3)), Just(Some(1.5))],
            first in 0.0..=100.0_f64,
            second in 0.0..=100.0_f64,
        ) {
            let values: Vec<f32> = values.into_iter().map(|byte| f32::from(byte) / 255.0).chain(odd).collect();
            prop_assert_eq!(bytes(values.chunks(7)).is_none(), odd.is_some());
            let counted = percentiles(values.chunks(7), [first, second]).unwrap();
            let copied = percentiles_copying(values.chunks(7), [first, second], 1 << 20).unwrap();
            prop_assert_eq!(counted.map(f32::to_bits), copied.map(f32::to_bits));
        }
    }

    /// `numpy.percentile([1, 2, 4, 8, -3], [0, 99.5])` is `[-3, 7.92]`.
    #[test]
    fn numpy_example() {
        let values = [1.0, 2.0, 4.0, 8.0, -3.0_f32];
        assert_eq!(percentiles([&values[..]].into_iter(), [0.0, 99.5]), Some([-3.0, 7.92]));
        assert_eq!(percentiles([&values[..0]].into_iter(), [0.0, 99.5]), None);
    }
}
