//! The confusion matrix: how verdicts at a threshold meet the truth, in counts or in weights.

use serde::{Deserialize, Serialize};

use crate::verdict::is_anomalous;
use crate::weights::Weights;

/// The confusion matrix: counts of verdicts by truth. Anomalous is the positive class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Anomalous and called so.
    pub true_positives: u64,
    /// Normal and called anomalous: false alarms.
    pub false_positives: u64,
    /// Normal and called so.
    pub true_negatives: u64,
    /// Anomalous and called normal: misses.
    pub false_negatives: u64,
}

impl std::ops::AddAssign for Confusion {
    fn add_assign(&mut self, other: Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.true_negatives += other.true_negatives;
        self.false_negatives += other.false_negatives;
    }
}

impl Confusion {
    /// The verdicts of [`is_anomalous`] at `threshold`. `None` if the lengths differ or a number is not a number; an
    /// empty class is allowed, and the rates that need it are then `None`.
    pub fn at(scores: &[f64], anomalous: &[bool], threshold: f64) -> Option<Self> {
        let mut confusion = Self::default();
        for (called_anomalous, anomalous) in verdicts(scores, anomalous, threshold)? {
            confusion.count(called_anomalous, anomalous);
        }
        Some(confusion)
    }

    /// Counts one verdict.
    pub fn count(&mut self, called_anomalous: bool, anomalous: bool) {
        match (called_anomalous, anomalous) {
            (true, true) => self.true_positives += 1,
            (true, false) => self.false_positives += 1,
            (false, false) => self.true_negatives += 1,
            (false, true) => self.false_negatives += 1,
        }
    }

    /// Number of normal images.
    pub fn normals(&self) -> u64 {
        self.false_positives + self.true_negatives
    }

    /// Number of anomalous images.
    pub fn anomalies(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// See [`WeightedConfusion::precision`].
    pub fn precision(&self) -> Option<f64> {
        WeightedConfusion::from(*self).precision()
    }

    /// See [`WeightedConfusion::recall`].
    pub fn recall(&self) -> Option<f64> {
        WeightedConfusion::from(*self).recall()
    }

    /// See [`WeightedConfusion::specificity`].
    pub fn specificity(&self) -> Option<f64> {
        WeightedConfusion::from(*self).specificity()
    }

    /// See [`WeightedConfusion::false_alarm_rate`].
    pub fn false_alarm_rate(&self) -> Option<f64> {
        WeightedConfusion::from(*self).false_alarm_rate()
    }

    /// See [`WeightedConfusion::f1`].
    pub fn f1(&self) -> Option<f64> {
        WeightedConfusion::from(*self).f1()
    }

    /// See [`WeightedConfusion::balanced_accuracy`].
    pub fn balanced_accuracy(&self) -> Option<f64> {
        WeightedConfusion::from(*self).balanced_accuracy()
    }
}

/// The confusion matrix with a sum of weights in each cell in place of a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightedConfusion {
    /// Anomalous and called so.
    pub true_positives: f64,
    /// Normal and called anomalous: false alarms.
    pub false_positives: f64,
    /// Normal and called so.
    pub true_negatives: f64,
    /// Anomalous and called normal: misses.
    pub false_negatives: f64,
}

/// Each image with a weight of 1.
impl From<Confusion> for WeightedConfusion {
    fn from(counts: Confusion) -> Self {
        Self {
            true_positives: counts.true_positives as f64,
            false_positives: counts.false_positives as f64,
            true_negatives: counts.true_negatives as f64,
            false_negatives: counts.false_negatives as f64,
        }
    }
}

impl WeightedConfusion {
    /// As [`Confusion::at`]; `None` also for weights that do not fit.
    pub fn at(scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>, threshold: f64) -> Option<Self> {
        let weights = Weights::new(weights, scores.len()).ok()?;
        let mut confusion = Self::default();
        for (verdict, weight) in verdicts(scores, anomalous, threshold)?.zip(weights.iter()) {
            match verdict {
                (true, true) => confusion.true_positives += weight,
                (true, false) => confusion.false_positives += weight,
                (false, false) => confusion.true_negatives += weight,
                (false, true) => confusion.false_negatives += weight,
            }
        }
        Some(confusion)
    }

