//! The family `vae`: a variational autoencoder (Kingma and Welling, *Auto-encoding variational Bayes*, 2014).
//!
//! The encoder gives q(z | x) = N(mu, diag(sigma^2)), the decoder p(x | z); the loss is the negative evidence lower bound
//! `-log p(x | z) + beta KL(q(z | x) || N(0, I))` in nats per image, with one sample z = mu + sigma * noise. Scoring uses mu,
//! never a sample. `beta` above 1 is the beta-VAE (Higgins et al., 2017); free bits let each dimension use so many nats
//! without cost (Kingma et al., 2016).

use std::collections::BTreeMap;

use aberra_kernels::kl_divergence;
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::likelihood::{Decoded, Likelihood};
use super::losses::{check_perceptual, perceptual_term};
use super::perceptual::Perceptual;
use super::reproduce::{Reproduce, Reproduced, ReproducedGraph, decode_points, kl_graph, reconstructions};
use crate::family::{Preset, Settings, to_settings};
use crate::graph::{Graph, Value};
use crate::measure::reconstruction::{
    ABSOLUTE_ERROR, EXPECTED_ERROR, Errors, PEAK_ERROR, SQUARED_ERROR, SSIM_ERROR, WEIGHTED_ERROR,
};
use crate::measure::reference::{MAHALANOBIS, NEIGHBOUR_DISTANCE};
use crate::measure::{Descriptor, Embedding};
use crate::member::{Decoder, Prior};
use crate::network::{
    Activation, Architecture, Network, NetworkSettings, Normalization, Outputs, Precision, batch,
};
use crate::shape::Shape;
use crate::tensors::{device_of, rows};
use crate::train::{Loss, Preparation, Step, Term, Trainable, nothing_ahead, warmed_up};

/// KL(q(z | x) || N(0, I)).
const KL: Descriptor = Descriptor::unusual("kl", "nats", "KL divergence of the posterior from the prior");

const DESCRIPTORS: &[Descriptor] = &[
    SQUARED_ERROR,
    ABSOLUTE_ERROR,
    SSIM_ERROR,
    WEIGHTED_ERROR,
    EXPECTED_ERROR,
    PEAK_ERROR,
    KL,
    MAHALANOBIS,
    NEIGHBOUR_DISTANCE,
];

/// Settings of a variational autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct VaeSettings {
    /// Encoder and decoder.
    #[serde(flatten)]
    pub network: NetworkSettings,
    /// What the decoder predicts, and so what reconstruction error costs.
    pub likelihood: Likelihood,
    /// Weight of the KL divergence in the loss.
    pub beta: f64,
    /// Epochs over which beta rises from 0; 0 keeps it constant.
    pub beta_warmup_epochs: usize,
    /// Nats that each latent dimension may use without cost (free bits; Kingma et al., 2016).
    pub free_bits_nats: f64,
    /// Epochs before the uncertainty decoder's predicted variance enters the loss.
    pub variance_warmup_epochs: usize,
    /// Weight of the perceptual loss beside the likelihood: the relative distance of frozen features of the image and of its
    /// reconstruction, of images of 1 or 3 channels. Training takes about ten times as long with it; 0 leaves it out.
    pub perceptual: f64,
    /// Intensities that the encoder takes: `unit` (0 to 1) or `symmetric` (-1 to 1), as models from elsewhere may expect.
    pub input_range: InputRange,
}

/// Intensities that an encoder takes; those of images are 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum InputRange {
    /// 0 to 1.
    #[default]
    Unit,
    /// -1 to 1.
    Symmetric,
}

impl Default for VaeSettings {
    fn default() -> Self {
        Self {
            network: NetworkSettings::default(),
            likelihood: Likelihood::Uncertainty,
            beta: 1.0,
            beta_warmup_epochs: 10,
            free_bits_nats: 0.0,
            variance_warmup_epochs: 5,
            perceptual: 0.0,
            input_range: InputRange::Unit,
        }
    }
}

