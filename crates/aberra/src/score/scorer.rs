//! Scorers: evidence in, one number out, higher = more abnormal. A score is never clamped or rescaled.
//!
//! A new scorer is one type, here or in a file of its own, and one line in [`SCORERS`].

use serde::{Deserialize, Serialize};

use super::Evidence;
use super::fusion::Fusion;
use super::typicality::Typicality;
use crate::statistics::regression::{HuberSettings, huber_regression};
use crate::{Error, Result};

/// The scorer used unless another is asked for.
pub const DEFAULT_SCORER: &str = "fusion";

/// Every scorer.
pub const SCORERS: &[&dyn Scorer] =
    &[&Mse, &Ssim, &Uncertainty, &Peak, &Latent, &Residual, &Typicality, &Fusion];

/// Turns evidence into a score, with parameters that it learns from normals of the fit split.
pub trait Scorer: Sync {
    /// The name used in settings and on the command line.
    fn name(&self) -> &'static str;

    /// What it measures, in one line.
    fn about(&self) -> &'static str;

    /// Whether it uses distances to the training normals in latent space.
    fn needs_reference(&self) -> bool {
        false
    }

    /// What it learns from the normals of the fit split.
    ///
    /// # Errors
    /// Too few normals, or evidence that does not vary.
    fn fit(&self, normals: &[Evidence]) -> Result<Vec<f64>> {
        let _ = normals;
        Ok(Vec::new())
    }

    /// The score, with the parameters that [`fit`](Self::fit) returned.
    fn score(&self, parameters: &[f64], evidence: &Evidence) -> f64;
}

/// A scorer and what it has learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedScorer {
    name: String,
    parameters: Vec<f64>,
}

/// The scorer called `name`.
///
/// # Errors
/// There is none; the message lists those there are.
pub fn scorer(name: &str) -> Result<&'static dyn Scorer> {
    SCORERS.iter().copied().find(|scorer| scorer.name() == name).ok_or_else(|| {
        let names: Vec<&str> = SCORERS.iter().map(|scorer| scorer.name()).collect();
        Error::settings(format!("scorer: expected one of {}, found {name:?}", names.join(", ")))
    })
}

impl FittedScorer {
    /// Fits the scorer called `name` on normals of the fit split.
    ///
    /// # Errors
    /// No such scorer, or normals that it cannot be fitted on.
    pub fn fit(name: &str, normals: &[Evidence]) -> Result<Self> {
        let parameters = scorer(name)?.fit(normals)?;
        if parameters.iter().any(|parameter| !parameter.is_finite()) {
            return Err(Error::data(format!(
                "the scorer {name} cannot be fitted: the evidence is not finite"
            ))
            .with_hint("give other normal images, or choose the scorer mse"));
        }
        Ok(Self { name: name.to_owned(), parameters })
    }

    /// The scorer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The score of an image.
    ///
    /// # Errors
    /// The scorer is not known to this version.
    pub fn score(&self, evidence: &Evidence) -> Result<f64> {
        Ok(scorer(&self.name)?.score(&self.parameters, evidence))
    }
}

/// Mean squared error: the classic.
struct Mse;

impl Scorer for Mse {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn about(&self) -> &'static str {
        "mean squared reconstruction error"
    }

    fn score(&self, _: &[f64], evidence: &Evidence) -> f64 {
        evidence.squared_error
    }
}

/// Structural dissimilarity.
struct Ssim;

impl Scorer for Ssim {
    fn name(&self) -> &'static str {
        "ssim"
    }

    fn about(&self) -> &'static str {
        "1 - structural similarity of image and reconstruction"
    }

    fn score(&self, _: &[f64], evidence: &Evidence) -> f64 {
        evidence.ssim_error
    }
}

/// Squared error in units of the predicted variance.
struct Uncertainty;

impl Scorer for Uncertainty {
    fn name(&self) -> &'static str {
        "uncertainty"
    }

    fn about(&self) -> &'static str {
        "squared error over predicted variance, the mean over pixels"
    }

    fn score(&self, _: &[f64], evidence: &Evidence) -> f64 {
        evidence.weighted_error
    }
}

/// The error of the area that stands out most.
struct Peak;

impl Scorer for Peak {
    fn name(&self) -> &'static str {
        "peak"
    }

    fn about(&self) -> &'static str {
        "squared error over predicted variance, where a small area's is largest"
    }

    fn score(&self, _: &[f64], evidence: &Evidence) -> f64 {
        evidence.peak_error
    }
}

/// Distance to the training normals in latent space.
struct Latent;

impl Scorer for Latent {
    fn name(&self) -> &'static str {
        "latent"
    }

    fn about(&self) -> &'static str {
        "distance of mu to its nearest training normals"
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn score(&self, _: &[f64], evidence: &Evidence) -> f64 {
        evidence.neighbour_distance
    }
}

/// Log mean squared error minus what the image's complexity predicts of it.
pub(super) struct Residual;

impl Residual {
    fn features(evidence: &Evidence) -> [f64; 3] {
        [evidence.kl, log(evidence.gradient_energy), log(evidence.standard_deviation)]
    }

    fn target(evidence: &Evidence) -> f64 {
        log(evidence.squared_error)
    }
}

impl Scorer for Residual {
    fn name(&self) -> &'static str {
        "residual"
    }

    fn about(&self) -> &'static str {
        "log squared error minus its prediction from KL, gradient energy and standard deviation"
    }

    fn fit(&self, normals: &[Evidence]) -> Result<Vec<f64>> {
        least_normals(self.name(), normals)?;
        let features: Vec<f64> = normals.iter().flat_map(Self::features).collect();
        let targets: Vec<f64> = normals.iter().map(Self::target).collect();
        let fit = huber_regression(&features, 3, &targets, HuberSettings::default())?;
        Ok([&[fit.intercept], &fit.coefficients[..]].concat())
    }

    fn score(&self, parameters: &[f64], evidence: &Evidence) -> f64 {
        let [intercept, slopes @ ..] = parameters else { return Self::target(evidence) };
        let prediction: f64 =
            Self::features(evidence).iter().zip(slopes).map(|(feature, slope)| feature * slope).sum();
        Self::target(evidence) - intercept - prediction
    }
}

/// Fewest normals that a scorer with parameters is fitted on.
const LEAST_NORMALS: usize = 8;

/// Refuses too few normals.
pub(super) fn least_normals(name: &str, normals: &[Evidence]) -> Result<()> {
    if normals.len() >= LEAST_NORMALS {
        return Ok(());
    }
    Err(Error::data(format!(
        "the scorer {name} expects at least {LEAST_NORMALS} normals to fit on, found {}",
        normals.len()
    ))
    .with_hint("give more normal images, or choose the scorer mse"))
}

/// The logarithm, finite on images that are black or perfectly reconstructed.
pub(super) fn log(value: f64) -> f64 {
    const FLOOR: f64 = 1e-9;
    value.max(FLOOR).ln()
}

/// Mean, and one over the standard deviation; the latter is 0 for what does not vary, so that it says nothing.
pub(super) fn standardizer(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let deviation = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    [mean, if deviation > 1e-12 * mean.abs() { deviation.recip() } else { 0.0 }]
}
