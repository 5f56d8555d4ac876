//! A verdict on a volume, and how a detector judges volumes.

use serde::Serialize;

use super::PromiseCard;
use crate::dataset::Volume;
use crate::volume::VolumeVerdict;
use crate::volume_calibration::VolumeCalibration;

/// The verdict on a volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VolumeCard {
    /// The mean of the largest scores of its slices, in the scorer's own units; never clamped or rescaled.
    pub score: f64,
    /// Share of normal volumes at least this anomalous; none from a detector that is not calibrated on volumes.
    pub p_value: Option<f64>,
    /// The threshold of volumes; none from a detector that is not calibrated on volumes.
    pub threshold: Option<f64>,
    /// Whether the score lies above the threshold.
    pub anomalous: Option<bool>,
    /// All of its slices.
    pub slices: usize,
    /// Those that show nothing but air, which were left out.
    pub empty: usize,
    /// Those that could not be read.
    pub unreadable: usize,
    /// Slices whose scores make that of the volume.
    pub top: usize,
    /// The slice with the largest score.
    pub worst: SliceCard,
    /// For each slice its score, in their order; none where it was left out or could not be read.
    pub scores: Vec<Option<f64>>,
}

/// A slice of a volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SliceCard {
    /// Its number within the volume, from 1.
    pub slice: usize,
    /// Its file.
    pub path: String,
    /// Its number within the file, from 1; none for the one image of a file.
    pub page: Option<u32>,
    /// Its score.
    pub score: Option<f64>,
}

/// How a detector judges volumes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VolumesCard {
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Scores of the normal volumes that it was calibrated on, ascending.
    pub calibration_scores: Vec<f64>,
    /// The share of a volume's slices whose scores make its own.
    pub top_share: f64,
    /// What the threshold guarantees.
    pub promise: PromiseCard,
}

impl VolumeCard {
    /// The card of a verdict on a volume.
    pub fn of(volume: &Volume, verdict: &VolumeVerdict) -> Self {
        Self {
            score: verdict.score,
            p_value: verdict.p_value,
            threshold: verdict.threshold,
            anomalous: verdict.anomalous(),
            slices: verdict.slices.len(),
            empty: verdict.empty,
            unreadable: verdict.unreadable,
            top: verdict.top,
            worst: SliceCard::of(volume, verdict, verdict.worst),
            scores: verdict.slices.clone(),
        }
    }
}

impl SliceCard {
    /// The card of a slice, by its number from 0.
    pub fn of(volume: &Volume, verdict: &VolumeVerdict, number: usize) -> Self {
        let slice = volume.slices.get(number);
        Self {
            slice: number + 1,
            path: slice.map(|slice| slice.path.to_string_lossy().into_owned()).unwrap_or_default(),
            page: slice.and_then(|slice| slice.page).map(|page| page + 1),
            score: verdict.slices.get(number).copied().flatten(),
        }
    }
}

impl VolumesCard {
    /// The card of a calibration of volumes.
    pub fn of(volumes: &VolumeCalibration) -> Self {
        let calibration = &volumes.calibration;
        let promise = PromiseCard::of(calibration);
        Self {
            threshold: calibration.threshold,
            calibration_scores: calibration.scores.clone(),
            top_share: volumes.top_share,
            promise: PromiseCard { text: calibration.promise.of_volumes(), ..promise },
        }
    }
}
