//! Layers and their gradients against the slow reference for random shapes; bit-identity for any number of threads and
//! batch.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{ActivationFunction, Geometry, OperandPrecision, conv_transpose2d, conv2d, linear};
use proptest::prelude::*;
use reference::{
    Array, Layer, assert_near, assert_outcomes_near, device, expected, found, numbers, output_of,
    repeat_on_every_instruction_set,
};

/// Largest difference relative to the largest magnitude: sums of up to some thousand terms in single precision.
const TOLERANCE: f64 = 2e-5;

/// A gradient that was summed in another order may round to the neighbouring bfloat16.
const TOLERANCE_OF_BF16: f64 = 4e-3;

fn compare(layer: Layer, input: &[usize], weight: &[usize], channels: usize, activation: ActivationFunction) {
    for precision in [OperandPrecision::F32, OperandPrecision::Bf16] {
        compare_in(precision, layer, input, weight, channels, activation);
    }
}

fn compare_in(
    precision: OperandPrecision,
    layer: Layer,
    input: &[usize],
    weight: &[usize],
    channels: usize,
    activation: ActivationFunction,
) {
    let (input, weight) = (Array::noise(input, 1), Array::noise(weight, 2));
    let bias = Array::noise(&[channels], 3);
    let direction = Array::noise(&output_of(layer, &input, &weight).shape, 4);
    let expected = expected(layer, &input, &weight, &bias, &direction, activation, precision);
    let found = found(layer, &input, &weight, &bias, &direction, activation, precision);
    let tolerance = match (precision, activation) {
        (OperandPrecision::F32, _) | (_, ActivationFunction::Identity) => TOLERANCE,
        _ => TOLERANCE_OF_BF16,
    };
    assert_near("output", &found.output, &expected.output, TOLERANCE);
    assert_outcomes_near(&found, &expected, tolerance);
}

