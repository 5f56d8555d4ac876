//! Layers, normalisation, losses, their gradients and optimiser steps against PyTorch (`golden/make_golden.py`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{
    ActivationFunction, AdamStep, Geometry, OperandPrecision, PixelLikelihood, adam_step, batch_norm,
    kl_divergence, reconstruction_cost, sum_of_squares,
};
use burn::tensor::Tensor;
use reference::{
    Array, Layer, Outcome, assert_near, assert_outcomes_near, device, found, numbers,
    repeat_on_every_instruction_set,
};
use serde_json::Value;

/// Relative to the largest magnitude; PyTorch, too, computes in single precision.
const TOLERANCE: f64 = 2e-6;

fn array(value: &Value) -> Array {
    let list = |name: &str| value[name].as_array().unwrap();
    Array {
        shape: list("shape").iter().map(|size| size.as_u64().unwrap() as usize).collect(),
        values: list("values").iter().map(|value| value.as_f64().unwrap()).collect(),
    }
}

fn activation(case: &Value) -> ActivationFunction {
    match case["activation"].as_str().unwrap() {
        "relu" => ActivationFunction::Relu,
        "leaky_relu" => ActivationFunction::LeakyRelu(0.2),
        "sigmoid" => ActivationFunction::Sigmoid,
        "tanh" => ActivationFunction::Tanh,
        _ => ActivationFunction::Identity,
    }
}

#[test]
fn layers_agree_with_pytorch() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/layers.json")).unwrap();
    assert_eq!(cases.len(), 10);
    for case in &cases {
        let number = |name: &str| case[name].as_u64().unwrap_or(0) as usize;
        let geometry = Geometry { stride: number("stride"), padding: number("padding") };
        let layer = match case["kind"].as_str().unwrap() {
            "conv2d" => Layer::Convolution(geometry),
            "conv_transpose2d" => Layer::Transposed(geometry),
            _ => Layer::Dense,
        };
        let activation = activation(case);
        let [input, weight, bias, direction] =
            ["input", "weight", "bias", "direction"].map(|name| array(&case[name]));
        let expected = Outcome {
            output: array(&case["output"]).values,
            input: array(&case["input_gradient"]).values,
            weight: array(&case["weight_gradient"]).values,
            bias: array(&case["bias_gradient"]).values,
        };
        let found = found(layer, &input, &weight, &bias, &direction, activation, OperandPrecision::F32);
        assert_outcomes_near(&found, &expected, TOLERANCE);
    }
}

#[test]
fn batch_normalisation_agrees_with_pytorch() {
    let device = device().autodiff();
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/norm.json")).unwrap();
    assert_eq!(cases.len(), 2);
    for case in &cases {
        let input = array(&case["input"]).tensor::<4>(&device).require_grad();
        let [scale, shift] =
            ["scale", "shift"].map(|name| array(&case[name]).tensor::<1>(&device).require_grad());
        let epsilon = case["epsilon"].as_f64().unwrap() as f32;
        let (output, mean, variance) =
            batch_norm(input.clone(), scale.clone(), shift.clone(), epsilon, activation(case));
        let direction = array(&case["direction"]).tensor::<4>(&device);
        let gradients = (output.clone() * direction).sum().backward();
        for (name, found) in [
            ("output", numbers(output)),
            ("mean", numbers(mean)),
            ("variance", numbers(variance)),
            ("input_gradient", numbers(input.grad(&gradients).unwrap())),
            ("scale_gradient", numbers(scale.grad(&gradients).unwrap())),
            ("shift_gradient", numbers(shift.grad(&gradients).unwrap())),
        ] {
            assert_near(name, &found, &array(&case[name]).values, TOLERANCE);
        }
    }
}

#[test]
fn losses_agree_with_pytorch() {
    let device = device().autodiff();
    let all: Value = serde_json::from_str(include_str!("golden/loss.json")).unwrap();
    let likelihoods = [
        PixelLikelihood::Gaussian { variance: 0.3 },
        PixelLikelihood::PredictedGaussian { low: -3.0, high: 2.0 },
        PixelLikelihood::Laplace { scale: 0.2 },
        PixelLikelihood::Bernoulli,
    ];
    let cases = all["costs"].as_array().unwrap();
    assert_eq!(cases.len(), likelihoods.len());
    for (case, likelihood) in cases.iter().zip(likelihoods) {
        let output = array(&case["output"]).tensor::<4>(&device).require_grad();
        let cost = reconstruction_cost(output.clone(), array(&case["target"]).tensor(&device), likelihood);
        let gradients = cost.backward();
        assert_near("value", &numbers(cost), &array(&case["value"]).values, TOLERANCE);
        let found = numbers(output.grad(&gradients).unwrap());
        assert_near("gradient", &found, &array(&case["gradient"]).values, TOLERANCE);
    }
    let case = &all["divergence"];
    let [mean, log_variance] =
        ["mean", "log_variance"].map(|name| array(&case[name]).tensor::<2>(&device).require_grad());
    let value = kl_divergence(mean.clone(), log_variance.clone(), 0.0);
    let gradients = value.backward();
    assert_near("value", &numbers(value), &array(&case["value"]).values, TOLERANCE);
    for (name, tensor) in [("mean_gradient", mean), ("log_variance_gradient", log_variance)] {
        let found = numbers(tensor.grad(&gradients).unwrap());
        assert_near(name, &found, &array(&case[name]).values, TOLERANCE);
    }
}

#[test]
fn adam_and_adamw_agree_with_pytorch() {
    let device = device();
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/adam.json")).unwrap();
    assert_eq!(cases.len(), 2);
    for case in &cases {
        let number = |name: &str| case[name].as_f64().unwrap() as f32;
        let start = array(&case["start"]);
        let zeros = Array::zeros(&start.shape);
        let mut state = [start.tensor::<1>(&device), zeros.tensor(&device), zeros.tensor(&device)];
        for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let settings = AdamStep {
                learning_rate: number("learning_rate"),
                beta_1: number("beta_1"),
                beta_2: number("beta_2"),
                epsilon: number("epsilon"),
                weight_decay: number("weight_decay"),
                gradient_scale: 0.5,
                step: index as u32 + 1,
            };
            let mut gradient = array(&step["gradient"]);
            gradient.values.iter_mut().for_each(|value| *value *= 2.0);
            let [parameter, first, second] = state;
            state = adam_step(parameter, gradient.tensor(&device), first, second, settings);
            assert_near(
                "parameter",
                &numbers(state[0].clone()),
                &array(&step["parameter"]).values,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn a_shared_parameter_is_not_changed_in_place() {
    let device = device();
    let tensor = |value: f32| Tensor::<2>::full([3, 5], value, &device);
    let parameter = tensor(1.0);
    let [changed, ..] =
        adam_step(parameter.clone(), tensor(2.0), tensor(0.0), tensor(0.0), AdamStep::new(0.1, 1));
    assert_eq!(numbers(parameter), vec![1.0; 15]);
    assert_near("changed", &numbers(changed), &[0.9; 15], 1e-6);
}

#[test]
fn squares_are_summed_in_double_precision() {
    let device = device();
    let tensor = Tensor::<1>::full([3_000_000], 0.1, &device);
    let expected = 3e6 * f64::from(0.1_f32).powi(2);
    assert_near("sum", &numbers(sum_of_squares(tensor)), &[expected], 1e-7);
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
