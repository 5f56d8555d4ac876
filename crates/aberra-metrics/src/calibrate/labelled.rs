//! Thresholds chosen with labels, on request only: each is the largest score that the choice leaves normal.

use crate::ranking::{Sweep, WeightedConfusion};
use crate::{Error, Result};

/// Scores with their labels, both of the same length.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// One score per image.
    pub scores: &'a [f64],
    /// Whether the image is anomalous.
    pub anomalous: &'a [bool],
}

/// The threshold that maximises F1; of several, the highest.
///
/// # Errors
/// A data error where a class is missing, the lengths differ or a score is not finite.
pub fn best_f1(labelled: Labelled<'_>) -> Result<f64> {
    choose(labelled, |confusion| confusion.f1().unwrap_or(f64::NEG_INFINITY))
}

/// The threshold that maximises true-positive rate minus false-positive rate (Youden's J); of several, the highest.
///
/// # Errors
/// As [`best_f1`].
pub fn best_youden(labelled: Labelled<'_>) -> Result<f64> {
    choose(labelled, |confusion| {
        // As numbers of pairs of one normal and one anomalous image, which are whole, so that equals are equal.
        let hits = confusion.true_positives * confusion.normals();
        let alarms = confusion.false_positives * confusion.anomalies();
        hits - alarms
    })
}

/// The threshold that minimises the total cost of false alarms and misses; of several, the highest.
///
/// # Errors
/// As [`best_f1`].
pub fn best_cost(labelled: Labelled<'_>, false_alarm: f64, miss: f64) -> Result<f64> {
    choose(labelled, |confusion| {
        -(false_alarm * confusion.false_positives + miss * confusion.false_negatives)
    })
}

fn choose(labelled: Labelled<'_>, value: impl Fn(&WeightedConfusion) -> f64) -> Result<f64> {
    let sweep = Sweep::new(labelled.scores, labelled.anomalous, None).ok_or_else(|| {
        let anomalies = labelled.anomalous.iter().filter(|&&anomalous| anomalous).count();
        Error::data(format!(
            "expected labelled images of both classes with finite scores, found {} scores for {} normal and \
             {anomalies} anomalous images",
            labelled.scores.len(),
            labelled.anomalous.len() - anomalies,
        ))
        .with_hint("give normal and anomalous images, or ask for a false-alarm rate instead, which needs normals only")
    })?;
    let (threshold, _) = sweep.best(value);
    Ok(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::is_anomalous;

    const SCORES: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    const ANOMALOUS: [bool; 6] = [false, false, true, false, true, true];

    fn labelled() -> Labelled<'static> {
        Labelled { scores: &SCORES, anomalous: &ANOMALOUS }
    }

    #[test]
    fn the_threshold_is_the_largest_score_left_normal() -> Result<()> {
        // At 2: three hits, one false alarm, F1 = 6/7, J = 2/3. At 4: two hits, F1 = 4/5, J = 2/3; the higher wins.
        assert_eq!(best_f1(labelled())?, 2.0);
        assert_eq!(best_youden(labelled())?, 4.0);
        assert_eq!(best_cost(labelled(), 1.0, 10.0)?, 2.0);
        assert_eq!(best_cost(labelled(), 10.0, 1.0)?, 4.0);
        assert_eq!(best_cost(labelled(), 1.0, 0.0)?, 6.0);
        Ok(())
    }

    #[test]
    fn where_all_is_anomalous_the_threshold_lies_just_below_the_smallest_score() -> Result<()> {
        let given = Labelled { scores: &[5.0, 5.0, 5.0], anomalous: &[true, false, true] };
        let threshold = best_f1(given)?;
        assert_eq!(threshold, 5.0_f64.next_down());
        assert!(is_anomalous(5.0, threshold));
        Ok(())
    }

    #[test]
    fn one_class_is_not_enough() {
        let one_class = Labelled { scores: &[1.0, 2.0], anomalous: &[true, true] };
        assert!(best_f1(one_class).is_err_and(|error| error.is_data()));
        let not_a_number = Labelled { scores: &[1.0, f64::NAN], anomalous: &[true, false] };
        assert!(best_youden(not_a_number).is_err());
        let uneven = Labelled { scores: &[1.0], anomalous: &[true, false] };
        assert!(best_cost(uneven, 1.0, 1.0).is_err());
    }
}
