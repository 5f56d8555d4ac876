//! Percentiles of many values without sorting them.

/// The values at two percentiles (0 to 100), linearly interpolated between neighbouring order statistics as NumPy does
/// by default; `None` if there are no values. All values must be finite.
pub(crate) fn percentiles<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    percentiles: [f64; 2],
) -> Option<[f32; 2]> {
    let mut counts = vec![0_usize; 1 << BIN_BITS];
    for row in rows.clone() {
        for &value in row {
            counts[bin(value)] += 1;
        }
    }
    let total: usize = counts.iter().sum();
    if total == 0 {
        return None;
    }
    Some(percentiles.map(|percentile| {
        let position = (percentile / 100.0).clamp(0.0, 1.0) * (total - 1) as f64;
        let rank = (position.floor() as usize).min(total - 1);
        let (value, next) = order_statistics(rows.clone(), &counts, rank);
        (f64::from(value) + (position - rank as f64) * (f64::from(next) - f64::from(value))) as f32
    }))
}

/// The sign, the exponent and the leading mantissa bits of a value make its bin.
const BIN_BITS: u32 = 12;

/// Bins in the order of the values in them.
fn bin(value: f32) -> usize {
    let bits = value.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | (1 << 31) };
    (ordered >> (u32::BITS - BIN_BITS)) as usize
}

/// The value of the given rank, counted from 0, and the one after it (itself, where it is the last): only the values in
/// its bin need be put in order.
fn order_statistics<'a>(
    rows: impl Iterator<Item = &'a [f32]> + Clone,
    counts: &[usize],
    rank: usize,
) -> (f32, f32) {
    let mut below = 0;
    let mut wanted = 0;
    for (index, &count) in counts.iter().enumerate() {
        if below + count > rank {
            wanted = index;
            break;
        }
        below += count;
    }
    let mut members: Vec<f32> = Vec::with_capacity(counts[wanted]);
    for row in rows.clone() {
        members.extend(row.iter().copied().filter(|&value| bin(value) == wanted));
    }
    let Some(last) = members.len().checked_sub(1) else { return (0.0, 0.0) };
    let (_, &mut value, above) = members.select_nth_unstable_by((rank - below).min(last), f32::total_cmp);
    let next = if above.is_empty() {
        let higher = rows.flatten().copied().filter(|&value| bin(value) > wanted);
        higher.min_by(f32::total_cmp).unwrap_or(value)
    } else {
        above.iter().copied().fold(f32::INFINITY, f32::min)
    };
    (value, next)
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
