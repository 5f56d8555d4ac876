//! The network: encoder and decoder around a latent grid, its loss, and what training asks of it.

use std::collections::BTreeMap;

use aberra_kernels::{
    ActivationFunction, OperandPrecision, PixelLikelihood, Similarity, kl_divergence, reconstruction_cost,
    structural_dissimilarity,
};
use aberra_metrics::Result;
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, s};

use super::FeatureVaeSettings;
use super::pictures::PictureDecoder;
use crate::families::reproduce::kl_graph;
use crate::families::vae::noise;
use crate::graph::{Graph, Value};
use crate::network::Precision;
use crate::network::layer::{Conv, Direction, Init, Window};
use crate::shape::Shape;
use crate::train::{Loss, Preparation, Step, Term, Trainable, nothing_ahead, warmed_up};

/// Each stage of the encoder halves the sides of the grid.
pub(super) const STAGES: usize = 3;

/// Bounds of a predicted log-variance, of features in standard deviations of normals.
pub(super) const LOG_VARIANCE_BOUNDS: (f32, f32) = (-5.0, 3.0);

/// Bounds of the posterior's log-variance, so that no sample overflows early in training.
const POSTERIOR_BOUNDS: (f32, f32) = (-12.0, 8.0);

/// Epochs before the predicted variances enter the loss.
const VARIANCE_WARMUP_EPOCHS: usize = 1;

/// Epochs over which beta rises.
const BETA_WARMUP_EPOCHS: usize = 2;

/// Encoder and decoder.
#[derive(Module, Debug)]
pub(super) struct Network {
    down: Vec<Conv>,
    posterior: Conv,
    latent: Conv,
    up: Vec<Conv>,
    /// Learnt once the rest is trained, if at all.
    pub(super) pictures: Option<PictureDecoder>,
    #[module(skip)]
    settings: FeatureVaeSettings,
    #[module(skip)]
    grid: Shape,
}

/// What the network says about a batch.
pub(super) struct Outputs {
    /// Mean and log-variance of the latents, `[batch, values]`.
    pub(super) posterior: [Tensor<2>; 2],
    /// Means and log-variances of the features, `[batch, rows, columns, 2 x directions]`.
    pub(super) features: Tensor<4>,
}

impl Network {
    pub(super) fn init(
        settings: &FeatureVaeSettings,
        grid: Shape,
        seed: Option<u64>,
        device: &Device,
    ) -> Self {
        let mut init = Init::new(seed, device, OperandPrecision::F32);
        let (relu, identity) = (ActivationFunction::Relu, ActivationFunction::Identity);
        let (halve, single) = (Window(4, 2, 1), Window(1, 1, 0));
        let [first, second, last] = settings.widths;
        let mut down = |ends| Conv::init(&mut init, Direction::Down, ends, halve, true, relu);
        let down = vec![down((settings.directions, first)), down((first, second)), down((second, last))];
        let posterior =
            Conv::init(&mut init, Direction::Down, (last, 2 * settings.latent), single, false, identity);
        let latent = Conv::init(&mut init, Direction::Down, (settings.latent, last), single, true, relu);
        let mut up = |ends, normalized, activation| {
            Conv::init(&mut init, Direction::Up, ends, halve, normalized, activation)
        };
        let up = vec![
            up((last, second), true, relu),
            up((second, first), true, relu),
            up((first, 2 * settings.directions), false, identity),
        ];
        Self { down, posterior, latent, up, pictures: None, settings: settings.clone(), grid }
    }

    pub(super) fn run(&self, input: Tensor<4>, step: Option<&Step<'_>>) -> Outputs {
        let encoded = self.down.iter().fold(input, |hidden, layer| layer.forward(hidden));
        let posterior = self.posterior.forward(encoded);
        let [batch, height, width, _] = posterior.dims();
        let latent = self.settings.latent;
        let (low, high) = POSTERIOR_BOUNDS;
        let flat = |part: Tensor<4>| part.reshape([batch, height * width * latent]);
        let mean = flat(posterior.clone().slice(s![.., .., .., 0..latent as i32]));
        let log_variance = flat(posterior.slice(s![.., .., .., latent as i32..])).clamp(low, high);
        let sample = match step {
            Some(step) => {
                let noise = noise(step, mean.dims(), &mean.device());
                mean.clone() + noise * (log_variance.clone() * 0.5).exp()
            }
            None => mean.clone(),
        };
        let sample = self.latent.forward(sample.reshape([batch, height, width, latent]));
        let features = self.up.iter().fold(sample, |hidden, layer| layer.forward(hidden));
        Outputs { posterior: [mean, log_variance], features }
    }

