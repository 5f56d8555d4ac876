//! The score of a volume from those of its slices, and the calibration of volumes: one score each.

use aberra_metrics::calibrate::Calibration;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The share of a volume's slices whose scores make its own, unless another is given.
///
/// An anomaly shows on several slices that lie together, noise on single ones: the mean of several is steadier than the
/// largest, and more than an anomaly covers would thin it out. One of a twentieth of the height (7 mm of a brain of 140) fills
/// it. A share, so that a volume of thinner slices is judged alike.
pub const TOP_SHARE: f64 = 0.05;

/// How volumes are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VolumeCalibration {
    /// The share of a volume's slices whose scores make its own, above 0 and at most 1.
    pub top_share: f64,
    /// Scores of normal volumes, one of each group, and the threshold drawn from them: its promise is about volumes.
    pub calibration: Calibration,
}

impl VolumeCalibration {
    /// Rejects one that does not follow from its own scores.
    ///
    /// # Errors
    /// A detector error that says what does not fit.
    pub(crate) fn verify(&self) -> Result<()> {
        check_top_share(self.top_share).map_err(|error| Error::detector(error.to_string()))?;
        self.calibration.verify()
    }
}

/// Rejects a share of slices that is none.
pub(crate) fn check_top_share(top_share: f64) -> Result<()> {
    if top_share > 0.0 && top_share <= 1.0 {
        return Ok(());
    }
    Err(Error::settings(format!("expected a share of slices above 0 and at most 1, found {top_share}"))
        .with_hint("5 % is 0.05; 1 takes the mean of all slices"))
}

/// How many of `slices` slices make the score of their volume: at least 1.
pub fn top_slices(slices: usize, top_share: f64) -> usize {
    // 5 % of 140 is 7, whatever its last bit.
    const SLACK: f64 = 1e-9;
    let top = (slices as f64 * top_share - SLACK).ceil();
    (top as usize).clamp(1, slices.max(1))
}

/// The score of a volume: the mean of the largest [`top_slices`] scores of its slices; `None` without any.
pub fn volume_score(slices: &[f64], top_share: f64) -> Option<f64> {
    let mut scores = slices.to_vec();
    scores.sort_by(|one, other| other.total_cmp(one));
    let top = scores.get(..top_slices(slices.len(), top_share))?;
    Some(top.iter().sum::<f64>() / top.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_slices_counts_and_at_least_one() {
        for (slices, top) in [(1, 1), (19, 1), (20, 1), (21, 2), (60, 3), (140, 7), (189, 10)] {
            assert_eq!(top_slices(slices, 0.05), top, "{slices} slices");
        }
        assert_eq!([top_slices(7, 1.0), top_slices(7, 1e-12), top_slices(0, 0.05)], [7, 1, 1]);
        for wrong in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(check_top_share(wrong).is_err_and(|error| error.is_settings()), "{wrong}");
        }
    }

    #[test]
    fn the_score_is_the_mean_of_the_largest() {
        let scores = [1.0, 9.0, 2.0, 7.0];
        assert_eq!(volume_score(&scores, 0.05), Some(9.0));
        assert_eq!(volume_score(&scores, 0.5), Some(8.0));
        assert_eq!(volume_score(&scores, 1.0), Some(4.75));
        assert_eq!(volume_score(&[], 0.5), None);
    }
}
