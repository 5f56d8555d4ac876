//! Fast CPU kernels behind Burn operations: convolution, transposed convolution, dense layers, inverted residuals, batch
//! normalisation, the losses of autoencoders and variational autoencoders, optimiser step.
//!
//! All image tensors are channels-last, `[batch, height, width, channels]`. Bias and activation are fused into the
//! layers, in the forward and the backward pass. The operands of products may be rounded to bfloat16: see
//! [`OperandPrecision`]. On Burn's CPU device (`Device::flex()`), with and without autodiff, `f32` tensors run on the
//! kernels of this crate; other element types and devices run stock Burn operations. The widest instruction set of the
//! processor is used, or the one that was passed to [`select`].
//!
//! Results are bit-identical for any number of threads, and each image's output is bit-identical in any batch.
//!
//! Shapes must match: as in Burn itself, a mismatch is a bug of the caller and panics.
//!
//! ```
//! use aberra_kernels::{ActivationFunction, Geometry, OperandPrecision, conv2d};
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::flex();
//! let images = Tensor::<4>::ones([2, 8, 8, 1], &device);
//! let weights = Tensor::<4>::ones([4, 4, 1, 3], &device);
//! let halving = Geometry { stride: 2, padding: 1 };
//! let output = conv2d(images, weights, None, halving, ActivationFunction::Relu, OperandPrecision::F32);
//! assert_eq!(output.dims(), [2, 4, 4, 3]);
//! ```
//!
//! Inside, a convolution or dense layer is a matrix product: `convolve`, `winograd`, `dense` and `weight_gradient` pack
//! operands (`operand`, `window`), `product` is the loop nest over blocks, and `tile` the register tile with one
//! micro-kernel for each instruction set. `inverted_residual` is two products with a depthwise convolution in between.
//! `backend` declares the operations, `flex` implements them by kernels, `stock` by Burn's own operations, and `gradient`
//! registers the backward passes. `frozen` packs weights that are not trained.

mod activation;
mod backend;
mod bfloat16;
mod convolve;
mod cost;
mod dense;
mod divergence;
mod epilogue;
mod exponential;
mod flex;
mod frozen;
mod geometry;
mod gradient;
mod instructions;
mod inverted_residual;
mod norm;
mod operand;
mod optimise;
#[cfg(test)]
mod parity;
mod peak;
mod pool;
mod precision;
mod processor;
mod product;
mod scratch;
mod signal;
mod similarity;
mod stock;
mod tile;
mod weight_gradient;
mod wide;
mod window;
mod winograd;

pub use activation::ActivationFunction;
pub use backend::Kernels;
pub use cost::PixelLikelihood;
pub use frozen::{Convolution, InvertedResidual};
pub use geometry::Geometry;
pub use instructions::{InstructionSet, UnusableInstructionSet, select};
pub use inverted_residual::{PackedLayers, Strides};
pub use norm::BatchNormalization;
pub use optimise::AdamStep;
pub use peak::peak_gflops;
pub use precision::OperandPrecision;
pub use processor::{KnownBf16, Processor};
pub use similarity::Similarity;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// Convolution with bias and activation: `activation(input * weight + bias)`.
///
/// # Shapes
/// `input [batch, height, width, inputs]`, `weight [kernel height, kernel width, inputs, outputs]`, `bias [outputs]`;
/// returns `[batch, out height, out width, outputs]` with sizes as in [`Geometry::convolved`].
///
/// # Panics
/// If the shapes do not match each other or the geometry.
pub fn conv2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Tensor<4> {
    let [_, height, width, channels] = input.dims();
    let [kernel_height, kernel_width, inputs, outputs] = weight.dims();
    assert_eq!(
        channels, inputs,
        "expected an input of {inputs} channels for these weights, found {channels}"
    );
    geometry.convolved(height, kernel_height);
    geometry.convolved(width, kernel_width);
    let bias = bias_or_zeros(bias, outputs, &weight);
    Tensor::from_dispatch(<Dispatch as Kernels>::convolution(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
        activation,
        precision,
    ))
}

