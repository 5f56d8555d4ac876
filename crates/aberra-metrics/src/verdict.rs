//! The rule of the verdict: how a score compares with a threshold.

/// The rule of the verdict: anomalous if the score lies above the threshold; a tie is normal.
///
/// This is the only place in Aberra with this operator. A score that is not a number is never above.
pub fn is_anomalous(score: f64, threshold: f64) -> bool {
    score > threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_normal() {
        assert!(!is_anomalous(1.0, 1.0));
        assert!(!is_anomalous(0.0, -0.0));
        assert!(is_anomalous(1.0_f64.next_up(), 1.0));
        assert!(!is_anomalous(1.0_f64.next_down(), 1.0));
        assert!(!is_anomalous(f64::NAN, 1.0));
    }
}
