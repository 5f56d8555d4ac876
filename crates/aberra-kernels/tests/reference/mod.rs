//! Slow, obvious `f64` versions of the layers and their gradients, and comparisons of kernels with them.

use aberra_kernels::{
    ActivationFunction, Geometry, InstructionSet, OperandPrecision, conv_transpose2d, conv2d, linear, select,
};
use burn::tensor::{Device, Tensor, TensorData};
use std::process::{Command, Output};

/// A dense array.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Array {
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] }
    }

    /// Reproducible values in [-1, 1) that single precision represents exactly.
    pub fn noise(shape: &[usize], seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(((state >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32)
        };
        Self { shape: shape.to_vec(), values: (0..shape.iter().product()).map(|_| next()).collect() }
    }

    pub fn index(&self, position: [usize; 4]) -> usize {
        position.iter().zip(&self.shape).fold(0, |index, (&position, &size)| {
            assert!(position < size);
            index * size + position
        })
    }

    pub fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        let values: Vec<f32> = self.values.iter().map(|&value| value as f32).collect();
        let shape: [usize; D] = self.shape.clone().try_into().unwrap();
        Tensor::from_data(TensorData::new(values, shape), device)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    Convolution(Geometry),
    Transposed(Geometry),
    Dense,
}

/// A layer's output, and the gradients of `sum(output * direction)`.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub output: Vec<f64>,
    pub input: Vec<f64>,
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
}

pub fn activate(activation: ActivationFunction, x: f64) -> f64 {
    match activation {
        ActivationFunction::Identity => x,
        ActivationFunction::Relu => x.max(0.0),
        ActivationFunction::LeakyRelu(slope) => x.max(0.0) + f64::from(slope) * x.min(0.0),
        ActivationFunction::Relu6 => x.clamp(0.0, 6.0),
        ActivationFunction::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        ActivationFunction::Tanh => x.tanh(),
    }
}

pub fn slope(activation: ActivationFunction, x: f64) -> f64 {
    match activation {
        ActivationFunction::Identity => 1.0,
        ActivationFunction::Relu => f64::from(u8::from(x > 0.0)),
        ActivationFunction::LeakyRelu(slope) => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(slope)
            }
        }
        ActivationFunction::Relu6 => f64::from(u8::from(x > 0.0 && x < 6.0)),
        ActivationFunction::Sigmoid => activate(activation, x) * (1.0 - activate(activation, x)),
        ActivationFunction::Tanh => 1.0 - x.tanh().powi(2),
    }
}

/// Every (input, weight, output) triple of indices that a layer multiplies and adds.
pub fn triples(layer: Layer, input: &Array, weight: &Array, output: &Array) -> Vec<[usize; 3]> {
    let mut found = Vec::new();
    if layer == Layer::Dense {
        let (inputs, outputs) = (weight.shape[0], weight.shape[1]);
        for row in 0..input.shape[0] {
            for i in 0..inputs {
                for o in 0..outputs {
                    found.push([row * inputs + i, i * outputs + o, row * outputs + o]);
                }
            }
        }
        return found;
    }
    let (large, small, geometry) = match layer {
        Layer::Convolution(geometry) => (input, output, geometry),
        Layer::Transposed(geometry) => (output, input, geometry),
        Layer::Dense => unreachable!(),
    };
    for n in 0..small.shape[0] {
        for y in 0..small.shape[1] {
            for x in 0..small.shape[2] {
                for ky in 0..weight.shape[0] {
                    for kx in 0..weight.shape[1] {
                        let large_y = (y * geometry.stride + ky).wrapping_sub(geometry.padding);
                        let large_x = (x * geometry.stride + kx).wrapping_sub(geometry.padding);
                        if large_y >= large.shape[1] || large_x >= large.shape[2] {
                            continue;
                        }
                        for l in 0..large.shape[3] {
                            for s in 0..small.shape[3] {
                                let large = large.index([n, large_y, large_x, l]);
                                let small = small.index([n, y, x, s]);
                                let weight = weight.index([ky, kx, l, s]);
                                found.push(match layer {
                                    Layer::Transposed(_) => [small, weight, large],
                                    _ => [large, weight, small],
                                });
                            }
                        }
                    }
                }
            }
        }
    }
    found
}

/// An array of the output's shape.
pub fn output_of(layer: Layer, input: &Array, weight: &Array) -> Array {
    match layer {
        Layer::Dense => Array::zeros(&[input.shape[0], weight.shape[1]]),
        Layer::Convolution(Geometry { stride, padding }) => {
            let size = |axis: usize| (input.shape[axis] + 2 * padding - weight.shape[axis - 1]) / stride + 1;
            Array::zeros(&[input.shape[0], size(1), size(2), weight.shape[3]])
        }
        Layer::Transposed(Geometry { stride, padding }) => {
            let size = |axis: usize| (input.shape[axis] - 1) * stride + weight.shape[axis - 1] - 2 * padding;
            Array::zeros(&[input.shape[0], size(1), size(2), weight.shape[2]])
        }
    }
}

