//! Reconstruction losses for families without a likelihood, alone or mixed: mean squared error, mean absolute error,
//! structural dissimilarity at one scale (Wang et al., 2004) and at several (Wang et al., 2003).
//!
//! Each is a mean over the image's values times their number, so that the weights of a mix mean the same at any size and
//! the learning rate that suits one suits the others.

use aberra_kernels::{PixelLikelihood, Similarity, reconstruction_cost, structural_dissimilarity};
use aberra_metrics::{Error, Result};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { mse: 1.0, l1: 0.0, ssim: 0.0, ms_ssim: 0.0 }
    }
}

impl LossWeights {
    fn named(self) -> [(&'static str, f64); 4] {
        [("mse", self.mse), ("l1", self.l1), ("ssim", self.ssim), ("ms_ssim", self.ms_ssim)]
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
                .with_hint("set one of mse, l1, ssim and ms_ssim"));
        }
        let window = Similarity::WINDOW_PX;
        if (self.ssim > 0.0 || self.ms_ssim > 0.0) && shape.shorter_side() < window {
            return Err(Error::settings(format!(
                "model.loss: structural similarity expects sides of at least {window} px, found {}",
                shape.shorter_side()
            )));
        }
        Ok(())
    }

    /// The terms for the logits of the expected pixels and the image that they are to reproduce, both
    /// `[batch, height, width, channels]`.
    pub(super) fn terms(self, logits: &Tensor<4>, target: &Tensor<4>) -> Vec<Term> {
        let [_, height, width, channels] = target.dims();
        let values = (height * width * channels) as f64;
        let pixelwise = |likelihood| reconstruction_cost(logits.clone(), target.clone(), likelihood);
        let dissimilarity = |similarity| {
            structural_dissimilarity(sigmoid(logits.clone()), target.clone(), similarity) * values
        };
        self.named()
            .into_iter()
            .filter(|(_, weight)| *weight > 0.0)
            .map(|(name, weight)| {
                let value = match name {
                    // A Gaussian of variance 1/2 costs the squared error, a Laplace distribution of scale 1 the absolute.
                    "mse" => pixelwise(PixelLikelihood::Gaussian { variance: 0.5 }),
                    "l1" => pixelwise(PixelLikelihood::Laplace { scale: 1.0 }),
                    "ssim" => dissimilarity(Similarity::SingleScale),
                    _ => dissimilarity(Similarity::MultiScale),
                };
                Term { name, weight, value }
            })
            .collect()
    }
}
