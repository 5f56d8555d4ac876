//! A comparison of recipes on the folds of one data set: its table, and the cells that the table sums up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BootstrapData, Interval};
use crate::dataset::Fold;
use crate::detector::PartSize;
use crate::evaluate::Metric;

/// Recipes side by side: each was fitted and tested on the same folds with the same seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComparisonData {
    /// Version of Aberra.
    pub aberra_version: String,
    /// The data set's name, without where it lies.
    pub data_name: String,
    /// The folds that were run.
    pub folds: Vec<Fold>,
    /// The seeds that were run on each fold.
    pub seeds: Vec<u64>,
    /// Normal images and groups of all test parts together.
    pub normals: PartSize,
    /// Anomalous images and groups of all test parts together; one may be tested in several folds.
    pub anomalies: PartSize,
    /// The false-alarm rate that calibration promises.
    pub promised_false_alarm_rate: f64,
    /// The scorer that [`ComparisonRow::auroc_minus_classic`] compares with: plain reconstruction error.
    pub classic_scorer: String,
    /// How intervals were drawn.
    pub bootstrap: BootstrapData,
    /// What a reader must know before believing the numbers.
    pub notes: Vec<String>,
    /// One row per recipe, in the order given.
    pub rows: Vec<ComparisonRow>,
}

/// One recipe of a comparison. Numbers are means over its cells: every fold with every seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComparisonRow {
    /// The recipe's name.
    pub recipe: String,
    /// Its settings, as TOML.
    pub settings_toml: String,
    /// Area under the ROC curve, with its interval over resampled groups.
    pub auroc: Metric<Interval>,
    /// The AUROC minus that of the first recipe, both on the same resamples; none for the first recipe itself.
    pub auroc_difference: Option<Metric<Interval>>,
    /// The AUROC of the recipe's scorer minus that of plain reconstruction error, both on the same resamples.
    pub auroc_minus_classic: Metric<Interval>,
    /// Average precision, with its interval over resampled groups.
    pub average_precision: Metric<Interval>,
    /// Average precision of the pixels, where there are masks.
    pub pixel_average_precision: Metric<f64>,
    /// True-positive rate at 5 % false positives.
    pub tpr_at_5_fpr: Metric<f64>,
    /// Share of the groups of normal images of which a drawn image is called anomalous at the threshold.
    pub false_alarm_rate: Metric<f64>,
    /// AUROC of every fitted scorer, by name.
    pub scorers: BTreeMap<String, Metric<f64>>,
    /// Seconds from image files to a detector.
    pub training_secs: Metric<f64>,
    /// Milliseconds from network input to verdict, in batches.
    pub ms_per_image: Metric<f64>,
    /// Weights that fitting changed.
    pub parameters: Metric<usize>,
    /// The cells, seed by seed and fold by fold.
    pub cells: Vec<ComparisonCell>,
    /// Cells without a result, and why.
    pub failures: Vec<String>,
}

/// One cell of a comparison: a recipe fitted on a fold with a seed, and tested on the fold's test part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ComparisonCell {
    /// The recipe's name.
    pub recipe: String,
    /// The fold.
    pub fold: Fold,
    /// The seed.
    pub seed: u64,
    /// Normal images that were scored.
    pub normals: usize,
    /// Anomalous images that were scored.
    pub anomalies: usize,
    /// Area under the ROC curve.
    pub auroc: Metric<f64>,
    /// Average precision.
    pub average_precision: Metric<f64>,
    /// Average precision of the pixels, where there are masks.
    pub pixel_average_precision: Metric<f64>,
    /// True-positive rate at 5 % false positives.
    pub tpr_at_5_fpr: Metric<f64>,
    /// Share of the groups of normal images of which a drawn image is called anomalous at the threshold.
    pub false_alarm_rate: Metric<f64>,
    /// AUROC of every fitted scorer, by name.
    pub scorers: BTreeMap<String, Metric<f64>>,
    /// Scores of normals that the threshold was drawn from.
    pub calibration: usize,
    /// Seconds from image files to a detector.
    pub training_secs: f64,
    /// Milliseconds from network input to verdict, in batches of which the first is not counted.
    pub ms_per_image: Metric<f64>,
    /// Weights that fitting changed.
    pub parameters: usize,
    /// Epochs after which the first member's weights were taken; 0 where its family does not train in epochs.
    pub best_epoch: usize,
    /// The instruction set that computed; times of different ones do not compare.
    pub instructions: String,
    /// Threads that computed; times with different numbers do not compare.
    pub threads: usize,
}