    /// Weight of the normal images.
    pub fn normals(&self) -> f64 {
        self.false_positives + self.true_negatives
    }

    /// Weight of the anomalous images.
    pub fn anomalies(&self) -> f64 {
        self.true_positives + self.false_negatives
    }

    /// Share of the images called anomalous that are; `None` if none is called so.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Share of the anomalous images called so (sensitivity); `None` without anomalous images.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.anomalies())
    }

    /// Share of the normal images called so; `None` without normal images.
    pub fn specificity(&self) -> Option<f64> {
        share(self.true_negatives, self.normals())
    }

    /// The realised false-alarm rate: share of the normal images called anomalous; `None` without normal images.
    pub fn false_alarm_rate(&self) -> Option<f64> {
        share(self.false_positives, self.normals())
    }

    /// Harmonic mean of precision and recall, of pixels also called Dice: 2 TP / (2 TP + FP + FN). `None` without
    /// anomalous images.
    pub fn f1(&self) -> Option<f64> {
        if self.anomalies() == 0.0 {
            return None;
        }
        let twice = 2.0 * self.true_positives;
        share(twice, twice + self.false_positives + self.false_negatives)
    }

    /// Mean of recall and specificity; `None` if a class is empty.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some((self.recall()? + self.specificity()?) / 2.0)
    }
}

/// Whether each image is called anomalous, and whether it is. `None` if the lengths differ or a number is not a number.
fn verdicts<'a>(
    scores: &'a [f64],
    anomalous: &'a [bool],
    threshold: f64,
) -> Option<impl Iterator<Item = (bool, bool)> + 'a> {
    if scores.len() != anomalous.len() || threshold.is_nan() || scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    Some(
        scores
            .iter()
            .zip(anomalous)
            .map(move |(&score, &anomalous)| (is_anomalous(score, threshold), anomalous)),
    )
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confusion_matrix_counts_a_tie_as_normal() {
        let confusion = Confusion::at(&[1.0, 2.0, 2.0, 3.0], &[false, false, true, true], 2.0).unwrap();
        let expected =
            Confusion { true_positives: 1, false_positives: 0, true_negatives: 2, false_negatives: 1 };
        assert_eq!(confusion, expected);
        assert_eq!(confusion.precision(), Some(1.0));
        assert_eq!(confusion.f1(), Some(2.0 / 3.0));
        assert_eq!(confusion.balanced_accuracy(), Some(0.75));
        let normals_only = Confusion::at(&[1.0, 2.0], &[false, false], 2.0).unwrap();
        assert_eq!(normals_only.false_alarm_rate(), Some(0.0));
        assert_eq!((normals_only.precision(), normals_only.recall(), normals_only.f1()), (None, None, None));
        let all_missed = Confusion::at(&[1.0, 2.0], &[false, true], 2.0).unwrap();
        assert_eq!((all_missed.precision(), all_missed.f1()), (None, Some(0.0)));
    }

    #[test]
    fn a_cell_holds_the_sum_of_its_weights() {
        let (scores, anomalous) = ([3.0, 1.0, 2.0, 1.0], [true, true, false, false]);
        let found = WeightedConfusion::at(&scores, &anomalous, Some(&[1.0, 2.0, 3.0, 0.5]), 1.0).unwrap();
        let expected = WeightedConfusion {
            true_positives: 1.0,
            false_positives: 3.0,
            true_negatives: 0.5,
            false_negatives: 2.0,
        };
        assert_eq!(found, expected);
        assert_eq!((found.normals(), found.anomalies()), (3.5, 3.0));
        let counts = Confusion::at(&scores, &anomalous, 1.0).unwrap();
        assert_eq!(WeightedConfusion::at(&scores, &anomalous, None, 1.0), Some(counts.into()));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(Confusion::at(&[f64::NAN], &[true], 0.0), None);
        assert_eq!(Confusion::at(&[1.0], &[true], f64::NAN), None);
        assert_eq!(Confusion::at(&[1.0], &[], 0.0), None);
        assert_eq!(WeightedConfusion::at(&[1.0], &[true], Some(&[]), 0.0), None);
        assert_eq!(WeightedConfusion::at(&[1.0], &[true], Some(&[-1.0]), 0.0), None);
    }
}
