//! How usual an image's evidence is: its percentiles among the calibration normals, which training has not seen.

use crate::detector::{Normal, Part};
use crate::score::Evidence;

/// Each measurement of the calibration normals, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceRanks(Vec<Vec<f64>>);

impl EvidenceRanks {
    /// Of a detector's [`normals`](crate::Detector::normals).
    pub fn of(normals: &[Normal]) -> Self {
        let calibration = || normals.iter().filter(|normal| normal.part == Part::Calibration);
        let measurements = calibration().next().map_or(0, |normal| normal.evidence.0.len());
        let ascending = |at: usize| {
            let mut values: Vec<f64> = calibration().map(|normal| normal.evidence.0[at]).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        Self((0..measurements).map(ascending).collect())
    }

    /// Percentile, 0 to 100, of each measurement: the share of calibration normals below it, those equal to it counted by
    /// half. `None` without calibration normals.
    pub fn percentiles(&self, evidence: &Evidence) -> Vec<Option<f64>> {
        let percentile = |(at, value): (usize, &f64)| {
            let values = self.0.get(at)?;
            let below = values.partition_point(|other| other < value);
            let equal = values[below..].partition_point(|other| other <= value);
            Some((below as f64 + 0.5 * equal as f64) / values.len() as f64 * 100.0)
        };
        evidence.0.iter().enumerate().map(percentile).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_scipy() {
        // scipy.stats.percentileofscore([1, 2, 2, 4], value, kind="mean")
        let ranks = EvidenceRanks(vec![vec![0.0; 4], vec![1.0, 2.0, 2.0, 4.0]]);
        for (value, expected) in
            [(0.5, 0.0), (1.0, 12.5), (2.0, 50.0), (3.0, 75.0), (4.0, 87.5), (9.0, 100.0)]
        {
            let found = ranks.percentiles(&Evidence(vec![0.0, value]));
            assert_eq!(found, [Some(50.0), Some(expected)]);
        }
    }

    #[test]
    fn without_calibration_normals_there_is_none() {
        assert_eq!(EvidenceRanks::of(&[]).percentiles(&Evidence(vec![1.0])), [None]);
    }
}
