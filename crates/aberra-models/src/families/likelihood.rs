//! p(x | z): what a decoder predicts of each pixel, and its negative log-likelihood in nats per image.
//!
//! The loss goes from the decoder's last layer to a number in one operation of `aberra-kernels`, and back in another.

use aberra_kernels::{PixelLikelihood, reconstruction_cost};
use aberra_metrics::{Error, Result};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, s};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::{Graph, Value};
use crate::measure::reconstruction_graph::ReconstructionGraph;

/// p(x | z), a pixel at a time; its negative logarithm is the reconstruction term of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Likelihood {
    /// Gaussian of fixed variance: squared error / (2 variance). Variance 0.5 is the sum of squares.
    Gaussian {
        /// The variance, above 0.
        variance: f64,
    },
    /// Gaussian whose log-variance the decoder predicts for each pixel (uncertainty decoder: Mao et al., "Abnormality
    /// detection in chest X-ray images using uncertainty prediction autoencoders", 2020).
    Uncertainty,
    /// Laplace of fixed scale: absolute error / scale.
    Laplace {
        /// The scale, above 0.
        scale: f64,
    },
    /// Bernoulli: binary cross-entropy.
    Bernoulli,
}

/// Bounds of a predicted log-variance: a standard deviation of 0.03 to 2.7 intensities.
const LOG_VARIANCE_BOUNDS: (f32, f32) = (-7.0, 2.0);

/// The variance that stands in for the predicted one while the uncertainty decoder warms up.
const WARMUP_VARIANCE: f32 = 0.02;

/// p(x | z) of a batch, as the decoder puts it out.
#[derive(Clone, Debug)]
pub(super) struct Decoded {
    /// `[batch, height, width, outputs]`: the logits of the expected pixels, then log-variances where it predicts them.
    output: Tensor<4>,
    channels: usize,
    likelihood: Likelihood,
}

impl Decoded {
    pub(super) fn new(likelihood: Likelihood, output: Tensor<4>, channels: usize) -> Self {
        Self { output, channels, likelihood }
    }

    /// Expected pixels, 0 to 1, `[batch, height, width, channels]`.
    pub(super) fn mean(&self) -> Tensor<4> {
        sigmoid(self.output.clone().slice(s![.., .., .., 0..self.channels as i32]))
    }

    /// log sigma^2 for each pixel, where the decoder predicts it, `[batch, height, width, channels]`.
    pub(super) fn log_variance(&self) -> Option<Tensor<4>> {
        let (low, high) = LOG_VARIANCE_BOUNDS;
        let predicted = self.likelihood == Likelihood::Uncertainty;
        predicted.then(|| self.output.clone().slice(s![.., .., .., self.channels as i32..]).clamp(low, high))
    }

    /// -log p(target | z), the mean over the batch, in nats per image, shape `[1]`. Terms that no weight can change (log 2
    /// pi and the like) are left out. `predicts_variance` is false while the uncertainty decoder warms up.
    pub(super) fn cost(self, target: Tensor<4>, predicts_variance: bool) -> Tensor<1> {
        let pixel = match self.likelihood {
            Likelihood::Gaussian { variance } => PixelLikelihood::Gaussian { variance: variance as f32 },
            Likelihood::Uncertainty if predicts_variance => {
                let (low, high) = LOG_VARIANCE_BOUNDS;
                PixelLikelihood::PredictedGaussian { low, high }
            }
            Likelihood::Uncertainty => PixelLikelihood::Gaussian { variance: WARMUP_VARIANCE },
            Likelihood::Laplace { scale } => PixelLikelihood::Laplace { scale: scale as f32 },
            Likelihood::Bernoulli => PixelLikelihood::Bernoulli,
        };
        reconstruction_cost(self.output, target, pixel)
    }
}

impl Likelihood {
    /// [`Decoded`] in a graph: of a decoder's output, `[outputs, height, width]`.
    pub(super) fn decoded_graph(
        self,
        graph: &mut Graph,
        output: Value,
        channels: usize,
    ) -> ReconstructionGraph {
        let (low, high) = LOG_VARIANCE_BOUNDS;
        let logits = graph.slice(output, 0, 0, channels);
        let log_variance = (self == Self::Uncertainty).then(|| {
            let predicted = graph.slice(output, 0, channels, self.outputs(channels));
            graph.clamp(predicted, low, high)
        });
        ReconstructionGraph { mean: graph.sigmoid(logits), log_variance }
    }

    /// Values of the decoder's last layer for each pixel of `channels` channels.
    pub(super) fn outputs(self, channels: usize) -> usize {
        match self {
            Self::Uncertainty => 2 * channels,
            _ => channels,
        }
    }

    /// # Errors
    /// A variance or scale that is not above 0.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Gaussian { variance: spread } | Self::Laplace { scale: spread }
                if !(spread.is_finite() && spread > 0.0) =>
            {
                Err(Error::settings(format!(
                    "model.likelihood: expected a variance or scale above 0, found {spread}"
                )))
            }
            _ => Ok(()),
        }
    }
}
