//! How well scores separate anomalous from normal images: ranking metrics, curves and the confusion matrix.
//!
//! Every function returns `None` if its number cannot be computed: a class is empty, the lengths differ, a score is
//! not finite, or a weight is not finite and above 0. It is never 0.0 instead.
//!
//! [Weights](crate::weights) say how much each image counts: every count of images becomes a sum of weights.

use serde::{Deserialize, Serialize};

pub use crate::confusion::{Confusion, WeightedConfusion};

use crate::weights::{ROUNDING, Weights};

/// Area under the ROC curve: the probability that an anomalous image scores above a normal one; ties count half.
pub fn auroc(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>) -> Option<f64> {
    let sweep = Sweep::new(scores, anomalous, weights)?;
    // Twice the pairs in the right order: without weights whole numbers, and exact.
    let (mut twice_won, mut hits, mut alarms) = (0.0, 0.0, 0.0);
    for step in &sweep.steps {
        let (new_hits, new_alarms) = (step.true_positives - hits, step.false_positives - alarms);
        twice_won += new_alarms * (2.0 * hits + new_hits);
        (hits, alarms) = (step.true_positives, step.false_positives);
    }
    Some(twice_won / 2.0 / (sweep.anomalies * sweep.normals))
}

/// Average precision: the sum over distinct scores of the precision times the gain in recall, without interpolation
/// (as scikit-learn). Its value for random scores is the share of anomalous images, so compare it on one test set only.
pub fn average_precision(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>) -> Option<f64> {
    let sweep = Sweep::new(scores, anomalous, weights)?;
    let (mut sum, mut hits) = (0.0, 0.0);
    for step in &sweep.steps {
        let precision = step.true_positives / (step.true_positives + step.false_positives);
        sum += precision * (step.true_positives - hits);
        hits = step.true_positives;
    }
    Some(sum / sweep.anomalies)
}

/// A point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// The largest score left normal; just below the smallest score where none is.
    pub threshold: f64,
    /// Share of the normal images called anomalous.
    pub false_positive_rate: f64,
    /// Share of the anomalous images called anomalous.
    pub true_positive_rate: f64,
}

/// The ROC curve, one point per distinct score, from (0, 0) to (1, 1).
pub fn roc_curve(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>) -> Option<Vec<RocPoint>> {
    let sweep = Sweep::new(scores, anomalous, weights)?;
    let point = |(threshold, confusion): (f64, WeightedConfusion)| RocPoint {
        threshold,
        false_positive_rate: confusion.false_positives / sweep.normals,
        true_positive_rate: confusion.true_positives / sweep.anomalies,
    };
    Some(sweep.confusions().map(point).collect())
}

/// A point of the precision-recall curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// The largest score left normal; just below the smallest score where none is.
    pub threshold: f64,
    /// Share of the images called anomalous that are.
    pub precision: f64,
    /// Share of the anomalous images called anomalous.
    pub recall: f64,
}

/// The precision-recall curve, one point per distinct score, by rising recall. There is no point where nothing is
/// called anomalous: the precision has no value there.
pub fn precision_recall_curve(
    scores: &[f64],
    anomalous: &[bool],
    weights: Option<&[f64]>,
) -> Option<Vec<PrecisionRecallPoint>> {
    let sweep = Sweep::new(scores, anomalous, weights)?;
    let point = |(threshold, confusion): (f64, WeightedConfusion)| {
        Some(PrecisionRecallPoint {
            threshold,
            precision: confusion.precision()?,
            recall: confusion.recall()?,
        })
    };
    Some(sweep.confusions().filter_map(point).collect())
}

/// The maximum F1 that any threshold reaches on the very images it is measured on: an oracle, never a result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OracleF1 {
    /// The maximum F1.
    pub f1: f64,
    /// The highest threshold that reaches it: the largest score left normal.
    pub threshold: f64,
}

