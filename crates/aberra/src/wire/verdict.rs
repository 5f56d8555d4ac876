//! A verdict on one image, and its explanation.

use std::collections::BTreeMap;

use aberra_image::Region;
use aberra_metrics::calibrate::is_anomalous;
use serde::Serialize;

use super::PicturesData;
use crate::detector::{Detector, Verdict};
use crate::explain::{Story, anomalous_share};

/// The verdict on one image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerdictCard {
    /// How anomalous the image is, in the scorer's own units; never clamped or rescaled.
    pub score: f64,
    /// Share of normal images at least this anomalous, by the calibration; none where the detector has no scores of any.
    pub p_value: Option<f64>,
    /// The threshold that was used.
    pub threshold: f64,
    /// Whether the score lies above the threshold.
    pub anomalous: bool,
    /// Share of the image's pixels above the pixel threshold, 0 to 1; none where no map was made.
    pub anomalous_share: Option<f64>,
    /// Width of the image, in pixels.
    pub width: usize,
    /// Height of the image, in pixels.
    pub height: usize,
    /// Millimetres from row to row and from column to column, where the file says (DICOM, NIfTI).
    pub spacing_mm: Option<[f32; 2]>,
    /// The channel that is most unusual, by name, where the detector's images have channels that are no colours.
    pub channel: Option<String>,
    /// What was decided while decoding the image, in plain words: that one page of several was judged, or alpha ignored.
    pub remarks: Vec<String>,
}

/// A verdict with its evidence and what lies near.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Explanation {
    /// The verdict.
    pub verdict: VerdictCard,
    /// What was measured, by full name.
    pub evidence: BTreeMap<String, f64>,
    /// Each measurement's percentile, 0 to 100, among the calibration normals; empty if the detector has none.
    pub evidence_percentiles: BTreeMap<String, f64>,
    /// The score of every fitted scorer, by name.
    pub scores: BTreeMap<String, f64>,
    /// Pictures of the network input's size, where they were drawn.
    pub pictures: Option<PicturesData>,
    /// The pixels of the network input that show the image; the rest is padding.
    pub window: Region,
    /// The part of the image that they show, in the image's own pixels: what the foreground crop left of it.
    pub content: Region,
    /// Where the image lies in the embedding space that is shown; empty if there is none.
    pub embedding: Vec<f32>,
    /// The same on the principal components, from their mean.
    pub pca: Vec<f64>,
    /// The nearest training normals, nearest first.
    pub nearest: Vec<NearNormalCard>,
}

/// A training normal near an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NearNormalCard {
    /// Its number among the detector's normals.
    pub normal: usize,
    /// In the embedding space, each dimension in standard deviations of the training normals.
    pub distance: f64,
    /// Its name in the data set, where that is known.
    pub name: Option<String>,
    /// A thumbnail as a `data:` address, where there is one.
    pub picture: Option<String>,
}

impl VerdictCard {
    /// A verdict, judged by `threshold`.
    pub fn of(detector: &Detector, verdict: &Verdict, threshold: f64) -> Self {
        Self {
            score: verdict.score,
            p_value: verdict.p_value,
            threshold,
            anomalous: is_anomalous(verdict.score, threshold),
            anomalous_share: anomalous_share(verdict, detector.pixel_threshold()),
            width: verdict.placement.image_width,
            height: verdict.placement.image_height,
            spacing_mm: verdict.spacing_mm,
            channel: detector
                .most_unusual_channel(&verdict.evidence)
                .and_then(|channel| detector.channels().get(channel).cloned()),
            remarks: verdict.remarks.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Explanation {
    /// A story, judged by `threshold`; pictures, coordinates and the neighbours' names are for the caller to add.
    pub fn of(detector: &Detector, story: &Story, threshold: f64) -> Self {
        let evidence = &story.evidence;
        let percentiles = evidence.iter().filter_map(|one| Some((one.name.clone(), one.percentile?)));
        let nearest = story.nearest.iter().map(|near| NearNormalCard {
            normal: near.normal,
            distance: near.distance,
            name: None,
            picture: None,
        });
        Self {
            verdict: VerdictCard::of(detector, &story.verdict, threshold),
            evidence: evidence.iter().map(|one| (one.name.clone(), one.value)).collect(),
            evidence_percentiles: percentiles.collect(),
            scores: detector
                .scores_of(&story.verdict.evidence)
                .map(|(name, score)| (name.to_owned(), score))
                .collect(),
            pictures: None,
            window: story.window,
            content: story.verdict.placement.content,
            embedding: story.verdict.embedding().unwrap_or_default().to_vec(),
            pca: Vec::new(),
            nearest: nearest.collect(),
        }
    }
}
