//! Layers: settings -> weights -> forward. Activations are channels-last, `[batch, height, width, channels]`.
//!
//! Convolutions and dense layers run on `aberra-kernels`; batch normalisation is plain Burn.

use aberra_kernels::{Activation, Geometry, conv_transpose2d, conv2d, linear};
use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, Uniform};

/// Where a layer's initial weights come from: uniform in +-1/sqrt(fan in), as PyTorch's layers are initialised.
pub(super) struct Init<'a, R: Rng> {
    pub(super) random: &'a mut R,
    pub(super) device: &'a Device,
}

impl<R: Rng> Init<'_, R> {
    fn uniform<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let length = shape.iter().product();
        let values: Vec<f32> = match Uniform::new_inclusive(-bound, bound) {
            Ok(uniform) => (0..length).map(|_| uniform.sample(self.random)).collect(),
            Err(_) => vec![0.0; length],
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
pub(super) struct Conv {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    norm: Option<BatchNorm>,
    #[module(skip)]
    direction: Direction,
    #[module(skip)]
    geometry: Geometry,
    #[module(skip)]
    activation: Activation,
}

/// Which way a convolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the larger side to the smaller.
    Down,
    /// From the smaller side to the larger: transposed.
    Up,
}

/// Kernel side, stride and padding.
#[derive(Clone, Copy)]
pub(super) struct Window(pub(super) usize, pub(super) usize, pub(super) usize);

impl Conv {
    pub(super) fn init<R: Rng>(
        init: &mut Init<'_, R>,
        direction: Direction,
        (channels_in, channels_out): (usize, usize),
        Window(kernel, stride, padding): Window,
        normalized: bool,
        activation: Activation,
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
        }
    }

    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let run = match self.direction {
            Direction::Down => conv2d,
            Direction::Up => conv_transpose2d,
        };
        let fused = if self.norm.is_some() { Activation::Identity } else { self.activation };
        let hidden = run(input, self.weight.val(), Some(self.bias.val()), self.geometry, fused);
        match &self.norm {
            Some(norm) => activate(norm.forward(hidden), self.activation),
            None => hidden,
        }
    }
}

/// Dense layer with bias and activation: `[n, in]` -> `[n, out]`.
#[derive(Module, Debug)]
pub(super) struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl Linear {
    pub(super) fn init<R: Rng>(
        init: &mut Init<'_, R>,
        (features_in, features_out): (usize, usize),
        activation: Activation,
    ) -> Self {
        Self {
            weight: init.uniform([features_in, features_out], features_in),
            bias: init.uniform([features_out], features_in),
            activation,
        }
    }

    pub(super) fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        linear(input, self.weight.val(), Some(self.bias.val()), self.activation)
    }
}

const NORM_EPSILON: f32 = 1e-5;
const NORM_MOMENTUM: f32 = 0.1;

/// Batch normalisation over all but the last axis (Ioffe and Szegedy, 2015): batch statistics and their running mean
/// while training, the running statistics otherwise.
#[derive(Module, Debug)]
pub(super) struct BatchNorm {
    scale: Param<Tensor<1>>,
    shift: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_variance: RunningState<Tensor<1>>,
}

impl BatchNorm {
    fn init<R: Rng>(init: &mut Init<'_, R>, channels: usize) -> Self {
        Self {
            scale: Param::from_tensor(init.constant(channels, 1.0)),
            shift: Param::from_tensor(init.constant(channels, 0.0)),
            running_mean: RunningState::new(init.constant(channels, 0.0)),
            running_variance: RunningState::new(init.constant(channels, 1.0)),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = input.dims();
        let rows = batch * height * width;
        let flat = input.reshape([rows, channels]);
        let training = self.scale.val().is_require_grad();
        let normalized = if training {
            let mean = flat.clone().mean_dim(0);
            let centered = flat - mean.clone();
            let variance = (centered.clone() * centered.clone()).mean_dim(0);
            self.follow(&self.running_mean, mean.reshape([channels]), 1.0);
            let unbiased = rows as f32 / (rows.max(2) - 1) as f32;
            self.follow(&self.running_variance, variance.clone().reshape([channels]), unbiased);
            centered / (variance + NORM_EPSILON).sqrt()
        } else {
            let mean = self.running_mean.value().reshape([1, channels]);
            let variance = self.running_variance.value().reshape([1, channels]);
            (flat - mean) / (variance + NORM_EPSILON).sqrt()
        };
        let scaled =
            normalized * self.scale.val().reshape([1, channels]) + self.shift.val().reshape([1, channels]);
        scaled.reshape([batch, height, width, channels])
    }

    fn follow(&self, state: &RunningState<Tensor<1>>, batch: Tensor<1>, factor: f32) {
        let running = state.value_sync();
        let batch = batch.detach() * factor;
        state.update(running * (1.0 - NORM_MOMENTUM) + batch * NORM_MOMENTUM);
        state.value_sync();
    }
}

/// `activation(input)` as an operation of its own, where it cannot be fused into a product.
pub(super) fn activate(input: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::LeakyRelu(slope) => burn::tensor::activation::leaky_relu(input, f64::from(slope)),
        Activation::Relu => burn::tensor::activation::relu(input),
        _ => input,
    }
}
