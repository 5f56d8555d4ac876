//! Percentiles of sorted values.

/// The percentile (0 to 100) of values in ascending order, linearly interpolated (Hyndman and Fan's type 7, NumPy's
/// default).
///
/// # Panics
/// Without values.
pub fn percentile_of(ascending: &[f64], percentile: f64) -> f64 {
    let position = (ascending.len() - 1) as f64 * percentile / 100.0;
    let below = (position.floor() as usize).min(ascending.len() - 1);
    let above = (below + 1).min(ascending.len() - 1);
    let (low, high) = (ascending[below], ascending[above]);
    if low == high { low } else { low + (high - low) * (position - below as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_agree_with_numpy() {
        // numpy.percentile([1, 2, 4, 8], q)
        for (percentile, expected) in [(0.0, 1.0), (50.0, 3.0), (70.0, 4.4), (100.0, 8.0)] {
            assert!((percentile_of(&[1.0, 2.0, 4.0, 8.0], percentile) - expected).abs() < 1e-12);
        }
        assert_eq!(percentile_of(&[3.0], 70.0), 3.0);
    }
}
