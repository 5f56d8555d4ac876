//! The family `autoencoder`: an encoder to a latent vector and a decoder back, trained to reproduce normal images (Hinton
//! and Salakhutdinov, *Reducing the dimensionality of data with neural networks*, 2006).
//!
//! `z = encoder(x)`, `m = sigmoid(decoder(z))`; the loss is a [mix](super::LossWeights) of reconstruction losses of m and x.
//! With `noise` above 0 it is denoising (Vincent et al., 2008): the encoder sees the image with coarse Gaussian noise, and
//! the decoder is to reproduce it without (Kascenas et al., *Denoising autoencoders for unsupervised anomaly detection in
//! brain MRI*, 2022). Scoring adds no noise.

use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::losses::LossWeights;
use super::perceptual::Perceptual;
use super::reproduce::{Reproduce, Reproduced, ReproducedGraph, decode_points, reconstructions};
use crate::family::{Preset, Settings, to_settings};
use crate::graph::{Graph, Value};
use crate::measure::reconstruction::{ABSOLUTE_ERROR, Errors, PEAK_ERROR, SQUARED_ERROR, SSIM_ERROR};
use crate::measure::reconstruction_graph::ReconstructionGraph;
use crate::measure::reference::{MAHALANOBIS, NEIGHBOUR_DISTANCE};
use crate::measure::{Descriptor, Embedding};
use crate::member::Decoder;
use crate::network::{Activation, Architecture, Network, NetworkSettings, Outputs, Precision, batch};
use crate::shape::Shape;
use crate::tensors::{device_of, rows};
use crate::train::{Loss, Preparation, Step, Trainable, nothing_ahead};

const DESCRIPTORS: &[Descriptor] =
    &[SQUARED_ERROR, ABSOLUTE_ERROR, SSIM_ERROR, PEAK_ERROR, MAHALANOBIS, NEIGHBOUR_DISTANCE];

/// Settings of an autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AutoencoderSettings {
    /// Encoder and decoder.
    #[serde(flatten)]
    pub network: NetworkSettings,
    /// What reconstruction error costs.
    pub loss: LossWeights,
    /// Standard deviation of the noise that training adds to what the encoder sees, in intensities; 0 adds none.
    pub noise: f64,
    /// Side of the squares over which the noise is smooth, in pixels.
    pub noise_px: usize,
}

impl Default for AutoencoderSettings {
    fn default() -> Self {
        Self { network: NetworkSettings::default(), loss: LossWeights::default(), noise: 0.0, noise_px: 8 }
    }
}

const PRESETS: &[Preset] = &[
    Preset {
        name: "small",
        about: "for images of 64 px: four stages, squared error",
        size_px: Some(64),
        settings: small,
    },
    Preset {
        name: "base",
        about: "the default, for images of 128 px: five stages",
        size_px: Some(128),
        settings: base,
    },
    Preset {
        name: "denoising",
        about: "as small, reproducing images without added noise",
        size_px: Some(64),
        settings: denoising,
    },
    Preset {
        name: "ssim",
        about: "as small, with absolute error and structural similarity",
        size_px: Some(64),
        settings: ssim,
    },
    Preset {
        name: "reference",
        about: "residual blocks, for 256 x 256 pixels",
        size_px: Some(256),
        settings: residual,
    },
];

fn of_four_stages() -> AutoencoderSettings {
    let network = NetworkSettings { channels: vec![16, 32, 64, 64], ..NetworkSettings::default() };
    AutoencoderSettings { network, ..AutoencoderSettings::default() }
}

fn small() -> Settings {
    to_settings(&of_four_stages())
}

fn base() -> Settings {
    to_settings(&AutoencoderSettings::default())
}

fn denoising() -> Settings {
    to_settings(&AutoencoderSettings { noise: 0.2, ..of_four_stages() })
}

fn ssim() -> Settings {
    let loss = LossWeights { mse: 0.0, l1: 1.0, ssim: 1.0, ..LossWeights::default() };
    to_settings(&AutoencoderSettings { loss, ..of_four_stages() })
}

fn residual() -> Settings {
    let network = NetworkSettings {
        architecture: Architecture::Residual,
        channels: vec![256, 512, 1024],
        activation: Activation::LeakyRelu,
        ..NetworkSettings::default()
    };
    to_settings(&AutoencoderSettings { network, ..AutoencoderSettings::default() })
}

impl AutoencoderSettings {
    /// # Errors
    /// A setting out of its range, or one that does not fit the shape.
    fn check(&self, shape: Shape) -> Result<()> {
        self.network.check(shape)?;
        self.loss.check(shape)?;
        if !(0.0..=10.0).contains(&self.noise) {
            return Err(Error::settings(format!("model.noise: expected 0 to 10, found {}", self.noise)));
        }
        if !(1..=shape.shorter_side()).contains(&self.noise_px) {
            return Err(Error::settings(format!(
                "model.noise_px: expected 1 to the shorter side of {} px, found {}",
                shape.shorter_side(),
                self.noise_px
            )));
        }
        Ok(())
    }
}

/// Encoder and decoder.
#[derive(Module, Debug)]
pub(super) struct Model {
    network: Network,
    #[module(skip)]
    settings: AutoencoderSettings,
    #[module(skip)]
    shape: Shape,
    #[module(skip)]
    perceptual: Option<Perceptual>,
}

impl Model {
    /// The loss of reproducing `target` from what the encoder sees.
    fn cost(&self, seen: Tensor<4>, target: &Tensor<4>) -> Loss {
        let logits = self.network.decode(self.network.encode(seen));
        Loss::new(self.settings.loss.terms(&logits, target, self.perceptual.as_ref()))
    }
}

