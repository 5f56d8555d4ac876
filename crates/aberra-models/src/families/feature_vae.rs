//! The family `feature-vae`: a variational autoencoder whose input and likelihood live in the space of frozen features (after
//! Meissen et al., *Unsupervised anomaly localization with structural feature-autoencoders*, 2022; uncertainty decoder: Mao et
//! al., 2020).
//!
//! An image becomes whitened features on a grid. Encoder and decoder are convolutions around a latent space that is itself a
//! grid, an eighth of the side; the decoder predicts mean and variance of each feature of each place. An anomaly is where the
//! features differ from the predicted mean by more than the predicted deviation.

use std::collections::BTreeMap;
use std::sync::Arc;

use aberra_kernels::{
    ActivationFunction, InstructionSet, OperandPrecision, PixelLikelihood, Similarity, kl_divergence,
    reconstruction_cost, structural_dissimilarity,
};
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData, s};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vae::noise;
use crate::backbone::{Backbone, Platform};
use crate::family::{Family, Fitted, Preset, Settings, parse, schema_of, to_settings};
use crate::features::{FeatureCache, Features, extract, grid_shape};
use crate::inputs::Inputs;
use crate::measure::pooling::{in_foreground, mean_of_largest};
use crate::measure::{Descriptor, Inference, Want};
use crate::member::{Member, SharedMember};
use crate::network::Precision;
use crate::network::layer::{Conv, Direction, Init, Window};
use crate::resample::bilinear;
use crate::shape::Shape;
use crate::tensors::{Tensors, count_parameters, load_weights, weights};
use crate::train::{Augmentation, FitContext, Loss, Step, Term, Trainable, augment, train, warmed_up};
use crate::whitening::{PatchSample, Whitening};

const VARIANCES: &str = "predicted variances";

const DESCRIPTORS: &[Descriptor] = &[
    Descriptor::unusual(
        "peak_error",
        VARIANCES,
        "squared error of the features, mean of the highest 1 % of places",
    ),
    Descriptor::unusual(
        "top_error",
        VARIANCES,
        "squared error of the features, mean of the highest 10 % of places in the foreground",
    ),
    Descriptor::unusual("mean_error", VARIANCES, "squared error of the features, mean of the foreground"),
    Descriptor::unusual("kl", "nats", "KL divergence of the posterior from the prior"),
];

/// Patches from which the whitening is learnt.
const PATCHES: usize = 6_144;

/// Each stage of the encoder halves the sides of the grid.
const STAGES: usize = 3;

/// The sides of the grid that the network sees are multiples of it.
const SIDE: usize = 1 << STAGES;

/// Bounds of a predicted log-variance, of features in standard deviations of normals.
const LOG_VARIANCE_BOUNDS: (f32, f32) = (-5.0, 3.0);

/// Feature grids from which it is trained: of few training images, several augmented copies.
const VIEWS: usize = 2_048;

/// Copies of one training image, at most.
const MOST_COPIES: usize = 6;

/// Settings of a variational autoencoder of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FeatureVaeSettings {
    /// Whitened directions of the features, 8 to 176.
    pub directions: usize,
    /// Channels of the three stages of the encoder, which the decoder mirrors.
    pub widths: [usize; STAGES],
    /// Channels of the latent grid, whose sides are an eighth of those of the feature grid.
    pub latent: usize,
    /// Weight of the KL divergence in the loss.
    pub beta: f64,
    /// Weight of the structural dissimilarity of the features, channel by channel, in the loss; 0 leaves it out.
    pub ssim: f64,
    /// Training images seen in all, rounded up to whole epochs, in place of `train.epochs`.
    pub images: usize,
}

impl Default for FeatureVaeSettings {
    fn default() -> Self {
        Self { directions: 64, widths: [96, 128, 128], latent: 16, beta: 1.0, ssim: 0.0, images: 24_000 }
    }
}

impl FeatureVaeSettings {
    fn check(&self, shape: Shape) -> Result<()> {
        Whitening::check_directions(self.directions)?;
        let stages = self.widths.iter().map(|&width| ("widths", width, 2048));
        for (name, found, most) in
            stages.chain([("latent", self.latent, 256), ("images", self.images, 100_000_000)])
        {
            if !(1..=most).contains(&found) {
                return Err(Error::settings(format!("model.{name}: expected 1 to {most}, found {found}")));
            }
        }
        for (name, found) in [("beta", self.beta), ("ssim", self.ssim)] {
            if !(0.0..=1e6).contains(&found) {
                return Err(Error::settings(format!("model.{name}: expected 0 to 1000000, found {found}")));
            }
        }
        Backbone::check_shape(shape)?;
        let side = inner_grid(shape, 1).shorter_side();
        if self.ssim > 0.0 && side < Similarity::WINDOW_PX {
            return Err(Error::settings(format!(
                "model.ssim: expected a feature grid of at least {} places a side, found {side}",
                Similarity::WINDOW_PX
            ))
            .with_hint("choose a larger preprocessing.size_px, or model.ssim = 0"));
        }
        Ok(())
    }
}

