//! The verdict on a detector in words.

use crate::detector::{Detector, PartSize};
use crate::evaluate::{Evaluation, Metric, VolumeFigures};
use crate::wire::{EvaluationData, Interval};

/// A few sentences: what the detector was made from, what it promises, and what it did on the test images.
pub(super) fn summary(
    name: &str,
    detector: &Detector,
    evaluation: &Evaluation,
    data: &EvaluationData,
) -> Vec<String> {
    let provenance = detector.provenance();
    let mut lines = vec![format!(
        "The detector \u{201c}{name}\u{201d} learned what is normal from {} of {}. {} more fitted the scorer {}, and {} gave the threshold.",
        size(provenance.train),
        provenance.dataset,
        provenance.fit.images,
        detector.config().scorer,
        provenance.calibration.images,
    )];
    let promise = detector.calibration().promise;
    lines.push(match promise.rate() {
        Some(_) => format!("It promises {promise}."),
        None => format!("Its threshold carries no promise: {promise}."),
    });
    lines.push(match &data.figures.realised_false_alarm_rate {
        Metric::Known(rate) => format!(
            "On {} of {} it raised {} false {}: {}{}.",
            size(data.figures.normals),
            data.data_name,
            evaluation.verdicts.confusion.false_positives,
            if evaluation.verdicts.confusion.false_positives == 1 { "alarm" } else { "alarms" },
            percent_interval(rate),
            if has_groups(data.figures.normals) { " over one image of each group" } else { "" }
        ),
        Metric::Unavailable { .. } => {
            format!("{} holds no normal images to measure false alarms on.", data.data_name)
        }
    });
    lines.push(match &data.figures.recall {
        Metric::Known(recall) => format!(
            "Of {} it found {}: {}{}.",
            size_of(data.figures.anomalies, "anomalous image"),
            evaluation.verdicts.confusion.true_positives,
            percent_interval(recall),
            if has_groups(data.figures.anomalies) { " where each group counts once" } else { "" }
        ),
        Metric::Unavailable { .. } => format!(
            "{} holds no anomalous images: how well the detector finds any cannot be said, only how often it is wrong \
             about a normal one.",
            data.data_name
        ),
    });
    if let Metric::Known(Interval { value, low, high }) = data.figures.auroc {
        lines.push(format!(
            "Whatever the threshold, an anomalous image scores above a normal one in {:.0} of 100 pairs: AUROC {value:.3} \
             (95 % interval {low:.3} to {high:.3}); 50 would be chance.",
            value * 100.0
        ));
    }
    lines.extend(evaluation.volumes.as_ref().and_then(of_volumes));
    lines
}

/// How well anomalous volumes are separated from normal ones, each judged as a whole.
fn of_volumes(figures: &VolumeFigures) -> Option<String> {
    let (normals, anomalies) = figures.counts();
    let Metric::Known(auroc) = &figures.auroc else { return None };
    let flagged = match &figures.confusion {
        Metric::Known(confusion) => format!(
            "; {} of {anomalies} anomalous and {} of {normals} normal ones lie above the threshold of volumes",
            confusion.true_positives, confusion.false_positives
        ),
        Metric::Unavailable { .. } => String::new(),
    };
    Some(format!(
        "All of that counts single slices. Judged as a whole, volumes have an AUROC of {:.3} (95 % interval {:.3} to {:.3}){flagged}.",
        auroc.estimate, auroc.low, auroc.high
    ))
}

/// Whether some group has several images, so that a rate is not that of counts.
fn has_groups(size: PartSize) -> bool {
    size.groups < size.images
}

fn percent_interval(interval: &Interval) -> String {
    let Interval { value, low, high } = *interval;
    format!("{:.1} % (95 % interval {:.1} to {:.1} %)", value * 100.0, low * 100.0, high * 100.0)
}

fn size(size: PartSize) -> String {
    size_of(size, "normal image")
}

fn size_of(size: PartSize, what: &str) -> String {
    let plural = if size.images == 1 { "" } else { "s" };
    let groups = match size.groups {
        groups if groups == size.images => String::new(),
        1 => " in 1 group".to_owned(),
        groups => format!(" in {groups} groups"),
    };
    format!("{} {what}{plural}{groups}", size.images)
}