/// Transposed convolution with bias and activation, the adjoint of [`conv2d`] for weights of the same shape.
///
/// # Shapes
/// `input [batch, height, width, inputs]`, `weight [kernel height, kernel width, outputs, inputs]`, `bias [outputs]`;
/// returns `[batch, out height, out width, outputs]` with sizes as in [`Geometry::transposed`].
///
/// # Panics
/// If the shapes do not match each other or the geometry.
pub fn conv_transpose2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Tensor<4> {
    let [_, height, width, channels] = input.dims();
    let [kernel_height, kernel_width, outputs, inputs] = weight.dims();
    assert_eq!(
        channels, inputs,
        "expected an input of {inputs} channels for these weights, found {channels}"
    );
    geometry.transposed(height, kernel_height);
    geometry.transposed(width, kernel_width);
    let bias = bias_or_zeros(bias, outputs, &weight);
    Tensor::from_dispatch(<Dispatch as Kernels>::transposed_convolution(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
        activation,
        precision,
    ))
}

/// Dense layer with bias and activation: `activation(input weight + bias)`.
///
/// # Shapes
/// `input [rows, inputs]`, `weight [inputs, outputs]`, `bias [outputs]`; returns `[rows, outputs]`.
///
/// # Panics
/// If the shapes do not match.
pub fn linear(
    input: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Tensor<2> {
    let [_, values] = input.dims();
    let [inputs, outputs] = weight.dims();
    assert_eq!(values, inputs, "expected {inputs} inputs per row for these weights, found {values}");
    let bias = bias_or_zeros(bias, outputs, &weight);
    Tensor::from_dispatch(<Dispatch as Kernels>::dense(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        activation,
        precision,
    ))
}

/// Batch normalisation with activation: `activation((input - mean) / sqrt(variance + epsilon) * scale + shift)`, with
/// mean and biased variance of the batch. Returns the output, the mean and the variance; the latter two are not
/// differentiated. Ioffe and Szegedy 2015, <https://arxiv.org/abs/1502.03167>.
///
/// # Shapes
/// `input [.., channels]`, `scale [channels]`, `shift [channels]`; returns `[.., channels]`, `[channels]`,
/// `[channels]`.
///
/// # Panics
/// If the shapes do not match.
pub fn batch_norm<const D: usize>(
    input: Tensor<D>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    epsilon: f32,
    activation: ActivationFunction,
) -> (Tensor<D>, Tensor<1>, Tensor<1>) {
    let channels = input.dims()[D - 1];
    for (name, [found]) in [("scale", scale.dims()), ("shift", shift.dims())] {
        assert_eq!(found, channels, "expected a {name} of {channels} values for this input, found {found}");
    }
    let (output, mean, variance) = <Dispatch as Kernels>::normalization(
        input.into_dispatch(),
        scale.into_dispatch(),
        shift.into_dispatch(),
        BatchNormalization { epsilon, activation },
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// Reconstruction cost: the negative log-likelihood -log p(target | output), summed over the pixels of an image and
/// averaged over the batch, in nats, shape `[1]`. Differentiated with respect to `output` only.
///
/// # Shapes
/// `target [batch, height, width, channels]`; `output [batch, height, width, outputs]`, the decoder's last layer before
/// any activation: first the `channels` logits of the means, then, where they are predicted, as many log-variances.
/// Further outputs are ignored.
///
/// # Panics
/// If the shapes do not match.
pub fn reconstruction_cost(output: Tensor<4>, target: Tensor<4>, likelihood: PixelLikelihood) -> Tensor<1> {
    let ([batch, height, width, outputs], target_shape) = (output.dims(), target.dims());
    let channels = target_shape[3];
    assert_eq!([batch, height, width, channels], target_shape, "expected a target of the output's size");
    let needed = if likelihood.predicts_variance() { 2 * channels } else { channels };
    assert!(outputs >= needed, "expected at least {needed} outputs for a pixel, found {outputs}");
    Tensor::from_dispatch(<Dispatch as Kernels>::reconstruction_cost(
        output.into_dispatch(),
        target.into_dispatch(),
        likelihood,
    ))
}

/// Structural dissimilarity: 1 - SSIM or 1 - MS-SSIM, averaged over the batch and the channels, shape `[1]`. It is 0
/// for equal images and at most 2. Differentiated with respect to `output` only.
///
/// The window is Gaussian, 11 x 11 pixels with a standard deviation of 1.5. It is evaluated only where it fits into the
/// image ("valid" convolution), as in pytorch-msssim and torchmetrics. K1 = 0.01, K2 = 0.03, and the data range is 1;
/// variances are weighted by the window and biased.
///
/// [`Similarity::MultiScale`] computes, for each image and channel, the mean of the contrast-structure term at every
/// scale but the coarsest and the mean SSIM at the coarsest, and multiplies them with the exponents 0.0448, 0.2856,
/// 0.3001, 0.2363 and 0.1333. Scales are joined by 2 x 2 average pooling, which drops an odd last row or column. Small
/// images have fewer scales (see [`Similarity::scales`]), whose exponents are divided by their sum; with a single scale
/// the result is that of [`Similarity::SingleScale`]. With several scales, a mean below 0.001 is replaced by 0.001 and
/// gets no gradient, because a fractional power is undefined below 0 and its derivative unbounded near 0.
///
/// # Shapes
/// `output` and `target` `[batch, height, width, channels]`, height and width at least [`Similarity::WINDOW_PX`]; both
/// are pixels from 0 to 1: `output` is the expected pixel, after the sigmoid.
///
/// # Panics
/// If the shapes differ, or an image is smaller than the window.
pub fn structural_dissimilarity(output: Tensor<4>, target: Tensor<4>, similarity: Similarity) -> Tensor<1> {
    let [_, height, width, _] = output.dims();
    assert_eq!(output.dims(), target.dims(), "expected a target of the output's shape");
    assert!(
        similarity.scales(height, width) > 0,
        "expected images of at least {0} x {0} pixels, found {width} x {height}",
        Similarity::WINDOW_PX
    );
    Tensor::from_dispatch(<Dispatch as Kernels>::structural_dissimilarity(
        output.into_dispatch(),
        target.into_dispatch(),
        similarity,
    ))
}

/// KL(N(mean, exp(log variance)) || N(0, 1)): averaged over the batch and summed over dimensions, each of which counts
/// at least `free_bits_nats`; in nats, shape `[1]`. Kingma and Welling 2014, <https://arxiv.org/abs/1312.6114>.
///
/// # Shapes
/// `mean [batch, latent]`, `log_variance [batch, latent]`.
///
/// # Panics
/// If the shapes differ.
pub fn kl_divergence(mean: Tensor<2>, log_variance: Tensor<2>, free_bits_nats: f32) -> Tensor<1> {
    assert_eq!(mean.dims(), log_variance.dims(), "expected a log-variance of the mean's shape");
    Tensor::from_dispatch(<Dispatch as Kernels>::kl_divergence(
        mean.into_dispatch(),
        log_variance.into_dispatch(),
        free_bits_nats,
    ))
}

/// One step of Adam or AdamW on a parameter; returns parameter, first and second moment.
///
/// All four are tensors without autodiff, of one shape. Buffers that are not shared are updated in place.
///
/// # Panics
/// If the shapes differ.
pub fn adam_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first_moment: Tensor<D>,
    second_moment: Tensor<D>,
    settings: AdamStep,
) -> [Tensor<D>; 3] {
    let shape = parameter.dims();
    for (name, other) in
        [("gradient", &gradient), ("first moment", &first_moment), ("second moment", &second_moment)]
    {
        assert_eq!(shape, other.dims(), "expected a {name} of the parameter's shape");
    }
    let (parameter, first, second) = <Dispatch as Kernels>::adam(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        first_moment.into_dispatch(),
        second_moment.into_dispatch(),
        settings,
    );
    [parameter, first, second].map(Tensor::from_dispatch)
}

/// Sum of the squares of all elements, shape `[1]`: the squared L2 norm of a gradient. Not differentiated.
pub fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::sum_of_squares(tensor.into_dispatch()))
}

/// The bias, or zeros on the device of the weights.
fn bias_or_zeros<const D: usize>(bias: Option<Tensor<1>>, outputs: usize, weight: &Tensor<D>) -> Tensor<1> {
    let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs], (&weight.device(), weight.dtype())));
    let [found] = bias.dims();
    assert_eq!(found, outputs, "expected a bias of {outputs} values for these weights, found {found}");
    bias
}
