//! Warnings about the validity of an evaluation's numbers.

use super::evaluation::{Evaluation, FalseAlarms};

/// Shortcuts above it are warned of, however good the detector is.
const LOUD_SHORTCUT: f64 = 0.8;
/// An AUROC beside the anomalies whose whole interval lies above it is warned of.
const LOUD_SOURCE: f64 = 0.6;
/// What random scores reach as AUROC.
const CHANCE: f64 = 0.5;
/// The rank from above of the calibration score that is the threshold, below which it hangs on single images.
const LEAST_RANKS: f64 = 3.0;
/// With fewer groups of normal or of anomalous images, intervals are unreliable.
const FEW_GROUPS: usize = 20;

/// The warnings that an evaluation's figures call for; `unusable_masks` are masks that could not be used, and why.
pub(super) fn of(evaluation: &Evaluation, unusable_masks: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(leak(evaluation));
    warnings.extend(shortcuts(evaluation));
    let remaining = evaluation.without_leaked.as_ref().map(|without| &without.false_alarms);
    let false_alarms = remaining.unwrap_or(&evaluation.false_alarms);
    warnings.extend(no_ranking(evaluation));
    warnings.extend(no_better_than_chance(evaluation));
    warnings.extend(no_place(evaluation));
    warnings.extend(small_calibration(evaluation));
    warnings.extend(broken_promise(false_alarms));
    if evaluation.detector.promise.saw_labels() {
        warnings.push(
            "The threshold was chosen with labelled images. On the images it was chosen on, what it reaches is no \
             result."
                .to_owned(),
        );
    }
    warnings.extend(source(evaluation));
    warnings.extend(few_groups(evaluation));
    let unusable = evaluation.data.unusable;
    if unusable > 0 {
        warnings.push(format!(
            "{} could not be read or used, and {} in no figure.",
            images(unusable),
            are(unusable)
        ));
    }
    if let Some(first) = unusable_masks.first() {
        let count = unusable_masks.len();
        let masks = if count == 1 { "1 mask".to_owned() } else { format!("{count} masks") };
        let images = if count == 1 { "its image leaves" } else { "their images leave" };
        warnings
            .push(format!("{masks} could not be used, and {images} the pixel figures. The first: {first}"));
    }
    warnings
}

fn leak(evaluation: &Evaluation) -> Option<String> {
    let leaked = evaluation.data.leaked;
    let count = leaked.normals + leaked.anomalies;
    (count > 0).then(|| {
        format!(
            "{} of normals that the detector was made from ({} normal, {} anomalous). Figures with them flatter: believe \
             the ones without.",
            if count == 1 { "1 image is a near-duplicate".to_owned() } else { format!("{count} images are near-duplicates") },
            leaked.normals,
            leaked.anomalies
        )
    })
}

fn shortcuts(evaluation: &Evaluation) -> Option<String> {
    let best = evaluation.shortcuts.first()?;
    let own = evaluation.ranking.auroc.value()?.estimate;
    if best.auroc <= own.min(LOUD_SHORTCUT) {
        return None;
    }
    let beats = if best.auroc > own { ", better than the detector" } else { "" };
    Some(format!(
        "The {} alone reaches an AUROC of {:.3}{beats}, without looking at what an image shows. A high AUROC on these \
         images need not mean that anomalies are seen.",
        best.property, best.auroc
    ))
}

fn source(evaluation: &Evaluation) -> Option<String> {
    let rows = &evaluation.pixels.value()?.beside;
    let found = rows.iter().filter_map(|row| Some((row, row.beside_auroc.value()?)));
    let (row, beside) = found.max_by(|(_, a), (_, b)| a.low.total_cmp(&b.low))?;
    (beside.low > LOUD_SOURCE).then(|| {
        format!(
            "Beside their masked anomalies, too, anomalous images stand out: the {} reaches an AUROC of {:.3} there. The \
             detector may tell apart where images come from rather than what is wrong with them.",
            row.pooling, beside.estimate
        )
    })
}

/// Scores that may as well be drawn at random.
fn no_ranking(evaluation: &Evaluation) -> Option<String> {
    let without = evaluation.without_leaked.as_ref().and_then(|without| without.auroc.value());
    let auroc = without.or_else(|| evaluation.ranking.auroc.value())?;
    (auroc.low <= CHANCE).then(|| {
        let how = match auroc.high < CHANCE {
            true => "Anomalous images score lower than normal ones",
            false => "The scores may rank anomalous images no better than chance",
        };
        format!(
            "{how}: the interval of the AUROC is {:.3} to {:.3}, and 0.5 is chance. Do \
             not rely on this detector for anomalies like these.",
            auroc.low, auroc.high
        )
    })
}

/// A threshold that flags anomalous images as seldom as normal ones.
fn no_better_than_chance(evaluation: &Evaluation) -> Option<String> {
    let alarms = evaluation.false_alarms.over_groups.value()?.rate;
    let recall = evaluation.verdicts.recall.value()?;
    (*recall <= alarms).then(|| {
        format!(
            "At its threshold the detector flags {:.1} % of the anomalous images and {:.1} % of the normal ones: flagging at \
             random finds as many.",
            recall * 100.0,
            alarms * 100.0
        )
    })
}

/// Maps that are lower where the masks are.
fn no_place(evaluation: &Evaluation) -> Option<String> {
    let auroc = evaluation.pixels.value()?.auroc.value()?.value;
    (auroc < CHANCE).then(|| {
        format!(
            "The maps are lower within the masks than beside them (AUROC of pixels {auroc:.3}, and 0.5 is chance): they do not \
             show where the anomalies are."
        )
    })
}

