//! The family `feature-vae`: a variational autoencoder whose input and likelihood live in the space of frozen features (after
//! Meissen et al., *Unsupervised anomaly localization with structural feature-autoencoders*, 2022; uncertainty decoder: Mao et
//! al., 2020).
//!
//! An image becomes whitened features on a grid. Encoder and decoder are convolutions around a latent space that is itself a
//! grid, an eighth of the side; the decoder predicts mean and variance of each feature of each place. An anomaly is where the
//! features differ from the predicted mean by more than the predicted deviation. A second decoder, which learns afterwards, draws
//! what the predicted means look like, for people.

mod network;
mod pictures;
mod space;

use std::sync::Arc;

use aberra_kernels::Similarity;
use aberra_metrics::{Error, Result};
use burn::tensor::{Tensor, TensorData, s};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::network::{LOG_VARIANCE_BOUNDS, Network, Outputs, STAGES};
use self::pictures::PictureDecoder;
use self::space::{FeatureSpace, Views, inner_grid, learn_whitening};
use crate::backbone::{Backbone, Platform};
use crate::family::{Family, Fitted, Preset, Settings, parse, schema_of, to_settings};
use crate::features::{Extractor, FeatureCache, Features, FeaturesGraph, GRID_CHANNELS, grid_shape};
use crate::graph::{Graph, GraphInference, Value};
use crate::inputs::Inputs;
use crate::measure::pooling::{peak_top_and_mean, peak_top_and_mean_graph};
use crate::measure::{Descriptor, Embedding, Inference, Want};
use crate::member::{Member, SharedMember};
use crate::network::Precision;
use crate::resample::{bilinear, bilinear_graph};
use crate::shape::Shape;
use crate::tensors::{Tensors, count_parameters, load_weights, rows, weights, with_half_weights};
use crate::train::{FitContext, Trained, train};
use crate::whitening::Whitening;

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

/// Settings of a variational autoencoder of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FeatureVaeSettings {
    /// Whitened directions of the features, the leading ones of 176, 8 to 176.
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
    /// Training images seen in all by a decoder that draws what the predicted features look like, rounded up to whole epochs; 0
    /// leaves it out, and there is no reconstruction to look at. No measurement depends on it.
    pub pictures: usize,
}

