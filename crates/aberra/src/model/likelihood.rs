//! p(x | z) and the loss: reconstruction and KL divergence, separate, in nats per image.
//!
//! The loss goes from the decoder's last layer to a number in one operation of `aberra-kernels`, and back in another.

use aberra_kernels::{PixelLikelihood, kl_divergence, reconstruction_cost};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, s};

use super::{Likelihood, Posterior};

/// Bounds of a predicted log-variance: a standard deviation of 0.03 to 2.7 intensities.
const LOG_VARIANCE_BOUNDS: (f32, f32) = (-7.0, 2.0);

/// The variance that stands in for the predicted one while the uncertainty decoder warms up.
const WARMUP_VARIANCE: f32 = 0.02;

/// p(x | z) of a batch, as the decoder puts it out.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// `[batch, height, width, outputs]`: the logits of the expected pixels, then log-variances where it predicts them.
    output: Tensor<4>,
    channels: usize,
    likelihood: Likelihood,
}

impl Reconstruction {
    pub(super) fn new(likelihood: Likelihood, output: Tensor<4>, channels: usize) -> Self {
        Self { output, channels, likelihood }
    }

    /// Expected pixels, 0 to 1, `[batch, height, width, channels]`.
    pub fn mean(&self) -> Tensor<4> {
        sigmoid(self.output.clone().slice(s![.., .., .., 0..self.channels as i32]))
    }

    /// log sigma^2 for each pixel, where the decoder predicts it, `[batch, height, width, channels]`.
    pub fn log_variance(&self) -> Option<Tensor<4>> {
        let (low, high) = LOG_VARIANCE_BOUNDS;
        let predicted = self.likelihood == Likelihood::Uncertainty;
        predicted.then(|| self.output.clone().slice(s![.., .., .., self.channels as i32..]).clamp(low, high))
    }
}

/// The two terms of the negative evidence lower bound, means over the batch, in nats per image. Both are costs: lower
/// is better. Terms that no weight can change (log 2 pi and the like) are left out of the reconstruction.
#[derive(Clone, Debug)]
pub struct Loss {
    /// -log p(x | z), shape `[1]`.
    pub reconstruction: Tensor<1>,
    /// KL(q(z | x) || N(0, I)), shape `[1]`; each dimension counts at least the free bits.
    pub kl: Tensor<1>,
}

impl Loss {
    /// The loss of a batch `[n, h, w, c]`. `predicts_variance` is false while the uncertainty decoder warms up.
    pub fn new(
        input: Tensor<4>,
        reconstruction: Reconstruction,
        posterior: Posterior,
        free_bits_nats: f64,
        predicts_variance: bool,
    ) -> Self {
        let pixel = match reconstruction.likelihood {
            Likelihood::Gaussian { variance } => PixelLikelihood::Gaussian { variance: variance as f32 },
            Likelihood::Uncertainty if predicts_variance => {
                let (low, high) = LOG_VARIANCE_BOUNDS;
                PixelLikelihood::PredictedGaussian { low, high }
            }
            Likelihood::Uncertainty => PixelLikelihood::Gaussian { variance: WARMUP_VARIANCE },
            Likelihood::Laplace { scale } => PixelLikelihood::Laplace { scale: scale as f32 },
            Likelihood::Bernoulli => PixelLikelihood::Bernoulli,
        };
        let Posterior { mean, log_variance } = posterior;
        Self {
            reconstruction: reconstruction_cost(reconstruction.output, input, pixel),
            kl: kl_divergence(mean, log_variance, free_bits_nats as f32),
        }
    }
}