const PRESETS: &[Preset] = &[
    Preset { name: "base", about: "the default: 64 directions, 24,000 images", settings: base },
    Preset { name: "quick", about: "as base, 8,000 images", settings: quick },
];

fn base() -> Settings {
    to_settings(&FeatureVaeSettings::default())
}

fn quick() -> Settings {
    to_settings(&FeatureVaeSettings { images: 8_000, ..FeatureVaeSettings::default() })
}

/// The family.
pub(super) struct FeatureVae;

impl Family for FeatureVae {
    fn name(&self) -> &'static str {
        "feature-vae"
    }

    fn about(&self) -> &'static str {
        "variational autoencoder of frozen features: reconstruction of features in predicted standard deviations"
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn schema(&self) -> serde_json::Value {
        schema_of::<FeatureVaeSettings>()
    }

    fn resolve(&self, settings: &Settings, shape: Shape, _: Option<InstructionSet>) -> Result<Settings> {
        Ok(to_settings(&checked(settings, shape)?))
    }

    fn fit(
        &self,
        settings: &Settings,
        context: &mut FitContext<'_>,
        inputs: &Inputs<'_>,
        held_out: &Inputs<'_>,
    ) -> Result<Fitted> {
        let settings = checked(settings, inputs.shape())?;
        let backbone = context.backbone.get(&context.device)?;
        let whitening = learn_whitening(&settings, context, &backbone, inputs)?;
        let space = Arc::new(FeatureSpace { backbone, whitening, shape: inputs.shape() });
        let cache_bytes = context.train.cache_mib << 20;
        let views = Views::new(context, inputs);
        let features = space.inputs(views.count(), cache_bytes, |index| views.get(index))?;
        let held_out_features =
            space.inputs(held_out.len(), usize::MAX, |index| Ok(held_out.get(index)?.into_owned()))?;

        let device = context.device.clone().autodiff();
        let network = Network::init(&settings, features.shape(), context.seed, &device);
        let epochs = settings.images.div_ceil(features.len().max(1));
        let own = context.train.with_epochs(epochs)?.without_augmentation();
        let shared = std::mem::replace(&mut context.train, own);
        let finish =
            |network| Ok(Arc::new(FeatureVaeMember { network, space: space.clone() }) as SharedMember);
        let trained = train(network, context, &features, &held_out_features, &finish);
        context.train = shared;
        let trained = trained?;
        let member = finish(trained.model)?;
        Ok(Fitted { member, epoch: trained.epoch, standardized_shift: trained.standardized_shift })
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        mut tensors: Tensors,
        platform: &Platform,
    ) -> Result<SharedMember> {
        let settings = checked(settings, shape)?;
        let whitening = Whitening::read(&mut tensors, WHITENING, settings.directions, &platform.device)?;
        let space = Arc::new(FeatureSpace { backbone: platform.backbone()?, whitening, shape });
        let network = Network::init(&settings, inner_grid(shape, settings.directions), 0, &platform.device);
        Ok(Arc::new(FeatureVaeMember { network: load_weights(network, tensors)?, space }))
    }
}

/// What the names of the whitening's tensors begin with.
const WHITENING: &str = "whitening";

fn checked(settings: &Settings, shape: Shape) -> Result<FeatureVaeSettings> {
    let settings: FeatureVaeSettings = parse(settings)?;
    settings.check(shape)?;
    Ok(settings)
}

/// Training images held in memory at once.
const CHUNK: usize = 32;

fn learn_whitening(
    settings: &FeatureVaeSettings,
    context: &FitContext<'_>,
    backbone: &Backbone,
    inputs: &Inputs<'_>,
) -> Result<Whitening> {
    let shape = inputs.shape();
    let mut sample = PatchSample::new(context.seed, PATCHES, inputs.len(), grid_shape(shape));
    inputs.chunks(CHUNK, |inputs| {
        extract(backbone, inputs, shape)?.iter().for_each(|features| sample.add(features));
        Ok(())
    })?;
    Whitening::fit(&sample, settings.directions, &context.device)
}

