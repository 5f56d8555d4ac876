//! Reconstruction cost and KL divergence, with their gradients, against slow `f64` versions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{PixelLikelihood, kl_divergence, reconstruction_cost};
use proptest::prelude::*;
use reference::{Array, assert_near, device, numbers, repeat_on_every_instruction_set};

/// Largest difference relative to the largest magnitude.
const TOLERANCE: f64 = 2e-6;
/// Factor applied to the costs, so that a kernel that ignores the incoming gradient fails.
const WEIGHT: f64 = 1.75;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// -log p of one pixel, up to constants, from its logit and log-variance.
fn pixel(likelihood: PixelLikelihood, logit: f64, log_variance: f64, x: f64) -> f64 {
    let unbounded = matches!(likelihood, PixelLikelihood::UnboundedGaussian { .. });
    let mean = if unbounded { logit } else { sigmoid(logit) };
    match likelihood {
        PixelLikelihood::Gaussian { variance } => (x - mean).powi(2) / (2.0 * f64::from(variance)),
        PixelLikelihood::PredictedGaussian { low, high }
        | PixelLikelihood::UnboundedGaussian { low, high } => {
            let log_variance = log_variance.clamp(low.into(), high.into());
            0.5 * ((x - mean).powi(2) / log_variance.exp() + log_variance)
        }
        PixelLikelihood::Laplace { scale } => (x - mean).abs() / f64::from(scale),
        PixelLikelihood::Bernoulli => -x * mean.ln() - (1.0 - x) * (1.0 - mean).ln(),
    }
}

fn predicts_variance(likelihood: PixelLikelihood) -> bool {
    matches!(
        likelihood,
        PixelLikelihood::PredictedGaussian { .. } | PixelLikelihood::UnboundedGaussian { .. }
    )
}

/// The cost, and the gradient of `WEIGHT` times the cost by central differences, which are accurate enough in `f64`.
fn expected_cost(output: &Array, target: &Array, likelihood: PixelLikelihood) -> (f64, Vec<f64>) {
    let (outputs, channels, batch) = (output.shape[3], target.shape[3], target.shape[0] as f64);
    let predicted = predicts_variance(likelihood);
    let (mut cost, mut gradient) = (0.0, vec![0.0; output.values.len()]);
    for (at, &x) in target.values.iter().enumerate() {
        let logit = at / channels * outputs + at % channels;
        let log_variance = if predicted { logit + channels } else { logit };
        let value = |by_logit: f64, by_variance: f64| {
            let (logit, log_variance) =
                (output.values[logit] + by_logit, output.values[log_variance] + by_variance);
            pixel(likelihood, logit, log_variance, x) / batch
        };
        let step = 1e-5;
        let slope = |low: f64, high: f64| WEIGHT * (high - low) / (2.0 * step);
        cost += value(0.0, 0.0);
        gradient[logit] = slope(value(-step, 0.0), value(step, 0.0));
        if predicted {
            gradient[log_variance] = slope(value(0.0, -step), value(0.0, step));
        }
    }
    (cost, gradient)
}

fn found_cost(output: &Array, target: &Array, likelihood: PixelLikelihood) -> (f64, Vec<f64>) {
    let device = device().autodiff();
    let output = output.tensor::<4>(&device).require_grad();
    let cost = reconstruction_cost(output.clone(), target.tensor(&device), likelihood);
    let gradients = (cost.clone() * WEIGHT).backward();
    (numbers(cost)[0], numbers(output.grad(&gradients).unwrap()))
}

fn compare_cost(shape: [usize; 3], channels: usize, outputs: usize, likelihood: PixelLikelihood) {
    let [batch, height, width] = shape;
    let mut output = Array::noise(&[batch, height, width, outputs], 1);
    output.values.iter_mut().for_each(|value| *value *= 4.0);
    let mut target = Array::noise(&[batch, height, width, channels], 2);
    target.values.iter_mut().for_each(|value| *value = (*value + 1.0) / 2.0);
    let expected = expected_cost(&output, &target, likelihood);
    let found = found_cost(&output, &target, likelihood);
    assert_near("cost", &[found.0], &[expected.0], TOLERANCE);
    assert_near("gradient", &found.1, &expected.1, TOLERANCE);
}

