//! The VAE of the speed comparison, composed of this crate's operations: loss, all gradients and ten training steps
//! against PyTorch (`golden/make_vae.py`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{
    ActivationFunction, AdamStep, Geometry, OperandPrecision, PixelLikelihood, adam_step, conv_transpose2d,
    conv2d, kl_divergence, linear, reconstruction_cost,
};
use burn::tensor::{Gradients, Tensor, TensorData};
use reference::{Array, device, numbers, repeat_on_every_instruction_set};
use serde_json::Value;

const SIZE: usize = 32;
const BATCH: usize = 4;
const LATENT: usize = 128;
const CHANNELS: [usize; 5] = [1, 32, 64, 128, 256];
const GRID: usize = SIZE / 16;
const FLAT: usize = GRID * GRID * CHANNELS[4];
const HALVE: Geometry = Geometry { stride: 2, padding: 1 };

/// A layer's weights and bias, flattened, with their moments.
struct Layer {
    name: String,
    shape: Vec<usize>,
    /// Weight, bias.
    values: [Vec<f32>; 2],
    first: [Vec<f32>; 2],
    second: [Vec<f32>; 2],
}

fn layers() -> Vec<Layer> {
    let stage = |stage: usize| (CHANNELS[stage], CHANNELS[stage + 1]);
    let mut wanted: Vec<(String, Vec<usize>, usize, usize)> = Vec::new();
    for (number, (large, small)) in (0..4).map(|number| (number, stage(number))) {
        wanted.push((format!("encoder.{number}"), vec![4, 4, large, small], 16 * large, small));
    }
    wanted.push(("mean".into(), vec![FLAT, LATENT], FLAT, LATENT));
    wanted.push(("log_variance".into(), vec![FLAT, LATENT], FLAT, LATENT));
    wanted.push(("expand".into(), vec![LATENT, FLAT], LATENT, FLAT));
    for (number, (large, small)) in (0..4).rev().map(|number| (number, stage(number))) {
        wanted.push((format!("decoder.{number}"), vec![4, 4, large, small], 4 * small, large));
    }
    let layer = |(number, (name, shape, terms, outputs)): (usize, (String, Vec<usize>, usize, usize))| {
        let scale = (1.0 - (terms as f64).sqrt().log2().floor()).exp2();
        let values = [shape.clone(), vec![outputs]].map(|shape| shape.iter().product::<usize>());
        let values = [0, 1].map(|which| {
            let noise = Array::noise(&[values[which]], (2 * number + which + 1) as u64);
            noise.values.iter().map(|value| (value * scale) as f32).collect::<Vec<f32>>()
        });
        let zeros = || [0, 1].map(|which| vec![0.0; values[which].len()]);
        Layer { name, shape, first: zeros(), second: zeros(), values }
    };
    wanted.into_iter().enumerate().map(layer).collect()
}

/// Weights as tensors with gradients.
enum Weight {
    Image(Tensor<4>),
    Flat(Tensor<2>),
}

impl Weight {
    fn gradient(&self, gradients: &Gradients) -> Vec<f32> {
        match self {
            Self::Image(tensor) => tensor.grad(gradients).unwrap().into_data().try_to_vec().unwrap(),
            Self::Flat(tensor) => tensor.grad(gradients).unwrap().into_data().try_to_vec().unwrap(),
        }
    }
}

/// The loss, and the gradients of every layer's weight and bias.
fn step(
    layers: &[Layer],
    input: &Array,
    noise: &Array,
    precision: OperandPrecision,
) -> (f64, Vec<[Vec<f32>; 2]>) {
    let device = device().autodiff();
    let tensors: Vec<(Weight, Tensor<1>)> = layers
        .iter()
        .map(|layer| {
            let data = TensorData::new(layer.values[0].clone(), layer.shape.clone());
            let weight = match layer.shape.len() {
                4 => Weight::Image(Tensor::from_data(data, &device).require_grad()),
                _ => Weight::Flat(Tensor::from_data(data, &device).require_grad()),
            };
            (weight, Tensor::from_data(layer.values[1].as_slice(), &device).require_grad())
        })
        .collect();
    let image = |number: usize| match &tensors[number] {
        (Weight::Image(weight), bias) => (weight.clone(), Some(bias.clone())),
        _ => unreachable!(),
    };
    let dense = |number: usize, input: Tensor<2>| match &tensors[number] {
        (Weight::Flat(weight), bias) => {
            linear(input, weight.clone(), Some(bias.clone()), ActivationFunction::Identity, precision)
        }
        _ => unreachable!(),
    };
    let target = input.tensor::<4>(&device);
    let mut hidden = target.clone();
    for number in 0..4 {
        let (weight, bias) = image(number);
        hidden = conv2d(hidden, weight, bias, HALVE, ActivationFunction::Relu, precision);
    }
    let flat: Tensor<2> = hidden.flatten(1, 3);
    let (mean, log_variance) = (dense(4, flat.clone()), dense(5, flat));
    let z = mean.clone() + noise.tensor::<2>(&device) * (log_variance.clone() * 0.5).exp();
    let mut hidden: Tensor<4> = dense(6, z).reshape([BATCH, GRID, GRID, CHANNELS[4]]);
    for number in 7..11 {
        let (weight, bias) = image(number);
        // The likelihood includes the sigmoid of the last layer.
        let activation = if number == 10 { ActivationFunction::Identity } else { ActivationFunction::Relu };
        hidden = conv_transpose2d(hidden, weight, bias, HALVE, activation, precision);
    }
    let likelihood = PixelLikelihood::Gaussian { variance: 0.5 };
    let loss = reconstruction_cost(hidden, target, likelihood) + kl_divergence(mean, log_variance, 0.0);
    let gradients = loss.backward();
    let of = |(weight, bias): &(Weight, Tensor<1>)| {
        let bias = bias.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        [weight.gradient(&gradients), bias]
    };
    (numbers(loss)[0], tensors.iter().map(of).collect())
}

