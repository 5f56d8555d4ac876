//! Thresholds with a coverage guarantee (the *promise*), from scores of normal images: the rule of the verdict, the
//! criteria that choose a threshold, and what each of them guarantees about false alarms.
//!
//! It does not score images and reads no files. Scores are never clamped or rescaled.

mod conformal;
mod labelled;
mod promise;
mod share;

use serde::{Deserialize, Serialize};

pub use conformal::{
    confident_threshold, conformal_threshold, groups_needed, p_value, pixel_threshold, smallest_rate,
};
pub use labelled::{Labelled, best_cost, best_f1, best_youden};
pub use promise::Promise;

pub use crate::verdict::is_anomalous;

use self::conformal::sorted;
use self::share::check_share;
use crate::percentile::percentile_of;
use crate::{Error, Result};

/// How a threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Criterion {
    /// Split conformal: a false-alarm rate from normals only, with a coverage guarantee.
    Conformal {
        /// The target false-alarm rate, between 0 and 1.
        rate: f64,
        /// `None`: the rate holds on average over calibrations. `Some(0.9)`: it holds for this calibration with
        /// 90 % confidence, which needs more groups.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
    },
    /// A percentile of the normals' scores, linearly interpolated (the classic choice is the 70th); without a
    /// guarantee.
    Percentile {
        /// From 0 to 100.
        percentile: f64,
    },
    /// The threshold that maximises F1 on labelled images.
    LabelledF1Max,
    /// The threshold that maximises Youden's J, true-positive rate minus false-positive rate, on labelled images.
    LabelledYouden,
    /// The threshold that minimises total cost on labelled images, in the proportion in which they are given.
    LabelledCost {
        /// Cost of one normal image called anomalous.
        false_alarm: f64,
        /// Cost of one anomalous image called normal.
        miss: f64,
    },
    /// A fixed threshold, without a guarantee.
    Fixed {
        /// In the units of the score.
        threshold: f64,
    },
}

impl Criterion {
    /// Split conformal at `rate` false alarms on average.
    pub fn at_rate(rate: f64) -> Self {
        Self::Conformal { rate, confidence: None }
    }

    /// Whether this criterion looks at anomalous images.
    pub fn needs_labels(&self) -> bool {
        matches!(self, Self::LabelledF1Max | Self::LabelledYouden | Self::LabelledCost { .. })
    }

    /// Rejects invalid numbers.
    ///
    /// # Errors
    /// A settings error that names the number, its range and what was found.
    pub fn check(&self) -> Result<()> {
        match *self {
            Self::Conformal { rate, confidence } => {
                check_share("false-alarm rate", rate)?;
                confidence.map_or(Ok(()), |confidence| check_share("confidence", confidence))
            }
            Self::Percentile { percentile } if !(0.0..=100.0).contains(&percentile) => {
                Err(Error::settings(format!("expected a percentile from 0 to 100, found {percentile}"))
                    .with_hint("the classic choice is 70"))
            }
            Self::LabelledCost { false_alarm, miss } => {
                let valid = |cost: f64| cost.is_finite() && cost >= 0.0;
                if valid(false_alarm) && valid(miss) && false_alarm + miss > 0.0 {
                    return Ok(());
                }
                Err(Error::settings(format!(
                    "expected costs that are finite, not negative and not both 0, \
                     found {false_alarm} for a false alarm and {miss} for a miss"
                )))
            }
            Self::Fixed { threshold } if !threshold.is_finite() => {
                Err(Error::settings(format!("expected a finite threshold, found {threshold}")))
            }
            _ => Ok(()),
        }
    }
}

/// The scores of the calibration split's normals, and the threshold drawn from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Scores of one normal image per group, ascending.
    pub scores: Vec<f64>,
    /// Scores above it are anomalous, see [`is_anomalous`].
    pub threshold: f64,
    /// How the threshold was chosen.
    pub criterion: Criterion,
    /// Its coverage guarantee, and the number of groups behind it.
    pub promise: Promise,
}

