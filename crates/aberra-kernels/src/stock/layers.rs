//! Layers in stock Burn operations.

use super::activation::{activate, gate};
use super::layout::{CHANNELS_FIRST, CHANNELS_LAST, WEIGHT_FROM_BURN, WEIGHT_TO_BURN};
use crate::activation::ActivationFunction;
use crate::geometry::Geometry;
use crate::precision::OperandPrecision;
use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{FloatDType, Shape};

pub(crate) fn convolution<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let [input, weight] = rounded::<B, 2>([input, weight], precision);
    let input = B::float_permute(input, &CHANNELS_FIRST);
    let weight = B::float_permute(weight, &WEIGHT_TO_BURN);
    let output = B::conv2d(input, weight, Some(bias), options(geometry));
    activate::<B>(B::float_permute(output, &CHANNELS_LAST), activation)
}

pub(crate) fn convolution_input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let [gradient, weight] = rounded::<B, 2>([gate::<B>(gradient, output, activation), weight], precision);
    let gradient = B::float_permute(gradient, &CHANNELS_FIRST);
    let input = B::float_permute(input, &CHANNELS_FIRST);
    let weight = B::float_permute(weight, &WEIGHT_TO_BURN);
    B::float_permute(B::conv2d_x_backward(input, weight, gradient, options(geometry)), &CHANNELS_LAST)
}

pub(crate) fn convolution_weight_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let gradient = gate::<B>(gradient, output, activation);
    weight_gradient::<B>(rounded::<B, 2>([input, gradient], precision), weight, geometry)
}

/// `large` and `small` are the two sides of a convolution, one of them a gradient.
fn weight_gradient<B: Backend>(
    [large, small]: [FloatTensor<B>; 2],
    weight: FloatTensor<B>,
    geometry: Geometry,
) -> FloatTensor<B> {
    let large = B::float_permute(large, &CHANNELS_FIRST);
    let small = B::float_permute(small, &CHANNELS_FIRST);
    let weight = B::float_permute(weight, &WEIGHT_TO_BURN);
    let gradient = B::conv2d_weight_backward(large, weight, small, options(geometry));
    B::float_permute(gradient, &WEIGHT_FROM_BURN)
}

pub(crate) fn transposed_convolution<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let Geometry { stride, padding } = geometry;
    let options = ConvTransposeOptions::new([stride; 2], [padding; 2], [0; 2], [1; 2], 1);
    let [input, weight] = rounded::<B, 2>([input, weight], precision);
    let input = B::float_permute(input, &CHANNELS_FIRST);
    let weight = B::float_permute(weight, &WEIGHT_TO_BURN);
    let output = B::conv_transpose2d(input, weight, Some(bias), options);
    activate::<B>(B::float_permute(output, &CHANNELS_LAST), activation)
}

pub(crate) fn transposed_convolution_input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let [gradient, weight] = rounded::<B, 2>([gate::<B>(gradient, output, activation), weight], precision);
    let gradient = B::float_permute(gradient, &CHANNELS_FIRST);
    let weight = B::float_permute(weight, &WEIGHT_TO_BURN);
    B::float_permute(B::conv2d(gradient, weight, None, options(geometry)), &CHANNELS_LAST)
}

pub(crate) fn transposed_convolution_weight_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    geometry: Geometry,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let gradient = gate::<B>(gradient, output, activation);
    weight_gradient::<B>(rounded::<B, 2>([gradient, input], precision), weight, geometry)
}

pub(crate) fn dense<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let [outputs] = bias.shape().dims();
    let bias = B::float_reshape(bias, Shape::new([1, outputs]));
    let [input, weight] = rounded::<B, 2>([input, weight], precision);
    activate::<B>(B::float_add(B::float_matmul(input, weight), bias), activation)
}

pub(crate) fn dense_input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    weight: FloatTensor<B>,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let [gradient, weight] = rounded::<B, 2>([gate::<B>(gradient, output, activation), weight], precision);
    B::float_matmul(gradient, B::float_swap_dims(weight, 0, 1))
}

pub(crate) fn dense_weight_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    input: FloatTensor<B>,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<B> {
    let [gradient, input] = rounded::<B, 2>([gate::<B>(gradient, output, activation), input], precision);
    B::float_matmul(B::float_swap_dims(input, 0, 1), gradient)
}

/// Sum over all dimensions but the last.
pub(crate) fn bias_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    activation: ActivationFunction,
) -> FloatTensor<B> {
    let gradient = gate::<B>(gradient, output, activation);
    let shape = gradient.shape();
    let channels = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / channels.max(1);
    let gradient = B::float_reshape(gradient, Shape::new([rows, channels]));
    B::float_reshape(B::float_sum_dim(gradient, 0), Shape::new([channels]))
}

/// Operands rounded to a precision, in their original element type.
fn rounded<B: Backend, const N: usize>(
    operands: [FloatTensor<B>; N],
    precision: OperandPrecision,
) -> [FloatTensor<B>; N] {
    match precision {
        OperandPrecision::F32 => operands,
        OperandPrecision::Bf16 => operands.map(|operand| {
            let exact = operand.dtype().into();
            B::float_cast(B::float_cast(operand, FloatDType::BF16), exact)
        }),
    }
}

fn options(geometry: Geometry) -> ConvOptions<2> {
    ConvOptions::new([geometry.stride; 2], [geometry.padding; 2], [1; 2], 1)
}
