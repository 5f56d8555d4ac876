//! Robust linear regression: a few odd images among the normals must not bend the line.
//!
//! Huber's M-estimator (*Robust Estimation of a Location Parameter*, 1964) by iteratively reweighted least squares, with
//! the scale re-estimated from the median absolute residual in every iteration. Deterministic.

use serde::{Deserialize, Serialize};

use crate::covariance::Cholesky;
use crate::weights::Weights;
use crate::{Error, Result};

/// Huber's constant: 95 % efficient where the residuals are normally distributed.
pub const HUBER_CONSTANT: f64 = 1.345;

/// Median absolute deviation of the standard normal distribution.
const NORMAL_MAD: f64 = 0.674_489_750_196_081_7;

const MOST_ITERATIONS: u32 = 200;

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HuberSettings {
    /// Residuals beyond this many scales lose weight.
    pub constant: f64,
    /// Penalty on the squared coefficients of the standardised features, as a share of their total weight; keeps
    /// collinear features apart. The intercept is free.
    pub ridge: f64,
}

impl Default for HuberSettings {
    fn default() -> Self {
        Self { constant: HUBER_CONSTANT, ridge: 1e-6 }
    }
}

/// A fitted line: target = intercept + sum of coefficient x feature, in the features' own units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinearFit {
    /// The prediction where all features are 0.
    pub intercept: f64,
    /// One coefficient per feature.
    pub coefficients: Vec<f64>,
    /// Robust scale of the residuals: their median absolute value, in standard deviations of a normal distribution.
    pub scale: f64,
    /// Reweighted least-squares fits made.
    pub iterations: u32,
    /// Whether the coefficients came to rest.
    pub converged: bool,
}

impl LinearFit {
    /// The prediction for one image. `None` if the number of features is another than in the fit.
    pub fn predict(&self, features: &[f64]) -> Option<f64> {
        (features.len() == self.coefficients.len())
            .then(|| self.intercept + self.coefficients.iter().zip(features).map(|(c, x)| c * x).sum::<f64>())
    }
}

/// Fits `targets` (one per image) on `features` (row-major, `[images, feature_count]`), each image with its weight.
///
/// A feature that does not vary gets the coefficient 0. Without features the fit is a robust mean. The scale is the
/// weighted median of the absolute residuals, so that whole weights are images repeated as often.
///
/// # Errors
/// - settings: a constant that is not above 0, or a ridge that is negative or not finite;
/// - data: lengths or [weights](crate::weights) that do not fit, numbers that are not finite, or no more images than
///   features.
pub fn huber_regression(
    features: &[f64],
    feature_count: usize,
    targets: &[f64],
    weights: Option<&[f64]>,
    settings: HuberSettings,
) -> Result<LinearFit> {
    check(features, feature_count, targets, settings)?;
    let given = Weights::new(weights, targets.len())?;
    let standard = Standardised::new(features, feature_count, given);
    let mut weights: Vec<f64> = given.iter().collect();
    let mut line = standard.weighted_fit(targets, &weights, settings.ridge)?;
    let (mut iterations, mut converged) = (0, false);
    let (center, spread) = given.mean_and_deviation(targets);
    let size = center.abs() + spread;
    // Where most points lie on the line exactly, residuals are rounding: treat those as such.
    let least_scale = f64::EPSILON * size;
    while iterations < MOST_ITERATIONS && !converged {
        let residuals = standard.residuals(targets, &line);
        let scale = scale_of(&residuals, given).max(least_scale);
        if scale == 0.0 {
            converged = true;
            break;
        }
        for ((weight, residual), given) in weights.iter_mut().zip(&residuals).zip(given.iter()) {
            let distance = residual.abs() / scale;
            *weight = given * if distance <= settings.constant { 1.0 } else { settings.constant / distance };
        }
        let next = standard.weighted_fit(targets, &weights, settings.ridge)?;
        let change = next.iter().zip(&line).map(|(new, old)| (new - old).abs()).fold(0.0, f64::max);
        converged = change <= 1e-12 * size;
        line = next;
        iterations += 1;
    }
    let scale = scale_of(&standard.residuals(targets, &line), given);
    let coefficients: Vec<f64> =
        line[1..].iter().zip(&standard.spreads).map(|(c, spread)| c / spread).collect();
    let shift: f64 = coefficients.iter().zip(&standard.centers).map(|(c, center)| c * center).sum();
    Ok(LinearFit { intercept: line[0] - shift, coefficients, scale, iterations, converged })
}