const PRESETS: &[Preset] = &[
    Preset { name: "small", about: "for images of 64 px: four stages", size_px: Some(64), settings: small },
    Preset {
        name: "base",
        about: "the default, for images of 128 px: five stages",
        size_px: Some(128),
        settings: base,
    },
    Preset {
        name: "peer",
        about: "the model of the PyTorch speed comparison",
        size_px: Some(128),
        settings: peer,
    },
    Preset {
        name: "reference",
        about: "the well-known 256 x 256 residual VAE",
        size_px: Some(256),
        settings: residual,
    },
];

fn small() -> Settings {
    let network = NetworkSettings { channels: vec![16, 32, 64, 64], ..NetworkSettings::default() };
    to_settings(&VaeSettings { network, ..VaeSettings::default() })
}

fn base() -> Settings {
    to_settings(&VaeSettings::default())
}

fn peer() -> Settings {
    let network = NetworkSettings {
        channels: vec![32, 64, 128, 256],
        latent: 128,
        normalization: Normalization::None,
        ..NetworkSettings::default()
    };
    let likelihood = Likelihood::Gaussian { variance: 0.5 };
    to_settings(&VaeSettings { network, likelihood, ..VaeSettings::default() })
}

fn residual() -> Settings {
    let network = NetworkSettings {
        architecture: Architecture::Residual,
        channels: vec![256, 512, 1024],
        activation: Activation::LeakyRelu,
        ..NetworkSettings::default()
    };
    let likelihood = Likelihood::Gaussian { variance: 0.5 };
    to_settings(&VaeSettings { network, likelihood, ..VaeSettings::default() })
}

impl VaeSettings {
    /// # Errors
    /// A setting out of its range, or one that does not fit the shape.
    fn check(&self, shape: Shape) -> Result<()> {
        self.network.check(shape)?;
        self.likelihood.check()?;
        for (name, found, most) in [("beta", self.beta, 1e6), ("free_bits_nats", self.free_bits_nats, 100.0)]
        {
            if !(0.0..=most).contains(&found) {
                return Err(Error::settings(format!("model.{name}: expected 0 to {most}, found {found}")));
            }
        }
        check_perceptual("model.perceptual", self.perceptual, shape)
    }
}

/// q(z | x): a diagonal Gaussian for each image. `[batch, latent]`, in latent units and log of their squares.
#[derive(Clone, Debug)]
struct Posterior {
    /// mu.
    mean: Tensor<2>,
    /// log sigma^2.
    log_variance: Tensor<2>,
}

/// Encoder and decoder of a variational autoencoder.
#[derive(Module, Debug)]
pub struct VariationalAutoencoder {
    network: Network,
    #[module(skip)]
    settings: VaeSettings,
    #[module(skip)]
    shape: Shape,
    #[module(skip)]
    perceptual: Option<Perceptual>,
}