impl Calibration {
    /// Chooses a threshold by `criterion`.
    ///
    /// `normals` are the scores of one normal image per group of the calibration split, in any order. `labelled` is
    /// read by the labelled criteria only, and they alone need it.
    ///
    /// # Errors
    /// - settings: the criterion does not [check](Criterion::check), or needs labelled images that are not given;
    /// - data: no normals, a score that is not finite, or too few normals for the target rate. The message then
    ///   states the smallest rate that they support and how many groups the target rate needs.
    pub fn new(normals: &[f64], labelled: Option<Labelled<'_>>, criterion: Criterion) -> Result<Self> {
        criterion.check()?;
        let scores = sorted(normals)?;
        let (threshold, promise) = match criterion {
            Criterion::Conformal { rate, confidence: None } => {
                (conformal_threshold(&scores, rate)?, Promise::average(scores.len(), rate))
            }
            Criterion::Conformal { rate, confidence: Some(confidence) } => (
                confident_threshold(&scores, rate, confidence)?,
                Promise::confident(scores.len(), rate, confidence),
            ),
            Criterion::Percentile { percentile } => {
                (percentile_of(&scores, percentile), Promise::Percentile { percentile, groups: scores.len() })
            }
            Criterion::Fixed { threshold } => (threshold, Promise::Fixed),
            Criterion::LabelledF1Max => Self::from_labels(labelled, best_f1)?,
            Criterion::LabelledYouden => Self::from_labels(labelled, best_youden)?,
            Criterion::LabelledCost { false_alarm, miss } => {
                Self::from_labels(labelled, |given| best_cost(given, false_alarm, miss))?
            }
        };
        Ok(Self { scores, threshold, criterion, promise })
    }

    /// The same calibration scores with a threshold by another criterion.
    ///
    /// # Errors
    /// As [`Calibration::new`].
    pub fn with_criterion(&self, labelled: Option<Labelled<'_>>, criterion: Criterion) -> Result<Self> {
        Self::new(&self.scores, labelled, criterion)
    }

    /// Whether `score` is anomalous by this threshold.
    pub fn is_anomalous(&self, score: f64) -> bool {
        is_anomalous(score, self.threshold)
    }

    /// The conformal p-value of `score` among the calibration scores, see [`p_value`].
    pub fn p_value(&self, score: f64) -> Option<f64> {
        p_value(&self.scores, score)
    }

    /// Rejects a calibration, such as one read from a file, that does not follow from its own scores.
    ///
    /// # Errors
    /// A detector error that says what does not fit.
    pub fn verify(&self) -> Result<()> {
        let unfit = |what: String| {
            Error::detector(format!("the stored calibration does not verify: {what}"))
                .with_hint("calibrate the detector again")
        };
        if !self.scores.is_sorted() || sorted(&self.scores).is_err() {
            return Err(unfit("expected at least one score, all finite, in ascending order".into()));
        }
        if self.criterion.needs_labels() {
            let saw_labels = matches!(self.promise, Promise::Labelled { .. });
            return if self.threshold.is_finite() && saw_labels {
                Ok(())
            } else {
                Err(unfit("expected a finite threshold and the count of labelled images behind it".into()))
            };
        }
        let again = Self::new(&self.scores, None, self.criterion)
            .map_err(|error| unfit(format!("its criterion cannot be met ({error})")))?;
        // To the last bit where plain arithmetic made it; logarithms differ between platforms.
        if again.threshold != self.threshold || !again.promise.agrees_with(&self.promise) {
            return Err(unfit(format!(
                "expected the threshold {} from its scores and criterion, found {}, or another promise",
                again.threshold, self.threshold
            )));
        }
        Ok(())
    }

