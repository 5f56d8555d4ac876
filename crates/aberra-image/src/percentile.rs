//! Percentiles of many values without sorting them.

/// The values at two percentiles (0 to 100), linearly interpolated between neighbouring order statistics as NumPy does
/// by default; `None` if there are no values. All values must be finite.
pub(crate) fn percentiles<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    percentiles: [f64; 2],
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
    let positions = percentiles.map(|percentile| (percentile / 100.0).clamp(0.0, 1.0) * (total - 1) as f64);
    let ranks = positions.map(|position| (position.floor() as usize).min(total - 1));
    let places = ranks.map(|rank| place(&counts, rank));
    let members = members(rows.clone(), places.map(|(bin, _)| bin), &counts);
    let mut found = [0.0; 2];
    for (index, mut members) in members.into_iter().enumerate() {
        let (wanted, rank) = places[index];
        let (value, next) = order_statistics(&mut members, rank);
        let next = next.unwrap_or_else(|| {
            let higher = rows.clone().flatten().copied().filter(|&value| bin(value) > wanted);
            higher.min_by(f32::total_cmp).unwrap_or(value)
        });
        let share = positions[index] - ranks[index] as f64;
        found[index] = (f64::from(value) + share * (f64::from(next) - f64::from(value))) as f32;
    }
    Some(found)
}

/// The sign, the exponent and the leading mantissa bits of a value make its bin.
const BIN_BITS: u32 = 12;

/// Bins in the order of the values in them.
fn bin(value: f32) -> usize {
    let bits = value.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | (1 << 31) };
    (ordered >> (u32::BITS - BIN_BITS)) as usize
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

/// The values in each of two bins.
fn members<'a>(rows: impl Iterator<Item = &'a [f32]>, bins: [usize; 2], counts: &[usize]) -> [Vec<f32>; 2] {
    // Every value is written, and stays only where it belongs: a branch would be guessed wrongly too often.
    let [mut first, mut second] = bins.map(|bin| vec![0.0; counts[bin] + 1]);
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

    /// `numpy.percentile([1, 2, 4, 8, -3], [0, 99.5])` is `[-3, 7.92]`.
    #[test]
    fn numpy_example() {
        let values = [1.0, 2.0, 4.0, 8.0, -3.0_f32];
        assert_eq!(percentiles([&values[..]].into_iter(), [0.0, 99.5]), Some([-3.0, 7.92]));
        assert_eq!(percentiles([&values[..0]].into_iter(), [0.0, 99.5]), None);
    }
}
