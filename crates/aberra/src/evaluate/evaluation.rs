//! The results of an evaluation: the types that a report, a table and the evaluation file share.

use std::collections::BTreeMap;

use aberra_models::Shape;
use aberra_models::measure::Descriptor;
use serde::{Deserialize, Serialize};

use crate::dataset::{Fold, GroupBy, Label, SplitPolicy};
use crate::detector::{Part, PartSize};
use crate::score::Evidence;
use aberra_metrics::binomial::RateInterval;
use aberra_metrics::bootstrap::{BootstrapInterval, BootstrapSettings};
use aberra_metrics::calibrate::Promise;
use aberra_metrics::pixel::{Bounded, OracleDice, PixelIntervals};
use aberra_metrics::ranking::{Confusion, OracleF1};

/// A number, or the reason why it cannot be computed; never 0.0 instead. In JSON the number itself, or
/// `{"unavailable": "reason"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Metric<T> {
    /// The number.
    Known(T),
    /// There is none.
    Unavailable {
        /// The reason, as human-readable text.
        unavailable: String,
    },
}

/// Metrics with intervals on labelled images, with the data behind them. `Display` formats a human-readable table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Evaluation {
    /// Version of Aberra.
    pub aberra_version: String,
    /// The detector that was evaluated.
    pub detector: EvaluatedDetector,
    /// The data set it was evaluated on.
    pub data: EvaluatedData,
    /// How the intervals were drawn.
    pub bootstrap: BootstrapSettings,
    /// How well the detector's scores rank anomalous above normal images.
    pub ranking: Ranking,
    /// Quality of the verdicts at the detector's threshold.
    pub verdicts: Verdicts,
    /// Promised and realised false alarms.
    pub false_alarms: FalseAlarms,
    /// The same without images that are near-duplicates of the detector's own normals; `None` if there are none.
    pub without_leaked: Option<WithoutLeaked>,
    /// One row per kind of anomaly, by name.
    pub kinds: Vec<KindRow>,
    /// Every fitted scorer on the same images.
    pub scorers: Vec<ScorerRow>,
    /// How well properties of file, frame and device alone predict the label (shortcuts), best first.
    pub shortcuts: Vec<ShortcutRow>,
    /// How well the error maps localise the masks.
    pub pixels: Metric<Pixels>,
    /// The figures of volumes, each judged as a whole; `None` where the data are not taken apart by volume, and in files older than
    /// the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<VolumeFigures>,
    /// Warnings about the validity of the numbers.
    pub warnings: Vec<String>,
    /// The descriptors of the measurements, in order.
    pub measurements: Vec<Descriptor>,
    /// One row per image of the data set, in its order.
    pub images: Vec<ImageRow>,
}

/// The detector of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EvaluatedDetector {
    /// Hash of its file's content; `None` if it was never saved.
    pub hash: Option<String>,
    /// The name of the data set it was trained on.
    pub made_from: String,
    /// Its training images and groups.
    pub train: PartSize,
    /// Its fit split.
    pub fit: PartSize,
    /// Its calibration split.
    pub calibration: PartSize,
    /// The scorer that gives its scores.
    pub scorer: String,
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Filtered errors above it are marked, in the units of the error map.
    pub pixel_threshold: f64,
    /// The coverage guarantee of its threshold.
    pub promise: Promise,
}

/// The images of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EvaluatedData {
    /// The name of the data set's folder, without its path.
    pub name: String,
    /// The split whose test part was evaluated; `None` if it was the whole data set.
    pub split: Option<EvaluatedSplit>,
    /// How images were grouped.
    pub by: GroupBy,
    /// Scored images and their groups by what they show: normal first, then the kinds by name.
    pub labels: Vec<LabelCount>,
    /// Images left out because the detector was made from them.
    pub own: OwnImages,
    /// Slices left out because the detector was made from others of their volumes; 0 in files older than the entry.
    #[serde(default)]
    pub beside_own: usize,
    /// Slices of anomalous volumes that are in no figure of images, because their masks mark nothing: they are neither anomalous nor
    /// certainly normal. The figures of volumes and of pixels have them. 0 in files older than the entry.
    #[serde(default)]
    pub unmarked: usize,
    /// Images that could not be read or used.
    pub unusable: usize,
    /// Scored images that are near-duplicates of the detector's own normals.
    pub leaked: Leaked,
}

