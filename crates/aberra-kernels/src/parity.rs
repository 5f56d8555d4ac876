//! The stock implementations of the operations against the kernels.

use crate::activation::ActivationFunction;
use crate::backend::Kernels;
use crate::cost::PixelLikelihood;
use crate::geometry::Geometry;
use crate::inverted_residual::{PackedLayers, Strides};
use crate::norm::BatchNormalization;
use crate::optimise::AdamStep;
use crate::precision::OperandPrecision;
use crate::similarity::Similarity;
use crate::stock;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;
use burn_flex::FlexTensor;
use proptest::prelude::*;

fn noise(shape: &[usize], seed: u32) -> FlexTensor {
    let count: usize = shape.iter().product();
    let value = |index: usize| {
        let mixed = (index as u32 ^ seed << 20).wrapping_mul(2_654_435_761) >> 8;
        mixed as f32 / (1 << 23) as f32 - 1.0
    };
    FlexTensor::from_data(TensorData::new((0..count).map(value).collect::<Vec<_>>(), shape.to_vec()))
}

fn assert_near(found: FlexTensor, expected: FlexTensor) {
    assert_eq!(found.shape(), expected.shape());
    let numbers = |tensor: FlexTensor| tensor.into_data().try_to_vec::<f32>().unwrap();
    for (found, expected) in numbers(found).iter().zip(numbers(expected)) {
        assert!((found - expected).abs() <= 2e-5 * expected.abs().max(1.0), "{found} {expected}");
    }
}

const PRECISIONS: [OperandPrecision; 2] = [OperandPrecision::F32, OperandPrecision::Bf16];

