//! Every operation of this crate in stock Burn operations: what devices without a kernel of ours run, and a reference.

pub(crate) mod cost;
pub(crate) mod norm;
pub(crate) mod similarity;

use crate::activation::Activation;
use crate::geometry::Geometry;
use crate::optimise::AdamStep;
use crate::precision::Precision;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{FloatDType, Shape};

/// To Burn's `[batch, channels, height, width]` and back.
const CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];
const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
/// From `[kernel height, kernel width, large, small]` to Burn's `[small, large, kernel height, kernel width]` and back.
const WEIGHT_TO_BURN: [usize; 4] = [3, 2, 0, 1];
const WEIGHT_FROM_BURN: [usize; 4] = [2, 3, 1, 0];

pub(crate) fn convolution<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    geometry: Geometry,
    activation: Activation,
    precision: Precision,
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
    activation: Activation,
    precision: Precision,
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
    activation: Activation,
    precision: Precision,
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
    activation: Activation,
    precision: Precision,
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
    activation: Activation,
    precision: Precision,
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
    activation: Activation,
    precision: Precision,
) -> FloatTensor<B> {
    let gradient = gate::<B>(gradient, output, activation);
    weight_gradient::<B>(rounded::<B, 2>([gradient, input], precision), weight, geometry)
}

pub(crate) fn dense<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: Activation,
    precision: Precision,
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
    activation: Activation,
    precision: Precision,
) -> FloatTensor<B> {
    let [gradient, weight] = rounded::<B, 2>([gate::<B>(gradient, output, activation), weight], precision);
    B::float_matmul(gradient, B::float_swap_dims(weight, 0, 1))
}

pub(crate) fn dense_weight_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    input: FloatTensor<B>,
    activation: Activation,
    precision: Precision,
) -> FloatTensor<B> {
    let [gradient, input] = rounded::<B, 2>([gate::<B>(gradient, output, activation), input], precision);
    B::float_matmul(B::float_swap_dims(input, 0, 1), gradient)
}

/// Sum over all dimensions but the last.
pub(crate) fn bias_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    let gradient = gate::<B>(gradient, output, activation);
    let shape = gradient.shape();
    let channels = shape[shape.num_dims() - 1];
    let rows = shape.num_elements() / channels.max(1);
    let gradient = B::float_reshape(gradient, Shape::new([rows, channels]));
    B::float_reshape(B::float_sum_dim(gradient, 0), Shape::new([channels]))
}

/// Operands as a precision has them, in the element type that they had.
fn rounded<B: Backend, const N: usize>(
    operands: [FloatTensor<B>; N],
    precision: Precision,
) -> [FloatTensor<B>; N] {
    match precision {
        Precision::F32 => operands,
        Precision::Bf16 => operands.map(|operand| {
            let exact = operand.dtype().into();
            B::float_cast(B::float_cast(operand, FloatDType::BF16), exact)
        }),
    }
}

/// The gradient with respect to `x` from that with respect to `output = activation(x)`.
pub(crate) fn gate<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    match activation {
        Activation::Identity => gradient,
        Activation::Relu => B::relu_backward(output, gradient),
        Activation::LeakyRelu(slope) => {
            let settings = get_or_init_device_settings::<B>(&output.device());
            let negative = B::float_lower_equal_elem(output, 0f32.into(), settings.bool_dtype);
            let scaled = B::float_mul_scalar(gradient.clone(), slope.into());
            B::float_mask_where(gradient, negative, scaled)
        }
        Activation::Sigmoid => B::sigmoid_backward(output, gradient),
        Activation::Tanh => {
            let square = B::float_mul(output.clone(), output);
            let derivative = B::float_add_scalar(B::float_neg(square), 1f32.into());
            B::float_mul(gradient, derivative)
        }
    }
}

/// Parameter and both moments after a step.
pub(crate) fn adam<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    settings: AdamStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let AdamStep { beta_1, beta_2, .. } = settings;
    let scale = |tensor: FloatTensor<B>, factor: f32| B::float_mul_scalar(tensor, factor.into());
    let (rate, root_correction) = settings.corrected();
    let gradient = scale(gradient, settings.gradient_scale);
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(scale(first, beta_1), scale(gradient, 1.0 - beta_1));
    let second = B::float_add(scale(second, beta_2), scale(square, 1.0 - beta_2));
    let root = scale(B::float_sqrt(second.clone()), root_correction);
    let change = B::float_div(first.clone(), B::float_add_scalar(root, settings.epsilon.into()));
    let kept = scale(parameter, 1.0 - settings.learning_rate * settings.weight_decay);
    (B::float_sub(kept, scale(change, rate)), first, second)
}

/// Sum of squares of all elements, shape `[1]`.
pub(crate) fn sum_of_squares<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(B::float_mul(tensor.clone(), tensor))
}

fn options(geometry: Geometry) -> ConvOptions<2> {
    ConvOptions::new([geometry.stride; 2], [geometry.padding; 2], [1; 2], 1)
}

