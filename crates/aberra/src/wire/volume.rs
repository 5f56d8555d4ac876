//! A verdict on a volume, and its slices.

use aberra_image::Region;
use serde::Serialize;

use super::{PicturesData, VerdictCard};
use crate::dataset::Volume;
use crate::detector::{Detector, Verdict};
use crate::evaluate::content_window::ContentWindow;
use crate::volume::VolumeVerdict;

/// The verdict on a volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Millimetres from slice to slice, where its files say and they are evenly spaced (DICOM, NIfTI).
    pub slice_spacing_mm: Option<f32>,
}

/// A slice of a volume.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

/// A slice of a volume that was judged, with pictures to scroll through.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SliceData {
    /// The verdict on it alone, by the detector's calibration of images.
    pub verdict: VerdictCard,
    /// The pixels of the network input that show it; the rest is padding.
    pub window: Region,
    /// The part of it that they show, in its own pixels.
    pub content: Region,
    /// Pictures of the network input's size, without a reconstruction; none where there was no room for more.
    pub pictures: Option<PicturesData>,
}

impl SliceData {
    /// The verdict on a slice, with pictures that were drawn of it.
    pub fn of(detector: &Detector, verdict: &Verdict, pictures: Option<PicturesData>) -> Self {
        Self {
            verdict: VerdictCard::of(detector, verdict, detector.calibration().threshold),
            window: ContentWindow::of(&verdict.placement, verdict.shape).region(),
            content: verdict.placement.content,
            pictures,
        }
    }

    /// Characters of its pictures.
    pub fn picture_characters(&self) -> usize {
        let of =
            |pictures: &PicturesData| pictures.input.len() + pictures.error.as_ref().map_or(0, String::len);
        self.pictures.as_ref().map_or(0, of)
    }
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
            slice_spacing_mm: volume.slice_spacing_mm,
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
