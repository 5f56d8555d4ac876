//! Inverted residuals in stock Burn operations.

use super::activation::{activate, gate};
use super::layout::{CHANNELS_FIRST, CHANNELS_LAST, WEIGHT_TO_BURN};
use crate::activation::ActivationFunction;
use crate::geometry::same_padding;
use crate::inverted_residual::{PackedLayers, Strides};
use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Slice};

pub(crate) fn forward<B: Backend>(
    input: FloatTensor<B>,
    layers: PackedLayers<B>,
    strides: Strides,
) -> FloatTensor<B> {
    let images = B::float_permute(input, &CHANNELS_FIRST);
    let [expansion, depthwise, projection] = convolutions::<B>(&images, layers, strides);
    let expanded = activate::<B>(expansion.forward(images.clone()), ActivationFunction::Relu6);
    let filtered = activate::<B>(depthwise.forward(expanded), ActivationFunction::Relu6);
    let mut output = projection.forward(filtered);
    if strides.is_residual {
        output = B::float_add(output, images);
    }
    B::float_permute(output, &CHANNELS_LAST)
}

/// Gradient with respect to the input.
pub(crate) fn input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    input: FloatTensor<B>,
    layers: PackedLayers<B>,
    strides: Strides,
) -> FloatTensor<B> {
    let [images, outside] = [input, gradient].map(|tensor| B::float_permute(tensor, &CHANNELS_FIRST));
    let [expansion, depthwise, projection] = convolutions::<B>(&images, layers, strides);
    let expanded = activate::<B>(expansion.forward(images.clone()), ActivationFunction::Relu6);
    let filtered = activate::<B>(depthwise.forward(expanded.clone()), ActivationFunction::Relu6);
    let gradient = projection.input_gradient(filtered.clone(), outside.clone());
    let gradient = gate::<B>(gradient, filtered, ActivationFunction::Relu6);
    let gradient = depthwise.input_gradient(expanded.clone(), gradient);
    let gradient = gate::<B>(gradient, expanded, ActivationFunction::Relu6);
    let mut gradient = expansion.input_gradient(images, gradient);
    if strides.is_residual {
        gradient = B::float_add(gradient, outside);
    }
    B::float_permute(gradient, &CHANNELS_LAST)
}

/// A convolution with padding "SAME", channels first.
struct Convolution<B: Backend> {
    /// `[outputs, inputs, kernel height, kernel width]`
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    stride: usize,
    groups: usize,
}

/// Expansion, depthwise convolution and projection.
fn convolutions<B: Backend>(
    images: &FloatTensor<B>,
    layers: PackedLayers<B>,
    strides: Strides,
) -> [Convolution<B>; 3] {
    let [_, channels, _, _] = images.shape().dims();
    let [hidden] = layers.expansion_bias.shape().dims();
    let [outputs] = layers.projection_bias.shape().dims();
    let [_, _, depth, _] = layers.projection.shape().dims();
    let convolution = |weight, bias, stride, groups| Convolution { weight, bias, stride, groups };
    let expand = unpack::<B>(layers.expansion, channels, channels, hidden);
    let filter = unpack::<B>(layers.depthwise, 1, 1, hidden);
    let project = unpack::<B>(layers.projection, depth, hidden, outputs);
    [
        convolution(expand, layers.expansion_bias, strides.expansion, 1),
        convolution(filter, layers.depthwise_bias, strides.depthwise, hidden),
        convolution(project, layers.projection_bias, 1, 1),
    ]
}

impl<B: Backend> Convolution<B> {
    fn forward(&self, input: FloatTensor<B>) -> FloatTensor<B> {
        B::conv2d(self.padded(input), self.weight.clone(), Some(self.bias.clone()), self.options())
    }

    fn input_gradient(&self, input: FloatTensor<B>, gradient: FloatTensor<B>) -> FloatTensor<B> {
        let inside = self.inside(&input);
        let padded = self.padded(input);
        let gradient = B::conv2d_x_backward(padded, self.weight.clone(), gradient, self.options());
        B::float_slice(gradient, &inside)
    }

    fn padded(&self, input: FloatTensor<B>) -> FloatTensor<B> {
        let [batch, channels, height, width] = input.shape().dims();
        let [[above, below], [left, right]] = self.padding(&input);
        if above + below + left + right == 0 {
            return input;
        }
        let shape = Shape::new([batch, channels, above + height + below, left + width + right]);
        let zeros = B::float_zeros(shape, &input.device(), input.dtype().into());
        let inside = self.inside(&input);
        B::float_slice_assign(zeros, &inside, input)
    }

    /// Where an input lies in its padded copy.
    fn inside(&self, input: &FloatTensor<B>) -> [Slice; 4] {
        let [batch, channels, height, width] = input.shape().dims();
        let [[above, _], [left, _]] = self.padding(input);
        [0..batch, 0..channels, above..above + height, left..left + width].map(Slice::from)
    }

    /// Padding above and below, and left and right.
    fn padding(&self, input: &FloatTensor<B>) -> [[usize; 2]; 2] {
        let [_, _, height, width] = input.shape().dims();
        let [_, _, kernel_height, kernel_width] = self.weight.shape().dims();
        [(height, kernel_height), (width, kernel_width)]
            .map(|(size, kernel)| same_padding(size, kernel, self.stride))
    }

    fn options(&self) -> ConvOptions<2> {
        ConvOptions::new([self.stride; 2], [0; 2], [1; 2], self.groups)
    }
}

/// `[panels, kernel height, kernel width x depth, lanes]` as Burn's `[outputs, inputs, kernel height, kernel width]`;
/// what is beyond `inputs` and `outputs` is padding.
fn unpack<B: Backend>(weight: FloatTensor<B>, depth: usize, inputs: usize, outputs: usize) -> FloatTensor<B> {
    let [panels, height, across, lanes] = weight.shape().dims();
    let weight = B::float_permute(weight, &[1, 2, 0, 3]);
    let weight = B::float_reshape(weight, Shape::new([height, across / depth, depth, panels * lanes]));
    let all = |length: usize| Slice::from(0..length);
    let weight = B::float_slice(weight, &[all(height), all(across / depth), all(inputs), all(outputs)]);
    B::float_permute(weight, &WEIGHT_TO_BURN)
}