impl Default for FeatureVaeSettings {
    fn default() -> Self {
        Self {
            directions: 128,
            widths: [64, 96, 128],
            latent: 16,
            beta: 1.0,
            ssim: 0.0,
            images: 16_000,
            pictures: 0,
        }
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
        if self.pictures > 100_000_000 {
            let found = self.pictures;
            return Err(Error::settings(format!("model.pictures: expected 0 to 100000000, found {found}")));
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
    Preset {
        name: "base",
        about: "the default: 128 directions, 16,000 images",
        size_px: None,
        settings: base,
    },
    Preset { name: "quick", about: "as base, 6,000 images", size_px: None, settings: quick },
];

fn base() -> Settings {
    to_settings(&FeatureVaeSettings::default())
}

fn quick() -> Settings {
    to_settings(&FeatureVaeSettings { images: 6_000, ..FeatureVaeSettings::default() })
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

    fn takes_any_channels(&self) -> bool {
        false
    }

    fn schema(&self) -> serde_json::Value {
        schema_of::<FeatureVaeSettings>()
    }

    fn resolve(&self, settings: &Settings, shape: Shape, _: Option<Precision>) -> Result<Settings> {
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
        let extractor = Extractor::of(context.backbone.get(&context.device)?, inputs)?;
        let whitening = learn_whitening(settings.directions, context, &extractor, inputs)?;
        let space = Arc::new(FeatureSpace { extractor, whitening });
        let untaught = |network: Network| {
            let network = with_half_weights(network)?;
            Ok(FeatureVaeMember { network, space: space.clone() })
        };
        let finish = |network| Ok(Arc::new(untaught(network)?) as SharedMember);
        let cache_bytes = context.train.cache_mib << 20;
        let views = Views::new(context, inputs, space.grid());
        let features = space.inputs(views.count(), cache_bytes, |index| views.get(index))?;
        let held_out_features =
            space.inputs(held_out.len(), usize::MAX, |index| Ok(held_out.get(index)?.into_owned()))?;

        let device = context.device.clone().autodiff();
        let network = Network::init(&settings, features.shape(), Some(context.seed), &device);
        let epochs = settings.images.div_ceil(features.len().max(1));
        let own = context.train.with_epochs(epochs)?.without_augmentation();
        let trained = context
            .with_training(own, |context| train(network, context, &features, &held_out_features, &finish))?;
        let Trained { model, epoch, standardized_shift } = trained;
        let mut member = untaught(model)?;
        drop((features, held_out_features));
        if settings.pictures > 0 {
            member = pictures::learn(settings.pictures, member, context, inputs, held_out)?;
        }
        Ok(Fitted { member: Arc::new(member), epoch, standardized_shift })
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        mut tensors: Tensors,
        platform: &Platform,
    ) -> Result<SharedMember> {
        let settings = checked(settings, shape)?;
        let whitening =
            Whitening::read(&mut tensors, WHITENING, GRID_CHANNELS, settings.directions, &platform.device)?;
        let extractor = Extractor::read(platform.backbone()?, shape, &mut tensors)?;
        let space = Arc::new(FeatureSpace { extractor, whitening });
        let mut network =
            Network::init(&settings, inner_grid(shape, settings.directions), None, &platform.device);
        network.pictures = (settings.pictures > 0)
            .then(|| PictureDecoder::init(settings.directions, shape.channels, None, &platform.device));
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

/// A fitted variational autoencoder of features.
#[derive(Debug)]
struct FeatureVaeMember {
    network: Network,
    space: Arc<FeatureSpace>,
}

impl FeatureVaeMember {
    /// The network's outputs for the whitened features of `count` images.
    fn run(&self, whitened: Vec<f32>, count: usize) -> Outputs {
        let Shape { height, width, channels } = self.space.grid();
        let data = TensorData::new(whitened, [count, height, width, channels]);
        self.network.run(Tensor::from_data(data, self.space.extractor.backbone.device()), None)
    }

    /// The means among the features that the network predicts: `[count, rows, columns, directions]`.
    fn means(&self, predicted: Tensor<4>) -> Tensor<4> {
        predicted.slice(s![.., .., .., 0..self.space.grid().channels as i32])
    }
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
        let features = cache.features(&space.extractor, inputs)?;
        let grid = space.grid();
        let whitened: Vec<Vec<f32>> = features.par_iter().map(|features| space.whiten(features)).collect();
        let whitened = whitened.concat();
        let Outputs { posterior, features: predicted } = self.run(whitened.clone(), inputs.len());
        let [mean, log_variance] = posterior.map(|part| rows(part, inputs.len()));
        let kl = |(mean, log_variance)| {
            let posterior = Embedding { mean, log_variance: Some(log_variance) };
            posterior.kl_per_dimension().map_or(0.0, Iterator::sum)
        };
        let drawn = self.network.pictures.as_ref().filter(|_| want.reconstruction);
        let drawn =
            drawn.map(|pictures| pictures.pictures(self.means(predicted.clone()), space.extractor.shape));
        let mut pictures = drawn.into_iter().flatten();
        let kl: Vec<f64> = mean.into_iter().zip(log_variance).map(kl).collect();
        let predicted: Vec<f32> = predicted.into_data().iter::<f32>().collect();
        let errors = errors(&predicted, &whitened, grid.channels);
        let (inner, outer) =
            (Shape { channels: 1, ..grid }, Shape { channels: 1, ..grid_shape(space.extractor.shape) });
        let infer = |(image, features): (usize, &Features)| {
            let error = bilinear(&errors[image * inner.len()..][..inner.len()], inner, outer);
            let pooled = peak_top_and_mean(&error, &features.foreground);
            let measurements = pooled.into_iter().chain([kl[image]]).collect();
            let map =
                want.map.then(|| bilinear(&error, outer, Shape { channels: 1, ..space.extractor.shape }));
            Inference { measurements, map, ..Inference::default() }
        };
        let mut inferences: Vec<Inference> = features.par_iter().enumerate().map(infer).collect();
        inferences.iter_mut().for_each(|inference| inference.reconstruction = pictures.next());
        Ok(inferences)
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let space = &self.space;
        let features = FeaturesGraph::of(graph, &space.extractor, input)?;
        let (inner, outer) = (space.grid(), Shape { channels: 1, ..grid_shape(space.extractor.shape) });
        let whitened = space.whitening.project_graph(graph, features.grid);
        let whitened = graph.image_of_places(whitened, outer.height, outer.width);
        let whitened = bilinear_graph(graph, whitened, outer, inner);
        let (predicted, kl) = self.network.graph(graph, whitened);
        let errors = errors_graph(graph, predicted, whitened, inner.channels);
        let error = bilinear_graph(graph, errors, inner, outer);
        let flat = graph.flatten(error);
        let mut measurements = peak_top_and_mean_graph(graph, flat, features.foreground).to_vec();
        measurements.push(kl);
        let map = Some(bilinear_graph(graph, error, outer, space.extractor.shape));
        let reconstruction = self.network.pictures.as_ref().map(|pictures| {
            let expected = graph.slice(predicted, 0, 0, inner.channels);
            pictures.graph(graph, expected, inner, space.extractor.shape)
        });
        Ok(GraphInference { measurements, map, channel_maps: None, reconstruction })
    }

    fn gives(&self) -> Want {
        Want { reconstruction: self.network.pictures.is_some(), ..Want::MAP }
    }

    fn backbone(&self) -> Option<&Backbone> {
        Some(&self.space.extractor.backbone)
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = weights(&self.network);
        self.space.whitening.write(&mut tensors, WHITENING);
        self.space.extractor.write(&mut tensors);
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

/// [`errors`] of `[directions, rows, columns]` in a graph: `[rows, columns]`.
fn errors_graph(graph: &mut Graph, predicted: Value, features: Value, directions: usize) -> Value {
    let (low, high) = LOG_VARIANCE_BOUNDS;
    let means = graph.slice(predicted, 0, 0, directions);
    let log_variances = graph.slice(predicted, 0, directions, 2 * directions);
    let difference = graph.subtract(features, means);
    let squares = graph.square(difference);
    let log_variances = graph.clamp(log_variances, low, high);
    let variances = graph.exp(log_variances);
    let weighted = graph.divide(squares, variances);
    graph.mean(weighted, &[0])
}