fn likelihoods() -> [PixelLikelihood; 5] {
    [
        PixelLikelihood::Gaussian { variance: 0.3 },
        PixelLikelihood::PredictedGaussian { low: -3.0, high: 2.0 },
        PixelLikelihood::UnboundedGaussian { low: -3.0, high: 2.0 },
        PixelLikelihood::Laplace { scale: 0.2 },
        PixelLikelihood::Bernoulli,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn costs_of_any_shape(
        (batch, height, width) in (1..4_usize, 1..20_usize, 1..20_usize),
        (channels, more) in (1..5_usize, 0..3_usize),
        which in 0..5_usize,
    ) {
        let likelihood = likelihoods()[which];
        let outputs = if predicts_variance(likelihood) { 2 * channels + more } else { channels + more };
        compare_cost([batch, height, width], channels, outputs, likelihood);
    }
}

#[test]
fn larger_than_every_piece() {
    for likelihood in likelihoods() {
        compare_cost([3, 90, 70], 1, 2, likelihood);
        compare_cost([2, 5, 7], 300, 600, likelihood);
    }
}

#[test]
fn extreme_outputs_cost_what_they_should() {
    let mut output = Array::zeros(&[1, 1, 4, 2]);
    output.values = vec![60.0, 0.0, -60.0, 0.0, 0.0, 50.0, 0.0, -50.0];
    let mut target = Array::zeros(&[1, 1, 4, 1]);
    target.values = vec![0.0, 1.0, 1.0, 1.0];
    let (cost, gradient) = found_cost(&output, &target, PixelLikelihood::Bernoulli);
    assert_near("cost", &[cost], &[120.0 + 2.0 * 2.0_f64.ln()], 1e-6);
    assert_near("gradient", &gradient[..4], &[WEIGHT, 0.0, -WEIGHT, 0.0], 1e-6);
    let (cost, gradient) =
        found_cost(&output, &target, PixelLikelihood::PredictedGaussian { low: -2.0, high: 2.0 });
    let quarter = 0.25;
    let clamped = 0.5 * (quarter * (-2.0_f64).exp() + 2.0) + 0.5 * (quarter * 2.0_f64.exp() - 2.0);
    assert_near("cost", &[cost], &[1.0 + clamped], 1e-6);
    // A clamped log-variance has no gradient.
    assert_eq!([gradient[5], gradient[7]], [0.0; 2]);
}

#[test]
fn a_nan_shows_in_the_cost() {
    let device = device();
    for (likelihood, at) in
        likelihoods().into_iter().flat_map(|likelihood| [(likelihood, 0), (likelihood, 1)])
    {
        let mut output = Array::noise(&[1, 2, 2, 2], 1);
        output.values[at] = f64::NAN;
        let target = Array::zeros(&[1, 2, 2, 1]);
        let cost = reconstruction_cost(output.tensor(&device), target.tensor(&device), likelihood);
        let read = at == 0 || predicts_variance(likelihood);
        assert_eq!(numbers(cost)[0].is_nan(), read, "{likelihood:?}");
    }
    let mut mean = Array::noise(&[2, 3], 1);
    mean.values[4] = f64::NAN;
    let log_variance = Array::zeros(&[2, 3]);
    assert!(numbers(kl_divergence(mean.tensor(&device), log_variance.tensor(&device), 0.5))[0].is_nan());
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for likelihood in likelihoods() {
        let (output, target) = (Array::noise(&[7, 50, 60, 2], 1), Array::noise(&[7, 50, 60, 1], 2));
        let outcomes = [1, 3, 8].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| found_cost(&output, &target, likelihood))
        });
        assert_eq!(outcomes[1], outcomes[0]);
        assert_eq!(outcomes[2], outcomes[0]);
    }
}

/// The KL divergence of `[batch, latent]`.
fn expected_divergence(mean: &Array, log_variance: &Array, free_bits: f64) -> f64 {
    let [batch, latent] = [mean.shape[0], mean.shape[1]];
    let nats = |dimension: usize| {
        let sum: f64 = (0..batch)
            .map(|row| {
                let at = row * latent + dimension;
                let (mean, log_variance) = (mean.values[at], log_variance.values[at]);
                0.5 * (mean * mean + log_variance.exp() - log_variance - 1.0)
            })
            .sum();
        sum / batch as f64
    };
    (0..latent)
        .map(|dimension| if free_bits > 0.0 { nats(dimension).max(free_bits) } else { nats(dimension) })
        .sum()
}

#[test]
fn divergences_and_their_gradients() {
    for (shape, free_bits) in [([1, 1], 0.0), ([5, 37], 0.0), ([5, 37], 0.5), ([4, 1024], 0.3)] {
        let mean = Array::noise(&shape, 1);
        let mut log_variance = Array::noise(&shape, 2);
        log_variance.values.iter_mut().for_each(|value| *value *= 3.0);
        let device = device().autodiff();
        let [mean_tensor, log_variance_tensor] =
            [&mean, &log_variance].map(|array| array.tensor::<2>(&device).require_grad());
        let nats = kl_divergence(mean_tensor.clone(), log_variance_tensor.clone(), free_bits as f32);
        let gradients = (nats.clone() * WEIGHT).backward();
        assert_near(
            "nats",
            &numbers(nats),
            &[expected_divergence(&mean, &log_variance, free_bits)],
            TOLERANCE,
        );
        let found =
            [mean_tensor, log_variance_tensor].map(|tensor| numbers(tensor.grad(&gradients).unwrap()));
        for (which, found) in found.iter().enumerate() {
            let step = 1e-5;
            let expected: Vec<f64> = (0..mean.values.len())
                .map(|index| {
                    let shifted = |by: f64| {
                        let mut arrays = [mean.clone(), log_variance.clone()];
                        arrays[which].values[index] += by;
                        WEIGHT * expected_divergence(&arrays[0], &arrays[1], free_bits)
                    };
                    (shifted(step) - shifted(-step)) / (2.0 * step)
                })
                .collect();
            assert_near("gradient", found, &expected, TOLERANCE);
        }
    }
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
