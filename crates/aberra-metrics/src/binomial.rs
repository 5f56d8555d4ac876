//! Counts of successes: the regularised incomplete beta function and exact intervals for a rate.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// An exact interval for a rate that was measured by counting.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateInterval {
    /// The measured rate.
    pub rate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The share of such intervals that hold the true rate, at least.
    pub confidence: f64,
}

/// The exact interval of Clopper and Pearson (1934) for `successes` in `trials`, such as false alarms among normal
/// images, one per group. `None` without trials, with more successes than trials, or for a confidence that is not
/// between 0 and 1.
pub fn clopper_pearson(successes: u64, trials: u64, confidence: f64) -> Option<RateInterval> {
    if trials == 0 || successes > trials || !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    let (hits, misses) = (successes as f64, (trials - successes) as f64);
    Some(exact(hits / trials as f64, hits, misses, confidence))
}

/// The interval of Clopper and Pearson for a weighted rate among observations that come in groups, such as the anomalies found
/// among images of which some are near-duplicates: with as many independent observations as the variance between groups
/// leaves (Korn and Graubard, 1998), at most as many as there are, and with one a group where all are alike. One group, one
/// outcome and one weight above 0 for each observation.
///
/// `None` without observations, for lengths that differ, a weight that is not above 0, or a confidence that is not between 0
/// and 1.
pub fn grouped_rate(groups: &[u64], hits: &[bool], weights: &[f64], confidence: f64) -> Option<RateInterval> {
    let is_complete = groups.len() == hits.len() && groups.len() == weights.len() && !groups.is_empty();
    let are_weights = weights.iter().all(|weight| *weight > 0.0 && weight.is_finite());
    if !(is_complete && are_weights && confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    // By group: its weight, and that of its hits.
    let mut by_group: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for ((group, &hit), &weight) in groups.iter().zip(hits).zip(weights) {
        let own = by_group.entry(*group).or_default();
        own.0 += weight;
        own.1 += if hit { weight } else { 0.0 };
    }
    let count = by_group.len() as f64;
    if hits.iter().all(|&hit| hit == hits[0]) {
        let all = if hits[0] { count } else { 0.0 };
        return Some(exact(all / count, all, count - all, confidence));
    }
    let all: f64 = by_group.values().map(|(weight, _)| weight).sum();
    let rate = by_group.values().map(|(_, hit)| hit).sum::<f64>() / all;
    let observations = match by_group.len() {
        1 => 1.0,
        _ => {
            let squares: f64 = by_group.values().map(|(weight, hit)| (hit - rate * weight).powi(2)).sum();
            let variance = squares / all.powi(2) * count / (count - 1.0);
            (rate * (1.0 - rate) / variance).min(groups.len() as f64)
        }
    };
    Some(exact(rate, rate * observations, (1.0 - rate) * observations, confidence))
}

/// The exact interval around `rate` by counts that need not be whole.
fn exact(rate: f64, hits: f64, misses: f64, confidence: f64) -> RateInterval {
    let tail = (1.0 - confidence) / 2.0;
    let low = if hits == 0.0 { 0.0 } else { beta_quantile(tail, hits, misses + 1.0) };
    // The upper end by symmetry, so that its tail keeps its precision.
    let high = if misses == 0.0 { 1.0 } else { 1.0 - beta_quantile(tail, misses, hits + 1.0) };
    RateInterval { rate, low, high, confidence }
}

/// The regularised incomplete beta function: P(Beta(a, b) <= x), with a and b above 0. By continued fraction
/// (Abramowitz and Stegun 26.5.8, evaluated by the modified method of Lentz).
pub(crate) fn regularised_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if a == 1.0 {
        return -(b * (-x).ln_1p()).exp_m1();
    }
    if b == 1.0 {
        return x.powf(a);
    }
    let log_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    // The fraction converges fast on this side of the mean, and by symmetry on the other.
    if x < (a + 1.0) / (a + b + 2.0) {
        log_front.exp() * continued_fraction(x, a, b) / a
    } else {
        1.0 - log_front.exp() * continued_fraction(1.0 - x, b, a) / b
    }
}

