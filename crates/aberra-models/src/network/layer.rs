//! Layers: settings -> weights -> forward. Activations are channels-last, `[batch, height, width, channels]`.
//!
//! Convolutions, dense layers and batch normalisation run on `aberra-kernels`.

use aberra_kernels::{
    ActivationFunction, Geometry, OperandPrecision, batch_norm, conv_transpose2d, conv2d, linear,
};
use aberra_metrics::random::{Generator, Stream, generator};
use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData, bf16};
use rand_distr::{Distribution, Uniform};

use crate::graph::{ConvolutionLayer, Graph, Pads, Value};

/// Where a layer's initial weights come from, and with what precision it will multiply them.
pub(crate) struct Init<'a> {
    random: Option<Generator>,
    device: &'a Device,
    precision: OperandPrecision,
}

impl<'a> Init<'a> {
    /// Weights drawn from `seed`, uniform in +-1/sqrt(fan in), as PyTorch's layers are initialised. Without a seed they are zeros,
    /// which cost neither time nor memory, for weights that are loaded.
    pub(crate) fn new(seed: Option<u64>, device: &'a Device, precision: OperandPrecision) -> Self {
        Self { random: seed.map(|seed| generator(seed, Stream::Weights, 0)), device, precision }
    }

    fn uniform<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let length = shape.iter().product();
        let values: Vec<f32> = match (&mut self.random, Uniform::new_inclusive(-bound, bound)) {
            (Some(random), Ok(uniform)) => (0..length).map(|_| uniform.sample(random)).collect(),
            _ => vec![0.0; length],
        };
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    fn constant(&mut self, length: usize, value: f32) -> Tensor<1> {
        Tensor::from_data(TensorData::new(vec![value; length], [length]), self.device)
    }
}

/// Convolution or transposed convolution with bias, optional batch normalisation, and activation.
///
/// # Shapes
/// `[n, h, w, in]` -> `[n, (h + 2 padding - kernel) / stride + 1, ..., out]`; transposed: `[n, (h - 1) stride - 2 padding
/// + kernel, ..., out]`
#[derive(Module, Debug)]
pub(crate) struct Conv {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    norm: Option<BatchNorm>,
    #[module(skip)]
    direction: Direction,
    #[module(skip)]
    geometry: Geometry,
    #[module(skip)]
    activation: ActivationFunction,
    #[module(skip)]
    precision: OperandPrecision,
}

/// Which way a convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the larger side to the smaller.
    Down,
    /// From the smaller side to the larger: transposed.
    Up,
}

/// Kernel side, stride and padding.
#[derive(Clone, Copy)]
pub(crate) struct Window(pub(crate) usize, pub(crate) usize, pub(crate) usize);

impl Conv {
    pub(crate) fn init(
        init: &mut Init<'_>,
        direction: Direction,
        (channels_in, channels_out): (usize, usize),
        Window(kernel, stride, padding): Window,
        normalized: bool,
        activation: ActivationFunction,
    ) -> Self {
        // PyTorch counts a transposed convolution's fan-in on its output's side.
        let (large, small) = match direction {
            Direction::Down => (channels_in, channels_out),
            Direction::Up => (channels_out, channels_in),
        };
        let fan_in = kernel * kernel * large;
        Self {
            weight: init.uniform([kernel, kernel, large, small], fan_in),
            bias: init.uniform([channels_out], fan_in),
            norm: normalized.then(|| BatchNorm::init(init, channels_out)),
            direction,
            geometry: Geometry { stride, padding },
            activation,
            precision: init.precision,
        }
    }

    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let run = |input, weight, bias, activation| match self.direction {
            Direction::Down => conv2d(input, weight, Some(bias), self.geometry, activation, self.precision),
            Direction::Up => {
                conv_transpose2d(input, weight, Some(bias), self.geometry, activation, self.precision)
            }
        };
        let (weight, bias) = (self.weight.val(), self.bias.val());
        match &self.norm {
            None => run(input, weight, bias, self.activation),
            Some(norm) if norm.is_training() => {
                // The normalisation takes out any constant, so the bias has no gradient: it is left as it is.
                let hidden = run(input, weight, bias.detach(), ActivationFunction::Identity);
                norm.forward(hidden, self.activation)
            }
            Some(norm) => {
                let (weight, bias) = self.with_normalization(norm, weight, bias);
                run(input, weight, bias, self.activation)
            }
        }
    }

    /// Weight and bias that normalise, too.
    fn with_normalization(
        &self,
        norm: &BatchNorm,
        weight: Tensor<4>,
        bias: Tensor<1>,
    ) -> (Tensor<4>, Tensor<1>) {
        let (factor, offset) = norm.factor_and_offset();
        let channels = factor.dims()[0];
        let along = match self.direction {
            Direction::Down => [1, 1, 1, channels],
            Direction::Up => [1, 1, channels, 1],
        };
        (weight * factor.clone().reshape(along), bias * factor + offset)
    }

    /// The same of a trained layer in a graph, on images `[in, h, w]`.
    pub(crate) fn graph(&self, graph: &mut Graph, input: Value) -> Value {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let (weight, bias) = match &self.norm {
            None => (weight, bias),
            Some(norm) => self.with_normalization(norm, weight, bias),
        };
        let layer = ConvolutionLayer {
            dims: weight.dims(),
            weight: operands(weight, self.precision),
            bias: values(bias),
            stride: self.geometry.stride,
            pads: Pads::even(self.geometry.padding),
            depthwise: false,
        };
        let input = rounded(graph, input, self.precision);
        let output = match self.direction {
            Direction::Down => graph.convolution(input, &layer),
            Direction::Up => graph.transposed_convolution(input, &layer),
        };
        graph.activation(output, self.activation)
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Weights as the products take them.
fn operands<const D: usize>(weight: Tensor<D>, precision: OperandPrecision) -> Vec<f32> {
    let mut weight = values(weight);
    if precision == OperandPrecision::Bf16 {
        weight.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32());
    }
    weight
}