/// The maximum F1 over all thresholds, chosen with the labels: label it "oracle" wherever it is shown.
pub fn f1_max(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>) -> Option<OracleF1> {
    let sweep = Sweep::new(scores, anomalous, weights)?;
    let (threshold, confusion) = sweep.best(|confusion| confusion.f1().unwrap_or(f64::NEG_INFINITY));
    Some(OracleF1 { f1: confusion.f1()?, threshold })
}

/// The greatest true-positive rate of a threshold with at most `max_fpr` false positives per normal image; no
/// interpolation between thresholds. `None` also for a rate that is not between 0 and 1.
pub fn tpr_at_fpr(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>, max_fpr: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&max_fpr) {
        return None;
    }
    let points = roc_curve(scores, anomalous, weights)?;
    let allowed = max_fpr * (1.0 + ROUNDING);
    points
        .iter()
        .rev()
        .find(|point| point.false_positive_rate <= allowed)
        .map(|point| point.true_positive_rate)
}

/// The smallest false-positive rate of a threshold that finds at least `min_tpr` of the anomalous images; no
/// interpolation. `None` also for a rate that is not between 0 and 1.
pub fn fpr_at_tpr(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>, min_tpr: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&min_tpr) {
        return None;
    }
    let points = roc_curve(scores, anomalous, weights)?;
    let enough = min_tpr * (1.0 - ROUNDING);
    points.iter().find(|point| point.true_positive_rate >= enough).map(|point| point.false_positive_rate)
}

/// All distinct thresholds in descending order, with the counts that each calls anomalous.
pub(crate) struct Sweep {
    normals: f64,
    anomalies: f64,
    steps: Vec<Step>,
}

/// The weight of what lies at or above one of the distinct scores.
struct Step {
    score: f64,
    true_positives: f64,
    false_positives: f64,
}

impl Sweep {
    /// `None` if a class is empty, the lengths differ, a score is not finite or weights do not fit.
    pub(crate) fn new(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>) -> Option<Self> {
        let weights = Weights::new(weights, scores.len()).ok()?;
        if scores.len() != anomalous.len() || scores.iter().any(|score| !score.is_finite()) {
            return None;
        }
        let mut falling: Vec<(f64, bool, f64)> = scores
            .iter()
            .zip(anomalous)
            .zip(weights.iter())
            .map(|((&score, &anomalous), weight)| (score, anomalous, weight))
            .collect();
        falling.sort_unstable_by(|first, second| second.0.total_cmp(&first.0));
        let (mut true_positives, mut false_positives) = (0.0, 0.0);
        let mut steps: Vec<Step> = Vec::with_capacity(falling.len());
        for (score, anomalous, weight) in falling {
            if anomalous {
                true_positives += weight;
            } else {
                false_positives += weight;
            }
            match steps.last_mut() {
                Some(last) if last.score == score => *last = Step { score, true_positives, false_positives },
                _ => steps.push(Step { score, true_positives, false_positives }),
            }
        }
        let (normals, anomalies) = (false_positives, true_positives);
        (normals > 0.0 && anomalies > 0.0).then_some(Self { normals, anomalies, steps })
    }

    /// Threshold and confusion matrix, from nothing called anomalous to everything.
    pub(crate) fn confusions(&self) -> impl Iterator<Item = (f64, WeightedConfusion)> + '_ {
        let just_below = self.steps.last().map(|step| step.score.next_down());
        let thresholds = self.steps.iter().map(|step| step.score).chain(just_below);
        let sums = self.steps.iter().map(|step| (step.true_positives, step.false_positives));
        thresholds.zip(std::iter::once((0.0, 0.0)).chain(sums)).map(|(threshold, (hits, alarms))| {
            let confusion = WeightedConfusion {
                true_positives: hits,
                false_positives: alarms,
                true_negatives: self.normals - alarms,
                false_negatives: self.anomalies - hits,
            };
            (threshold, confusion)
        })
    }

    /// The threshold of the greatest value and its confusion matrix; of several, the highest.
    pub(crate) fn best(&self, value: impl Fn(&WeightedConfusion) -> f64) -> (f64, WeightedConfusion) {
        let mut best = (f64::NAN, WeightedConfusion::default(), f64::NEG_INFINITY);
        for (threshold, confusion) in self.confusions() {
            let value = value(&confusion);
            if best.0.is_nan() || value > best.2 {
                best = (threshold, confusion, value);
            }
        }
        (best.0, best.1)
    }
}