#[test]
fn stock_convolutions_equal_ours() {
    let activations = [
        ActivationFunction::Identity,
        ActivationFunction::Relu,
        ActivationFunction::LeakyRelu(0.2),
        ActivationFunction::Relu6,
        ActivationFunction::Sigmoid,
        ActivationFunction::Tanh,
    ];
    let cases = activations.into_iter().enumerate().flat_map(|case| PRECISIONS.map(|p| (case, p)));
    for ((number, activation), p) in cases {
        let geometry = Geometry { stride: 1 + number % 3, padding: number % 2 };
        macro_rules! same {
            ($operation:ident($($argument:ident),*)) => {
                assert_near(
                    stock::$operation::<Flex>($($argument.clone(),)* geometry, activation, p),
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
            stock::bias_gradient::<Flex>(g.clone(), y.clone(), activation),
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
    let activation = ActivationFunction::LeakyRelu(0.3);
    for p in PRECISIONS {
        macro_rules! same {
            ($operation:ident($($argument:ident),*)) => {
                assert_near(
                    stock::$operation::<Flex>($($argument.clone(),)* activation, p),
                    Flex::$operation($($argument.clone(),)* activation, p),
                )
            };
        }
        // A transposed view, which the kernels must make contiguous first.
        let x = Flex::float_swap_dims(noise(&[20, 7], 1), 0, 1);
        let (w, b) = (noise(&[20, 9], 2), noise(&[9], 3));
        same!(dense(x, w, b));
        let y = Flex::dense(x.clone(), w.clone(), b, activation, p);
        let g = noise(&y.shape(), 4);
        same!(dense_input_gradient(g, y, w));
        same!(dense_weight_gradient(g, y, x));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stock_inverted_residuals_equal_ours(
        (batch, height, width) in (1..4_usize, 1..40_usize, 1..40_usize),
        (inputs, hidden, outputs) in (1..20_usize, 1..70_usize, 1..40_usize),
        (expansion_kernel, kernel) in (prop_oneof![Just(1_usize), Just(3)], prop_oneof![Just(3_usize), Just(5)]),
        halves_first: bool,
        halves: bool,
        is_residual: bool,
    ) {
        let strides = Strides {
            expansion: if halves_first && expansion_kernel > 1 && !is_residual { 2 } else { 1 },
            depthwise: if halves && !is_residual { 2 } else { 1 },
            is_residual,
        };
        let outputs = if is_residual { inputs } else { outputs };
        let packed = |[height, across, columns]: [usize; 3], depth: usize, seed: u32| {
            let panels = columns.div_ceil(16);
            let values = noise(&[panels, height, across, 16], seed).into_data().try_to_vec::<f32>().unwrap();
            // Zeros where there is padding.
            let kept = |index: usize| {
                let (panel, row, lane) = (index / (height * across * 16), index / 16 % across, index % 16);
                row < depth && panel * 16 + lane < columns
            };
            let values: Vec<f32> =
                values.iter().enumerate().map(|(index, &value)| if kept(index) { value } else { 0.0 }).collect();
            FlexTensor::from_data(TensorData::new(values, [panels, height, across, 16]))
        };
        let across = expansion_kernel * inputs;
        let layers = PackedLayers {
            expansion: packed([expansion_kernel, across, hidden], across, 1),
            expansion_bias: noise(&[hidden], 2),
            depthwise: packed([kernel, kernel, hidden], kernel, 3),
            depthwise_bias: noise(&[hidden], 4),
            projection: packed([1, hidden.next_multiple_of(16), outputs], hidden, 5),
            projection_bias: noise(&[outputs], 6),
        };
        let input = noise(&[batch, height, width, inputs], 7);
        assert_near(
            Flex::inverted_residual(input.clone(), layers.clone(), strides),
            stock::inverted_residual::forward::<Flex>(input, layers, strides),
        );
    }
}

#[test]
fn stock_optimiser_equals_ours() {
    let settings = AdamStep { weight_decay: 0.1, gradient_scale: 0.5, ..AdamStep::new(0.01, 3) };
    let (p, g, m) = (noise(&[40], 1), noise(&[40], 2), noise(&[40], 3));
    let v = Flex::float_mul(m.clone(), m.clone());
    let (p1, m1, v1) = stock::adam::<Flex>(p.clone(), g.clone(), m.clone(), v.clone(), settings);
    let (p2, m2, v2) = Flex::adam(p, g.clone(), m, v, settings);
    assert_near(p1, p2);
    assert_near(m1, m2);
    assert_near(v1, v2);
    assert_near(stock::sum_of_squares::<Flex>(g.clone()), Flex::sum_of_squares(g));
}

#[test]
fn stock_batch_normalisation_equals_ours() {
    let settings = BatchNormalization { epsilon: 1e-5, activation: ActivationFunction::LeakyRelu(0.3) };
    let [input, direction] = [1, 2].map(|seed| noise(&[3, 4, 5, 6], seed));
    let [scale, shift] = [3, 4].map(|seed| noise(&[6], seed));
    let slow = stock::norm::batch_norm::<Flex>(input.clone(), scale.clone(), shift.clone(), settings);
    let fast = Flex::normalization(input.clone(), scale.clone(), shift, settings);
    assert_near(slow.0, fast.0.clone());
    assert_near(slow.1, fast.1.clone());
    assert_near(slow.2, fast.2.clone());
    let gated = stock::gate::<Flex>(direction.clone(), fast.0.clone(), settings.activation);
    let statistics = [fast.1.clone(), fast.2.clone()];
    let slow =
        stock::norm::batch_norm_gradients::<Flex>(gated, input.clone(), scale.clone(), statistics, 1e-5);
    let fast = Flex::normalization_gradients(direction, fast.0, input, scale, fast.1, fast.2, settings);
    assert_near(slow.0, fast.0);
    assert_near(slow.1, fast.1);
    assert_near(slow.2, fast.2);
}

#[test]
fn stock_costs_equal_ours() {
    let likelihoods = [
        PixelLikelihood::Gaussian { variance: 0.3 },
        PixelLikelihood::PredictedGaussian { low: -0.2, high: 0.3 },
        PixelLikelihood::UnboundedGaussian { low: -0.2, high: 0.3 },
        PixelLikelihood::Laplace { scale: 0.2 },
        PixelLikelihood::Bernoulli,
    ];
    let (output, target) = (noise(&[3, 4, 5, 5], 1), noise(&[3, 4, 5, 2], 2));
    let direction = noise(&[1], 3);
    for likelihood in likelihoods {
        assert_near(
            stock::cost::reconstruction_cost::<Flex>(output.clone(), target.clone(), likelihood),
            Flex::reconstruction_cost(output.clone(), target.clone(), likelihood),
        );
        let (output, target, direction) = (output.clone(), target.clone(), direction.clone());
        assert_near(
            stock::cost::reconstruction_cost_gradient::<Flex>(
                direction.clone(),
                output.clone(),
                target.clone(),
                likelihood,
            ),
            Flex::reconstruction_cost_gradient(direction, output, target, likelihood),
        );
    }
}

#[test]
fn stock_divergences_equal_ours() {
    let mean = noise(&[3, 40], 1);
    let log_variance = Flex::float_mul_scalar(noise(&[3, 40], 2), 3.0.into());
    let direction = noise(&[1], 3);
    for free_bits in [0.0, 0.5] {
        assert_near(
            stock::cost::kl_divergence::<Flex>(mean.clone(), log_variance.clone(), free_bits),
            Flex::kl_divergence(mean.clone(), log_variance.clone(), free_bits),
        );
        let (direction, mean) = (direction.clone(), mean.clone());
        let slow = stock::cost::kl_divergence_gradients::<Flex>(
            direction.clone(),
            mean.clone(),
            log_variance.clone(),
            free_bits,
        );
        let fast = Flex::kl_divergence_gradients(direction, mean, log_variance.clone(), free_bits);
        assert_near(slow.0, fast.0);
        assert_near(slow.1, fast.1);
    }
}

/// Relative to the largest magnitude. The stock implementation computes variances as differences in single precision,
/// whose rounding errors are not small beside the constant 0.0009 in the denominator.
const SIMILARITY_TOLERANCE: f32 = 1e-3;

/// `least` is the magnitude below which differences are compared with it instead.
fn assert_alike(found: FlexTensor, expected: FlexTensor, least: f32) {
    assert_eq!(found.shape(), expected.shape());
    let [found, expected] = [found, expected].map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap());
    let scale = expected.iter().fold(least, |scale, value| scale.max(value.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= SIMILARITY_TOLERANCE * scale, "{found} {expected} of {scale}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stock_similarities_equal_ours(
        (batch, height, width, channels) in (1..4_usize, 11..50_usize, 11..50_usize, 1..4_usize),
        weight in -1.0..1.0_f32,
        is_multi_scale: bool,
    ) {
        let similarity = if is_multi_scale { Similarity::MultiScale } else { Similarity::SingleScale };
        // Numbers from 0 to 1, alike, opposite or unrelated.
        let scaled = |tensor: FlexTensor, factor: f32| Flex::float_mul_scalar(tensor, factor.into());
        let [first, second] = [1, 2].map(|seed| noise(&[batch, height, width, channels], seed));
        let mixed = Flex::float_add(
            scaled(first.clone(), 0.5 * weight),
            scaled(second, 0.5 * (1.0 - weight.abs())),
        );
        let output = Flex::float_add_scalar(mixed, 0.5.into());
        let target = Flex::float_add_scalar(scaled(first, 0.5), 0.5.into());
        assert_alike(
            stock::similarity::structural_dissimilarity::<Flex>(output.clone(), target.clone(), similarity),
            Flex::structural_dissimilarity(output.clone(), target.clone(), similarity),
            // One minus a similarity: of images that are nearly the same, rounding is most of what is left.
            1e-3,
        );
        let direction = noise(&[1], 3);
        assert_alike(
            stock::similarity::structural_dissimilarity_gradient::<Flex>(
                direction.clone(),
                output.clone(),
                target.clone(),
                similarity,
            ),
            Flex::structural_dissimilarity_gradient(direction, output, target, similarity),
            1e-6,
        );
    }
}