impl VariationalAutoencoder {
    /// A model with initial weights drawn from `seed`. The precision of `settings` is resolved.
    ///
    /// # Errors
    /// A setting out of its range, or one that does not fit the shape.
    pub fn new(settings: &VaeSettings, shape: Shape, seed: u64, device: &Device) -> Result<Self> {
        settings.check(shape)?;
        Ok(Self::init(settings, shape, Some(seed), device))
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &VaeSettings {
        &self.settings
    }

    /// Dimensions of the latent space.
    pub fn latent(&self) -> usize {
        self.settings.network.latent_dimensions()
    }

    /// The images `[batch, height, width, channels]` as the decoder reproduces them at the posterior mean.
    pub fn reproduce(&self, input: Tensor<4>) -> Tensor<4> {
        let posterior = self.posterior(input);
        self.decoded(posterior.mean).mean()
    }

    fn posterior(&self, input: Tensor<4>) -> Posterior {
        let (batch, latent) = (input.dims()[0], self.latent());
        let both = self.network.encode(match self.settings.input_range {
            InputRange::Unit => input,
            InputRange::Symmetric => input * 2.0 - 1.0,
        });
        Posterior {
            mean: both.clone().slice([0..batch, 0..latent]),
            log_variance: both.slice([0..batch, latent..2 * latent]),
        }
    }

    fn decoded(&self, latent: Tensor<2>) -> Decoded {
        Decoded::new(self.settings.likelihood, self.network.decode(latent), self.shape.channels)
    }

    /// The negative evidence lower bound of `input` for the latents `z`, and where it is asked for the perceptual loss.
    fn bound(
        &self,
        input: Tensor<4>,
        z: Tensor<2>,
        posterior: Posterior,
        epoch: usize,
        free_bits: f64,
    ) -> Loss {
        let predicts_variance = epoch >= self.settings.variance_warmup_epochs;
        let Posterior { mean, log_variance } = posterior;
        let decoded = self.decoded(z);
        let weight = self.settings.perceptual;
        let perceptual = perceptual_term(self.perceptual.as_ref(), weight, || decoded.mean(), &input);
        let mut terms = vec![
            Term { name: "reconstruction", weight: 1.0, value: decoded.cost(input, predicts_variance) },
            Term {
                name: "kl",
                weight: warmed_up(self.settings.beta, self.settings.beta_warmup_epochs, epoch),
                value: kl_divergence(mean, log_variance, free_bits as f32),
            },
        ];
        terms.extend(perceptual);
        Loss::new(terms)
    }
}

impl Trainable for VariationalAutoencoder {
    type Prepared = ();

    fn preparation(&self) -> Preparation<()> {
        nothing_ahead()
    }

    fn loss(&self, input: Tensor<4>, (): (), step: &Step<'_>) -> Loss {
        let posterior = self.posterior(input.clone());
        let noise = noise(step, posterior.mean.dims(), &input.device());
        let z = posterior.mean.clone() + noise * (posterior.log_variance.clone() * 0.5).exp();
        self.bound(input, z, posterior, step.epoch, self.settings.free_bits_nats)
    }

    fn held_out_loss(&self, input: Tensor<4>, epoch: usize) -> Loss {
        let posterior = self.posterior(input.clone());
        self.bound(input, posterior.mean.clone(), posterior, epoch, 0.0)
    }

    fn reconstruct(&self, inputs: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> {
        reconstructions(self, inputs).map(Some)
    }

    fn warmup_epochs(&self) -> usize {
        self.settings.variance_warmup_epochs.max(self.settings.beta_warmup_epochs)
    }

    fn figures(&self, epoch: usize) -> BTreeMap<String, f64> {
        let beta = warmed_up(self.settings.beta, self.settings.beta_warmup_epochs, epoch);
        BTreeMap::from([("beta".to_owned(), beta)])
    }

    fn activations_per_image(&self) -> usize {
        let beside = self.perceptual.as_ref().map_or(0, |_| Perceptual::activations_per_image(self.shape));
        self.settings.network.activations_per_image(self.shape) + beside
    }

    fn precision(&self) -> Precision {
        self.settings.network.precision
    }
}

impl Reproduce for VariationalAutoencoder {
    const NAME: &'static str = "vae";
    const ABOUT: &'static str = "variational autoencoder: reconstruction in predicted standard deviations, and a latent space with a prior";
    const PRESETS: &'static [Preset] = PRESETS;
    const DEFAULT_PRESET: &'static str = "base";
    const DESCRIPTORS: &'static [Descriptor] = DESCRIPTORS;
    type Settings = VaeSettings;

    fn check(settings: &VaeSettings, shape: Shape) -> Result<()> {
        settings.check(shape)
    }

    fn precision_of(settings: &mut VaeSettings) -> &mut Precision {
        &mut settings.network.precision
    }