fn activations() -> impl Strategy<Value = ActivationFunction> {
    // Smooth functions, so that rounding cannot move a sum across a kink; those with a kink are tested with fixed
    // shapes.
    prop_oneof![
        Just(ActivationFunction::Identity),
        Just(ActivationFunction::Sigmoid),
        Just(ActivationFunction::Tanh)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_any_shape(
        (batch, height, width) in (1..4_usize, 1..14_usize, 1..14_usize),
        (inputs, outputs) in (1..20_usize, 1..20_usize),
        (kernel_height, kernel_width) in (1..6_usize, 1..6_usize),
        (stride, padding) in (1..5_usize, 0..3_usize),
        activation in activations(),
        transposed: bool,
    ) {
        let geometry = Geometry { stride, padding };
        if transposed {
            prop_assume!((height - 1) * stride + kernel_height > 2 * padding);
            prop_assume!((width - 1) * stride + kernel_width > 2 * padding);
            let weight = [kernel_height, kernel_width, outputs, inputs];
            compare(Layer::Transposed(geometry), &[batch, height, width, inputs], &weight, outputs, activation);
        } else {
            prop_assume!(height + 2 * padding >= kernel_height && width + 2 * padding >= kernel_width);
            let weight = [kernel_height, kernel_width, inputs, outputs];
            compare(Layer::Convolution(geometry), &[batch, height, width, inputs], &weight, outputs, activation);
        }
    }

    /// Channels for which the Winograd algorithm is used.
    #[test]
    fn halving_convolutions_of_wide_layers(
        (batch, height, width) in (1..5_usize, 1..12_usize, 1..12_usize),
        (large, small) in (1..4_usize, 1..4_usize),
        padding in 0..3_usize,
        transposed: bool,
    ) {
        let (geometry, activation) = (Geometry { stride: 2, padding }, ActivationFunction::Identity);
        let weight = [4, 4, 16 * large, 16 * small];
        if transposed {
            prop_assume!(height.min(width) * 2 + 2 > 2 * padding);
            let input = [batch, height, width, 16 * small];
            compare(Layer::Transposed(geometry), &input, &weight, 16 * large, activation);
        } else {
            prop_assume!(height.min(width) + 2 * padding >= 4);
            let input = [batch, height, width, 16 * large];
            compare(Layer::Convolution(geometry), &input, &weight, 16 * small, activation);
        }
    }

    #[test]
    fn dense_layers_of_any_shape(
        (rows, inputs, outputs) in (1..40_usize, 1..70_usize, 1..40_usize),
        activation in activations(),
    ) {
        compare(Layer::Dense, &[rows, inputs], &[inputs, outputs], outputs, activation);
    }
}

#[test]
fn layers_larger_than_every_block() {
    let geometry = Geometry { stride: 2, padding: 1 };
    let convolution = Layer::Convolution(geometry);
    compare(convolution, &[2, 34, 30, 1], &[4, 4, 1, 32], 32, ActivationFunction::Sigmoid);
    compare(convolution, &[3, 6, 6, 150], &[4, 4, 150, 20], 20, ActivationFunction::Tanh);
    compare(convolution, &[2, 52, 50, 16], &[4, 4, 16, 32], 32, ActivationFunction::Sigmoid);
    compare(convolution, &[19, 8, 8, 144], &[4, 4, 144, 48], 48, ActivationFunction::Identity);
    compare(Layer::Transposed(geometry), &[2, 26, 25, 32], &[4, 4, 16, 32], 16, ActivationFunction::Tanh);
    compare(Layer::Transposed(geometry), &[2, 40, 33, 18], &[4, 4, 1, 18], 1, ActivationFunction::Sigmoid);
    compare(Layer::Transposed(geometry), &[2, 5, 4, 300], &[4, 4, 17, 300], 17, ActivationFunction::Identity);
    compare(Layer::Dense, &[7, 1500], &[1500, 33], 33, ActivationFunction::Identity);
    compare(Layer::Dense, &[35, 24], &[24, 1100], 1100, ActivationFunction::Identity);
}

#[test]
fn activations_with_a_kink() {
    let geometry = Geometry { stride: 2, padding: 1 };
    for activation in [ActivationFunction::Relu, ActivationFunction::LeakyRelu(0.2)] {
        compare(Layer::Convolution(geometry), &[2, 9, 9, 3], &[3, 3, 3, 8], 8, activation);
        compare(Layer::Transposed(geometry), &[2, 5, 5, 3], &[4, 4, 8, 3], 8, activation);
        compare(Layer::Transposed(geometry), &[2, 5, 5, 16], &[4, 4, 16, 16], 16, activation);
        compare(Layer::Convolution(geometry), &[2, 6, 6, 16], &[4, 4, 16, 16], 16, activation);
        compare(Layer::Transposed(geometry), &[2, 5, 5, 3], &[4, 4, 2, 3], 2, activation);
        compare(Layer::Dense, &[5, 20], &[20, 9], 9, activation);
    }
}

#[test]
fn the_reference_gradients_agree_with_finite_differences() {
    let geometry = Geometry { stride: 2, padding: 1 };
    for layer in [Layer::Convolution(geometry), Layer::Transposed(geometry)] {
        let (input, weight, bias) =
            (Array::noise(&[2, 4, 5, 2], 1), Array::noise(&[3, 4, 2, 2], 2), Array::noise(&[2], 3));
        let direction = Array::noise(&output_of(layer, &input, &weight).shape, 4);
        let activation = ActivationFunction::Tanh;
        let value = |input: &Array, weight: &Array, bias: &Array| {
            let outcome = expected(layer, input, weight, bias, &direction, activation, OperandPrecision::F32);
            outcome.output.iter().zip(&direction.values).map(|(y, g)| y * g).sum::<f64>()
        };
        let outcome = expected(layer, &input, &weight, &bias, &direction, activation, OperandPrecision::F32);
        let step = 1e-5;
        let mut found = [Vec::new(), Vec::new(), Vec::new()];
        for (which, found) in found.iter_mut().enumerate() {
            let count = [&input, &weight, &bias][which].values.len();
            for index in 0..count {
                let shifted = |by: f64| {
                    let mut arrays = [input.clone(), weight.clone(), bias.clone()];
                    arrays[which].values[index] += by;
                    value(&arrays[0], &arrays[1], &arrays[2])
                };
                found.push((shifted(step) - shifted(-step)) / (2.0 * step));
            }
        }
        assert_near("input", &found[0], &outcome.input, 1e-8);
        assert_near("weight", &found[1], &outcome.weight, 1e-8);
        assert_near("bias", &found[2], &outcome.bias, 1e-8);
    }
}

/// Cases that are split into many parallel tasks.
fn cases() -> impl Iterator<Item = (Layer, Vec<usize>, Vec<usize>, usize, OperandPrecision)> {
    let geometry = Geometry { stride: 2, padding: 1 };
    let shapes = vec![
        (Layer::Convolution(geometry), vec![7, 40, 40, 1], vec![4, 4, 1, 32], 32),
        (Layer::Convolution(geometry), vec![7, 16, 16, 40], vec![4, 4, 40, 24], 24),
        (Layer::Transposed(geometry), vec![7, 20, 20, 20], vec![4, 4, 1, 20], 1),
        (Layer::Transposed(geometry), vec![7, 10, 10, 24], vec![4, 4, 40, 24], 40),
        (Layer::Convolution(geometry), vec![7, 40, 40, 16], vec![4, 4, 16, 32], 32),
        (Layer::Transposed(geometry), vec![7, 10, 10, 32], vec![4, 4, 48, 32], 48),
        (Layer::Dense, vec![7, 2500], vec![2500, 40], 40),
        (Layer::Dense, vec![7, 64], vec![64, 1100], 1100),
    ];
    shapes.into_iter().flat_map(|(layer, input, weight, channels)| {
        [OperandPrecision::F32, OperandPrecision::Bf16]
            .map(|precision| (layer, input.clone(), weight.clone(), channels, precision))
    })
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for (layer, input, weight, channels, precision) in cases() {
        let (input, weight, bias) =
            (Array::noise(&input, 1), Array::noise(&weight, 2), Array::noise(&[channels], 3));
        let direction = Array::noise(&output_of(layer, &input, &weight).shape, 4);
        let outcomes = [1, 3, 8].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let activation = ActivationFunction::LeakyRelu(0.1);
            pool.install(|| found(layer, &input, &weight, &bias, &direction, activation, precision))
        });
        for outcome in &outcomes[1..] {
            assert_eq!(outcome.output, outcomes[0].output, "{layer:?}: output");
            assert_eq!(outcome.input, outcomes[0].input, "{layer:?}: input gradient");
            assert_eq!(outcome.weight, outcomes[0].weight, "{layer:?}: weight gradient");
            assert_eq!(outcome.bias, outcomes[0].bias, "{layer:?}: bias gradient");
        }
    }
}