/// The split whose test part was evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EvaluatedSplit {
    /// Its seed.
    pub seed: u64,
    /// How the parts that folders name were treated.
    pub policy: SplitPolicy,
    /// Which fold it is, if it is one.
    pub fold: Option<Fold>,
    /// Images of the data set that it puts into no part; `None` in files older than the entry.
    #[serde(default)]
    pub left_aside: Option<usize>,
}

/// Images and groups that show the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelCount {
    /// What they show.
    pub label: Label,
    /// Images.
    pub images: usize,
    /// Groups that they are from.
    pub groups: usize,
}

/// Images that the detector was made from, by what it used them for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OwnImages {
    /// Trained the model.
    pub train: usize,
    /// Fitted the scorers.
    pub fit: usize,
    /// Gave the threshold.
    pub calibration: usize,
}

/// Scored images that are near-duplicates of the detector's own normals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Leaked {
    /// Normal images.
    pub normals: usize,
    /// Anomalous images.
    pub anomalies: usize,
}

/// How well scores rank anomalous above normal images, whatever the threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ranking {
    /// Area under the ROC curve.
    pub auroc: Metric<BootstrapInterval>,
    /// Average precision.
    pub average_precision: Metric<BootstrapInterval>,
    /// What random scores would give as average precision: the share of anomalous images.
    pub average_precision_of_chance: Metric<f64>,
    /// True-positive rates at 1, 5 and 10 % false positives.
    pub tpr_at_fpr: Vec<AtRate>,
    /// False-positive rate at 95 % true positives.
    pub fpr_at_95_tpr: Metric<f64>,
    /// The maximum F1 of all thresholds, chosen with these very labels: an oracle, never a result.
    pub oracle_f1: Metric<OracleF1>,
}

/// A rate at a given other rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AtRate {
    /// The given rate.
    pub rate: f64,
    /// The rate there.
    pub value: Metric<f64>,
}

/// Quality of the verdicts at the detector's threshold. Anomalous is the positive class; a tie is normal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Verdicts {
    /// Counts of verdicts by truth.
    pub confusion: Confusion,
    /// Share of the images called anomalous that are.
    pub precision: Metric<f64>,
    /// Share of the anomalous images called so.
    pub recall: Metric<f64>,
    /// Share of the normal images called so.
    pub specificity: Metric<f64>,
    /// Harmonic mean of precision and recall.
    pub f1: Metric<f64>,
    /// Mean of recall and specificity.
    pub balanced_accuracy: Metric<f64>,
}

/// Promised and realised false alarms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FalseAlarms {
    /// The promised rate; `None` if the threshold promises none.
    pub promised: Option<f64>,
    /// Share of all normal images called anomalous.
    pub over_images: Metric<f64>,
    /// The same over one normal image of each group, a seeded random member, with its exact interval (Clopper and
    /// Pearson, 1934): near-duplicates are not independent evidence.
    pub over_groups: Metric<RateInterval>,
    /// Groups that hold normal images.
    pub groups: usize,
}

/// Figures without images that are near-duplicates of the detector's own normals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WithoutLeaked {
    /// Normal images that remain.
    pub normals: usize,
    /// Anomalous images that remain.
    pub anomalies: usize,
    /// Area under the ROC curve.
    pub auroc: Metric<BootstrapInterval>,
    /// Promised and realised false alarms.
    pub false_alarms: FalseAlarms,
}