fn check(features: &[f64], feature_count: usize, targets: &[f64], settings: HuberSettings) -> Result<()> {
    if !(settings.constant > 0.0 && settings.ridge >= 0.0 && settings.ridge.is_finite()) {
        return Err(Error::settings(format!(
            "expected a Huber constant above 0 and a finite ridge of at least 0, found {} and {}",
            settings.constant, settings.ridge
        )));
    }
    if targets.len().checked_mul(feature_count) != Some(features.len()) {
        return Err(Error::data(format!(
            "expected {feature_count} features for each of {} images, found {} numbers",
            targets.len(),
            features.len()
        )));
    }
    if targets.len() <= feature_count {
        return Err(Error::data(format!(
            "expected more images than the {feature_count} features to fit a line on, found {}",
            targets.len()
        ))
        .with_hint("give the fit split more images"));
    }
    if features.iter().chain(targets).any(|value| !value.is_finite()) {
        return Err(Error::data("expected finite numbers to fit a line on, found one that is not")
            .with_hint("a logarithm of 0 (a constant image) is the usual cause"));
    }
    Ok(())
}

/// Features with mean 0 and standard deviation 1, and what they were before.
struct Standardised {
    rows: Vec<f64>,
    centers: Vec<f64>,
    spreads: Vec<f64>,
}

impl Standardised {
    fn new(features: &[f64], feature_count: usize, weights: Weights<'_>) -> Self {
        let (mut centers, mut spreads) = (vec![], vec![]);
        for feature in 0..feature_count {
            let column: Vec<f64> = features.iter().skip(feature).step_by(feature_count).copied().collect();
            let (center, spread) = weights.mean_and_deviation(&column);
            centers.push(center);
            // Rounding is not variation.
            spreads.push(if spread > 1e-13 * center.abs() { spread } else { f64::INFINITY });
        }
        let rows = (features.iter().enumerate())
            .map(|(index, value)| (value - centers[index % feature_count]) / spreads[index % feature_count])
            .collect();
        Self { rows, centers, spreads }
    }

    fn row(&self, image: usize) -> &[f64] {
        &self.rows[image * self.centers.len()..][..self.centers.len()]
    }

    /// Intercept and coefficients of the weighted least-squares line, by its normal equations.
    fn weighted_fit(&self, targets: &[f64], weights: &[f64], ridge: f64) -> Result<Vec<f64>> {
        let unknowns = self.centers.len() + 1;
        let mut matrix = vec![0.0; unknowns * unknowns];
        let mut right = vec![0.0; unknowns];
        let mut total = 0.0;
        for (image, (&target, &weight)) in targets.iter().zip(weights).enumerate() {
            let row = self.row(image);
            let at = |index: usize| if index == 0 { 1.0 } else { row[index - 1] };
            for first in 0..unknowns {
                right[first] += weight * at(first) * target;
                for second in 0..=first {
                    matrix[first * unknowns + second] += weight * at(first) * at(second);
                }
            }
            total += weight;
        }
        for feature in 1..unknowns {
            let diagonal = &mut matrix[feature * unknowns + feature];
            // A feature without variation has an empty row: any positive diagonal gives the coefficient 0.
            *diagonal += if self.spreads[feature - 1].is_finite() { ridge * total } else { total };
        }
        let factor = Cholesky::new(&matrix, unknowns).ok_or_else(|| {
            Error::data("expected features that are not multiples of each other, found some that are")
                .with_hint("set a ridge above 0")
        })?;
        Ok(factor.solve(&right))
    }

    fn residuals(&self, targets: &[f64], line: &[f64]) -> Vec<f64> {
        let predict =
            |image| line[0] + self.row(image).iter().zip(&line[1..]).map(|(x, c)| x * c).sum::<f64>();
        targets.iter().enumerate().map(|(image, target)| target - predict(image)).collect()
    }
}

