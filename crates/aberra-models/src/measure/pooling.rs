//! Pooling: from a map to numbers about the image. A small defect shows in the mean of the largest hundredth, a diffuse one in
//! the largest tenth, a change of the whole image in the mean.

/// Mean of the largest `share` of the values, at least one of them; 0 of none.
pub fn mean_of_largest(values: &[f32], share: f64) -> f64 {
    let count = ((values.len() as f64 * share) as usize).clamp(1, values.len().max(1));
    let mut sorted: Vec<f32> = values.to_vec();
    if sorted.is_empty() {
        return 0.0;
    }
    sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    sorted[..count].sort_unstable_by(|a, b| b.total_cmp(a)); // so that the sum has one order
    sorted[..count].iter().copied().map(f64::from).sum::<f64>() / count as f64
}

/// A map's mean over its highest 1 % of places, over the highest 10 % of the foreground's, and over the whole foreground.
pub(crate) fn peak_top_and_mean(map: &[f32], foreground: &[f32]) -> [f64; 3] {
    let lit = in_foreground(map, foreground);
    [mean_of_largest(map, 0.01), mean_of_largest(&lit, 0.1), mean_of_largest(&lit, 1.0)]
}

/// The values of the places that are foreground by at least half; all where there are none.
fn in_foreground(values: &[f32], foreground: &[f32]) -> Vec<f32> {
    let lit: Vec<f32> =
        values.iter().zip(foreground).filter(|(_, share)| **share >= 0.5).map(|(value, _)| *value).collect();
    if lit.is_empty() { values.to_vec() } else { lit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_averaged() {
        let values: Vec<f32> = (0..200).map(|at| (at * 7 % 200) as f32).collect();
        assert_eq!(mean_of_largest(&values, 0.01), 198.5);
        assert_eq!(mean_of_largest(&values, 1.0), 99.5);
        assert_eq!(mean_of_largest(&[3.0], 0.01), 3.0);
        assert_eq!(mean_of_largest(&[], 0.01), 0.0);
    }

    #[test]
    fn only_the_foreground_counts_where_there_is_one() {
        assert_eq!(in_foreground(&[1.0, 2.0, 3.0], &[0.0, 0.5, 1.0]), [2.0, 3.0]);
        assert_eq!(in_foreground(&[1.0, 2.0], &[0.0, 0.1]), [1.0, 2.0]);
    }
}