/// A layer's input as the products take it.
fn rounded(graph: &mut Graph, input: Value, precision: OperandPrecision) -> Value {
    match precision {
        OperandPrecision::F32 => input,
        OperandPrecision::Bf16 => graph.rounded_to_bfloat16(input),
    }
}

/// Dense layer with bias and activation: `[n, in]` -> `[n, out]`.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: ActivationFunction,
    #[module(skip)]
    precision: OperandPrecision,
}

impl Linear {
    pub(crate) fn init(
        init: &mut Init<'_>,
        (features_in, features_out): (usize, usize),
        activation: ActivationFunction,
    ) -> Self {
        Self {
            weight: init.uniform([features_in, features_out], features_in),
            bias: init.uniform([features_out], features_in),
            activation,
            precision: init.precision,
        }
    }

    pub(crate) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        linear(input, self.weight.val(), Some(self.bias.val()), self.activation, self.precision)
    }

    /// The same in a graph.
    pub(crate) fn graph(&self, graph: &mut Graph, input: Value) -> Value {
        let input = rounded(graph, input, self.precision);
        let weight = operands(self.weight.val(), self.precision);
        let output = graph.affine(input, &weight, &values(self.bias.val()));
        graph.activation(output, self.activation)
    }
}

const NORM_EPSILON: f32 = 1e-5;
const NORM_MOMENTUM: f32 = 0.1;

/// Batch normalisation over all but the last axis (Ioffe and Szegedy, 2015): batch statistics while training, whose
/// running means are otherwise made part of the convolution before.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_variance: RunningState<Tensor<1>>,
}

impl BatchNorm {
    fn init(init: &mut Init<'_>, channels: usize) -> Self {
        Self {
            scale: Param::from_tensor(init.constant(channels, 1.0)),
            shift: Param::from_tensor(init.constant(channels, 0.0)),
            running_mean: RunningState::new(init.constant(channels, 0.0)),
            running_variance: RunningState::new(init.constant(channels, 1.0)),
        }
    }

    fn is_training(&self) -> bool {
        self.scale.val().is_require_grad()
    }

    /// Normalises by the batch's statistics, and follows them.
    fn forward(&self, input: Tensor<4>, activation: ActivationFunction) -> Tensor<4> {
        let [batch, height, width, _] = input.dims();
        let rows = batch * height * width;
        let (output, mean, variance) =
            batch_norm(input, self.scale.val(), self.shift.val(), NORM_EPSILON, activation);
        self.follow(&self.running_mean, mean, 1.0);
        let unbiased = rows as f32 / (rows.max(2) - 1) as f32;
        self.follow(&self.running_variance, variance, unbiased);
        output
    }

    /// What normalising by the running statistics multiplies by, and then adds.
    fn factor_and_offset(&self) -> (Tensor<1>, Tensor<1>) {
        let deviation = (self.running_variance.value() + NORM_EPSILON).sqrt();
        let factor = self.scale.val() / deviation;
        let offset = self.shift.val() - self.running_mean.value() * factor.clone();
        (factor, offset)
    }

    fn follow(&self, state: &RunningState<Tensor<1>>, batch: Tensor<1>, factor: f32) {
        let running = state.value_sync();
        let batch = batch.detach() * factor;
        state.update(running * (1.0 - NORM_MOMENTUM) + batch * NORM_MOMENTUM);
        state.value_sync();
    }
}

/// `activation(input)` as an operation of its own, where it cannot be fused into a product.
pub(crate) fn activate(input: Tensor<4>, activation: ActivationFunction) -> Tensor<4> {
    match activation {
        ActivationFunction::LeakyRelu(slope) => burn::tensor::activation::leaky_relu(input, f64::from(slope)),
        ActivationFunction::Relu => burn::tensor::activation::relu(input),
        _ => input,
    }
}
