//! Batch normalisation and its gradients against a slow `f64` version for random shapes; bit-identity for any number of
//! threads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{ActivationFunction, batch_norm};
use burn::tensor::Tensor;
use proptest::prelude::*;
use reference::{Array, activate, assert_near, device, numbers, repeat_on_every_instruction_set, slope};

const EPSILON: f32 = 1e-5;
/// Largest difference relative to the largest magnitude.
const TOLERANCE: f64 = 2e-5;

/// Output, mean, variance, and the gradients of `sum(output * direction)` for input, scale and shift.
#[derive(Debug, PartialEq)]
struct Outcome([Vec<f64>; 6]);

const NAMES: [&str; 6] = ["output", "mean", "variance", "input gradient", "scale gradient", "shift gradient"];

/// From the formulas of Ioffe and Szegedy (2015), section 3.
fn expected(
    input: &Array,
    scale: &Array,
    shift: &Array,
    direction: &Array,
    act: ActivationFunction,
) -> Outcome {
    let channels = scale.values.len();
    let rows = input.values.len() / channels;
    let mut outcome = Outcome([
        vec![0.0; input.values.len()],
        vec![0.0; channels],
        vec![0.0; channels],
        vec![0.0; input.values.len()],
        vec![0.0; channels],
        vec![0.0; channels],
    ]);
    let [output, means, variances, by_input, by_scale, by_shift] = &mut outcome.0;
    for channel in 0..channels {
        let places: Vec<usize> = (0..rows).map(|row| row * channels + channel).collect();
        let over = |value: &dyn Fn(usize) -> f64| places.iter().map(|&at| value(at)).sum::<f64>();
        let mean = over(&|at| input.values[at]) / rows as f64;
        let variance = over(&|at| (input.values[at] - mean).powi(2)) / rows as f64;
        let deviation = (variance + f64::from(EPSILON)).sqrt();
        let normal = |at: usize| (input.values[at] - mean) / deviation;
        let before = |at: usize| normal(at) * scale.values[channel] + shift.values[channel];
        let back = |at: usize| slope(act, before(at)) * direction.values[at];
        (means[channel], variances[channel]) = (mean, variance);
        by_shift[channel] = over(&back);
        by_scale[channel] = over(&|at| back(at) * normal(at));
        let by_normal = |at: usize| back(at) * scale.values[channel];
        let by_variance = over(&|at| by_normal(at) * (input.values[at] - mean)) * -0.5 * deviation.powi(-3);
        let by_mean = -over(&by_normal) / deviation;
        for &at in &places {
            output[at] = activate(act, before(at));
            by_input[at] = by_normal(at) / deviation
                + (by_variance * 2.0 * (input.values[at] - mean) + by_mean) / rows as f64;
        }
    }
    outcome
}

fn found<const D: usize>(
    input: &Array,
    scale: &Array,
    shift: &Array,
    direction: &Array,
    activation: ActivationFunction,
) -> Outcome {
    let device = device().autodiff();
    let tensor = input.tensor::<D>(&device).require_grad();
    let [scale, shift] = [scale, shift].map(|array| array.tensor::<1>(&device).require_grad());
    let (output, mean, variance): (Tensor<D>, _, _) =
        batch_norm(tensor.clone(), scale.clone(), shift.clone(), EPSILON, activation);
    let gradients = (output.clone() * direction.tensor::<D>(&device)).sum().backward();
    Outcome([
        numbers(output),
        numbers(mean),
        numbers(variance),
        numbers(tensor.grad(&gradients).unwrap()),
        numbers(scale.grad(&gradients).unwrap()),
        numbers(shift.grad(&gradients).unwrap()),
    ])
}

/// Input, scale, shift, direction.
fn arrays(shape: &[usize]) -> [Array; 4] {
    let channels = [shape[shape.len() - 1]];
    [Array::noise(shape, 1), Array::noise(&channels, 2), Array::noise(&channels, 3), Array::noise(shape, 4)]
}

