//! The figures of volumes: one score and one verdict each, beside those of their slices.

use std::collections::BTreeMap;

use aberra_metrics::binomial::{RateInterval, grouped_rate};
use aberra_metrics::bootstrap::{BootstrapInterval, BootstrapSettings, GroupedLabels, bootstrap};
use aberra_metrics::calibrate::Promise;
use aberra_metrics::ranking::{Confusion, auroc, average_precision};
use aberra_metrics::weights::group_weights;
use serde::{Deserialize, Serialize};

use super::evaluation::{FalseAlarms, ImageOutcome, ImageRow, Metric};
use super::summary::false_alarms;
use crate::dataset::{Dataset, InVolume, Label};
use crate::detector::Detector;

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

impl VolumeFigures {
    /// Volumes that show no anomaly, and those that show one.
    pub fn counts(&self) -> (usize, usize) {
        let normals = self.volumes.iter().filter(|row| row.label.is_normal()).count();
        (normals, self.volumes.len() - normals)
    }
}

/// The figures of the volumes among `images`, whose samples are `indices`; `None` if there are no volumes among them.
pub(super) fn figures(
    detector: &Detector,
    dataset: &Dataset,
    indices: &[usize],
    images: &[ImageRow],
    settings: BootstrapSettings,
) -> Option<VolumeFigures> {
    let mut slices_of: Vec<(&str, Vec<&ImageRow>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (&index, row) in indices.iter().zip(images) {
        let Some(InVolume { name, .. }) = &dataset.samples[index].volume else { continue };
        let place = *places.entry(name.as_str()).or_insert_with(|| {
            slices_of.push((name, Vec::new()));
            slices_of.len() - 1
        });
        slices_of[place].1.push(row);
    }
    if slices_of.is_empty() {
        return None;
    }
    let (mut rows, mut own, mut unusable) = (Vec::new(), 0, 0);
    for (name, slices) in slices_of {
        if slices.iter().any(|row| matches!(row.outcome, ImageOutcome::Own(_))) {
            own += 1;
        } else {
            match row(detector, name, &slices) {
                Some(row) => rows.push(row),
                None => unusable += 1,
            }
        }
    }
    Some(summed_up(detector, rows, [own, unusable], settings))
}

fn row(detector: &Detector, name: &str, slices: &[&ImageRow]) -> Option<VolumeRow> {
    let first = slices.first()?;
    let label = slices.iter().map(|row| &row.label).find(|label| !label.is_normal()).unwrap_or(&first.label);
    let scored: Vec<_> = slices.iter().filter_map(|row| row.scored()).collect();
    let scores: Vec<Option<f64>> = scored.iter().map(|scored| Some(scored.score)).collect();
    let verdict = detector.judge_slices(scores, 0)?;
    Some(VolumeRow {
        name: name.to_owned(),
        label: label.clone(),
        group: first.group,
        slices: scored.len(),
        score: verdict.score,
        p_value: verdict.p_value,
        anomalous: verdict.anomalous(),
        leaked: scored.iter().any(|scored| scored.leaked),
    })
}

fn summed_up(
    detector: &Detector,
    volumes: Vec<VolumeRow>,
    [own, unusable]: [usize; 2],
    settings: BootstrapSettings,
) -> VolumeFigures {
    let calibration = detector.volume_calibration().map(|volumes| &volumes.calibration);
    let scores: Vec<f64> = volumes.iter().map(|row| row.score).collect();
    let anomalous: Vec<bool> = volumes.iter().map(|row| !row.label.is_normal()).collect();
    let groups: Vec<u64> = volumes.iter().map(|row| row.group as u64).collect();
    let weights = group_weights(&groups, &anomalous);
    let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: Some(&weights) };
    let anomalies: Vec<usize> = (0..volumes.len()).filter(|&at| anomalous[at]).collect();
    let reason = match (volumes.len() - anomalies.len(), anomalies.len()) {
        (0, 0) => "no volumes",
        (0, _) => "no normal volumes",
        (_, 0) => "no anomalous volumes",
        _ => "a score is not finite, or no resample was drawn",
    };
    let is_ranked = !anomalies.is_empty() && anomalies.len() < volumes.len();
    let found_weight = anomalies.iter().map(|&at| weights[at]).sum::<f64>();
    let chance = found_weight / weights.iter().sum::<f64>();
    let recall = calibration.and_then(|_| {
        let found: Vec<bool> = anomalies.iter().map(|&at| volumes[at].anomalous == Some(true)).collect();
        let of = |values: &[u64]| anomalies.iter().map(|&at| values[at]).collect::<Vec<_>>();
        let weights: Vec<f64> = anomalies.iter().map(|&at| weights[at]).collect();
        grouped_rate(&of(&groups), &found, &weights, settings.confidence)
    });
    let normals = volumes.iter().filter(|row| calibration.is_some() && row.label.is_normal());
    let no_threshold = "the detector is not calibrated on volumes";
    let reason_of_rate = |reason: &'static str| if calibration.is_some() { reason } else { no_threshold };
    VolumeFigures {
        top_share: detector.top_share(),
        threshold: calibration.map(|calibration| calibration.threshold),
        promise: calibration.map(|calibration| calibration.promise),
        auroc: Metric::new(bootstrap(&scores, labels, settings, auroc), reason),
        average_precision: Metric::new(bootstrap(&scores, labels, settings, average_precision), reason),
        average_precision_of_chance: Metric::new(is_ranked.then_some(chance), reason),
        confusion: Metric::new(
            calibration.and_then(|calibration| Confusion::at(&scores, &anomalous, calibration.threshold)),
            no_threshold,
        ),
        recall: Metric::new(recall, reason_of_rate("no anomalous volumes")),
        false_alarms: false_alarms(
            normals.map(|row| (row.group, row.anomalous == Some(true))),
            calibration.and_then(|calibration| calibration.promise.rate()),
            settings,
            reason_of_rate("no normal volumes"),
        ),
        own,
        unusable,
        volumes,
    }
}
