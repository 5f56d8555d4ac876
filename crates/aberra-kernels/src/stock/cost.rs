//! Reconstruction cost and KL divergence in stock Burn operations.

use crate::cost::PixelLikelihood;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};
use burn::tensor::{Shape, Slice};

/// -log p(target | output), summed over pixels and averaged over the batch.
pub(crate) fn reconstruction_cost<B: Backend>(
    output: FloatTensor<B>,
    target: FloatTensor<B>,
    likelihood: PixelLikelihood,
) -> FloatTensor<B> {
    let (batch, channels) = (target.shape()[0], target.shape()[3]);
    let logit = part::<B>(output.clone(), 0, channels);
    let error = B::float_sub(target.clone(), mean_of::<B>(logit.clone(), likelihood));
    let square = B::float_mul(error.clone(), error.clone());
    let each = match likelihood {
        PixelLikelihood::Gaussian { variance } => B::float_mul_scalar(square, (0.5 / variance).into()),
        PixelLikelihood::PredictedGaussian { low, high }
        | PixelLikelihood::UnboundedGaussian { low, high } => {
            let log_variance = part::<B>(output, channels, 2 * channels);
            let log_variance = B::float_clamp(log_variance, low.into(), high.into());
            let precision = B::float_exp(B::float_neg(log_variance.clone()));
            let sum = B::float_add(B::float_mul(square, precision), log_variance);
            B::float_mul_scalar(sum, 0.5.into())
        }
        PixelLikelihood::Laplace { scale } => B::float_mul_scalar(B::float_abs(error), (1.0 / scale).into()),
        PixelLikelihood::Bernoulli => {
            let small = B::float_exp(B::float_neg(B::float_abs(logit.clone())));
            let at_zero = B::float_add(B::relu(logit.clone()), B::float_log1p(small));
            B::float_sub(at_zero, B::float_mul(target, logit))
        }
    };
    B::float_div_scalar(B::float_sum(each), (batch.max(1) as f32).into())
}

/// Gradient with respect to the output, from the gradient of the cost.
pub(crate) fn reconstruction_cost_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    target: FloatTensor<B>,
    likelihood: PixelLikelihood,
) -> FloatTensor<B> {
    let (shape, batch, channels) = (output.shape(), target.shape()[0], target.shape()[3]);
    let (device, dtype) = (output.device(), output.dtype());
    let mean = mean_of::<B>(part::<B>(output.clone(), 0, channels), likelihood);
    let error = B::float_sub(target, mean.clone());
    let mut taken = channels;
    let mut parts = Vec::new();
    let by_mean = match likelihood {
        PixelLikelihood::Gaussian { variance } => B::float_mul_scalar(error, (-1.0 / variance).into()),
        PixelLikelihood::PredictedGaussian { low, high }
        | PixelLikelihood::UnboundedGaussian { low, high } => {
            let found = part::<B>(output, channels, 2 * channels);
            let log_variance = B::float_clamp(found.clone(), low.into(), high.into());
            let precision = B::float_exp(B::float_neg(log_variance));
            let pull = B::float_mul(error.clone(), precision);
            let slope = B::float_add_scalar(B::float_neg(B::float_mul(pull.clone(), error)), 1.0.into());
            let slope = B::float_mul_scalar(slope, 0.5.into());
            let settings = get_or_init_device_settings::<B>(&device);
            let below = B::float_lower_elem(found.clone(), low.into(), settings.bool_dtype);
            let above = B::float_greater_elem(found, high.into(), settings.bool_dtype);
            let slope = B::float_mask_fill(slope, below, 0.0.into());
            parts.push(B::float_mask_fill(slope, above, 0.0.into()));
            taken = 2 * channels;
            B::float_neg(pull)
        }
        PixelLikelihood::Laplace { scale } => {
            B::float_mul_scalar(B::float_sign(error), (-1.0 / scale).into())
        }
        PixelLikelihood::Bernoulli => B::float_neg(error),
    };
    let by_logit = match likelihood {
        PixelLikelihood::Bernoulli | PixelLikelihood::UnboundedGaussian { .. } => by_mean,
        _ => B::sigmoid_backward(mean, by_mean),
    };
    parts.insert(0, by_logit);
    if taken < shape[3] {
        let rest = Shape::new([shape[0], shape[1], shape[2], shape[3] - taken]);
        parts.push(B::float_zeros(rest, &device, dtype.into()));
    }
    let all = B::float_div_scalar(B::float_cat(parts, 3), (batch.max(1) as f32).into());
    B::float_mul(all, B::float_reshape(gradient, Shape::new([1, 1, 1, 1])))
}

/// Averaged over the batch and summed over dimensions, each at least `free_bits`.
pub(crate) fn kl_divergence<B: Backend>(
    mean: FloatTensor<B>,
    log_variance: FloatTensor<B>,
    free_bits: f32,
) -> FloatTensor<B> {
    let each = nats::<B>(mean, log_variance);
    B::float_sum(if free_bits > 0.0 { B::float_clamp_min(each, free_bits.into()) } else { each })
}

/// Gradients with respect to mean and log-variance, from the gradient of the divergence.
pub(crate) fn kl_divergence_gradients<B: Backend>(
    gradient: FloatTensor<B>,
    mean: FloatTensor<B>,
    log_variance: FloatTensor<B>,
    free_bits: f32,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let batch = mean.shape()[0].max(1) as f32;
    let share = B::float_div_scalar(B::float_reshape(gradient, Shape::new([1, 1])), batch.into());
    let by_log_variance = B::float_add_scalar(B::float_exp(log_variance.clone()), (-1.0).into());
    let by_log_variance = B::float_mul_scalar(by_log_variance, 0.5.into());
    let mut gradients = [mean.clone(), by_log_variance].map(|each| B::float_mul(each, share.clone()));
    if free_bits > 0.0 {
        let settings = get_or_init_device_settings::<B>(&mean.device());
        let shape = mean.shape();
        let each = B::float_expand(nats::<B>(mean, log_variance), shape);
        let free = B::float_lower_elem(each, free_bits.into(), settings.bool_dtype);
        gradients = gradients.map(|each| B::float_mask_fill(each, free.clone(), 0.0.into()));
    }
    gradients.into()
}

/// Nats of each dimension, averaged over the batch, `[1, latent]`.
fn nats<B: Backend>(mean: FloatTensor<B>, log_variance: FloatTensor<B>) -> FloatTensor<B> {
    let square = B::float_mul(mean.clone(), mean);
    let excess = B::float_sub(B::float_exp(log_variance.clone()), log_variance);
    let sum = B::float_add_scalar(B::float_add(square, excess), (-1.0).into());
    B::float_mean_dim(B::float_mul_scalar(sum, 0.5.into()), 0)
}

/// The expected pixel.
fn mean_of<B: Backend>(logit: FloatTensor<B>, likelihood: PixelLikelihood) -> FloatTensor<B> {
    match likelihood {
        PixelLikelihood::UnboundedGaussian { .. } => logit,
        _ => B::sigmoid(logit),
    }
}

/// A slice of the last dimension of `[batch, height, width, outputs]`.
fn part<B: Backend>(tensor: FloatTensor<B>, begin: usize, end: usize) -> FloatTensor<B> {
    let shape = tensor.shape();
    let mut slices: Vec<Slice> = (0..3).map(|axis| Slice::from(0..shape[axis])).collect();
    slices.push(Slice::from(begin..end));
    B::float_slice(tensor, &slices)
}