/// The training images, and of few images copies with augmentation that leaves their textures as they are.
struct Views<'a> {
    inputs: &'a Inputs<'a>,
    copies: usize,
    augmentation: Augmentation,
    seed: u64,
}

impl<'a> Views<'a> {
    fn new(context: &FitContext<'_>, inputs: &'a Inputs<'a>) -> Self {
        // Rotating and scaling would smooth the image.
        let augmentation =
            Augmentation { rotation_degrees: 0.0, scale: 0.0, shift: 0.0, ..context.train.augmentation };
        let augments = augmentation.flip_horizontal || augmentation.flip_vertical || augmentation.gamma > 0.0;
        let copies = if augments { (VIEWS / inputs.len().max(1)).clamp(1, MOST_COPIES) } else { 1 };
        Self { inputs, copies, augmentation, seed: context.seed }
    }

    fn count(&self) -> usize {
        self.inputs.len() * self.copies
    }

    fn get(&self, index: usize) -> Result<Vec<f32>> {
        let input = self.inputs.get(index / self.copies)?;
        if index % self.copies == 0 {
            return Ok(input.into_owned());
        }
        let mut random = generator(self.seed, Stream::Augmentation, index as u64);
        let mut view = vec![0.0; input.len()];
        augment(&input, self.inputs.shape(), &self.augmentation, &mut random, &mut view);
        Ok(view)
    }
}

/// The grid that the network sees of images of this shape: its sides are multiples of [`SIDE`].
fn inner_grid(shape: Shape, channels: usize) -> Shape {
    let grid = grid_shape(shape);
    Shape { height: grid.height.next_multiple_of(SIDE), width: grid.width.next_multiple_of(SIDE), channels }
}

/// Whitened features of images.
#[derive(Debug)]
struct FeatureSpace {
    backbone: Arc<Backbone>,
    whitening: Whitening,
    shape: Shape,
}

impl FeatureSpace {
    fn grid(&self) -> Shape {
        inner_grid(self.shape, self.whitening.directions())
    }

    /// `[rows, columns, directions]` of the network's grid.
    fn whiten(&self, features: &Features) -> Vec<f32> {
        let from = Shape { channels: self.whitening.directions(), ..grid_shape(self.shape) };
        bilinear(&self.whitening.project(&features.grid), from, self.grid())
    }

    /// The whitened features of a list of images, as the inputs of a network.
    fn inputs<'a>(
        &'a self,
        count: usize,
        cache_bytes: usize,
        image: impl Fn(usize) -> Result<Vec<f32>> + Send + Sync + 'a,
    ) -> Result<Inputs<'a>> {
        Inputs::new(count, self.grid(), cache_bytes, move |index| {
            let image = image(index)?;
            let features = extract(&self.backbone, &[&image], self.shape)?;
            features
                .first()
                .map(|features| self.whiten(features))
                .ok_or_else(|| Error::input("the backbone gave no features for an image"))
        })
    }
}

/// Encoder and decoder.
#[derive(Module, Debug)]
struct Network {
    down: Vec<Conv>,
    posterior: Conv,
    latent: Conv,
    up: Vec<Conv>,
    #[module(skip)]
    settings: FeatureVaeSettings,
    #[module(skip)]
    grid: Shape,
}

/// What the network says about a batch.
struct Outputs {
    /// Mean and log-variance of the latents, `[batch, values]`.
    posterior: [Tensor<2>; 2],
    /// Means and log-variances of the features, `[batch, rows, columns, 2 x directions]`.
    features: Tensor<4>,
}

impl Network {
    fn init(settings: &FeatureVaeSettings, grid: Shape, seed: u64, device: &Device) -> Self {
        let mut random = generator(seed, Stream::Weights, 0);
        let mut init = Init { random: &mut random, device, precision: OperandPrecision::F32 };
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
        Self { down, posterior, latent, up, settings: settings.clone(), grid }
    }