    /// In a graph, of `[directions, rows, columns]`: means and log-variances of the features, `[2 x directions, rows, columns]`,
    /// and the KL divergence, nats.
    pub(super) fn graph(&self, graph: &mut Graph, input: Value) -> (Value, Value) {
        let encoded = self.down.iter().fold(input, |hidden, layer| layer.graph(graph, hidden));
        let posterior = self.posterior.graph(graph, encoded);
        let latent = self.settings.latent;
        let mean = graph.slice(posterior, 0, 0, latent);
        let log_variance = graph.slice(posterior, 0, latent, 2 * latent);
        let (low, high) = POSTERIOR_BOUNDS;
        let log_variance = graph.clamp(log_variance, low, high);
        let sample = self.latent.graph(graph, mean);
        let features = self.up.iter().fold(sample, |hidden, layer| layer.graph(graph, hidden));
        let [mean, log_variance] = [mean, log_variance].map(|part| graph.flatten(part));
        (features, kl_graph(graph, mean, log_variance))
    }

    /// The negative evidence lower bound, in nats of a feature, over all places.
    fn bound(&self, input: Tensor<4>, step: Option<&Step<'_>>, epoch: usize) -> Loss {
        let Outputs { posterior: [mean, log_variance], features } = self.run(input.clone(), step);
        let places = self.grid.area() as f64;
        let directions = self.settings.directions;
        let (low, high) = if epoch < VARIANCE_WARMUP_EPOCHS { (0.0, 0.0) } else { LOG_VARIANCE_BOUNDS };
        let cost = reconstruction_cost(
            features.clone(),
            input.clone(),
            PixelLikelihood::UnboundedGaussian { low, high },
        );
        let mut terms = vec![
            Term { name: "reconstruction", weight: 1.0, value: cost / directions as f64 },
            Term {
                name: "kl",
                weight: warmed_up(self.settings.beta, BETA_WARMUP_EPOCHS, epoch) / directions as f64,
                value: kl_divergence(mean, log_variance, 0.0),
            },
        ];
        if self.settings.ssim > 0.0 {
            // In units in which its constants are small: most features lie within two standard deviations.
            let expected = features.slice(s![.., .., .., 0..directions as i32]);
            let value = structural_dissimilarity(sigmoid(expected), sigmoid(input), Similarity::SingleScale);
            terms.push(Term { name: "ssim", weight: self.settings.ssim, value: value * places });
        }
        Loss::new(terms)
    }
}

impl Trainable for Network {
    type Prepared = ();

    fn preparation(&self) -> Preparation<()> {
        nothing_ahead()
    }

    fn loss(&self, input: Tensor<4>, (): (), step: &Step<'_>) -> Loss {
        self.bound(input, Some(step), step.epoch)
    }

    fn held_out_loss(&self, input: Tensor<4>, epoch: usize) -> Loss {
        self.bound(input, None, epoch)
    }

    fn reconstruct(&self, _: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> {
        Ok(None)
    }

    fn warmup_epochs(&self) -> usize {
        VARIANCE_WARMUP_EPOCHS.max(BETA_WARMUP_EPOCHS)
    }

    fn figures(&self, epoch: usize) -> BTreeMap<String, f64> {
        BTreeMap::from([("beta".to_owned(), warmed_up(self.settings.beta, BETA_WARMUP_EPOCHS, epoch))])
    }

    fn activations_per_image(&self) -> usize {
        // Each stage forward and backward, and what the loss needs of the output.
        let stages = self.settings.widths.iter().enumerate();
        let hidden: usize =
            stages.map(|(at, channels)| (self.grid.area() >> (2 * (at + 1))) * channels).sum();
        4 * hidden + 12 * self.grid.len()
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}