/// Adam, in place.
fn update(layer: &mut Layer, gradients: &[Vec<f32>; 2], step: u32) {
    let device = device();
    let tensor = |values: &[f32]| Tensor::<1>::from_data(values, &device);
    for (which, gradient) in gradients.iter().enumerate() {
        let changed = adam_step(
            tensor(&layer.values[which]),
            tensor(gradient),
            tensor(&layer.first[which]),
            tensor(&layer.second[which]),
            AdamStep::new(1e-3, step),
        );
        let [value, first, second] = changed.map(|tensor| tensor.into_data().try_to_vec::<f32>().unwrap());
        (layer.values[which], layer.first[which], layer.second[which]) = (value, first, second);
    }
}

/// Pairs of our values and the stored samples.
fn samples<'a>(stored: &'a Value, values: &'a [f32]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let stored = stored.as_array().unwrap().iter().enumerate();
    stored.map(|(index, stored)| (f64::from(values[index * 7919 % values.len()]), stored.as_f64().unwrap()))
}

/// Trains, and checks losses and the norms of the first step's gradients with relative tolerances. Returns the final
/// weights, the first gradients and the golden values.
fn train(
    precision: OperandPrecision,
    of_losses: f64,
    of_norms: f64,
) -> (Vec<Layer>, Vec<[Vec<f32>; 2]>, Value) {
    let golden: Value = serde_json::from_str(include_str!("golden/vae.json")).unwrap();
    let mut input = Array::noise(&[BATCH, SIZE, SIZE, 1], 100);
    input.values.iter_mut().for_each(|value| *value = (*value + 1.0) / 2.0);
    let (mut layers, mut first) = (layers(), Vec::new());
    let losses = golden["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 10);
    for (number, expected) in losses.iter().map(|loss| loss.as_f64().unwrap()).enumerate() {
        let noise = Array::noise(&[BATCH, LATENT], 200 + number as u64);
        let (loss, gradients) = step(&layers, &input, &noise, precision);
        assert!((loss - expected).abs() < of_losses * expected, "step {number}: {loss}, {expected}");
        for (layer, gradients) in layers.iter_mut().zip(&gradients) {
            update(layer, gradients, number as u32 + 1);
        }
        if number == 0 {
            first = gradients;
        }
    }
    for (name, values) in named(&layers, &first) {
        let expected = golden["gradients"][&name]["norm"].as_f64().unwrap();
        assert!(
            (norm(values) - expected).abs() < of_norms * expected,
            "{name}: {}, {expected}",
            norm(values)
        );
    }
    (layers, first, golden)
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// The values of every weight and bias with their names.
fn named<'a>(layers: &'a [Layer], values: &'a [[Vec<f32>; 2]]) -> impl Iterator<Item = (String, &'a [f32])> {
    layers.iter().zip(values).flat_map(|(layer, values)| {
        ["weight", "bias"]
            .into_iter()
            .zip(values)
            .map(|(which, values)| (format!("{}.{which}", layer.name), values.as_slice()))
    })
}

/// Gradients agree with PyTorch's up to rounding. The size of Adam's first steps does not depend on the gradient's, so
/// where a gradient is little more than rounding error, weights may differ by up to a step, 1e-3, and losses
/// accordingly.
#[test]
fn ten_steps_agree_with_pytorch() {
    let (layers, gradients, golden) = train(OperandPrecision::F32, 5e-4, 1e-5);
    for (name, values) in named(&layers, &gradients) {
        let typical = norm(values) / (values.len() as f64).sqrt();
        for (found, expected) in samples(&golden["gradients"][&name]["samples"], values) {
            let allowed = 1e-4 * expected.abs().max(typical);
            assert!((found - expected).abs() < allowed, "gradient of {name}: {found}, {expected}");
        }
    }
    let values: Vec<[Vec<f32>; 2]> = layers.iter().map(|layer| layer.values.clone()).collect();
    for (name, values) in named(&layers, &values) {
        for (found, expected) in samples(&golden["trained"][&name], values) {
            assert!((found - expected).abs() < 2e-3, "{name}: {found}, {expected}");
        }
    }
}

/// Rounding to bfloat16 may change single gradients by more than their size, but hardly the losses.
#[test]
fn ten_steps_with_bf16_stay_near() {
    train(OperandPrecision::Bf16, 5e-3, 2e-2);
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
