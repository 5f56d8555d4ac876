//! The verdict on a volume, from the scores of its slices.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra_metrics::calibrate::is_anomalous;
use aberra_models::measure::Want;

use crate::detector::Detector;
use crate::files::FILES_CHUNK;
use crate::volume_calibration::{TOP_SHARE, VolumeCalibration, top_slices, volume_score};

/// The verdict on a volume.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VolumeVerdict {
    /// The mean of the largest scores of its slices, in the scorer's own units.
    pub score: f64,
    /// How many slices that are.
    pub top: usize,
    /// Share of normal volumes at least this anomalous, by the calibration of volumes.
    pub p_value: Option<f64>,
    /// Scores above it are anomalous; `None` from a detector that is not calibrated on volumes: there is no verdict then.
    pub threshold: Option<f64>,
    /// For each slice its score; `None` if it is empty or cannot be read.
    pub slices: Vec<Option<f64>>,
    /// The slice with the largest score, its number from 0.
    pub worst: usize,
    /// Slices that show nothing but air, which were left out.
    pub empty: usize,
    /// Slices that could not be read.
    pub unreadable: usize,
}

impl VolumeVerdict {
    /// Whether the score is above the threshold; `None` without a threshold.
    pub fn anomalous(&self) -> Option<bool> {
        self.threshold.map(|threshold| is_anomalous(self.score, threshold))
    }
}

impl Detector {
    /// How volumes are judged; `None` for a detector that is not calibrated on volumes.
    pub fn volume_calibration(&self) -> Option<&VolumeCalibration> {
        self.document.volumes.as_ref()
    }

    /// The share of a volume's slices whose scores make its own.
    pub(crate) fn top_share(&self) -> f64 {
        self.volume_calibration().map_or(TOP_SHARE, |volumes| volumes.top_share)
    }

    /// How many scores make that of a volume of so many slices.
    pub(crate) fn top_of(&self, slices: usize) -> usize {
        top_slices(slices, self.top_share())
    }

    /// The verdict on a volume from the scores of its slices, in their order: `None` for those that are empty, `empty` in number, or
    /// could not be read. There is none where no slice has a score.
    pub fn judge_slices(&self, slices: Vec<Option<f64>>, empty: usize) -> Option<VolumeVerdict> {
        let scores: Vec<f64> = slices.iter().flatten().copied().collect();
        let score = volume_score(&scores, self.top_share())?;
        let calibration = self.volume_calibration().map(|volumes| &volumes.calibration);
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(VolumeVerdict {
            score,
            top: top_slices(scores.len(), self.top_share()),
            p_value: calibration.and_then(|calibration| calibration.p_value(score)),
            threshold: calibration.map(|calibration| calibration.threshold),
            worst: slices.iter().position(|score| *score == Some(largest)).unwrap_or_default(),
            empty,
            unreadable: slices.len().saturating_sub(empty + scores.len()),
            slices,
        })
    }

    /// The score of a volume whose slices are these images; `None` if none of them can be read.
    pub(super) fn score_of_slices(&self, slices: Vec<(PathBuf, Option<u32>)>, top_share: f64) -> Option<f64> {
        let mut scores = Vec::with_capacity(slices.len());
        let limits = self.config().limits;
        self.score_pages(slices.into_iter(), &limits, FILES_CHUNK, Want::MEASUREMENTS, |_, verdict| {
            scores.extend(verdict.map(|verdict| verdict.score));
            ControlFlow::Continue(())
        });
        volume_score(&scores, top_share)
    }
}
