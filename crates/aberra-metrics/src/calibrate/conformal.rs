//! Split conformal prediction: thresholds and p-values whose false-alarm rate holds for any distribution of scores.
//!
//! Sources: Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World* (2005); Vovk, *Conditional validity
//! of inductive conformal predictors* (2012) for the version with confidence.

use super::share::{Percent, check_share};
use crate::binomial::{beta_quantile, regularised_beta};
use crate::verdict::is_anomalous;
use crate::{Error, Result};

/// A rate such as 1 - 0.9 stands for 0.1: the relative tolerance within which a rate in binary counts as the decimal
/// one.
const RATE_SLACK: f64 = 1e-12;

/// Above so many groups, one more or less makes no difference.
const MOST_GROUPS: f64 = 1e9;

/// The threshold with at most `rate` false alarms on average: the ceil((n + 1)(1 - rate))-th smallest of the n
/// calibration scores.
///
/// `scores` are those of one normal image per group, in any order. For a new normal image exchangeable with them,
/// P(score > threshold) <= rate, and above rate - 1/(n + 1) where no scores tie.
///
/// # Errors
/// - settings: a rate that is not between 0 and 1;
/// - data: scores that are not finite, or fewer than [`groups_needed`].
pub fn conformal_threshold(scores: &[f64], rate: f64) -> Result<f64> {
    check_share("false-alarm rate", rate)?;
    let ascending = sorted(scores)?;
    match allowed_above(ascending.len(), rate) {
        0 => Err(too_few(ascending.len(), rate, None)),
        above => Ok(ascending[ascending.len() - above]),
    }
}

/// The threshold whose false-alarm rate is at most `rate` with a probability of at least `confidence` over the draw of
/// the calibration scores (independent, one normal image per group): the smallest order statistic that allows it.
///
/// The rate above the k-th smallest of n scores is at most Beta(n + 1 - k, k) distributed.
///
/// # Errors
/// As [`conformal_threshold`]; at 90 % confidence it takes 45 groups for 5 % and 230 for 1 %.
pub fn confident_threshold(scores: &[f64], rate: f64, confidence: f64) -> Result<f64> {
    check_share("false-alarm rate", rate)?;
    check_share("confidence", confidence)?;
    let ascending = sorted(scores)?;
    match allowed_above_confidently(ascending.len(), rate, confidence) {
        0 => Err(too_few(ascending.len(), rate, Some(confidence))),
        above => Ok(ascending[ascending.len() - above]),
    }
}

/// The conformal p-value (1 + #{calibration >= score}) / (n + 1): for a normal image it is at most p with a
/// probability of at most p. It is at most the rate of [`conformal_threshold`] exactly where the score is above it.
///
/// `None` without calibration scores or where any number is not a number.
pub fn p_value(calibration: &[f64], score: f64) -> Option<f64> {
    if calibration.is_empty() || score.is_nan() || calibration.iter().any(|value| value.is_nan()) {
        return None;
    }
    let below = calibration.iter().filter(|&&value| is_anomalous(score, value)).count();
    Some((1 + calibration.len() - below) as f64 / (calibration.len() + 1) as f64)
}

/// The pixel threshold, in the units of the error map: the conformal quantile of the maxima of the 5 x 5 median
/// filtered error maps of the calibration images, one per group.
///
/// On at most `rate` of the normal images, on average, does any pixel of the filtered map lie above it.
///
/// # Errors
/// As [`conformal_threshold`].
pub fn pixel_threshold(maxima: &[f64], rate: f64) -> Result<f64> {
    conformal_threshold(maxima, rate)
}

/// The smallest false-alarm rate that `groups` calibration groups support, on average or with a confidence.
pub fn smallest_rate(groups: usize, confidence: Option<f64>) -> f64 {
    match confidence {
        None => 1.0 / (groups + 1) as f64,
        // 1 - (1 - confidence)^(1 / groups)
        Some(confidence) => -((-confidence).ln_1p() / groups as f64).exp_m1(),
    }
}

/// The fewest calibration groups that support `rate`, on average or with a confidence.
///
/// # Errors
/// A settings error for a rate or confidence that is not between 0 and 1.
pub fn groups_needed(rate: f64, confidence: Option<f64>) -> Result<usize> {
    check_share("false-alarm rate", rate)?;
    let estimate = match confidence {
        None => 1.0 / rate - 1.0,
        Some(confidence) => {
            check_share("confidence", confidence)?;
            (-confidence).ln_1p() / (-rate).ln_1p()
        }
    };
    let enough = |groups: usize| match confidence {
        None => allowed_above(groups, rate) > 0,
        Some(confidence) => allowed_above_confidently(groups, rate, confidence) > 0,
    };
    if estimate > MOST_GROUPS {
        return Ok(estimate.ceil() as usize);
    }
    // The estimate is right up to rounding: settle it by the very rule that will be applied.
    let mut groups = (estimate.floor() as usize).max(1);
    while groups > 1 && enough(groups - 1) {
        groups -= 1;
    }
    while !enough(groups) {
        groups += 1;
    }
    Ok(groups)
}