/// The weighted median of the absolute residuals in units of a normal distribution's standard deviation.
fn scale_of(residuals: &[f64], weights: Weights<'_>) -> f64 {
    let sizes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    weights.median(&sizes) / NORMAL_MAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(features: &[f64], feature_count: usize, targets: &[f64]) -> LinearFit {
        huber_regression(
            features,
            feature_count,
            targets,
            None,
            HuberSettings { ridge: 0.0, ..Default::default() },
        )
        .unwrap()
    }

    #[test]
    fn an_exact_line_is_found_despite_outliers() {
        let features: Vec<f64> = (0..20).flat_map(|x| [f64::from(x), f64::from(x * x % 7)]).collect();
        let mut targets: Vec<f64> = features.chunks(2).map(|x| 3.0 + 2.0 * x[0] - 5.0 * x[1]).collect();
        targets[4] += 1_000.0;
        targets[11] -= 50.0;
        let line = fit(&features, 2, &targets);
        assert!(line.converged, "{line:?}");
        for (found, expected) in
            [(line.intercept, 3.0), (line.coefficients[0], 2.0), (line.coefficients[1], -5.0)]
        {
            assert!((found - expected).abs() < 1e-6, "{line:?}");
        }
        assert!((line.predict(&[1.0, 1.0]).unwrap() - 0.0).abs() < 1e-6);
        assert_eq!(line.predict(&[1.0]), None);
    }

    #[test]
    fn a_feature_without_variation_counts_for_nothing() {
        let features: Vec<f64> = (0..10).flat_map(|x| [0.1, f64::from(x)]).collect();
        let targets: Vec<f64> = (0..10).map(|x| f64::from(x % 3)).collect();
        let with = fit(&features, 2, &targets);
        let without = fit(&(0..10).map(f64::from).collect::<Vec<_>>(), 1, &targets);
        assert_eq!(with.coefficients[0], 0.0);
        assert!((with.coefficients[1] - without.coefficients[0]).abs() < 1e-9);
        assert!((with.intercept - without.intercept).abs() < 1e-9);
    }

    #[test]
    fn without_features_it_is_a_robust_mean() {
        let line = fit(&[], 0, &[1.0, 2.0, 3.0, 4.0, 1_000.0]);
        assert!(line.intercept > 2.0 && line.intercept < 4.5, "{line:?}");
        assert_eq!(fit(&[], 0, &[2.0; 5]).intercept, 2.0);
    }

    #[test]
    fn the_ridge_keeps_equal_features_apart() {
        let features: Vec<f64> = (0..10).flat_map(|x| [f64::from(x), f64::from(x)]).collect();
        let targets: Vec<f64> = (0..10).map(|x| f64::from(4 * x)).collect();
        let exact = HuberSettings { ridge: 0.0, ..Default::default() };
        assert!(huber_regression(&features, 2, &targets, None, exact).is_err_and(|error| error.is_data()));
        let line = huber_regression(&features, 2, &targets, None, HuberSettings::default()).unwrap();
        assert!(
            (line.coefficients[0] - 2.0).abs() < 1e-3 && (line.coefficients[1] - 2.0).abs() < 1e-3,
            "{line:?}"
        );
    }

    #[test]
    fn only_ratios_of_weights_matter_and_equal_ones_change_nothing() {
        let features: Vec<f64> = (0..30).flat_map(|x| [f64::from(x), f64::from(x * x % 7)]).collect();
        let targets: Vec<f64> = (0..30).map(|x| f64::from(x * x % 11)).collect();
        let fit = |weights: Option<&[f64]>| {
            huber_regression(&features, 2, &targets, weights, HuberSettings::default()).unwrap()
        };
        assert_eq!(fit(None), fit(Some(&[1.0; 30])));
        let weights: Vec<f64> = (0..30).map(|index| 1.0 + f64::from(index % 5)).collect();
        // A square of a power of 2, so that nothing is rounded otherwise.
        let fourfold: Vec<f64> = weights.iter().map(|weight| 4.0 * weight).collect();
        assert_eq!(fit(Some(&weights)), fit(Some(&fourfold)));
        assert_ne!(fit(Some(&weights)), fit(None));
    }

    #[test]
    fn nonsense_is_refused() {
        let settings = HuberSettings::default();
        assert!(huber_regression(&[1.0, 2.0], 1, &[1.0], None, settings).is_err_and(|error| error.is_data()));
        assert!(huber_regression(&[1.0], 1, &[1.0], None, settings).is_err_and(|error| error.is_data()));
        assert!(huber_regression(&[1.0, f64::NEG_INFINITY], 1, &[1.0, 2.0], None, settings).is_err());
        assert!(huber_regression(&[], 0, &[], None, settings).is_err());
        let weighted = huber_regression(&[1.0, 2.0], 1, &[1.0, 2.0], Some(&[1.0, 0.0]), settings);
        assert!(weighted.is_err_and(|error| error.is_data()));
        let settings = HuberSettings { constant: f64::NAN, ..settings };
        assert!(
            huber_regression(&[1.0, 2.0], 1, &[1.0, 2.0], None, settings)
                .is_err_and(|error| error.is_settings())
        );
    }
}
