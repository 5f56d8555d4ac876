//! The figures of volumes: one score and one verdict each, beside those of their slices.

use std::collections::BTreeMap;

use aberra_metrics::binomial::grouped_rate;
use aberra_metrics::bootstrap::{BootstrapSettings, GroupedLabels, bootstrap};
use aberra_metrics::ranking::{Confusion, auroc, average_precision};
use aberra_metrics::weights::group_weights;

use super::evaluation::{ImageOutcome, ImageRow, Metric, VolumeFigures, VolumeRow};
use super::false_alarms::false_alarms;
use crate::dataset::{Dataset, InVolume};
use crate::detector::Detector;

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
        if slices.iter().any(|row| matches!(row.outcome, ImageOutcome::Own(_) | ImageOutcome::BesideOwn)) {
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
