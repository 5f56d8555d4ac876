//! Reconstruction losses for families without a likelihood, alone or mixed: mean squared error, mean absolute error,
//! structural dissimilarity at one scale (Wang et al., 2004) and at several (Wang et al., 2003), and the perceptual loss, which a
//! likelihood can have beside it, too.
//!
//! Each is a mean over the image's values times their number, so that the weights of a mix mean the same at any size and
//! the learning rate that suits one suits the others.

use aberra_kernels::{PixelLikelihood, Similarity, reconstruction_cost, structural_dissimilarity};
use aberra_metrics::{Error, Result};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::perceptual::Perceptual;
use crate::backbone::Backbone;
use crate::shape::Shape;
use crate::train::Term;

/// Weights of a reconstruction loss's terms; those of 0 are left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LossWeights {
    /// Squared error.
    #[serde(default)]
    pub mse: f64,
    /// Absolute error.
    #[serde(default)]
    pub l1: f64,
    /// 1 - structural similarity in windows of 11 x 11 pixels.
    #[serde(default)]
    pub ssim: f64,
    /// 1 - multi-scale structural similarity.
    #[serde(default)]
    pub ms_ssim: f64,
    /// Relative distance of frozen features, of images of 1 or 3 channels: the perceptual loss, with which training
    /// takes about ten times as long.
    #[serde(default)]
    pub perceptual: f64,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { mse: 1.0, l1: 0.0, ssim: 0.0, ms_ssim: 0.0, perceptual: 0.0 }
    }
}

impl LossWeights {
    fn named(self) -> [(&'static str, f64); 5] {
        [
            ("mse", self.mse),
            ("l1", self.l1),
            ("ssim", self.ssim),
            ("ms_ssim", self.ms_ssim),
            (PERCEPTUAL, self.perceptual),
        ]
    }

    /// # Errors
    /// A weight out of its range, or none above 0; an image too small for the window of the structural similarity.
    pub(super) fn check(self, shape: Shape) -> Result<()> {
        for (name, weight) in self.named() {
            if !(0.0..=1e6).contains(&weight) {
                return Err(Error::settings(format!(
                    "model.loss.{name}: expected 0 to 1000000, found {weight}"
                )));
            }
        }
        if self.named().iter().all(|(_, weight)| *weight == 0.0) {
            return Err(Error::settings("model.loss: expected a weight above 0, found none")
                .with_hint("set one of mse, l1, ssim, ms_ssim and perceptual"));
        }
        let window = Similarity::WINDOW_PX;
        if (self.ssim > 0.0 || self.ms_ssim > 0.0) && shape.shorter_side() < window {
            return Err(Error::settings(format!(
                "model.loss: structural similarity expects sides of at least {window} px, found {}",
                shape.shorter_side()
            )));
        }
        check_perceptual("model.loss.perceptual", self.perceptual, shape)
    }

    /// The terms for the logits of the expected pixels and the image that they are to reproduce, both
    /// `[batch, height, width, channels]`; `perceptual` where its weight asks for it.
    pub(super) fn terms(
        self,
        logits: &Tensor<4>,
        target: &Tensor<4>,
        perceptual: Option<&Perceptual>,
    ) -> Vec<Term> {
        let values = values_of(target);
        let pixelwise = |likelihood| reconstruction_cost(logits.clone(), target.clone(), likelihood);
        let dissimilarity = |similarity| {
            structural_dissimilarity(sigmoid(logits.clone()), target.clone(), similarity) * values
        };
        let pixels =
            self.named().into_iter().filter(|(name, weight)| *weight > 0.0 && *name != PERCEPTUAL).map(
                |(name, weight)| {
                    let value = match name {
                        // A Gaussian of variance 1/2 costs the squared error, a Laplace distribution of scale 1 the absolute.
                        "mse" => pixelwise(PixelLikelihood::Gaussian { variance: 0.5 }),
                        "l1" => pixelwise(PixelLikelihood::Laplace { scale: 1.0 }),
                        "ssim" => dissimilarity(Similarity::SingleScale),
                        _ => dissimilarity(Similarity::MultiScale),
                    };
                    Term { name, weight, value }
                },
            );
        pixels
            .chain(perceptual_term(perceptual, self.perceptual, || sigmoid(logits.clone()), target))
            .collect()
    }
}

/// The perceptual term's name, also in settings.
const PERCEPTUAL: &str = "perceptual";

/// The perceptual term of a loss for the expected pixels, 0 to 1, and the image, both `[batch, height, width, channels]`; none
/// where it is not wanted.
pub(super) fn perceptual_term(
    perceptual: Option<&Perceptual>,
    weight: f64,
    expected: impl FnOnce() -> Tensor<4>,
    target: &Tensor<4>,
) -> Option<Term> {
    let perceptual = perceptual.filter(|_| weight > 0.0)?;
    let value = perceptual.distance(expected(), target.clone()) * values_of(target);
    Some(Term { name: PERCEPTUAL, weight, value })
}

/// # Errors
/// A weight of the perceptual loss, of this name in settings, that is out of its range; images that the backbone does not take.
pub(super) fn check_perceptual(name: &str, weight: f64, shape: Shape) -> Result<()> {
    if !(0.0..=1e6).contains(&weight) {
        return Err(Error::settings(format!("{name}: expected 0 to 1000000, found {weight}")));
    }
    if weight > 0.0 {
        Backbone::check_shape(shape).map_err(|error| error.with_hint(format!("set {name} = 0")))?;
    }
    Ok(())
}

/// Values of an image of a batch.
fn values_of(batch: &Tensor<4>) -> f64 {
    let [_, height, width, channels] = batch.dims();
    (height * width * channels) as f64
}
