//! The operations as an extension of Burn's backends: stock operations by default, our kernels on the CPU.

use crate::activation::Activation;
use crate::cost::PixelLikelihood;
use crate::geometry::Geometry;
use crate::norm::Normalization;
use crate::optimise::AdamStep;
use crate::precision::Precision;
use crate::similarity::Similarity;
use crate::stock;
use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

/// The operations that a device can run; all tensors channels-last, weights `[kernel height, kernel width, large, small]`
/// with *large* the input channels of a convolution or the output channels of a transposed one.
///
/// The methods named `..._gradient` take the gradient of an operation's output together with that output, and go back
/// through the activation themselves.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// `activation(convolution(input, weight) + bias)`.
    fn convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::convolution::<Self>(input, weight, bias, geometry, activation, precision)
    }

    /// Gradient of a convolution's input; of `input` only the shape matters.
    fn convolution_input_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::convolution_input_gradient::<Self>(
            gradient, output, input, weight, geometry, activation, precision,
        )
    }

    /// Gradient of a convolution's weights; of `weight` only the shape matters.
    fn convolution_weight_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::convolution_weight_gradient::<Self>(
            gradient, output, input, weight, geometry, activation, precision,
        )
    }

    /// `activation(transposed convolution(input, weight) + bias)`.
    fn transposed_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::transposed_convolution::<Self>(input, weight, bias, geometry, activation, precision)
    }

    /// Gradient of a transposed convolution's input.
    fn transposed_convolution_input_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::transposed_convolution_input_gradient::<Self>(
            gradient, output, weight, geometry, activation, precision,
        )
    }

    /// Gradient of a transposed convolution's weights; of `weight` only the shape matters.
    fn transposed_convolution_weight_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::transposed_convolution_weight_gradient::<Self>(
            gradient, output, input, weight, geometry, activation, precision,
        )
    }

    /// `activation(input weight + bias)`, `[rows, inputs] x [inputs, outputs]`.
    fn dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::dense::<Self>(input, weight, bias, activation, precision)
    }

    /// Gradient of a dense layer's input.
    fn dense_input_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::dense_input_gradient::<Self>(gradient, output, weight, activation, precision)
    }

    /// Gradient of a dense layer's weights.
    fn dense_weight_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        activation: Activation,
        precision: Precision,
    ) -> FloatTensor<Self> {
        stock::dense_weight_gradient::<Self>(gradient, output, input, activation, precision)
    }

    /// Gradient of a bias: the sum over all dimensions but the last.
    fn bias_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        stock::bias_gradient::<Self>(gradient, output, activation)
    }

    /// `activation((input - mean) / sqrt(variance + epsilon) * scale + shift)` over all dimensions but the last; with it
    /// the mean and the biased variance, neither of which is differentiated.
    fn normalization(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        settings: Normalization,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        stock::norm::batch_norm::<Self>(input, scale, shift, settings)
    }

    /// Gradients of a batch normalisation's input, scale and shift.
    fn normalization_gradients(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        settings: Normalization,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = stock::gate::<Self>(gradient, output, settings.activation);
        stock::norm::batch_norm_gradients::<Self>(gradient, input, scale, [mean, variance], settings.epsilon)
    }

    /// -log p(target | output) summed over pixels, the mean over the batch, shape `[1]`. `output` is
    /// `[batch, height, width, outputs]`, `target` `[batch, height, width, channels]` and a constant.
    fn reconstruction_cost(
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        likelihood: PixelLikelihood,
    ) -> FloatTensor<Self> {
        stock::cost::reconstruction_cost::<Self>(output, target, likelihood)
    }

    /// Gradient of the cost's output, from the gradient of the cost, shape `[1]`.
    fn reconstruction_cost_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        likelihood: PixelLikelihood,
    ) -> FloatTensor<Self> {
        stock::cost::reconstruction_cost_gradient::<Self>(gradient, output, target, likelihood)
    }

    /// One minus the structural similarity of `[batch, height, width, channels]`, the mean over batch and channels, shape
    /// `[1]`. `target` is a constant.
    fn structural_dissimilarity(
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        similarity: Similarity,
    ) -> FloatTensor<Self> {
        stock::similarity::structural_dissimilarity::<Self>(output, target, similarity)
    }

    /// Gradient of the dissimilarity's output, from the gradient of the dissimilarity, shape `[1]`.
    fn structural_dissimilarity_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        similarity: Similarity,
    ) -> FloatTensor<Self> {
        stock::similarity::structural_dissimilarity_gradient::<Self>(gradient, output, target, similarity)
    }

    /// KL(N(mean, exp(log variance)) || N(0, 1)) of `[batch, latent]`: the sum over dimensions, each at least
    /// `free_bits` nats, of the mean over the batch. Shape `[1]`.
    fn kl_divergence(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        free_bits: f32,
    ) -> FloatTensor<Self> {
        stock::cost::kl_divergence::<Self>(mean, log_variance, free_bits)
    }

    /// Gradients of mean and log-variance, from the gradient of the divergence, shape `[1]`.
    fn kl_divergence_gradients(
        gradient: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        free_bits: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        stock::cost::kl_divergence_gradients::<Self>(gradient, mean, log_variance, free_bits)
    }

    /// Parameter, first and second moment after a step of Adam.
    fn adam(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first_moment: FloatTensor<Self>,
        second_moment: FloatTensor<Self>,
        settings: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        stock::adam::<Self>(parameter, gradient, first_moment, second_moment, settings)
    }

    /// Sum of the squares of all elements, shape `[1]`.
    fn sum_of_squares(tensor: FloatTensor<Self>) -> FloatTensor<Self> {
        stock::sum_of_squares::<Self>(tensor)
    }
}
