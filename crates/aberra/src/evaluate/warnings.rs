//! Warnings about the validity of an evaluation's numbers.

use super::evaluation::{Evaluation, FalseAlarms};

/// Shortcuts above it are warned of, however good the detector is.
const LOUD_SHORTCUT: f64 = 0.8;
/// An AUROC beside the anomalies whose whole interval lies above it is warned of.
const LOUD_SOURCE: f64 = 0.6;
/// With fewer groups of normal or of anomalous images, intervals are unreliable.
const FEW_GROUPS: usize = 20;

/// The warnings that an evaluation's figures call for; `unusable_masks` are masks that could not be used, and why.
pub(super) fn of(evaluation: &Evaluation, unusable_masks: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(leak(evaluation));
    warnings.extend(shortcuts(evaluation));
    let remaining = evaluation.without_leaked.as_ref().map(|without| &without.false_alarms);
    warnings.extend(broken_promise(remaining.unwrap_or(&evaluation.false_alarms)));
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
