//! What a detector's file holds beside tensors: settings, scorers, calibration, the normals it was made from and how.

use aberra_metrics::calibrate::Calibration;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::catalog::Catalog;
use crate::checked_config::CheckedConfig;
use crate::config::TrainConfig;
use crate::dataset::Sketch;
use crate::score::{Evidence, FittedScorer, SavedScorer};
use crate::volume_calibration::VolumeCalibration;

/// Everything in the file but tensors. Settings and scorers are read before it is known which families and scorers there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document<C = CheckedConfig, S = FittedScorer> {
    /// Resolved: what was fitted, whatever the processor.
    pub(crate) config: C,
    /// Full names of the measurements, in the order of the normals' evidence.
    pub(crate) measurements: Vec<String>,
    /// The scale by which each of several members' maps is divided.
    pub(crate) map_weights: Option<Vec<f64>>,
    /// Every scorer that the fit split's normals support, so that they can be compared.
    pub(crate) scorers: Vec<S>,
    pub(crate) calibration: Calibration,
    /// In the units of the map.
    pub(crate) pixel_threshold: f64,
    pub(crate) provenance: Provenance,
    pub(crate) normals: Vec<Normal>,
    /// Images more similar than this are near-duplicates.
    pub(crate) near_copy_similarity: f32,
    /// For each member the mean KL divergence of each dimension over the calibration normals, nats; empty if its
    /// embedding is no distribution, or in files older than the figure.
    pub(crate) kl_per_dimension: Vec<Vec<f64>>,
    /// How volumes are judged, where the detector was calibrated on some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) volumes: Option<VolumeCalibration>,
}

impl Document<TrainConfig, SavedScorer> {
    /// The document with its settings checked, and its families and scorers those of a catalog.
    pub(super) fn check_with(self, catalog: &Catalog) -> Result<Document> {
        let scorers = self.scorers.into_iter().map(|saved| saved.load(catalog.scorers()));
        Ok(Document {
            config: self.config.check_with(catalog)?,
            measurements: self.measurements,
            map_weights: self.map_weights,
            scorers: scorers.collect::<Result<_>>()?,
            calibration: self.calibration,
            pixel_threshold: self.pixel_threshold,
            provenance: self.provenance,
            normals: self.normals,
            near_copy_similarity: self.near_copy_similarity,
            kl_per_dimension: self.kl_per_dimension,
            volumes: self.volumes,
        })
    }
}

/// What a detector was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Provenance {
    /// Version of Aberra.
    pub aberra_version: String,
    /// The name of the data set's folder or manifest, without its path.
    pub dataset: String,
    /// Images and groups in each part.
    pub train: PartSize,
    /// The fit split.
    pub fit: PartSize,
    /// The calibration split.
    pub calibration: PartSize,
    /// The name of another data set whose normals it was calibrated on later.
    #[serde(default)]
    pub calibrated_on: Option<String>,
    /// The name of the file of another program that the weights come from, where Aberra did not train them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_from: Option<String>,
    /// The device of fitting; `None` in files older than the entry.
    pub device: Option<String>,
    /// Hash of the weights of the backbone whose features members work on; `None` without one, and in files
    /// older than the entry.
    #[serde(default)]
    pub backbone: Option<String>,
    /// How each member was fitted, in the members' order.
    pub members: Vec<MemberProvenance>,
}

/// How a member was fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MemberProvenance {
    /// Weights that fitting changed.
    pub parameters: usize,
    /// Epochs after which the weights were taken; 0 for a family that does not train in epochs.
    pub best_epoch: usize,
    /// The standardised mean shift of the scorer when synthetic anomalies are drawn into held-out normals, where it chose
    /// the weights.
    pub standardized_shift: Option<f64>,
}

impl Provenance {
    /// Weights of all members.
    pub fn parameters(&self) -> usize {
        self.members.iter().map(|member| member.parameters).sum()
    }
}

/// Images and groups of one part of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PartSize {
    /// Images.
    pub images: usize,
    /// Groups.
    pub groups: usize,
}

/// A normal image that the detector was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Normal {
    /// What it was used for.
    pub part: Part,
    /// The fingerprint that recognises it and its near-duplicates; the image cannot be recovered from it.
    pub sketch: Sketch,
    /// Its evidence.
    pub evidence: Evidence,
}

/// Parts of a split from which a detector is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Part {
    /// The members are trained on it.
    Train,
    /// The scorers are fitted on it; held out from training.
    Fit,
    /// The threshold is calibrated on it.
    Calibration,
}
