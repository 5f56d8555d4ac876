//! p(x | z) and the loss: reconstruction and KL divergence, separate, in nats per image.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, s};

use super::{Likelihood, Posterior, Reconstruction};

/// Bounds of a predicted log-variance: a standard deviation of 0.03 to 2.7 intensities.
const LOG_VARIANCE_BOUNDS: (f32, f32) = (-7.0, 2.0);

/// The variance that stands in for the predicted one while the uncertainty decoder warms up.
const WARMUP_VARIANCE: f64 = 0.02;

/// Keeps logarithms of the Bernoulli likelihood finite.
const PROBABILITY_EPSILON: f32 = 1e-6;

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
        likelihood: Likelihood,
        input: Tensor<4>,
        reconstruction: Reconstruction,
        posterior: Posterior,
        free_bits_nats: f64,
        predicts_variance: bool,
    ) -> Self {
        let batch = input.dims()[0] as f64;
        let cost = cost(likelihood, input, reconstruction, predicts_variance);
        Self { reconstruction: cost.sum() / batch, kl: kl_divergence(posterior, free_bits_nats) }
    }
}

/// Splits the decoder's last layer into mean and log-variance.
pub(super) fn reconstruction(likelihood: Likelihood, output: Tensor<4>, channels: usize) -> Reconstruction {
    match likelihood {
        Likelihood::Uncertainty => {
            let (low, high) = LOG_VARIANCE_BOUNDS;
            Reconstruction {
                mean: sigmoid(output.clone().slice(s![.., .., .., 0..channels as i32])),
                log_variance: Some(output.slice(s![.., .., .., channels as i32..]).clamp(low, high)),
            }
        }
        _ => Reconstruction { mean: sigmoid(output), log_variance: None },
    }
}

/// -log p(x | z) for each pixel.
fn cost(
    likelihood: Likelihood,
    input: Tensor<4>,
    reconstruction: Reconstruction,
    predicts_variance: bool,
) -> Tensor<4> {
    let Reconstruction { mean, log_variance } = reconstruction;
    match (likelihood, log_variance) {
        (Likelihood::Laplace { scale }, _) => (input - mean).abs() / scale,
        (Likelihood::Bernoulli, _) => {
            let mean = mean.clamp(PROBABILITY_EPSILON, 1.0 - PROBABILITY_EPSILON);
            let dark = (input.clone().neg() + 1.0) * (mean.clone().neg() + 1.0).log();
            (input * mean.log() + dark).neg()
        }
        (_, Some(log_variance)) if predicts_variance => {
            let error = input - mean;
            (log_variance.clone().neg().exp() * error.clone() * error + log_variance) * 0.5
        }
        (Likelihood::Gaussian { variance }, _) => squared(input - mean) / (2.0 * variance),
        (Likelihood::Uncertainty, _) => squared(input - mean) / (2.0 * WARMUP_VARIANCE),
    }
}

fn squared(error: Tensor<4>) -> Tensor<4> {
    error.clone() * error
}

/// 0.5 sum(mu^2 + sigma^2 - 1 - log sigma^2), the mean over the batch.
fn kl_divergence(posterior: Posterior, free_bits_nats: f64) -> Tensor<1> {
    let Posterior { mean, log_variance } = posterior;
    let batch = mean.dims()[0] as f64;
    let each = (mean.clone() * mean + log_variance.clone().exp() - log_variance - 1.0) * 0.5;
    if free_bits_nats > 0.0 {
        (each.sum_dim(0) / batch).clamp_min(free_bits_nats).sum()
    } else {
        each.sum() / batch
    }
}
