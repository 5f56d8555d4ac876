//! Inverted residuals against a slow reference in double precision, on every instruction set.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{Convolution, InvertedResidual};
use proptest::prelude::*;
use reference::{Array, assert_near, device, numbers, repeat_on_every_instruction_set};

/// Largest difference relative to the largest magnitude.
const TOLERANCE: f64 = 2e-5;

/// `[kernel height, kernel width, inputs, outputs]`, bias and stride; of a depthwise convolution there is one input.
struct Layer {
    weight: Array,
    bias: Array,
    stride: usize,
}

impl Layer {
    fn new(weight: [usize; 4], stride: usize, seed: u64) -> Self {
        Self { weight: Array::noise(&weight, seed), bias: Array::noise(&weight[3..], seed + 1), stride }
    }

    /// With TensorFlow's padding "SAME": the output has `size / stride` pixels, rounded up, and of the padding that this
    /// needs the smaller half comes first.
    fn convolve(&self, input: &Array, is_depthwise: bool) -> Array {
        let [batch, height, width, channels] = input.shape[..].try_into().unwrap();
        let [kernel_height, kernel_width, _, outputs] = self.weight.shape[..].try_into().unwrap();
        let [out_height, out_width] = [height, width].map(|size: usize| size.div_ceil(self.stride));
        let before = |size: usize, out: usize, kernel: usize| {
            (((out - 1) * self.stride + kernel).saturating_sub(size)) / 2
        };
        let (above, left) =
            (before(height, out_height, kernel_height), before(width, out_width, kernel_width));
        let mut output = Array::zeros(&[batch, out_height, out_width, outputs]);
        for (image, y, x, channel) in places([batch, out_height, out_width, outputs]) {
            let mut sum = self.bias.values[channel];
            for (ky, kx, from, _) in places([kernel_height, kernel_width, self.weight.shape[2], 1]) {
                let (row, column) =
                    ((y * self.stride + ky).checked_sub(above), (x * self.stride + kx).checked_sub(left));
                let inside = |at: Option<usize>, size: usize| at.filter(|&at| at < size);
                if let (Some(row), Some(column)) = (inside(row, height), inside(column, width)) {
                    let source = if is_depthwise { channel } else { from };
                    assert!(source < channels);
                    sum += input.values[input.index([image, row, column, source])]
                        * self.weight.values[self.weight.index([ky, kx, from, channel])];
                }
            }
            let at = output.index([image, y, x, channel]);
            output.values[at] = sum;
        }
        output
    }

    fn packed(&self) -> Convolution {
        let device = device();
        Convolution {
            weight: self.weight.tensor(&device),
            bias: self.bias.tensor(&device),
            stride: self.stride,
        }
    }
}

fn places([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |at| (at / (b * c * d), at / (c * d) % b, at / d % c, at % d))
}

fn relu6(mut array: Array) -> Array {
    array.values.iter_mut().for_each(|value| *value = value.clamp(0.0, 6.0));
    array
}

fn compare(input: &[usize; 4], [expand, depthwise, project]: [Layer; 3], is_residual: bool) {
    let input = Array::noise(input, 9);
    let filtered = relu6(depthwise.convolve(&relu6(expand.convolve(&input, false)), true));
    let mut expected = project.convolve(&filtered, false);
    if is_residual {
        expected.values.iter_mut().zip(&input.values).for_each(|(sum, value)| *sum += value);
    }
    let block = InvertedResidual::new(expand.packed(), depthwise.packed(), project.packed(), is_residual);
    let found = block.forward(input.tensor(&device()));
    assert_eq!(found.dims().to_vec(), expected.shape);
    assert_near("output", &numbers(found), &expected.values, TOLERANCE);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_of_any_shape(
        (batch, height, width) in (1..3_usize, 1..24_usize, 1..24_usize),
        (inputs, hidden, outputs) in (1..9_usize, 1..40_usize, 1..24_usize),
        kernel in prop_oneof![Just(3_usize), Just(5)],
        stride in 1..3_usize,
        has_stem: bool,
    ) {
        let (first, first_stride) = if has_stem { (3, 2) } else { (1, 1) };
        let layers = [
            Layer::new([first, first, inputs, hidden], first_stride, 1),
            Layer::new([kernel, kernel, 1, hidden], stride, 3),
            Layer::new([1, 1, hidden, outputs], 1, 5),
        ];
        compare(&[batch, height, width, inputs], layers, false);
    }
}

#[test]
fn a_residual_in_several_strips() {
    let layers = || {
        [Layer::new([1, 1, 10, 50], 1, 1), Layer::new([5, 5, 1, 50], 1, 3), Layer::new([1, 1, 50, 10], 1, 5)]
    };
    // A plane of 128 KiB holds some 20 lines of this width.
    compare(&[1, 70, 90, 10], layers(), true);
    compare(&[3, 66, 90, 10], layers(), true);
}

#[test]
#[should_panic(expected = "keeps the shape")]
fn a_residual_that_changes_the_shape_is_refused() {
    let layers = [[1, 1, 4, 8], [3, 3, 1, 8], [1, 1, 8, 5]].map(|shape| Layer::new(shape, 1, 1).packed());
    let [expand, depthwise, project] = layers;
    InvertedResidual::new(expand, depthwise, project, true);
}

#[test]
fn the_same_on_every_instruction_set() {
    repeat_on_every_instruction_set("the_same_on_every_instruction_set");
}