/// One kind of anomaly, against all normal images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KindRow {
    /// The kind.
    pub kind: String,
    /// Its scored images.
    pub images: usize,
    /// Groups that they are from.
    pub groups: usize,
    /// Area under the ROC curve.
    pub auroc: Metric<BootstrapInterval>,
    /// Share of its images called anomalous at the detector's threshold.
    pub recall: Metric<f64>,
    /// The same with its exact interval (Clopper and Pearson, 1934), groups counted as far as their images differ; `None` where
    /// there is none, and in files older than the entry.
    #[serde(default)]
    pub recall_interval: Option<RateInterval>,
}

/// One scorer on the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScorerRow {
    /// Its name.
    pub name: String,
    /// Whether it gives the detector's scores.
    pub is_own: bool,
    /// Area under the ROC curve.
    pub auroc: Metric<BootstrapInterval>,
    /// The AUROC of the detector's own scorer minus this one's, both on the same resamples.
    pub own_minus_this: Metric<BootstrapInterval>,
}

/// How well one property of file or frame predicts the label without looking at the content (a shortcut).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ShortcutRow {
    /// The property, and the value it was compared with where it is one of several.
    pub property: String,
    /// Area under the ROC curve in the better direction, 0.5 to 1.
    pub auroc: f64,
}

/// How well the error maps localise the masks, over the pixels of the network input that lie in the image, 5 x 5-median
/// filtered as the pixel threshold expects. Masks are brought to that size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pixels {
    /// The shape of the network input, at whose resolution pixels are counted.
    pub input: Shape,
    /// Anomalous images with a mask.
    pub masked: usize,
    /// Normal images, whose masks are empty.
    pub normals: usize,
    /// Anomalous images left out because they have no mask: a missing mask is not an empty mask.
    pub without_mask: usize,
    /// Anomalous regions: sets of masked pixels that touch.
    pub regions: u64,
    /// Share of the pixels that are anomalous.
    pub anomalous_share: f64,
    /// Area under the pixels' ROC curve.
    pub auroc: Metric<Bounded>,
    /// Average precision of the pixels.
    pub average_precision: Metric<Bounded>,
    /// Area under the per-region overlap curve up to 30 % false positives (Bergmann et al., 2019).
    pub aupro: Metric<Bounded>,
    /// The maximum Dice of all thresholds, chosen with these very masks: an oracle.
    pub oracle_dice: Metric<OracleDice>,
    /// Dice at the detector's pixel threshold, over all pixels of all images.
    pub dice: Metric<f64>,
    /// The ends of these figures' intervals, over resampled groups of images; none where they cannot be computed, and in files
    /// older than the entry.
    #[serde(default)]
    pub intervals: Option<PixelIntervals>,
    /// Whether maps are higher on anomalous images even beside their anomalies, for several ways of pooling; empty in files older
    /// than the entry.
    #[serde(default)]
    pub beside: Vec<BesideRow>,
}

/// How well maps, pooled in one way, rank anomalous above normal images: with and without the anomalies themselves. A high figure
/// without them means that the detector tells apart where images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BesideRow {
    /// How maps are pooled.
    pub pooling: String,
    /// Area under the ROC curve over all pixels.
    pub auroc: Metric<BootstrapInterval>,
    /// The same with the masks, and a margin around them, left out.
    pub beside_auroc: Metric<BootstrapInterval>,
}