fn activate<B: Backend>(tensor: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    match activation {
        Activation::Identity => tensor,
        Activation::Relu => B::relu(tensor),
        Activation::LeakyRelu(slope) => B::leaky_relu(tensor, slope.into()),
        Activation::Sigmoid => B::sigmoid(tensor),
        Activation::Tanh => B::float_tanh(tensor),
    }
}

#[cfg(test)]
mod tests {
    //! The default bodies of the operations against our kernels.
    use super::*;
    use crate::backend::Kernels;
    use burn::backend::Flex;
    use burn::backend::ops::FloatTensorOps;
    use burn::tensor::TensorData;
    use burn_flex::FlexTensor;

    pub(super) fn noise(shape: &[usize], seed: u32) -> FlexTensor {
        let count: usize = shape.iter().product();
        let value = |index: usize| {
            let mixed = (index as u32 ^ seed << 20).wrapping_mul(2_654_435_761) >> 8;
            mixed as f32 / (1 << 23) as f32 - 1.0
        };
        FlexTensor::from_data(TensorData::new((0..count).map(value).collect::<Vec<_>>(), shape.to_vec()))
    }

    pub(super) fn assert_near(found: FlexTensor, expected: FlexTensor) {
        assert_eq!(found.shape(), expected.shape());
        let numbers = |tensor: FlexTensor| tensor.into_data().try_to_vec::<f32>().unwrap();
        for (found, expected) in numbers(found).iter().zip(numbers(expected)) {
            assert!((found - expected).abs() <= 2e-5 * expected.abs().max(1.0), "{found} {expected}");
        }
    }

    const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

    #[test]
    fn stock_convolutions_equal_ours() {
        let activations = [
            Activation::Identity,
            Activation::Relu,
            Activation::LeakyRelu(0.2),
            Activation::Sigmoid,
            Activation::Tanh,
        ];
        let cases = activations.into_iter().enumerate().flat_map(|case| PRECISIONS.map(|p| (case, p)));
        for ((number, activation), p) in cases {
            let geometry = Geometry { stride: 1 + number % 3, padding: number % 2 };
            macro_rules! same {
                ($operation:ident($($argument:ident),*)) => {
                    assert_near(
                        $operation::<Flex>($($argument.clone(),)* geometry, activation, p),
                        Flex::$operation($($argument.clone(),)* geometry, activation, p),
                    )
                };
            }
            let (x, w, b) = (noise(&[2, 8, 7, 3], 1), noise(&[3, 4, 3, 6], 2), noise(&[6], 3));
            same!(convolution(x, w, b));
            let y = Flex::convolution(x.clone(), w.clone(), b, geometry, activation, p);
            let g = noise(&y.shape(), 4);
            same!(convolution_input_gradient(g, y, x, w));
            same!(convolution_weight_gradient(g, y, x, w));
            assert_near(
                bias_gradient::<Flex>(g.clone(), y.clone(), activation),
                Flex::bias_gradient(g, y, activation),
            );
            let (x, w, b) = (noise(&[2, 4, 5, 6], 1), noise(&[3, 4, 5, 6], 2), noise(&[5], 3));
            same!(transposed_convolution(x, w, b));
            let y = Flex::transposed_convolution(x.clone(), w.clone(), b, geometry, activation, p);
            let g = noise(&y.shape(), 4);
            same!(transposed_convolution_input_gradient(g, y, w));
            same!(transposed_convolution_weight_gradient(g, y, x, w));
        }
    }

    #[test]
    fn stock_dense_layers_equal_ours() {
        let activation = Activation::LeakyRelu(0.3);
        for p in PRECISIONS {
            macro_rules! same {
                ($operation:ident($($argument:ident),*)) => {
                    assert_near(
                        $operation::<Flex>($($argument.clone(),)* activation, p),
                        Flex::$operation($($argument.clone(),)* activation, p),
                    )
                };
            }
            // A transposed view, which our kernels must put in order first.
            let x = Flex::float_swap_dims(noise(&[20, 7], 1), 0, 1);
            let (w, b) = (noise(&[20, 9], 2), noise(&[9], 3));
            same!(dense(x, w, b));
            let y = Flex::dense(x.clone(), w.clone(), b, activation, p);
            let g = noise(&y.shape(), 4);
            same!(dense_input_gradient(g, y, w));
            same!(dense_weight_gradient(g, y, x));
        }
    }

    #[test]
    fn stock_optimiser_equals_ours() {
        let settings = AdamStep { weight_decay: 0.1, gradient_scale: 0.5, ..AdamStep::new(0.01, 3) };
        let (p, g, m) = (noise(&[40], 1), noise(&[40], 2), noise(&[40], 3));
        let v = Flex::float_mul(m.clone(), m.clone());
        let (p1, m1, v1) = adam::<Flex>(p.clone(), g.clone(), m.clone(), v.clone(), settings);
        let (p2, m2, v2) = Flex::adam(p, g.clone(), m, v, settings);
        assert_near(p1, p2);
        assert_near(m1, m2);
        assert_near(v1, v2);
        assert_near(sum_of_squares::<Flex>(g.clone()), Flex::sum_of_squares(g));
    }
}