#[test]
fn an_image_has_the_same_bits_in_any_batch() {
    let device = device();
    for (layer, input, weight, channels, precision) in cases() {
        let (input, weight, bias) =
            (Array::noise(&input, 1), Array::noise(&weight, 2), Array::noise(&[channels], 3));
        let forward = |input: &Array| {
            let bias = Some(bias.tensor::<1>(&device));
            match layer {
                Layer::Convolution(geometry) => {
                    let (input, weight) = (input.tensor(&device), weight.tensor(&device));
                    numbers(conv2d(input, weight, bias, geometry, ActivationFunction::Sigmoid, precision))
                }
                Layer::Transposed(geometry) => {
                    let (input, weight) = (input.tensor(&device), weight.tensor(&device));
                    numbers(conv_transpose2d(
                        input,
                        weight,
                        bias,
                        geometry,
                        ActivationFunction::Sigmoid,
                        precision,
                    ))
                }
                Layer::Dense => {
                    let (input, weight) = (input.tensor(&device), weight.tensor(&device));
                    numbers(linear(input, weight, bias, ActivationFunction::Sigmoid, precision))
                }
            }
        };
        let together = forward(&input);
        let images = input.shape[0];
        let (size_in, size_out) = (input.values.len() / images, together.len() / images);
        for count in [1, 2] {
            for first in 0..=images - count {
                let mut part = input.clone();
                part.shape[0] = count;
                part.values = input.values[first * size_in..(first + count) * size_in].to_vec();
                let expected = &together[first * size_out..(first + count) * size_out];
                assert_eq!(forward(&part), expected, "{layer:?}: {count} from image {first}");
            }
        }
    }
}

#[test]
fn the_input_of_the_first_layer_needs_no_gradient() {
    let device = device().autodiff();
    let input = Array::noise(&[2, 8, 8, 1], 1).tensor::<4>(&device);
    let weight = Array::noise(&[3, 3, 1, 4], 2).tensor::<4>(&device).require_grad();
    let geometry = Geometry { stride: 1, padding: 1 };
    let output = conv2d(
        input.clone(),
        weight.clone(),
        None,
        geometry,
        ActivationFunction::Relu,
        OperandPrecision::F32,
    );
    let gradients = output.sum().backward();
    assert!(input.grad(&gradients).is_none());
    assert!(weight.grad(&gradients).is_some());
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