/// Rounds to the nearest bfloat16 (8 significant bits), ties to even.
pub fn to_bf16(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    let last_place = 2.0_f64.powf(value.abs().log2().floor() - 7.0);
    (value / last_place).round_ties_even() * last_place
}

/// Operands rounded to a precision.
fn operands(values: &[f64], precision: OperandPrecision) -> Vec<f64> {
    match precision {
        OperandPrecision::F32 => values.to_vec(),
        OperandPrecision::Bf16 => values.iter().map(|&value| to_bf16(value)).collect(),
    }
}

pub fn expected(
    layer: Layer,
    input: &Array,
    weight: &Array,
    bias: &Array,
    direction: &Array,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Outcome {
    let shaped = output_of(layer, input, weight);
    let channels = bias.values.len();
    let mut sums: Vec<f64> = (0..shaped.values.len()).map(|index| bias.values[index % channels]).collect();
    let triples = triples(layer, input, weight, &shaped);
    let (inputs, weights) = (operands(&input.values, precision), operands(&weight.values, precision));
    for &[i, w, o] in &triples {
        sums[o] += inputs[i] * weights[w];
    }
    let mut outcome = Outcome {
        output: sums.iter().map(|&x| activate(activation, x)).collect(),
        input: vec![0.0; input.values.len()],
        weight: vec![0.0; weight.values.len()],
        bias: vec![0.0; channels],
    };
    let back: Vec<f64> = sums.iter().zip(&direction.values).map(|(&x, g)| slope(activation, x) * g).collect();
    let backs = operands(&back, precision);
    for &[i, w, o] in &triples {
        outcome.input[i] += backs[o] * weights[w];
        outcome.weight[w] += backs[o] * inputs[i];
    }
    for (index, value) in back.iter().enumerate() {
        outcome.bias[index % channels] += value;
    }
    outcome
}

/// The outcome of the crate's operations on the CPU, with autodiff.
pub fn found(
    layer: Layer,
    input: &Array,
    weight: &Array,
    bias: &Array,
    direction: &Array,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Outcome {
    let device = device().autodiff();
    let bias = bias.tensor::<1>(&device).require_grad();
    macro_rules! run {
        ($rank:literal, $operation:expr) => {{
            let input = input.tensor::<$rank>(&device).require_grad();
            let weight = weight.tensor::<$rank>(&device).require_grad();
            let output = $operation(input.clone(), weight.clone(), Some(bias.clone()));
            let gradients = (output.clone() * direction.tensor::<$rank>(&device)).sum().backward();
            Outcome {
                output: numbers(output.inner()),
                input: numbers(input.grad(&gradients).unwrap()),
                weight: numbers(weight.grad(&gradients).unwrap()),
                bias: numbers(bias.grad(&gradients).unwrap()),
            }
        }};
    }
    match layer {
        Layer::Convolution(geometry) => {
            run!(4, |input, weight, bias| conv2d(input, weight, bias, geometry, activation, precision))
        }
        Layer::Transposed(geometry) => {
            run!(4, |input, weight, bias| conv_transpose2d(
                input, weight, bias, geometry, activation, precision
            ))
        }
        Layer::Dense => run!(2, |input, weight, bias| linear(input, weight, bias, activation, precision)),
    }
}

pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Equal up to `tolerance` times the largest expected magnitude (at least 1).
pub fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    let scale = expected.iter().fold(1.0_f64, |scale, value| scale.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * scale,
            "{what}[{index}]: found {found}, expected {expected}"
        );
    }
}

pub fn assert_outcomes_near(found: &Outcome, expected: &Outcome, tolerance: f64) {
    assert_near("output", &found.output, &expected.output, tolerance);
    assert_near("input gradient", &found.input, &expected.input, tolerance);
    assert_near("weight gradient", &found.weight, &expected.weight, tolerance);
    assert_near("bias gradient", &found.bias, &expected.bias, tolerance);
}

/// The CPU device, after the [requested](asked) instruction set was selected. Every test gets its device here.
pub fn device() -> Device {
    if let Some(set) = asked() {
        select(set).unwrap();
    }
    Device::flex()
}

/// The environment variable by which [`run_with`] tells a test program which instruction set to use.
const VARIABLE: &str = "KERNELS_UNDER_TEST";

/// The instruction set requested for this process, if it was started by [`run_with`].
pub fn asked() -> Option<InstructionSet> {
    std::env::var(VARIABLE).ok().map(|name| InstructionSet::named(&name).unwrap())
}

/// Runs this test program again on an instruction set.
pub fn run_with(set: InstructionSet, arguments: &[&str]) -> Output {
    let program = std::env::current_exe().unwrap();
    Command::new(program).args(arguments).env(VARIABLE, set.name()).output().unwrap()
}

/// Runs the other tests of a test program again on every instruction set that the processor has. `caller` is the test
/// that calls this.
pub fn repeat_on_every_instruction_set(caller: &str) {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let output = run_with(set, &["--skip", caller]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(" passed"), "{}: {said}", set.name());
    }
}