fn compare(shape: &[usize], activation: ActivationFunction) {
    let [input, scale, shift, direction] = arrays(shape);
    let expected = expected(&input, &scale, &shift, &direction, activation);
    let found = match shape.len() {
        2 => found::<2>(&input, &scale, &shift, &direction, activation),
        _ => found::<4>(&input, &scale, &shift, &direction, activation),
    };
    for ((name, found), expected) in NAMES.iter().zip(&found.0).zip(&expected.0) {
        assert_near(name, found, expected, TOLERANCE);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn images_of_any_shape(
        (batch, height, width, channels) in (2..5_usize, 1..9_usize, 1..9_usize, 1..80_usize),
        activation in prop_oneof![
            Just(ActivationFunction::Identity), Just(ActivationFunction::Sigmoid), Just(ActivationFunction::Tanh)
        ],
    ) {
        compare(&[batch, height, width, channels], activation);
    }

    #[test]
    fn rows_of_any_length(rows in 2..300_usize, channels in 1..20_usize) {
        compare(&[rows, channels], ActivationFunction::Identity);
    }
}

#[test]
fn larger_than_every_piece() {
    compare(&[3, 40, 50, 24], ActivationFunction::LeakyRelu(0.2));
    compare(&[5, 10, 3, 700], ActivationFunction::Relu);
    compare(&[70_000, 1], ActivationFunction::Tanh);
}

#[test]
fn the_reference_gradients_agree_with_finite_differences() {
    let arrays = arrays(&[6, 3]);
    let activation = ActivationFunction::Tanh;
    let value = |[input, scale, shift, direction]: &[Array; 4]| {
        let Outcome([output, ..]) = expected(input, scale, shift, direction, activation);
        output.iter().zip(&direction.values).map(|(y, g)| y * g).sum::<f64>()
    };
    let [input, scale, shift, direction] = &arrays;
    let Outcome([_, _, _, of_input, of_scale, of_shift]) =
        expected(input, scale, shift, direction, activation);
    for (which, expected) in [of_input, of_scale, of_shift].iter().enumerate() {
        let step = 1e-5;
        let found: Vec<f64> = (0..expected.len())
            .map(|index| {
                let shifted = |by: f64| {
                    let mut arrays = arrays.clone();
                    arrays[which].values[index] += by;
                    value(&arrays)
                };
                (shifted(step) - shifted(-step)) / (2.0 * step)
            })
            .collect();
        assert_near(NAMES[3 + which], &found, expected, 1e-7);
    }
}

#[test]
fn statistics_survive_a_large_mean() {
    let device = device();
    let mut input = Array::noise(&[40_000, 3], 1);
    // Single precision resolves 1/16 here: the values are exact, and a sum of squares would have no correct digit.
    input.values.iter_mut().for_each(|value| *value = 1_000_000.0 + (*value * 16.0).round());
    let ones = Tensor::<1>::ones([3], &device);
    let (_, mean, variance) =
        batch_norm(input.tensor::<2>(&device), ones.clone(), ones, EPSILON, ActivationFunction::Identity);
    for channel in 0..3 {
        let values: Vec<f64> = input.values.iter().skip(channel).step_by(3).copied().collect();
        let expected = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - expected).powi(2)).sum::<f64>();
        assert!((numbers(mean.clone())[channel] / expected - 1.0).abs() < 1e-7);
        let expected = squares / values.len() as f64;
        assert!((numbers(variance.clone())[channel] / expected - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for shape in [[7, 40, 40, 16], [7, 9, 9, 130]] {
        let [input, scale, shift, direction] = arrays(&shape);
        let outcomes = [1, 3, 8].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| found::<4>(&input, &scale, &shift, &direction, ActivationFunction::Relu))
        });
        assert_eq!(outcomes[1], outcomes[0]);
        assert_eq!(outcomes[2], outcomes[0]);
    }
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