    fn init(settings: &VaeSettings, shape: Shape, seed: Option<u64>, device: &Device) -> Self {
        let outputs = Outputs {
            encoded: 2 * settings.network.latent_dimensions(),
            decoded: settings.likelihood.outputs(shape.channels),
        };
        let network = Network::init(&settings.network, shape, outputs, seed, device);
        Self { network, settings: settings.clone(), shape, perceptual: None }
    }

    fn perceptual_weight(settings: &VaeSettings) -> f64 {
        settings.perceptual
    }

    fn with_perceptual(self, perceptual: Perceptual) -> Self {
        Self { perceptual: Some(perceptual), ..self }
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn dimensions(&self) -> usize {
        self.latent()
    }

    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<Reproduced>> {
        let count = inputs.len();
        let posterior = self.posterior(batch(inputs, self.shape, &device_of(self))?);
        let decoded = self.decoded(posterior.mean.clone());
        let mu = rows(posterior.mean, count);
        let log_variance = rows(posterior.log_variance, count);
        let means = rows(decoded.mean(), count);
        let mut pixel = decoded.log_variance().map(|tensor| rows(tensor, count)).into_iter().flatten();
        let outputs = mu.into_iter().zip(log_variance).zip(means).map(|((mu, log_variance), mean)| {
            let embedding = Embedding { mean: mu, log_variance: Some(log_variance) };
            let kl = embedding.kl_per_dimension().map_or(0.0, Iterator::sum);
            Reproduced { mean, log_variance: pixel.next(), embedding, own: vec![kl] }
        });
        Ok(outputs.collect())
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> ReproducedGraph {
        let (latent, channels) = (self.latent(), self.shape.channels);
        let encoded = match self.settings.input_range {
            InputRange::Unit => input,
            InputRange::Symmetric => {
                let doubled = graph.times(input, 2.0);
                graph.plus(doubled, -1.0)
            }
        };
        let both = self.network.encode_graph(graph, encoded);
        let embedding = graph.slice(both, 0, 0, latent);
        let log_variance = graph.slice(both, 0, latent, 2 * latent);
        let output = self.network.decode_graph(graph, embedding);
        let reconstruction = self.settings.likelihood.decoded_graph(graph, output, channels);
        ReproducedGraph { reconstruction, embedding, own: vec![kl_graph(graph, embedding, log_variance)] }
    }

    fn measurements<T: Copy>(
        errors: &Errors<T>,
        own: &[T],
        [mahalanobis, neighbour_distance]: [T; 2],
    ) -> Vec<T> {
        vec![
            errors.squared,
            errors.absolute,
            errors.ssim,
            errors.weighted,
            errors.expected,
            errors.peak,
            own[0],
            mahalanobis,
            neighbour_distance,
        ]
    }

    fn decoder(&self) -> Option<&dyn Decoder> {
        Some(self)
    }

    fn prior(&self) -> Option<&dyn Prior> {
        Some(self)
    }
}

impl Decoder for VariationalAutoencoder {
    fn dimensions(&self) -> usize {
        self.latent()
    }

    fn decode(&self, latents: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        decode_points(latents, self.latent(), &device_of(self), |latents| self.decoded(latents).mean())
    }
}

impl Prior for VariationalAutoencoder {
    /// From N(0, I).
    fn draw(&self, random: &mut dyn Rng, count: usize) -> Vec<Vec<f32>> {
        let latent = self.latent();
        let values: Vec<f32> = StandardNormal.sample_iter(random).take(count * latent).collect();
        values.chunks_exact(latent).map(<[f32]>::to_vec).collect()
    }
}

/// Standard normal noise for the reparameterised sample.
pub(super) fn noise(step: &Step<'_>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let mut random = generator(step.seed, Stream::Latent, step.step as u64);
    let values: Vec<f32> = StandardNormal.sample_iter(&mut random).take(shape[0] * shape[1]).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