/// How many of `groups` calibration scores may lie at or above the threshold: the largest m with
/// m / (groups + 1) <= rate. The threshold is the m-th largest score; 0 means that there is none.
pub(super) fn allowed_above(groups: usize, rate: f64) -> usize {
    let allowed = rate * (1.0 + RATE_SLACK);
    let holds = |above: usize| above as f64 / (groups + 1) as f64 <= allowed;
    let mut above = ((groups + 1) as f64 * rate).floor() as usize;
    while above > 0 && !holds(above) {
        above -= 1;
    }
    while above < groups && holds(above + 1) {
        above += 1;
    }
    above.min(groups)
}

/// The largest m such that P(Binomial(groups, rate) >= m) >= confidence.
fn allowed_above_confidently(groups: usize, rate: f64, confidence: f64) -> usize {
    let holds = |above: usize| {
        regularised_beta(rate, above as f64, (groups - above + 1) as f64) >= confidence * (1.0 - RATE_SLACK)
    };
    // It falls with m: halve the range in which the answer lies.
    let (mut holding, mut failing) = (0, groups + 1);
    while failing - holding > 1 {
        let middle = holding + (failing - holding) / 2;
        if holds(middle) {
            holding = middle;
        } else {
            failing = middle;
        }
    }
    holding
}

/// The rate that the m-th largest of `groups` scores exceeds with a probability of at most 1 - `confidence`.
pub(super) fn confident_rate(groups: usize, above: usize, confidence: f64) -> f64 {
    beta_quantile(confidence, above as f64, (groups + 1 - above) as f64)
}

/// Finite scores in ascending order, or a data error.
pub(super) fn sorted(scores: &[f64]) -> Result<Vec<f64>> {
    if scores.is_empty() {
        return Err(Error::data("expected scores of normal images to calibrate on, found none"));
    }
    if let Some((index, score)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        return Err(Error::data(format!("expected finite scores, found {score} at position {index}"))
            .with_hint("find the image behind it; training may have diverged"));
    }
    let mut scores = scores.to_vec();
    scores.sort_unstable_by(f64::total_cmp);
    Ok(scores)
}

