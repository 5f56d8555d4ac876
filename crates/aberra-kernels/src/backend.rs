//! The operations as a Burn backend extension: composed of stock Burn operations by default, the kernels of this crate
//! on the CPU backend.

use crate::activation::ActivationFunction;
use crate::cost::PixelLikelihood;
use crate::geometry::Geometry;
use crate::inverted_residual::{PackedLayers, Strides};
use crate::norm::BatchNormalization;
use crate::optimise::AdamStep;
use crate::precision::OperandPrecision;
use crate::similarity::Similarity;
use crate::stock;
use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

/// The operations of this crate for one backend. All tensors are channels-last; weights are
/// `[kernel height, kernel width, large, small]`, where *large* are the input channels of a convolution or the output
/// channels of a transposed convolution.
///
/// The methods named `..._gradient` take the gradient with respect to an operation's output together with that output,
/// and include the backward pass of the activation.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// `activation(convolution(input, weight) + bias)`.
    fn convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::convolution::<Self>(input, weight, bias, geometry, activation, precision)
    }

    /// Gradient with respect to a convolution's input; of `input` only the shape is used.
    fn convolution_input_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::convolution_input_gradient::<Self>(
            gradient, output, input, weight, geometry, activation, precision,
        )
    }

    /// Gradient with respect to a convolution's weights; of `weight` only the shape is used.
    fn convolution_weight_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
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
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::transposed_convolution::<Self>(input, weight, bias, geometry, activation, precision)
    }

    /// Gradient with respect to a transposed convolution's input.
    fn transposed_convolution_input_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::transposed_convolution_input_gradient::<Self>(
            gradient, output, weight, geometry, activation, precision,
        )
    }

    /// Gradient with respect to a transposed convolution's weights; of `weight` only the shape is used.
    fn transposed_convolution_weight_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
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
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::dense::<Self>(input, weight, bias, activation, precision)
    }

    /// Gradient with respect to a dense layer's input.
    fn dense_input_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::dense_input_gradient::<Self>(gradient, output, weight, activation, precision)
    }

    /// Gradient with respect to a dense layer's weights.
    fn dense_weight_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        stock::dense_weight_gradient::<Self>(gradient, output, input, activation, precision)
    }

    /// Gradient with respect to a bias: the sum over all dimensions but the last.
    fn bias_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        activation: ActivationFunction,
    ) -> FloatTensor<Self> {
        stock::bias_gradient::<Self>(gradient, output, activation)
    }

    /// `activation((input - mean) / sqrt(variance + epsilon) * scale + shift)` with statistics over all dimensions but
    /// the last. Returns the output, the mean and the biased variance; the latter two are not differentiated.
    fn normalization(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        settings: BatchNormalization,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        stock::norm::batch_norm::<Self>(input, scale, shift, settings)
    }

    /// Gradients with respect to a batch normalisation's input, scale and shift.
    fn normalization_gradients(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        settings: BatchNormalization,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let gradient = stock::gate::<Self>(gradient, output, settings.activation);
        stock::norm::batch_norm_gradients::<Self>(gradient, input, scale, [mean, variance], settings.epsilon)
    }

    /// `projection(depthwise(expansion(input)))`, with the activation ReLU6 after the first two; the input is added where
    /// the strides say so. Weights and biases are not differentiated: see
    /// [`InvertedResidual`](crate::InvertedResidual).
    fn inverted_residual(
        input: FloatTensor<Self>,
        #[extension_type] layers: PackedLayers<Self>,
        strides: Strides,
    ) -> FloatTensor<Self> {
        stock::inverted_residual::forward::<Self>(input, layers, strides)
    }

    /// Gradient with respect to an inverted residual's input, from the gradient with respect to its output. What lies in
    /// between is computed again.
    fn inverted_residual_input_gradient(
        gradient: FloatTensor<Self>,
        input: FloatTensor<Self>,
        #[extension_type] layers: PackedLayers<Self>,
        strides: Strides,
    ) -> FloatTensor<Self> {
        stock::inverted_residual::input_gradient::<Self>(gradient, input, layers, strides)
    }

    /// Negative log-likelihood -log p(target | output), summed over pixels and averaged over the batch, shape `[1]`.
    /// `output` is `[batch, height, width, outputs]`; `target` is `[batch, height, width, channels]` and not
    /// differentiated.
    fn reconstruction_cost(
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        likelihood: PixelLikelihood,
    ) -> FloatTensor<Self> {
        stock::cost::reconstruction_cost::<Self>(output, target, likelihood)
    }

    /// Gradient with respect to the decoder output, from the gradient of the cost, shape `[1]`.
    fn reconstruction_cost_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        likelihood: PixelLikelihood,
    ) -> FloatTensor<Self> {
        stock::cost::reconstruction_cost_gradient::<Self>(gradient, output, target, likelihood)
    }

    /// 1 - SSIM or 1 - MS-SSIM of `[batch, height, width, channels]`, averaged over batch and channels, shape `[1]`.
    /// `target` is not differentiated.
    fn structural_dissimilarity(
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        similarity: Similarity,
    ) -> FloatTensor<Self> {
        stock::similarity::structural_dissimilarity::<Self>(output, target, similarity)
    }

    /// Gradient with respect to `output`, from the gradient of the dissimilarity, shape `[1]`.
    fn structural_dissimilarity_gradient(
        gradient: FloatTensor<Self>,
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        similarity: Similarity,
    ) -> FloatTensor<Self> {
        stock::similarity::structural_dissimilarity_gradient::<Self>(gradient, output, target, similarity)
    }

    /// KL(N(mean, exp(log variance)) || N(0, 1)) of `[batch, latent]`: averaged over the batch, then summed over
    /// dimensions, each of which counts at least `free_bits` nats. Shape `[1]`.
    fn kl_divergence(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        free_bits: f32,
    ) -> FloatTensor<Self> {
        stock::cost::kl_divergence::<Self>(mean, log_variance, free_bits)
    }

    /// Gradients with respect to mean and log-variance, from the gradient of the divergence, shape `[1]`.
    fn kl_divergence_gradients(
        gradient: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        free_bits: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        stock::cost::kl_divergence_gradients::<Self>(gradient, mean, log_variance, free_bits)
    }

    /// Parameter, first and second moment after one Adam step.
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