/// The x at which [`regularised_beta`] reaches `probability`, by bisection to the last bit.
pub(crate) fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // Halving reaches neighbouring numbers; the bound covers quantiles down to 2^-1074.
    for _ in 0..1_200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if regularised_beta(middle, a, b) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const MOST_TERMS: u32 = 100_000;
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut ratio = 1.0;
    let mut inverse = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = inverse;
    for term in 1..MOST_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            inverse = 1.0 / away_from_zero(1.0 + coefficient * inverse);
            ratio = away_from_zero(1.0 + coefficient / ratio);
            change = inverse * ratio;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for x above 0 (Lanczos' approximation, g = 7, nine terms).
fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum = COEFFICIENTS.iter().enumerate().fold(0.999_999_999_999_809_9, |sum, (index, coefficient)| {
        sum + coefficient / (x + index as f64 + 1.0)
    });
    let shifted = x + 7.5;
    0.5 * (2.0 * PI).ln() + (x + 0.5) * shifted.ln() - shifted + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beta_function_has_its_closed_forms() {
        for x in [0.001, 0.05, 0.3, 0.5, 0.9, 0.999] {
            assert!((regularised_beta(x, 1.0, 1.0) - x).abs() < 1e-14);
            // P(Binomial(n, x) >= 1) = 1 - (1 - x)^n
            let at_least_one = 1.0 - (1.0_f64 - x).powi(45);
            assert!((regularised_beta(x, 1.0, 45.0) - at_least_one).abs() < 1e-13);
            assert!(
                (regularised_beta(x, 7.0, 3.5) + regularised_beta(1.0 - x, 3.5, 7.0) - 1.0).abs() < 1e-13
            );
        }
    }

    #[test]
    fn binomial_tails_agree_with_their_sums() {
        for (trials, rate) in [(10_u32, 0.3), (59, 0.05), (200, 0.5)] {
            let mut tail = 0.0;
            for least in (1..=trials).rev() {
                let combinations = (0..least)
                    .fold(1.0, |product, step| product * f64::from(trials - step) / f64::from(step + 1));
                tail +=
                    combinations * f64::powi(rate, least as i32) * (1.0 - rate).powi((trials - least) as i32);
                let beta = regularised_beta(rate, f64::from(least), f64::from(trials - least + 1));
                assert!((beta - tail).abs() < 1e-12, "{trials} {rate} {least}: {beta} {tail}");
            }
        }
    }

    #[test]
    fn quantiles_invert() {
        for (a, b) in [(1.0, 59.0), (3.0, 57.0), (57.0, 3.0), (1_000.0, 99_000.0)] {
            for probability in [0.025, 0.5, 0.9] {
                let x = beta_quantile(probability, a, b);
                assert!((regularised_beta(x, a, b) - probability).abs() < 1e-9, "{a} {b} {probability}");
            }
        }
    }

    #[test]
    fn intervals_at_the_ends_are_the_known_ones() {
        // The rule of three, exactly: 1 - 0.025^(1/n).
        let none = clopper_pearson(0, 59, 0.95).unwrap();
        assert_eq!((none.rate, none.low), (0.0, 0.0));
        assert!((none.high - (1.0 - 0.025_f64.powf(1.0 / 59.0))).abs() < 1e-12);
        assert_eq!(clopper_pearson(59, 59, 0.95).unwrap().high, 1.0);
        assert_eq!(clopper_pearson(0, 0, 0.95), None);
        assert_eq!(clopper_pearson(2, 1, 0.95), None);
        assert_eq!(clopper_pearson(1, 2, 1.0), None);
        assert_eq!(clopper_pearson(1, 2, f64::NAN), None);
    }

    #[test]
    fn a_rate_over_groups_is_that_of_counts_where_each_is_one_and_never_without_width() {
        let (each, ones) = ((0..20).collect::<Vec<u64>>(), [1.0; 20]);
        let hits = |count: usize| (0..20).map(|index| index < count).collect::<Vec<bool>>();
        for count in [0, 20] {
            let found = grouped_rate(&each, &hits(count), &ones, 0.95);
            assert_eq!(found, clopper_pearson(count as u64, 20, 0.95));
        }
        // The variance is estimated: a little fewer observations than there are.
        let (found, counted) =
            (grouped_rate(&each, &hits(7), &ones, 0.95).unwrap(), clopper_pearson(7, 20, 0.95).unwrap());
        assert!(found.low < counted.low && found.high > counted.high && found.rate == counted.rate);
        // Copies that agree count once.
        let pairs: Vec<u64> = (0..20).map(|index| index / 2).collect();
        assert_eq!(grouped_rate(&pairs, &hits(0), &ones, 0.95), clopper_pearson(0, 10, 0.95));
        assert!(grouped_rate(&pairs, &hits(8), &ones, 0.95).unwrap().high > found.high);
        let one = grouped_rate(&[3; 20], &hits(7), &ones, 0.95).unwrap();
        assert!(one.low < 0.02 && one.high > 0.98, "{one:?}");
        assert_eq!(grouped_rate(&[], &[], &[], 0.95), None);
        assert_eq!(grouped_rate(&[1], &[true], &[0.0], 0.95), None);
        assert_eq!(grouped_rate(&[1], &[true], &[1.0, 1.0], 0.95), None);
    }
}