impl Trainable for Model {
    type Prepared = ();

    fn preparation(&self) -> Preparation<()> {
        nothing_ahead()
    }

    fn loss(&self, input: Tensor<4>, (): (), step: &Step<'_>) -> Loss {
        let seen = match self.settings.noise {
            0.0 => input.clone(),
            _ => input.clone() + coarse_noise(&self.settings, step, input.dims(), &input.device()),
        };
        self.cost(seen, &input)
    }

    fn held_out_loss(&self, input: Tensor<4>, _epoch: usize) -> Loss {
        self.cost(input.clone(), &input)
    }

    fn reconstruct(&self, inputs: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> {
        reconstructions(self, inputs).map(Some)
    }

    fn activations_per_image(&self) -> usize {
        let beside = self.perceptual.as_ref().map_or(0, |_| Perceptual::activations_per_image(self.shape));
        self.settings.network.activations_per_image(self.shape) + beside
    }

    fn precision(&self) -> Precision {
        self.settings.network.precision
    }
}

/// Gaussian noise drawn on a grid of `noise_px` pixels and interpolated bilinearly between the grid's points,
/// `[batch, height, width, channels]`.
fn coarse_noise(
    settings: &AutoencoderSettings,
    step: &Step<'_>,
    [batch, height, width, channels]: [usize; 4],
    device: &Device,
) -> Tensor<4> {
    let mut random = generator(step.seed, Stream::Corruption, step.step as u64);
    let grid = settings.noise_px;
    let (rows, columns) = (height.div_ceil(grid) + 1, width.div_ceil(grid) + 1);
    let mut values = Vec::with_capacity(batch * height * width * channels);
    for _ in 0..batch {
        let points: Vec<f32> =
            StandardNormal.sample_iter(&mut random).take(rows * columns * channels).collect();
        let at =
            |row: usize, column: usize, channel: usize| points[(row * columns + column) * channels + channel];
        for (y, x) in (0..height * width).map(|at| (at / width, at % width)) {
            let (row, column) = (y / grid, x / grid);
            let share = |at: usize| (at % grid) as f32 / grid as f32;
            let (down, right) = (share(y), share(x));
            for channel in 0..channels {
                let upper = at(row, column, channel) * (1.0 - right) + at(row, column + 1, channel) * right;
                let lower =
                    at(row + 1, column, channel) * (1.0 - right) + at(row + 1, column + 1, channel) * right;
                values.push((upper * (1.0 - down) + lower * down) * settings.noise as f32);
            }
        }
    }
    Tensor::from_data(TensorData::new(values, [batch, height, width, channels]), device)
}

impl Reproduce for Model {
    const NAME: &'static str = "autoencoder";
    const ABOUT: &'static str =
        "autoencoder, plain or denoising: reconstruction error, and distance in its latent space";
    const PRESETS: &'static [Preset] = PRESETS;
    const DEFAULT_PRESET: &'static str = "base";
    const DESCRIPTORS: &'static [Descriptor] = DESCRIPTORS;
    type Settings = AutoencoderSettings;

    fn check(settings: &AutoencoderSettings, shape: Shape) -> Result<()> {
        settings.check(shape)
    }

    fn precision_of(settings: &mut AutoencoderSettings) -> &mut Precision {
        &mut settings.network.precision
    }

    fn init(settings: &AutoencoderSettings, shape: Shape, seed: Option<u64>, device: &Device) -> Self {
        let outputs = Outputs { encoded: settings.network.latent_dimensions(), decoded: shape.channels };
        let network = Network::init(&settings.network, shape, outputs, seed, device);
        Self { network, settings: settings.clone(), shape, perceptual: None }
    }

    fn perceptual_weight(settings: &AutoencoderSettings) -> f64 {
        settings.loss.perceptual
    }

    fn with_perceptual(self, perceptual: Perceptual) -> Self {
        Self { perceptual: Some(perceptual), ..self }
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn dimensions(&self) -> usize {
        self.settings.network.latent_dimensions()
    }

    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<Reproduced>> {
        let count = inputs.len();
        let latent = self.network.encode(batch(inputs, self.shape, &device_of(self))?);
        let means = rows(sigmoid(self.network.decode(latent.clone())), count);
        let outputs = rows(latent, count).into_iter().zip(means).map(|(latent, mean)| Reproduced {
            mean,
            log_variance: None,
            embedding: Embedding { mean: latent, log_variance: None },
            own: Vec::new(),
        });
        Ok(outputs.collect())
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> ReproducedGraph {
        let embedding = self.network.encode_graph(graph, input);
        let logits = self.network.decode_graph(graph, embedding);
        let reconstruction = ReconstructionGraph { mean: graph.sigmoid(logits), log_variance: None };
        ReproducedGraph { reconstruction, embedding, own: Vec::new() }
    }

    fn measurements<T: Copy>(
        errors: &Errors<T>,
        _own: &[T],
        [mahalanobis, neighbour_distance]: [T; 2],
    ) -> Vec<T> {
        vec![errors.squared, errors.absolute, errors.ssim, errors.peak, mahalanobis, neighbour_distance]
    }

    fn decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }
}

impl Decoder for Model {
    fn dimensions(&self) -> usize {
        Reproduce::dimensions(self)
    }

    fn decode(&self, latents: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let decode = |latents| sigmoid(self.network.decode(latents));
        decode_points(latents, Reproduce::dimensions(self), &device_of(self), decode)
    }
}