    fn run(&self, input: Tensor<4>, step: Option<&Step>) -> Outputs {
        let encoded = self.down.iter().fold(input, |hidden, layer| layer.forward(hidden));
        let posterior = self.posterior.forward(encoded);
        let [batch, height, width, _] = posterior.dims();
        let latent = self.settings.latent;
        let flat = |part: Tensor<4>| part.reshape([batch, height * width * latent]);
        let mean = flat(posterior.clone().slice(s![.., .., .., 0..latent as i32]));
        let log_variance = flat(posterior.slice(s![.., .., .., latent as i32..])).clamp(-12.0, 8.0);
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

    /// The negative evidence lower bound, in nats of a feature, over all places.
    fn bound(&self, input: Tensor<4>, step: Option<&Step>, epoch: usize) -> Loss {
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

/// Epochs before the predicted variances enter the loss.
const VARIANCE_WARMUP_EPOCHS: usize = 1;

/// Epochs over which beta rises.
const BETA_WARMUP_EPOCHS: usize = 2;

impl Trainable for Network {
    fn loss(&self, input: Tensor<4>, step: &Step) -> Loss {
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
        // Each stage forward and backward, and the output with what the loss makes of it.
        let stages = self.settings.widths.iter().enumerate();
        let hidden: usize =
            stages.map(|(at, channels)| (self.grid.area() >> (2 * (at + 1))) * channels).sum();
        4 * hidden + 12 * self.grid.len()
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// A fitted variational autoencoder of features.
#[derive(Debug)]
struct FeatureVaeMember {
    network: Network,
    space: Arc<FeatureSpace>,
}

impl Member for FeatureVaeMember {
    fn descriptors(&self) -> &[Descriptor] {
        DESCRIPTORS
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        self.infer_with(inputs, &FeatureCache::default(), want)
    }

    fn infer_with(&self, inputs: &[&[f32]], cache: &FeatureCache, want: Want) -> Result<Vec<Inference>> {
        let space = &self.space;
        let features = cache.features(&space.backbone, inputs, space.shape)?;
        let grid = space.grid();
        let whitened: Vec<Vec<f32>> = features.par_iter().map(|features| space.whiten(features)).collect();
        let data = TensorData::new(whitened.concat(), [inputs.len(), grid.height, grid.width, grid.channels]);
        let input = Tensor::from_data(data, space.backbone.device());
        let Outputs { posterior, features: predicted } = self.network.run(input, None);
        let [mean, log_variance] = posterior.map(values);
        let errors = errors(&values(predicted), &whitened.concat(), grid.channels);
        let latents = mean.len() / inputs.len().max(1);
        let kl = |image: usize| -> f64 {
            let at = image * latents..(image + 1) * latents;
            let each = mean[at.clone()].iter().zip(&log_variance[at]);
            let nats = each.map(|(&mean, &log_variance)| {
                let (mean, log_variance) = (f64::from(mean), f64::from(log_variance));
                0.5 * (mean * mean + log_variance.exp() - 1.0 - log_variance)
            });
            nats.sum()
        };
        let (inner, outer) =
            (Shape { channels: 1, ..grid }, Shape { channels: 1, ..grid_shape(space.shape) });
        let infer = |(image, features): (usize, &Features)| {
            let error = bilinear(&errors[image * inner.len()..][..inner.len()], inner, outer);
            let foreground = in_foreground(&error, &features.foreground);
            let measurements = vec![
                mean_of_largest(&error, 0.01),
                mean_of_largest(&foreground, 0.1),
                mean_of_largest(&foreground, 1.0),
                kl(image),
            ];
            let map = want.map.then(|| bilinear(&error, outer, Shape { channels: 1, ..space.shape }));
            Inference { measurements, map, ..Inference::default() }
        };
        Ok(features.par_iter().enumerate().map(infer).collect())
    }

    fn gives(&self) -> Want {
        Want::MAP
    }

    fn backbone(&self) -> Option<&Backbone> {
        Some(&self.space.backbone)
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = weights(&self.network);
        self.space.whitening.write(&mut tensors, WHITENING);
        tensors
    }

    fn parameter_count(&self) -> usize {
        count_parameters(&self.network)
    }
}

/// The squared error of each place in predicted variances, mean of its features.
fn errors(predicted: &[f32], features: &[f32], directions: usize) -> Vec<f32> {
    let (low, high) = LOG_VARIANCE_BOUNDS;
    let of_place = |(predicted, features): (&[f32], &[f32])| {
        let (means, log_variances) = predicted.split_at(directions);
        let each = features.iter().zip(means).zip(log_variances);
        let sum: f32 =
            each.map(|((x, mean), spread)| (x - mean).powi(2) * (-spread.clamp(low, high)).exp()).sum();
        sum / directions as f32
    };
    let places = predicted.par_chunks_exact(2 * directions).zip(features.par_chunks_exact(directions));
    places.map(of_place).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