/// The standardised mean shift of scores when an anomaly is drawn into a normal image: the mean of (score with - score
/// without), in standard deviations of the scores without (Glass's delta for paired images). `with` holds the same
/// number of scores for each of `without`, in its order.
///
/// Unlike AUROC it sees differences that are small beside those between images, as drawn anomalies are. `None` if there
/// are fewer than two images, lengths do not fit, the scores do not vary or are not finite.
pub fn standardized_rise(without: &[f64], with: &[f64]) -> Option<f64> {
    if without.len() < 2 || with.is_empty() || !with.len().is_multiple_of(without.len()) {
        return None;
    }
    let copies = with.len() / without.len();
    let mean = without.iter().sum::<f64>() / without.len() as f64;
    let variance =
        without.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (without.len() - 1) as f64;
    let rises = with.iter().enumerate().map(|(index, score)| score - without[index / copies]);
    let rise = rises.sum::<f64>() / with.len() as f64 / variance.sqrt();
    rise.is_finite().then_some(rise)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f64; 4] = [0.1, 0.4, 0.35, 0.8];
    const ANOMALOUS: [bool; 4] = [false, false, true, true];

    #[test]
    fn a_hand_computed_case() {
        assert_eq!(auroc(&SCORES, &ANOMALOUS, None), Some(0.75));
        assert!(
            (average_precision(&SCORES, &ANOMALOUS, None).unwrap() - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-15
        );
        assert_eq!(f1_max(&SCORES, &ANOMALOUS, None), Some(OracleF1 { f1: 0.8, threshold: 0.1 }));
        let roc = roc_curve(&SCORES, &ANOMALOUS, None).unwrap();
        let rates: Vec<_> =
            roc.iter().map(|point| (point.false_positive_rate, point.true_positive_rate)).collect();
        assert_eq!(rates, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!(tpr_at_fpr(&SCORES, &ANOMALOUS, None, 0.05), Some(0.5));
        assert_eq!(tpr_at_fpr(&SCORES, &ANOMALOUS, None, 0.5), Some(1.0));
        assert_eq!(fpr_at_tpr(&SCORES, &ANOMALOUS, None, 0.95), Some(0.5));
        assert_eq!(fpr_at_tpr(&SCORES, &ANOMALOUS, None, 0.5), Some(0.0));
    }

    #[test]
    fn every_point_of_a_curve_is_what_its_threshold_does() {
        let scores = [3.0, 1.0, 2.0, 2.0, 3.0, 0.0, -0.0, 5.0];
        let anomalous = [true, false, true, false, false, true, false, true];
        for point in roc_curve(&scores, &anomalous, None).unwrap() {
            let confusion = Confusion::at(&scores, &anomalous, point.threshold).unwrap();
            assert_eq!(confusion.recall(), Some(point.true_positive_rate), "{point:?}");
            assert_eq!(confusion.false_alarm_rate(), Some(point.false_positive_rate), "{point:?}");
        }
        for point in precision_recall_curve(&scores, &anomalous, None).unwrap() {
            let confusion = Confusion::at(&scores, &anomalous, point.threshold).unwrap();
            assert_eq!(
                (confusion.precision(), confusion.recall()),
                (Some(point.precision), Some(point.recall))
            );
        }
        let oracle = f1_max(&scores, &anomalous, None).unwrap();
        assert_eq!(Confusion::at(&scores, &anomalous, oracle.threshold).unwrap().f1(), Some(oracle.f1));
    }

    #[test]
    fn a_weight_is_so_many_images() {
        // 3.0 once and 1.0 twice against 2.0 three times and 1.0 once: 3 + 1 of 12 pairs, and 2 ties.
        let (scores, anomalous) = ([3.0, 1.0, 2.0, 1.0], [true, true, false, false]);
        let weights = Some(&[1.0, 2.0, 3.0, 1.0][..]);
        assert_eq!(auroc(&scores, &anomalous, weights), Some(5.0 / 12.0));
        let ap = average_precision(&scores, &anomalous, weights).unwrap();
        assert!((ap - (1.0 / 3.0 + 3.0 / 7.0 * 2.0 / 3.0)).abs() < 1e-15);
        assert_eq!(auroc(&scores, &anomalous, Some(&[1.0, 0.0, 1.0, 1.0])), None);
        assert_eq!(auroc(&scores, &anomalous, Some(&[1.0, f64::NAN, 1.0, 1.0])), None);
    }

    #[test]
    fn rounded_sums_of_weights_meet_their_rates() {
        // 20 groups of 3 normals each, one group above the anomaly: a rate of 3/3 of 60/3, whatever the rounding.
        let mut scores: Vec<f64> = (0..60).map(|index| if index < 3 { 2.0 } else { 0.0 }).collect();
        scores.push(1.0);
        let anomalous: Vec<bool> = (0..61).map(|index| index == 60).collect();
        for third in [1.0 / 3.0, 0.1, 0.7] {
            let weights: Vec<f64> = (0..61).map(|index| if index == 60 { 1.0 } else { third }).collect();
            assert_eq!(tpr_at_fpr(&scores, &anomalous, Some(&weights), 0.05), Some(1.0));
            assert_eq!(tpr_at_fpr(&scores, &anomalous, Some(&weights), 0.049), Some(0.0));
        }
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(
            auroc(&[1.0; 10], &[true, false, true, true, false, false, false, true, true, false], None),
            Some(0.5)
        );
        assert_eq!(auroc(&[0.0, -0.0], &[true, false], None), Some(0.5));
    }

    #[test]
    fn what_cannot_be_computed_is_none() {
        for (scores, anomalous) in [
            (vec![], vec![]),
            (vec![1.0, 2.0], vec![true, true]),
            (vec![1.0, 2.0], vec![false, false]),
            (vec![1.0, f64::NAN], vec![false, true]),
            (vec![1.0, f64::INFINITY], vec![false, true]),
            (vec![1.0], vec![false, true]),
        ] {
            assert_eq!(auroc(&scores, &anomalous, None), None);
            assert_eq!(average_precision(&scores, &anomalous, None), None);
            assert_eq!(f1_max(&scores, &anomalous, None), None);
            assert_eq!(roc_curve(&scores, &anomalous, None), None);
            assert_eq!(precision_recall_curve(&scores, &anomalous, None), None);
            assert_eq!(tpr_at_fpr(&scores, &anomalous, None, 0.05), None);
        }
        assert_eq!(tpr_at_fpr(&SCORES, &ANOMALOUS, None, f64::NAN), None);
        assert_eq!(fpr_at_tpr(&SCORES, &ANOMALOUS, None, 1.5), None);
    }

    #[test]
    fn the_rise_is_in_standard_deviations_and_paired() {
        // Scores 0 and 2 have standard deviation sqrt(2); each rises by 1 and 3, in its own two copies.
        let rise = standardized_rise(&[0.0, 2.0], &[1.0, 3.0, 3.0, 5.0]).unwrap();
        assert!((rise - 2.0 / 2.0_f64.sqrt()).abs() < 1e-12);
        for (without, with) in [(&[1.0][..], &[2.0][..]), (&[1.0, 1.0], &[2.0, 2.0]), (&[1.0, 2.0], &[2.0])] {
            assert_eq!(standardized_rise(without, with), None);
        }
    }
}