    fn from_labels(
        labelled: Option<Labelled<'_>>,
        choose: impl Fn(Labelled<'_>) -> Result<f64>,
    ) -> Result<(f64, Promise)> {
        let given = labelled.ok_or_else(|| {
            Error::settings("expected labelled images for a labelled criterion, found none").with_hint(
                "give a data set with normal and anomalous images, or ask for a false-alarm rate instead",
            )
        })?;
        let threshold = choose(given)?;
        let anomalies = given.anomalous.iter().filter(|&&anomalous| anomalous).count();
        Ok((threshold, Promise::Labelled { normals: given.anomalous.len() - anomalies, anomalies }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(count: usize) -> Vec<f64> {
        (1..=count).rev().map(|value| value as f64).collect()
    }

    #[test]
    fn conformal_calibration_keeps_its_scores_and_its_words() -> Result<()> {
        let calibration = Calibration::new(&ramp(59), None, Criterion::at_rate(0.05))?;
        assert_eq!(calibration.threshold, 57.0);
        assert!(calibration.scores.is_sorted());
        assert!(!calibration.is_anomalous(57.0) && calibration.is_anomalous(57.5));
        assert_eq!(calibration.p_value(57.5), Some(3.0 / 60.0));
        assert_eq!(
            calibration.promise.to_string(),
            "at most 5 % false alarms on average on exchangeable normal images, and at most 8.8 % with 90 % \
             confidence (59 calibration groups; smallest supportable rate 1.7 %)"
        );
        Ok(())
    }

    #[test]
    fn every_criterion_survives_json_and_verifies() -> Result<()> {
        let scores = [0.1, 0.9, 0.2, 0.8];
        let anomalous = [false, true, false, true];
        let labelled = Some(Labelled { scores: &scores, anomalous: &anomalous });
        for criterion in [
            Criterion::at_rate(0.05),
            Criterion::Conformal { rate: 0.1, confidence: Some(0.9) },
            Criterion::Percentile { percentile: 70.0 },
            Criterion::LabelledF1Max,
            Criterion::LabelledYouden,
            Criterion::LabelledCost { false_alarm: 1.0, miss: 10.0 },
            Criterion::Fixed { threshold: 0.1 + 0.2 },
        ] {
            let calibration = Calibration::new(&ramp(59), labelled, criterion)?;
            calibration.verify()?;
            assert_eq!(calibration.criterion.needs_labels(), calibration.promise.saw_labels());
            let text = serde_json::to_string(&calibration).unwrap();
            let back: Calibration = serde_json::from_str(&text).unwrap();
            assert_eq!(back, calibration, "{text}");
            let moved = calibration.with_criterion(None, Criterion::at_rate(0.1))?;
            assert_eq!(moved.threshold, 54.0);
        }
        Ok(())
    }

    #[test]
    fn a_forged_threshold_does_not_verify() -> Result<()> {
        let mut calibration = Calibration::new(&ramp(59), None, Criterion::at_rate(0.05))?;
        calibration.threshold = 30.0;
        assert!(calibration.verify().is_err_and(|error| error.is_detector()));
        calibration.threshold = 57.0;
        calibration.verify()?;
        let kept = calibration.promise;
        calibration.promise = Promise::confident(59, 0.05, 0.9);
        assert!(calibration.verify().is_err_and(|error| error.is_detector()));
        calibration.promise = Promise::average(58, 0.05);
        assert!(calibration.verify().is_err_and(|error| error.is_detector()));
        calibration.promise = kept;
        calibration.scores.swap(0, 1);
        assert!(calibration.verify().is_err_and(|error| error.is_detector()));
        Ok(())
    }

    #[test]
    fn nonsense_is_refused_with_what_was_found() {
        for criterion in [
            Criterion::at_rate(0.0),
            Criterion::at_rate(1.0),
            Criterion::at_rate(f64::NAN),
            Criterion::at_rate(-0.1),
            Criterion::Conformal { rate: 0.05, confidence: Some(1.0) },
            Criterion::Percentile { percentile: 100.5 },
            Criterion::Percentile { percentile: f64::NAN },
            Criterion::LabelledCost { false_alarm: 0.0, miss: 0.0 },
            Criterion::LabelledCost { false_alarm: f64::NAN, miss: 1.0 },
            Criterion::LabelledCost { false_alarm: -1.0, miss: 1.0 },
            Criterion::Fixed { threshold: f64::INFINITY },
            Criterion::LabelledF1Max,
        ] {
            let refused = Calibration::new(&ramp(100), None, criterion);
            assert!(refused.is_err_and(|error| error.is_settings()), "{criterion:?}");
        }
        let percent = Criterion::at_rate(5.0).check().unwrap_err();
        assert_eq!(percent.to_string(), "expected a false-alarm rate above 0 and below 1, found 5");
        assert_eq!(percent.hint(), Some("5 % is written 0.05"));
        for scores in [vec![], vec![1.0, f64::NAN], vec![f64::INFINITY]] {
            let refused = Calibration::new(&scores, None, Criterion::Fixed { threshold: 0.5 });
            assert!(refused.is_err_and(|error| error.is_data()));
        }
    }
}