/// A calibration of so few groups that the promised rate leaves no choice of threshold.
fn small_calibration(evaluation: &Evaluation) -> Option<String> {
    let (groups, promised) = (evaluation.detector.calibration.groups, evaluation.detector.promise.rate()?);
    // Of n scores the threshold is the one at (n + 1) times the rate from above.
    let least = (LEAST_RANKS / promised - 1e-9).ceil() - 1.0;
    ((groups as f64) < least).then(|| {
        format!(
            "The threshold was drawn from {groups} groups of calibration normals for a promised rate of {:.1} %: with fewer than \
             {least:.0} it hangs on one or two images, and another calibration may give quite another one.",
            promised * 100.0
        )
    })
}

fn broken_promise(false_alarms: &FalseAlarms) -> Option<String> {
    let (promised, realised) = (false_alarms.promised?, false_alarms.over_groups.value()?);
    (realised.low > promised).then(|| {
        format!(
            "More false alarms than promised: {:.1} % where {:.1} % were, and the whole interval lies above. These normal \
             images differ from those of the calibration: calibrate on images like them.",
            realised.rate * 100.0,
            promised * 100.0
        )
    })
}

fn few_groups(evaluation: &Evaluation) -> Option<String> {
    let interval = evaluation.ranking.auroc.value()?;
    let normal = interval.normal_groups + interval.mixed_groups;
    let anomalous = interval.anomalous_groups + interval.mixed_groups;
    (normal.min(anomalous) < FEW_GROUPS).then(|| {
        format!(
            "Only {normal} groups of normal and {anomalous} of anomalous images: with fewer than {FEW_GROUPS} of either, \
             intervals are too narrow and single images decide."
        )
    })
}

fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{count} images") }
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::GroupBy;
    use crate::evaluate::Metric;
    use aberra_metrics::calibrate::{Calibration, Criterion};
    use aberra_metrics::ranking::Confusion;

    /// An evaluation in which all is well, from the JSON that a program would read.
    fn good() -> Evaluation {
        let known = |low: f64, high: f64| {
            serde_json::json!({
                "estimate": (low + high) / 2.0, "low": low, "high": high, "resamples": 100, "not_computable": 0, "confidence": 0.95,
                "normal_groups": 200, "anomalous_groups": 100, "mixed_groups": 0
            })
        };
        let size = serde_json::json!({ "images": 200, "groups": 200 });
        let none = serde_json::json!({ "unavailable": "not needed" });
        let scores: Vec<f64> = (0..199).map(f64::from).collect();
        let promise = Calibration::new(&scores, None, Criterion::at_rate(0.05)).unwrap().promise;
        let mut evaluation: Evaluation = serde_json::from_value(serde_json::json!({
            "aberra_version": "0", "bootstrap": { "resamples": 100, "confidence": 0.95, "seed": 0 },
            "detector": {
                "hash": null, "made_from": "photos", "train": size, "fit": size, "calibration": size, "scorer": "mse",
                "threshold": 1.0, "pixel_threshold": 0.5, "promise": promise
            },
            "data": {
                "name": "photos", "split": null, "by": GroupBy::default(), "labels": [],
                "own": { "train": 0, "fit": 0, "calibration": 0 }, "unusable": 0, "leaked": { "normals": 0, "anomalies": 0 }
            },
            "ranking": {
                "auroc": known(0.85, 0.95), "average_precision": none, "average_precision_of_chance": none,
                "tpr_at_fpr": [], "fpr_at_95_tpr": none, "oracle_f1": none
            },
            "verdicts": {
                "confusion": Confusion::default(), "precision": none, "recall": 0.8, "specificity": none, "f1": none,
                "balanced_accuracy": none
            },
            "false_alarms": {
                "promised": 0.05, "over_images": 0.04, "over_groups": { "rate": 0.04, "low": 0.02, "high": 0.08, "confidence": 0.95 },
                "groups": 200
            },
            "without_leaked": null, "kinds": [], "scorers": [], "shortcuts": [], "pixels": none, "warnings": [],
            "measurements": [], "images": []
        }))
        .unwrap();
        evaluation.detector.promise = promise;
        evaluation
    }

    fn told(evaluation: &Evaluation, start: &str) -> bool {
        of(evaluation, &[]).iter().any(|warning| warning.contains(start))
    }

    #[test]
    fn a_good_detector_is_not_warned_of() {
        assert_eq!(of(&good(), &[]), Vec::<String>::new());
    }

    #[test]
    fn an_auroc_whose_interval_holds_chance_is_warned_of() {
        let mut evaluation = good();
        let Metric::Known(auroc) = &mut evaluation.ranking.auroc else { panic!("it is known") };
        auroc.low = 0.501;
        assert!(!told(&evaluation, "chance"));
        let Metric::Known(auroc) = &mut evaluation.ranking.auroc else { panic!("it is known") };
        auroc.low = 0.5;
        assert!(told(&evaluation, "no better than chance"));
        let Metric::Known(auroc) = &mut evaluation.ranking.auroc else { panic!("it is known") };
        (auroc.low, auroc.high) = (0.2, 0.4);
        assert!(told(&evaluation, "Anomalous images score lower than normal ones"));
    }

    #[test]
    fn a_recall_that_is_not_above_the_false_alarms_is_warned_of() {
        let mut evaluation = good();
        evaluation.verdicts.recall = Metric::Known(0.041);
        assert!(!told(&evaluation, "flagging at random"));
        evaluation.verdicts.recall = Metric::Known(0.04);
        assert!(told(&evaluation, "flagging at random"));
    }

    #[test]
    fn a_small_calibration_is_warned_of() {
        let mut evaluation = good();
        evaluation.detector.calibration.groups = 59;
        assert!(!told(&evaluation, "hangs on one or two"));
        evaluation.detector.calibration.groups = 58;
        assert!(told(&evaluation, "hangs on one or two"));
    }
}
