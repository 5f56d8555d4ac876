//! Structural dissimilarity and its gradient against PyTorch (`golden/make_similarity.py`) and finite differences;
//! bit-identity for any number of threads and batch.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{Similarity, structural_dissimilarity};
use reference::{Array, device, numbers, repeat_on_every_instruction_set};
use serde_json::Value;

const KINDS: [Similarity; 2] = [Similarity::SingleScale, Similarity::MultiScale];
/// Relative to the largest magnitude: the rounding of a result to single precision.
const TOLERANCE: f64 = 3e-7;

/// As in `make_similarity.py`: noise on a ramp, with a black margin on top where only the output has noise.
fn images(shape: [usize; 4], negative: bool) -> [Array; 2] {
    let [_, height, width, channels] = shape;
    let (mut output, mut target) = (Array::noise(&shape, 2), Array::noise(&shape, 1));
    for (index, (output, target)) in output.values.iter_mut().zip(&mut target.values).enumerate() {
        let (x, y) = (index / channels % width, index / channels / width % height);
        let other = 0.5 * (*output + 1.0);
        let below = 0.25 * (*target + 1.0) + 0.5 * ((x + y) as f64 / (height + width) as f64);
        let reconstructed = if negative { 1.0 - below } else { 0.75 * below + 0.25 * other };
        (*output, *target) = if y < height / 4 { (0.05 * other, 0.0) } else { (reconstructed, below) };
    }
    [output, target]
}

/// Value and gradient.
fn found(output: &Array, target: &Array, similarity: Similarity) -> (f64, Vec<f64>) {
    let device = device().autodiff();
    let output = output.tensor::<4>(&device).require_grad();
    let value = structural_dissimilarity(output.clone(), target.tensor(&device), similarity);
    let gradients = value.backward();
    (numbers(value)[0], numbers(output.grad(&gradients).unwrap()))
}

#[test]
fn agrees_with_pytorch() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/similarity.json")).unwrap();
    assert_eq!(cases.len(), 7);
    for case in &cases {
        let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
        let similarity = KINDS[usize::from(case["kind"] == "ms-ssim")];
        let [output, target] = images(shape.try_into().unwrap(), case["negative"].as_bool().unwrap());
        let (value, gradient) = found(&output, &target, similarity);
        let expected = case["value"].as_f64().unwrap();
        assert!((value - expected).abs() < TOLERANCE, "{case}: {value}");
        let norm = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
        let expected = case["norm"].as_f64().unwrap();
        assert!((norm - expected).abs() <= TOLERANCE * expected, "{case}: norm {norm}");
        let samples = case["samples"].as_array().unwrap();
        assert!(samples.len() > 300);
        for (index, sample) in samples.iter().enumerate() {
            let (found, expected) = (gradient[index * 7919 % gradient.len()], sample.as_f64().unwrap());
            assert!((found - expected).abs() <= TOLERANCE * norm, "sample {index}: {found}, {expected}");
        }
    }
}

#[test]
fn equal_images_cost_nothing_and_opposite_ones_more_than_one() {
    for similarity in KINDS {
        let [output, target] = images([2, 24, 30, 2], false);
        let (value, gradient) = found(&target, &target, similarity);
        assert!(value.abs() < 1e-7, "{value}");
        assert!(gradient.iter().all(|value| value.abs() < 1e-7));
        assert!(found(&output, &target, similarity).0 > 0.01);
    }
    let [output, target] = images([1, 24, 30, 1], true);
    assert!(found(&output, &target, Similarity::SingleScale).0 > 1.0);
}

#[test]
fn flat_images_differ_by_their_brightness_alone() {
    let flat = |value: f64| Array { shape: vec![1, 12, 15, 1], values: vec![value; 180] };
    let by_hand = (2.0 * 0.25 * 0.5 + 1e-4) / (0.25 * 0.25 + 0.5 * 0.5 + 1e-4);
    let (value, _) = found(&flat(0.25), &flat(0.5), Similarity::SingleScale);
    assert!((value - (1.0 - by_hand)).abs() < TOLERANCE, "{value}");
}

#[test]
fn gradients_agree_with_finite_differences() {
    let [mut output, target] = images([1, 22, 23, 1], false);
    for similarity in KINDS {
        let (_, gradient) = found(&output, &target, similarity);
        for index in [0, 17, 240, 505] {
            let before = output.values[index];
            // Large enough that the rounding of the value does not dominate.
            let step = 1.0 / 64.0;
            let mut at = |shift: f64| {
                output.values[index] = before + shift;
                found(&output, &target, similarity).0
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            output.values[index] = before;
            let error = (gradient[index] - difference).abs();
            assert!(error < 1e-4 + 0.05 * difference.abs(), "{index}: {} {difference}", gradient[index]);
        }
    }
}

#[test]
fn small_images_have_fewer_scales() {
    let scales = |height, width| Similarity::MultiScale.scales(height, width);
    assert_eq!([scales(10, 64), scales(11, 64), scales(21, 64), scales(22, 64)], [0, 1, 1, 2]);
    assert_eq!([scales(64, 64), scales(128, 128), scales(176, 256), scales(900, 900)], [3, 4, 5, 5]);
    assert_eq!([Similarity::SingleScale.scales(900, 900), Similarity::SingleScale.scales(90, 5)], [1, 0]);
    // With a single scale both kinds are identical.
    let [output, target] = images([2, 21, 40, 1], true);
    assert_eq!(found(&output, &target, KINDS[0]), found(&output, &target, KINDS[1]));
}

#[test]
#[should_panic(expected = "at least 11 x 11 pixels, found 64 x 10")]
fn an_image_smaller_than_the_window_is_refused() {
    let [output, target] = images([1, 10, 64, 1], false);
    found(&output, &target, Similarity::MultiScale);
}

#[test]
fn a_nan_shows() {
    for similarity in KINDS {
        let [mut output, target] = images([1, 24, 24, 1], false);
        output.values[300] = f64::NAN;
        assert!(found(&output, &target, similarity).0.is_nan());
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads_and_in_any_batch() {
    for similarity in KINDS {
        let [output, target] = images([4, 50, 61, 2], false);
        let outcomes = [1, 3, 8].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| found(&output, &target, similarity))
        });
        assert_eq!(outcomes[1], outcomes[0]);
        assert_eq!(outcomes[2], outcomes[0]);
        let size = output.values.len() / 4;
        for image in 0..4 {
            let part = |array: &Array| Array {
                shape: vec![1, 50, 61, 2],
                values: array.values[image * size..(image + 1) * size].to_vec(),
            };
            let (_, alone) = found(&part(&output), &part(&target), similarity);
            // A quarter of the mean: exact in binary.
            let together = &outcomes[0].1[image * size..(image + 1) * size];
            assert!(alone.iter().zip(together).all(|(alone, together)| alone / 4.0 == *together));
        }
    }
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