fn too_few(groups: usize, rate: f64, confidence: Option<f64>) -> Error {
    let needed = groups_needed(rate, confidence).unwrap_or(usize::MAX);
    let promise = match confidence {
        None => format!("{} false alarms", Percent(rate)),
        Some(confidence) => format!("{} false alarms with {} confidence", Percent(rate), Percent(confidence)),
    };
    Error::data(format!(
        "expected at least {needed} calibration groups for {promise}, found {groups}; the smallest rate that they \
         support is {}",
        Percent(smallest_rate(groups, confidence))
    ))
    .with_hint("ask for a larger rate, or calibrate on normal images of more groups")
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Stream, generator};

    fn ramp(count: usize) -> Vec<f64> {
        (1..=count).map(|value| value as f64).collect()
    }

    #[test]
    fn the_order_statistic_is_the_exact_one() {
        assert_eq!(conformal_threshold(&ramp(59), 0.05).ok(), Some(57.0));
        assert_eq!(conformal_threshold(&ramp(19), 0.05).ok(), Some(19.0));
        assert_eq!(conformal_threshold(&ramp(99), 0.01).ok(), Some(99.0));
        assert_eq!(conformal_threshold(&ramp(9), 1.0 - 0.9).ok(), Some(9.0));
        // Every rate of whole ten-thousandths against integer arithmetic.
        for groups in (1..=400).chain([999, 4_999, 9_999, 99_999]) {
            for ten_thousandths in 1..10_000_u64 {
                let exact = (groups as u64 + 1) * ten_thousandths / 10_000;
                let rate = ten_thousandths as f64 / 10_000.0;
                assert_eq!(allowed_above(groups, rate) as u64, exact, "{groups} groups at {rate}");
                let complement = 1.0 - (10_000 - ten_thousandths) as f64 / 10_000.0;
                assert_eq!(
                    allowed_above(groups, complement) as u64,
                    exact,
                    "{groups} groups at {complement}"
                );
            }
        }
    }

    #[test]
    fn too_few_groups_are_told_how_many_they_need() {
        let error = conformal_threshold(&ramp(18), 0.05).unwrap_err();
        assert!(error.is_data());
        assert_eq!(
            error.to_string(),
            "expected at least 19 calibration groups for 5 % false alarms, found 18; the smallest rate that they \
             support is 5.3 %"
        );
        for (rate, groups) in [(0.05, 19), (0.01, 99), (0.1, 9), (0.5, 1), (0.3, 3), (0.001, 999)] {
            assert_eq!(groups_needed(rate, None).ok(), Some(groups), "{rate}");
            assert!(conformal_threshold(&ramp(groups), rate).is_ok());
            assert!(groups == 1 || conformal_threshold(&ramp(groups - 1), rate).is_err());
        }
        assert!(groups_needed(1e-300, None).is_ok_and(|groups| groups > 1 << 40));
        for rate in [0.0, 1.0, f64::NAN, -1.0, f64::INFINITY] {
            assert!(conformal_threshold(&ramp(99), rate).is_err_and(|error| error.is_settings()));
            assert!(groups_needed(rate, None).is_err());
        }
    }

    #[test]
    fn confidence_takes_45_groups_at_five_percent_and_230_at_one() {
        assert_eq!(groups_needed(0.05, Some(0.9)).ok(), Some(45));
        assert_eq!(groups_needed(0.01, Some(0.9)).ok(), Some(230));
        assert!(confident_threshold(&ramp(45), 0.05, 0.9).is_ok());
        let error = confident_threshold(&ramp(44), 0.05, 0.9).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected at least 45 calibration groups for 5 % false alarms with 90 % confidence, found 44; the \
             smallest rate that they support is 5.1 %"
        );
        assert_eq!(groups_needed(1e-6, Some(0.9)).ok(), Some(2_302_584));
        // P(Binomial(1, 0.5) >= 1) is exactly 0.5.
        assert_eq!(groups_needed(0.5, Some(0.5)).ok(), Some(1));
    }

    #[test]
    fn the_p_value_and_the_threshold_agree() -> Result<()> {
        let mut random = generator(3, Stream::Bootstrap, 0);
        for _ in 0..300 {
            let groups = random.random_range(19..120_u32) as usize;
            // Few levels, so that many scores tie.
            let scores: Vec<f64> = (0..groups).map(|_| f64::from(random.random_range(0..30_u32))).collect();
            let threshold = conformal_threshold(&scores, 0.05)?;
            for score in -1..31 {
                let p = p_value(&scores, f64::from(score)).unwrap();
                let anomalous = is_anomalous(f64::from(score), threshold);
                assert_eq!(anomalous, p <= 0.05 * (1.0 + RATE_SLACK), "{p}");
            }
        }
        assert_eq!(p_value(&[1.0, 2.0, 3.0], 2.0), Some(0.75));
        assert_eq!(p_value(&[1.0, 2.0, 3.0], 9.0), Some(0.25));
        assert_eq!(p_value(&[1.0, 2.0, 3.0], 0.0), Some(1.0));
        assert_eq!(p_value(&[], 0.0), None);
        assert_eq!(p_value(&[1.0], f64::NAN), None);
        Ok(())
    }

    /// Uniform scores: the share of normals above a threshold t is 1 - t.
    fn realised_rates(groups: usize, choose: impl Fn(&[f64]) -> Result<f64>) -> Result<Vec<f64>> {
        (0..20_000)
            .map(|repeat| {
                let mut random = generator(11, Stream::Bootstrap, repeat);
                let scores: Vec<f64> = (0..groups).map(|_| random.random()).collect();
                Ok(1.0 - choose(&scores)?)
            })
            .collect()
    }

    #[test]
    fn the_promise_on_average_is_kept_and_not_wasted() -> Result<()> {
        // 20,000 repeats: the mean is known to about 0.0002 at 59 groups.
        for (groups, rate) in [(59, 0.05), (30, 0.05), (25, 0.1), (99, 0.02)] {
            let rates = realised_rates(groups, |scores| conformal_threshold(scores, rate))?;
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            assert!(mean <= rate + 0.001, "{groups} groups at {rate}: {mean}");
            assert!(mean > rate - 1.0 / (groups + 1) as f64 - 0.001, "{groups} groups at {rate}: {mean}");
            let expected = allowed_above(groups, rate) as f64 / (groups + 1) as f64;
            assert!((mean - expected).abs() < 0.001, "{mean} {expected}");
            let bound = confident_rate(groups, allowed_above(groups, rate), 0.9);
            let kept =
                rates.iter().filter(|&&realised| realised <= bound).count() as f64 / rates.len() as f64;
            assert!((kept - 0.9).abs() < 0.01, "{groups} groups: within {bound} in {kept}");
        }
        Ok(())
    }

    #[test]
    fn the_promise_with_confidence_is_kept_and_not_wasted() -> Result<()> {
        for (groups, rate, confidence) in [(45, 0.05, 0.9), (100, 0.05, 0.9), (80, 0.1, 0.95)] {
            let rates = realised_rates(groups, |scores| confident_threshold(scores, rate, confidence))?;
            let kept = rates.iter().filter(|&&realised| realised <= rate).count() as f64 / rates.len() as f64;
            assert!(kept >= confidence - 0.007, "{groups} groups at {rate}: {kept}");
            // The next lower order statistic would break the guarantee.
            let above = allowed_above_confidently(groups, rate, confidence);
            let next =
                realised_rates(groups, |scores| sorted(scores).map(|scores| scores[groups - above - 1]))?;
            let kept = next.iter().filter(|&&realised| realised <= rate).count() as f64 / next.len() as f64;
            assert!(kept < confidence + 0.007, "{groups} groups at {rate}: {kept}");
        }
        Ok(())
    }
}
