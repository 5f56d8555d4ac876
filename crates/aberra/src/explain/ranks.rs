//! How usual an image's evidence is: its percentiles among the calibration normals, which training has not seen.

use crate::detector::{Normal, Part};
use crate::score::Evidence;

/// Measurements of an [`Evidence`].
pub const MEASUREMENTS: usize = 11;

/// Each measurement of the calibration normals, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceRanks([Vec<f64>; MEASUREMENTS]);

impl EvidenceRanks {
    /// Of a detector's [`normals`](crate::Detector::normals).
    pub fn of(normals: &[Normal]) -> Self {
        let calibration = || normals.iter().filter(|normal| normal.part == Part::Calibration);
        Self(std::array::from_fn(|at| {
            let mut values: Vec<f64> = calibration().map(|normal| normal.evidence.named()[at].1).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        }))
    }

    /// Percentile, 0 to 100, of each measurement, in the order of [`Evidence::named`]: the share of calibration normals
    /// below it, those equal to it counted by half. `None` without calibration normals.
    pub fn percentiles(&self, evidence: &Evidence) -> Option<[f64; MEASUREMENTS]> {
        let named = evidence.named();
        let percentile = |at: usize| {
            let (values, value) = (&self.0[at], named[at].1);
            let below = values.partition_point(|other| *other < value);
            let equal = values[below..].partition_point(|other| *other <= value);
            (below as f64 + 0.5 * equal as f64) / values.len() as f64 * 100.0
        };
        (!self.0[0].is_empty()).then(|| std::array::from_fn(percentile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(kl: f64) -> Evidence {
        Evidence { kl, ..Evidence::default() }
    }

    #[test]
    fn percentiles_are_those_of_scipy() {
        // scipy.stats.percentileofscore([1, 2, 2, 4], value, kind="mean")
        let mut ranks = EvidenceRanks(std::array::from_fn(|_| vec![0.0; 4]));
        ranks.0[6] = vec![1.0, 2.0, 2.0, 4.0];
        for (value, expected) in
            [(0.5, 0.0), (1.0, 12.5), (2.0, 50.0), (3.0, 75.0), (4.0, 87.5), (9.0, 100.0)]
        {
            let found = ranks.percentiles(&evidence(value)).unwrap();
            assert_eq!((evidence(value).named()[6].0, found[6]), ("kl", expected));
        }
    }

    #[test]
    fn without_calibration_normals_there_is_none() {
        assert_eq!(EvidenceRanks::of(&[]).percentiles(&evidence(1.0)), None);
    }
}