/// How well a detector judges volumes as a whole. Intervals resample groups: volumes of one patient are drawn together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VolumeFigures {
    /// The share of a volume's slices whose scores make its own.
    pub top_share: f64,
    /// The threshold of volumes; `None` from a detector that is not calibrated on volumes: there are no verdicts then.
    pub threshold: Option<f64>,
    /// What it guarantees.
    pub promise: Option<Promise>,
    /// Area under the ROC curve.
    pub auroc: Metric<BootstrapInterval>,
    /// Average precision.
    pub average_precision: Metric<BootstrapInterval>,
    /// What random scores would give as average precision: the share of anomalous volumes.
    pub average_precision_of_chance: Metric<f64>,
    /// Counts of verdicts by truth.
    pub confusion: Metric<Confusion>,
    /// Share of the anomalous volumes called so, with its exact interval over groups.
    pub recall: Metric<RateInterval>,
    /// Promised and realised false alarms, in volumes.
    pub false_alarms: FalseAlarms,
    /// Volumes left out because the detector was made from slices of theirs.
    pub own: usize,
    /// Volumes of which no slice could be read.
    pub unusable: usize,
    /// Those that were judged, in the order of the data set.
    pub volumes: Vec<VolumeRow>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VolumeRow {
    /// The file, or the folder of the series; unique among the volumes of a data set.
    pub name: String,
    /// What it shows: anomalous if one of its slices is.
    pub label: Label,
    /// Its group's number.
    pub group: usize,
    /// Its slices that were scored.
    pub slices: usize,
    /// The mean of the largest scores of them.
    pub score: f64,
    /// Share of normal volumes at least this anomalous, by the calibration of volumes.
    pub p_value: Option<f64>,
    /// Whether the score lies above the threshold; `None` without one.
    pub anomalous: Option<bool>,
    /// Whether one of its slices is a near-duplicate of one of the detector's own normals.
    pub leaked: bool,
}

/// One image of the data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageRow {
    /// Path relative to the data set's root; lossy where it is not UTF-8.
    pub name: String,
    /// What it shows.
    pub label: Label,
    /// Its group's number.
    pub group: usize,
    /// Its outcome.
    pub outcome: ImageOutcome,
}

/// The outcome of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageOutcome {
    /// It was scored.
    Scored(Box<ScoredImage>),
    /// Left out: the detector was made from it.
    Own(Part),
    /// Left out: the detector was made from other slices of its volume.
    BesideOwn,
    /// It could not be read or used, and why.
    Unusable(String),
}

/// The verdict on one image, without its maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ScoredImage {
    /// The detector's score.
    pub score: f64,
    /// Share of normal images at least this abnormal, by the calibration split.
    pub p_value: Option<f64>,
    /// Whether the score lies above the threshold.
    pub anomalous: bool,
    /// Whether it is a near-duplicate of one of the detector's own normals.
    pub leaked: bool,
    /// Whether its pixels were compared with a mask.
    pub masked: bool,
    /// Whether it is a slice of an anomalous volume whose mask marks nothing, which is in no figure of images.
    #[serde(default)]
    pub unmarked: bool,
    /// Every fitted scorer's score that is a number, by name.
    pub scores: BTreeMap<String, f64>,
    /// What was measured, in the order of the evaluation's measurements.
    pub evidence: Evidence,
}

impl<T> Metric<T> {
    /// The number, or the reason why there is none.
    pub(crate) fn new(value: Option<T>, reason: impl Into<String>) -> Self {
        match value {
            Some(value) => Self::Known(value),
            None => Self::Unavailable { unavailable: reason.into() },
        }
    }

    /// The number, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unavailable { .. } => None,
        }
    }

    /// Why there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unavailable { unavailable } => Some(unavailable),
        }
    }
}

impl VolumeFigures {
    /// Volumes that show no anomaly, and those that show one.
    pub fn counts(&self) -> (usize, usize) {
        let normals = self.volumes.iter().filter(|row| row.label.is_normal()).count();
        (normals, self.volumes.len() - normals)
    }
}

impl OwnImages {
    /// All of them.
    pub fn total(&self) -> usize {
        self.train + self.fit + self.calibration
    }
}

impl ImageRow {
    /// The verdict, where the image is in the figures of images.
    pub fn counted(&self) -> Option<&ScoredImage> {
        self.scored().filter(|scored| !scored.unmarked)
    }

    /// The verdict, where the image was scored.
    pub fn scored(&self) -> Option<&ScoredImage> {
        match &self.outcome {
            ImageOutcome::Scored(scored) => Some(scored),
            _ => None,
        }
    }
}
