//! The coverage guarantee of a threshold (its *promise*), in numbers and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::conformal::{allowed_above, confident_rate, smallest_rate};
use super::share::Percent;

/// The confidence at which a promise on average also states its upper bound.
const STATED_CONFIDENCE: f64 = 0.9;

/// The coverage guarantee of a threshold, and the number of groups behind it. `Display` formats it as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Promise {
    /// The false-alarm rate on exchangeable normal images, on average over calibrations.
    Average {
        /// The requested rate, as a share.
        rate: f64,
        /// The rate to expect where no scores tie: at most `rate`, and above it minus 1/(groups + 1).
        expected_rate: f64,
        /// The rate that this calibration exceeds with a probability of at most 1 - `confidence`.
        confident_rate: f64,
        /// The confidence of `confident_rate`.
        confidence: f64,
        /// Groups calibrated on.
        groups: usize,
        /// The smallest rate that this many groups support.
        smallest_rate: f64,
    },
    /// The false-alarm rate on normal images drawn like the calibration's, for this very calibration.
    Confident {
        /// The requested rate, as a share.
        rate: f64,
        /// The probability that the rate holds.
        confidence: f64,
        /// Groups calibrated on.
        groups: usize,
        /// The smallest rate that this many groups support at this confidence.
        smallest_rate: f64,
    },
    /// None: a percentile of the calibration scores.
    Percentile {
        /// From 0 to 100.
        percentile: f64,
        /// Groups calibrated on.
        groups: usize,
    },
    /// None: the threshold saw labelled images.
    Labelled {
        /// Normal images that it saw.
        normals: usize,
        /// Anomalous images that it saw.
        anomalies: usize,
    },
    /// None: the threshold is a fixed value.
    Fixed,
}

impl Promise {
    /// The promise of [`conformal_threshold`](super::conformal_threshold).
    pub(super) fn average(groups: usize, rate: f64) -> Self {
        let above = allowed_above(groups, rate);
        Self::Average {
            rate,
            expected_rate: above as f64 / (groups + 1) as f64,
            confident_rate: confident_rate(groups, above, STATED_CONFIDENCE),
            confidence: STATED_CONFIDENCE,
            groups,
            smallest_rate: smallest_rate(groups, None),
        }
    }

    /// The promise of [`confident_threshold`](super::confident_threshold).
    pub(super) fn confident(groups: usize, rate: f64, confidence: f64) -> Self {
        Self::Confident { rate, confidence, groups, smallest_rate: smallest_rate(groups, Some(confidence)) }
    }

    /// Whether the other promise is this one, but for the last bits of its numbers.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let same_numbers =
            (self.numbers().iter().zip(other.numbers())).all(|(own, other)| (own - other).abs() <= 1e-9);
        std::mem::discriminant(self) == std::mem::discriminant(other) && same_numbers
    }

    fn numbers(&self) -> [f64; 6] {
        match *self {
            Self::Average { rate, expected_rate, confident_rate, confidence, groups, smallest_rate } => {
                [rate, expected_rate, confident_rate, confidence, groups as f64, smallest_rate]
            }
            Self::Confident { rate, confidence, groups, smallest_rate } => {
                [rate, confidence, groups as f64, smallest_rate, 0.0, 0.0]
            }
            Self::Percentile { percentile, groups } => [percentile, groups as f64, 0.0, 0.0, 0.0, 0.0],
            Self::Labelled { normals, anomalies } => [normals as f64, anomalies as f64, 0.0, 0.0, 0.0, 0.0],
            Self::Fixed => [0.0; 6],
        }
    }

    /// The promised false-alarm rate, if there is one.
    pub fn rate(&self) -> Option<f64> {
        match *self {
            Self::Average { rate, .. } | Self::Confident { rate, .. } => Some(rate),
            _ => None,
        }
    }

    /// As a sentence about volumes, one score of each of which was calibrated on.
    pub fn of_volumes(&self) -> String {
        Said { promise: self, cases: "volumes" }.to_string()
    }

    /// Whether the threshold saw anomalous images.
    pub fn saw_labels(&self) -> bool {
        matches!(self, Self::Labelled { .. })
    }
}

/// A promise about cases of one kind, as a sentence.
struct Said<'a> {
    promise: &'a Promise,
    /// What is judged: "images".
    cases: &'a str,
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases = self.cases;
        match *self.promise {
            Promise::Average { rate, confident_rate, confidence, groups, smallest_rate, .. } => write!(
                f,
                "at most {} false alarms on average on exchangeable normal {cases}, and at most {} with {} \
                 confidence ({groups} calibration groups; smallest supportable rate {})",
                Percent(rate),
                Percent(confident_rate),
                Percent(confidence),
                Percent(smallest_rate)
            ),
            Promise::Confident { rate, confidence, groups, smallest_rate } => write!(
                f,
                "at most {} false alarms with {} confidence on normal {cases} drawn like those of the calibration \
                 ({groups} calibration groups; smallest supportable rate {})",
                Percent(rate),
                Percent(confidence),
                Percent(smallest_rate)
            ),
            Promise::Percentile { percentile, groups } => write!(
                f,
                "no promise about false alarms: percentile {percentile} of the scores of {groups} calibration groups"
            ),
            Promise::Labelled { normals, anomalies } => write!(
                f,
                "no promise about false alarms: chosen with labels, on {normals} normal and {anomalies} anomalous {cases}"
            ),
            Promise::Fixed => f.write_str("no promise about false alarms: the threshold was given by hand"),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Said { promise: self, cases: "images" }.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_promise_is_said_plainly() {
        let labelled = Promise::Labelled { normals: 3, anomalies: 4 };
        assert!(labelled.to_string().ends_with("chosen with labels, on 3 normal and 4 anomalous images"));
        assert_eq!(labelled.rate(), None);
        let confident = Promise::confident(45, 0.05, 0.9);
        assert_eq!(
            confident.to_string(),
            "at most 5 % false alarms with 90 % confidence on normal images drawn like those of the calibration \
             (45 calibration groups; smallest supportable rate 5 %)"
        );
        assert_eq!(confident.of_volumes(), confident.to_string().replace("images", "volumes"));
    }
}
