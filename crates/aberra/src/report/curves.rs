//! ROC and precision-recall curves with pointwise bands, thinned to what a chart can show.

use crate::wire::{PlainRoc, PrecisionRecallData, RocData, short, shorts};
use aberra_metrics::bootstrap::{BootstrapSettings, GroupedLabels, bootstrap_band};
use aberra_metrics::ranking::{PrecisionRecallPoint, RocPoint, precision_recall_curve, roc_curve};

/// Most points of a curve.
const POINTS: usize = 201;

/// The ROC curve: at each false-positive rate the greatest true-positive rate. Empty where a class is missing.
pub(super) fn roc(scores: &[f64], labels: GroupedLabels<'_>, settings: BootstrapSettings) -> RocData {
    let Some(points) = roc_curve(scores, labels.anomalous, labels.weights) else { return RocData::default() };
    let rates = thinned(points.iter().map(|point| point.false_positive_rate));
    let at_rates = |scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>| {
        Some(greatest_tpr(&roc_curve(scores, anomalous, weights)?, &rates))
    };
    let band = bootstrap_band(scores, labels, settings, at_rates).unwrap_or_default();
    RocData {
        tpr: shorts(greatest_tpr(&points, &rates)),
        tpr_low: shorts(band.iter().map(|[low, _]| *low)),
        tpr_high: shorts(band.iter().map(|[_, high]| *high)),
        fpr: shorts(rates),
    }
}

/// The ROC curve without a band.
pub(super) fn plain_roc(scores: &[f64], labels: GroupedLabels<'_>) -> PlainRoc {
    let Some(points) = roc_curve(scores, labels.anomalous, labels.weights) else {
        return PlainRoc::default();
    };
    let rates = thinned(points.iter().map(|point| point.false_positive_rate));
    PlainRoc { tpr: shorts(greatest_tpr(&points, &rates)), fpr: shorts(rates) }
}

/// The precision-recall curve: at each recall the precision of the highest threshold that reaches it. Empty where a class
/// is missing.
pub(super) fn precision_recall(
    scores: &[f64],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
) -> PrecisionRecallData {
    let Some(points) = precision_recall_curve(scores, labels.anomalous, labels.weights) else {
        return PrecisionRecallData::default();
    };
    let recalls = thinned(points.iter().map(|point| point.recall));
    let at_recalls = |scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>| {
        Some(first_precision(&precision_recall_curve(scores, anomalous, weights)?, &recalls))
    };
    let band = bootstrap_band(scores, labels, settings, at_recalls).unwrap_or_default();
    PrecisionRecallData {
        precision: shorts(first_precision(&points, &recalls)),
        precision_low: shorts(band.iter().map(|[low, _]| *low)),
        precision_high: shorts(band.iter().map(|[_, high]| *high)),
        recall: shorts(recalls),
    }
}

/// The distinct values of a rising sequence, at most [`POINTS`], the first and the last among them.
fn thinned(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut distinct: Vec<f64> = values.collect();
    distinct.dedup();
    let count = distinct.len().min(POINTS);
    (0..count).map(|place| distinct[place * (distinct.len() - 1) / (count - 1).max(1)]).collect()
}

/// Rates are quotients of whole numbers with different denominators: equal ones may differ in the last bit.
const ROUNDING: f64 = 1e-12;

fn greatest_tpr(points: &[RocPoint], rates: &[f64]) -> Vec<f64> {
    let mut rest = points.iter().peekable();
    let mut reached = 0.0;
    let mut at = |rate: &f64| {
        while let Some(point) = rest.next_if(|point| point.false_positive_rate <= rate + ROUNDING) {
            reached = point.true_positive_rate;
        }
        reached
    };
    rates.iter().map(&mut at).collect()
}

fn first_precision(points: &[PrecisionRecallPoint], recalls: &[f64]) -> Vec<f64> {
    let mut rest = points.iter().peekable();
    let mut at = |recall: &f64| {
        while rest.next_if(|point| point.recall < recall - ROUNDING).is_some() {}
        rest.peek().map_or(f64::NAN, |point| point.precision)
    };
    recalls.iter().map(&mut at).map(|value| if value.is_nan() { 0.0 } else { short(value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f64; 8] = [0.1, 0.2, 0.3, 0.6, 0.4, 0.5, 0.8, 0.9];
    const ANOMALOUS: [bool; 8] = [false, false, false, false, true, true, true, true];

    fn labels() -> GroupedLabels<'static> {
        GroupedLabels { anomalous: &ANOMALOUS, groups: &[0, 1, 2, 3, 4, 5, 6, 7], weights: None }
    }

    #[test]
    fn the_curves_are_those_of_a_hand() {
        // Downwards: 0.9 and 0.8 are anomalous, 0.6 is normal, 0.5 and 0.4 are anomalous, the rest is normal.
        let found = roc(&SCORES, labels(), BootstrapSettings::default());
        assert_eq!((found.fpr, found.tpr), (vec![0.0, 0.25, 0.5, 0.75, 1.0], vec![0.5, 1.0, 1.0, 1.0, 1.0]));
        let found = precision_recall(&SCORES, labels(), BootstrapSettings::default());
        assert_eq!(found.recall, [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(found.precision, [1.0, 1.0, 0.75, 0.8]);
    }

    #[test]
    fn bands_hold_the_curve_and_are_as_long() {
        let found = roc(&SCORES, labels(), BootstrapSettings::default());
        assert_eq!([found.tpr.len(), found.tpr_low.len(), found.tpr_high.len()], [found.fpr.len(); 3]);
        let within = found.tpr_low.iter().zip(&found.tpr).zip(&found.tpr_high);
        assert!(within.clone().all(|((low, value), high)| low <= value && value <= high));
        assert!(within.clone().any(|((low, _), high)| low < high));
    }

    #[test]
    fn long_curves_are_thinned_with_both_ends() {
        let thin = thinned((0..5_000).map(|at| f64::from(at) / 4_999.0));
        assert_eq!((thin.len(), thin[0], thin[POINTS - 1]), (POINTS, 0.0, 1.0));
        assert_eq!(thinned([0.0, 0.0, 1.0].into_iter()), [0.0, 1.0]);
        assert_eq!(thinned([1.0].into_iter()), [1.0]);
    }

    #[test]
    fn without_a_class_there_is_no_curve() {
        let labels = GroupedLabels { anomalous: &[false, false], groups: &[0, 1], weights: None };
        assert_eq!(roc(&[1.0, 2.0], labels, BootstrapSettings::default()), RocData::default());
        assert!(precision_recall(&[1.0, 2.0], labels, BootstrapSettings::default()).recall.is_empty());
    }
}
