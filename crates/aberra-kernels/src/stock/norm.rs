//! Batch normalisation in stock Burn operations.

use super::activation::activate;
use crate::norm::BatchNormalization;
use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

/// Output, mean and biased variance.
pub(crate) fn batch_norm<B: Backend>(
    input: FloatTensor<B>,
    scale: FloatTensor<B>,
    shift: FloatTensor<B>,
    settings: BatchNormalization,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (shape, channels) = (input.shape(), scale.shape());
    let flat = rows::<B>(input, &channels);
    let mean = B::float_mean_dim(flat.clone(), 0);
    let centered = B::float_sub(flat, mean.clone());
    let variance = B::float_mean_dim(B::float_mul(centered.clone(), centered.clone()), 0);
    let normalized = B::float_div(centered, deviation::<B>(variance.clone(), settings.epsilon));
    let scaled = B::float_mul(normalized, rows::<B>(scale, &channels));
    let output = B::float_add(scaled, rows::<B>(shift, &channels));
    (
        activate::<B>(B::float_reshape(output, shape), settings.activation),
        B::float_reshape(mean, channels.clone()),
        B::float_reshape(variance, channels),
    )
}

/// Gradients with respect to input, scale and shift, from the gradient with respect to the pre-activation.
pub(crate) fn batch_norm_gradients<B: Backend>(
    gradient: FloatTensor<B>,
    input: FloatTensor<B>,
    scale: FloatTensor<B>,
    statistics: [FloatTensor<B>; 2],
    epsilon: f32,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (shape, channels) = (input.shape(), scale.shape());
    let [gradient, input, scale] = [gradient, input, scale].map(|tensor| rows::<B>(tensor, &channels));
    let [mean, variance] = statistics.map(|tensor| rows::<B>(tensor, &channels));
    let deviation = deviation::<B>(variance, epsilon);
    let normalized = B::float_div(B::float_sub(input, mean), deviation.clone());
    let product = B::float_mul(gradient.clone(), normalized.clone());
    let mean_gradient = B::float_mean_dim(gradient.clone(), 0);
    let mean_product = B::float_mean_dim(product.clone(), 0);
    let across = B::float_add(mean_gradient, B::float_mul(normalized, mean_product));
    let of_input = B::float_mul(B::float_sub(gradient.clone(), across), B::float_div(scale, deviation));
    (
        B::float_reshape(of_input, shape),
        B::float_reshape(B::float_sum_dim(product, 0), channels.clone()),
        B::float_reshape(B::float_sum_dim(gradient, 0), channels),
    )
}

/// Reshaped to `[rows, channels]`.
fn rows<B: Backend>(tensor: FloatTensor<B>, channels: &Shape) -> FloatTensor<B> {
    let channels = channels[0];
    let rows = tensor.shape().num_elements() / channels.max(1);
    B::float_reshape(tensor, Shape::new([rows, channels]))
}

fn deviation<B: Backend>(variance: FloatTensor<B>, epsilon: f32) -> FloatTensor<B> {
    B::float_sqrt(B::float_add_scalar(variance, epsilon.into()))
}
