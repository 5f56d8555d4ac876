//! The family `discriminator`: a small convolutional network on frozen features, on how they differ from the nearest of the
//! normals', and on the pixels themselves, that learns, place by place, to tell normal images from the same with synthetic
//! anomalies drawn in (after Li et al., *CutPaste*, 2021; Schlüter et al., *Natural synthetic anomalies*, 2022; Yao et al.,
//! *ResAD*, 2024, for what differs from normal features alike in all kinds of images).
//!
//! It starts from weights that have learnt that on generated images of many kinds. Every image of a batch gets an anomaly, and
//! what lies outside it is the example of what is normal; the loss is the cross-entropy of each place of the feature grid. No
//! real anomaly is seen.

mod examples;
mod reference;
mod start;

use std::sync::Arc;

use aberra_kernels::{ActivationFunction, OperandPrecision};
use aberra_metrics::{Error, Result};
use burn::module::Module;
use burn::tensor::activation::softplus;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::examples::{Example, Examples, Training};
use self::reference::{COMPARED, Reference};
use crate::backbone::{Backbone, Platform};
use crate::family::{Family, Fitted, Preset, Settings, parse, schema_of, to_settings};
use crate::features::{Extractor, FeatureCache, Features, FeaturesGraph, GRID_STRIDE_PX, grid_shape};
use crate::graph::{Graph, GraphInference, Value};
use crate::inputs::Inputs;
use crate::measure::pooling::{peak_top_and_mean, peak_top_and_mean_graph};
use crate::measure::{Descriptor, Inference, Want};
use crate::member::{Member, SharedMember};
use crate::network::Precision;
use crate::network::layer::{Conv, Direction, Init, Window};
use crate::resample::{bilinear, bilinear_graph};
use crate::shape::Shape;
use crate::tensors::{Tensors, count_parameters, load_weights, weights, with_half_weights};
use crate::train::{FitContext, Loss, Preparation, Step, Term, Trainable};

/// Mean over the hundredth of the places where it is largest.
const PEAK_LOGIT: Descriptor =
    Descriptor::unusual("peak_logit", "nats", "log odds of an anomaly, mean of the highest 1 % of places");
/// Mean over the tenth of the foreground's places where it is largest.
const TOP_LOGIT: Descriptor = Descriptor::unusual(
    "top_logit",
    "nats",
    "log odds of an anomaly, mean of the highest 10 % of places in the foreground",
);
/// Mean over the foreground.
const MEAN_LOGIT: Descriptor =
    Descriptor::unusual("mean_logit", "nats", "log odds of an anomaly, mean of the foreground");

const DESCRIPTORS: &[Descriptor] = &[PEAK_LOGIT, TOP_LOGIT, MEAN_LOGIT];

/// How much a place with an anomaly counts against one without: there are fewer of them.
const ANOMALY_WEIGHT: f64 = 3.0;

/// Settings of a discriminator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DiscriminatorSettings {
    /// Channels of the first layer, which looks at single places.
    pub width: usize,
    /// Channels of the layer that looks at their neighbourhoods.
    pub context: usize,
    /// Channels of the layers that look at the pixels themselves, doubled from layer to layer; 0 leaves them out.
    pub detail: usize,
    /// Patches of normals with which those of an image are compared.
    pub bank: usize,
    /// The weights that training begins with.
    pub start: Start,
    /// Training images seen in all, rounded up to whole epochs, in place of `train.epochs`.
    pub images: usize,
    /// Images of a training step, in place of `train.batch_size`: more steps bring more than larger ones.
    pub batch: usize,
}

/// The weights that a discriminator's training begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Start {
    /// Those that have learnt from generated images of many kinds. There are some for layers of the default sizes (settings of
    /// others become `random`) on the backbones of this crate; on another backbone training begins with random ones.
    #[default]
    Generated,
    /// Random ones.
    Random,
}

impl Default for DiscriminatorSettings {
    fn default() -> Self {
        let start = Start::default();
        Self { width: 96, context: 64, detail: 16, bank: 1024, start, images: 6_000, batch: 8 }
    }
}

impl DiscriminatorSettings {
    /// Whether its layers are of the sizes of those that were learnt from generated images.
    fn has_default_sizes(&self) -> bool {
        let default = Self::default();
        (self.width, self.context, self.detail) == (default.width, default.context, default.detail)
    }

    fn check(&self, shape: Shape) -> Result<()> {
        for (name, found, most) in [
            ("width", self.width, 1024),
            ("context", self.context, 1024),
            ("detail", self.detail, 256),
            ("bank", self.bank, 32_768),
            ("images", self.images, 100_000_000),
            ("batch", self.batch, 4096),
        ] {
            let least = usize::from(name != "detail");
            if !(least..=most).contains(&found) {
                return Err(Error::settings(format!(
                    "model.{name}: expected {least} to {most}, found {found}"
                )));
            }
        }
        Backbone::check_shape(shape)
    }
}

const PRESETS: &[Preset] = &[
    Preset {
        name: "base",
        about: "the default: 96 and 64 channels, 6,000 images",
        size_px: None,
        settings: base,
    },
    Preset { name: "quick", about: "as base, 4,000 images", size_px: None, settings: quick },
];

fn base() -> Settings {
    to_settings(&DiscriminatorSettings::default())
}

fn quick() -> Settings {
    to_settings(&DiscriminatorSettings { images: 4_000, ..DiscriminatorSettings::default() })
}

/// The family.
pub(super) struct Discriminator;

impl Family for Discriminator {
    fn name(&self) -> &'static str {
        "discriminator"
    }

    fn about(&self) -> &'static str {
        "a network on frozen features that tells normals from synthetic anomalies, place by place"
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn takes_any_channels(&self) -> bool {
        false
    }

    fn schema(&self) -> serde_json::Value {
        schema_of::<DiscriminatorSettings>()
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
        let draw = context.draw_anomaly.ok_or_else(|| {
            Error::settings("the family discriminator expects synthetic anomalies to train on, found none")
        })?;
        let device = context.device.clone().autodiff();
        let extractor = Extractor::of(context.backbone.get(&context.device)?, inputs)?;
        let reference = Reference::of(&extractor, inputs, settings.bank, context.seed, &context.device)?;
        let known = Arc::new(reference.known(inputs));
        let network = Network::init(&settings, Some(context.seed), extractor, reference, &device);
        let network = start::begin(network, settings.start, &context.backbone)?;
        let network = Network { training: Some(Training { draw, known }), ..network };
        let own = context.train.with_epochs(settings.images.div_ceil(inputs.len().max(1)))?;
        let own = own.with_batch_size(settings.batch)?;
        let finish = |network| {
            Ok(Arc::new(DiscriminatorMember { network: with_half_weights(network)? }) as SharedMember)
        };
        context.with_training(own, |context| Fitted::by_training(network, context, inputs, held_out, &finish))
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        tensors: Tensors,
        platform: &Platform,
    ) -> Result<SharedMember> {
        let settings = checked(settings, shape)?;
        let (mut tensors, device) = (tensors, &platform.device);
        let reference = Reference::read(&mut tensors, device)?;
        let extractor = Extractor::read(platform.backbone()?, shape, &mut tensors)?;
        let network = Network::init(&settings, None, extractor, reference, device);
        Ok(Arc::new(DiscriminatorMember { network: load_weights(network, tensors)? }))
    }
}

fn checked(settings: &Settings, shape: Shape) -> Result<DiscriminatorSettings> {
    let mut settings: DiscriminatorSettings = parse(settings)?;
    settings.check(shape)?;
    if !settings.has_default_sizes() {
        // Resolved settings say what training begins with.
        settings.start = Start::Random;
    }
    Ok(settings)
}

/// The layers that look at the pixels, down to the grid of features.
#[derive(Module, Debug)]
struct Detail {
    halve: Vec<Conv>,
    joint: Conv,
    #[module(skip)]
    channels: usize,
}

impl Detail {
    fn init(
        settings: &DiscriminatorSettings,
        image_channels: usize,
        layer: &mut impl FnMut((usize, usize), Window, bool, ActivationFunction) -> Conv,
    ) -> Self {
        let relu = ActivationFunction::Relu;
        let mut ends = (image_channels, settings.detail);
        let mut halve = Vec::new();
        while 1 << halve.len() < GRID_STRIDE_PX {
            halve.push(layer(ends, Window(3, 2, 1), true, relu));
            ends = (ends.1, 2 * ends.1);
        }
        let joint = layer((settings.context + ends.0, settings.context), Window(3, 1, 1), true, relu);
        Self { halve, joint, channels: settings.detail }
    }

    /// The same as [`forward`](Self::forward) in a graph.
    fn graph(&self, graph: &mut Graph, pixels: Value, context: Value) -> Value {
        let detail = self.halve.iter().fold(pixels, |hidden, layer| layer.graph(graph, hidden));
        let both = graph.concat(&[context, detail], 0);
        self.joint.graph(graph, both)
    }

    /// What `pixels` and the frozen features' `context` say together at each place.
    fn forward(&self, pixels: Tensor<4>, context: Tensor<4>) -> Tensor<4> {
        let detail = self.halve.iter().fold(pixels, |hidden, layer| layer.forward(hidden));
        self.joint.forward(Tensor::cat(vec![context, detail], 3))
    }
}

/// The trained layers, with the frozen ones below them.
#[derive(Module, Debug)]
struct Network {
    places: Conv,
    context: Conv,
    detail: Option<Detail>,
    logit: Conv,
    #[module(skip)]
    extractor: Extractor,
    #[module(skip)]
    reference: Reference,
    #[module(skip)]
    training: Option<Training>,
}

impl Network {
    fn init(
        settings: &DiscriminatorSettings,
        seed: Option<u64>,
        extractor: Extractor,
        reference: Reference,
        device: &Device,
    ) -> Self {
        let mut init = Init::new(seed, device, OperandPrecision::F32);
        let relu = ActivationFunction::Relu;
        let mut layer = |ends: (usize, usize), window: Window, normalized: bool, activation| {
            Conv::init(&mut init, Direction::Down, ends, window, normalized, activation)
        };
        let places = layer((COMPARED, settings.width), Window(1, 1, 0), true, relu);
        let context = layer((settings.width, settings.context), Window(3, 1, 1), true, relu);
        let detail =
            (settings.detail > 0).then(|| Detail::init(settings, extractor.shape.channels, &mut layer));
        let logit = layer((settings.context, 1), Window(1, 1, 0), false, ActivationFunction::Identity);
        Self { places, context, detail, logit, extractor, reference, training: None }
    }

    /// Log odds of an anomaly at each place of the images of a batch, `[batch, height, width, channels]`, whose places were
    /// `compared` with the reference, `[batch, places, COMPARED]`: `[batch, rows, columns, 1]`.
    fn logits(&self, images: Tensor<4>, compared: Vec<f32>) -> Tensor<4> {
        let grid = grid_shape(self.extractor.shape);
        let dims = [images.dims()[0], grid.height, grid.width, COMPARED];
        let places = Tensor::from_data(TensorData::new(compared, dims), &images.device());
        let context = self.context.forward(self.places.forward(places));
        self.logit.forward(match &self.detail {
            Some(detail) => detail.forward(images, context),
            None => context,
        })
    }

    /// [`logits`](Self::logits) in a graph: `[places]`.
    fn logits_graph(&self, graph: &mut Graph, input: Value, features: &FeaturesGraph) -> Value {
        let grid = grid_shape(self.extractor.shape);
        let compared = self.reference.compare_graph(graph, features.grid);
        let places = graph.image_of_places(compared, grid.height, grid.width);
        let hidden = self.places.graph(graph, places);
        let mut hidden = self.context.graph(graph, hidden);
        if let Some(detail) = &self.detail {
            hidden = detail.graph(graph, input, hidden);
        }
        let logits = self.logit.graph(graph, hidden);
        graph.flatten(logits)
    }

    /// The cross-entropy of a batch of images with anomalies.
    fn cost(&self, images: Tensor<4>, example: Example) -> Loss {
        let logits = self.logits(images, example.compared);
        let target = Tensor::from_data(TensorData::new(example.targets, logits.dims()), &logits.device());
        let missed = softplus(logits.clone().neg(), 1.0) * target.clone() * ANOMALY_WEIGHT;
        let false_alarms = softplus(logits, 1.0) * (target.neg() + 1.0);
        let value = (missed + false_alarms).mean();
        Loss::new(vec![Term { name: "cross_entropy", weight: 1.0, value }])
    }

    fn examples(&self) -> Examples {
        Examples {
            extractor: self.extractor.clone(),
            reference: self.reference.clone(),
            training: self.training.clone(),
        }
    }
}

impl Trainable for Network {
    type Prepared = Example;

    fn preparation(&self) -> Preparation<Example> {
        let examples = self.examples();
        Arc::new(move |pixels, step| {
            let first = (step.step * step.images.len()) as u64;
            examples.of(pixels, step.seed, first, step.images)
        })
    }

    fn loss(&self, input: Tensor<4>, prepared: Example, _: &Step<'_>) -> Loss {
        self.cost(input, prepared)
    }

    fn held_out_loss(&self, input: Tensor<4>, _: usize) -> Loss {
        /// Beyond the draws of any training.
        const HELD_OUT: u64 = 1 << 40;
        let (dims, device) = (input.dims(), input.device());
        let mut pixels: Vec<f32> = input.into_data().iter::<f32>().collect();
        let example = self.examples().of(&mut pixels, 0, HELD_OUT, &[]);
        self.cost(Tensor::from_data(TensorData::new(pixels, dims), &device), example)
    }

    fn reconstruct(&self, _: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> {
        Ok(None)
    }

    fn activations_per_image(&self) -> usize {
        // The features, and each layer's output forward and backward; the frozen layers keep nothing.
        const OF_A_PLACE: usize = 4 * COMPARED;
        // The layers on pixels: a quarter of the places and twice the channels from one to the next.
        let widest =
            self.detail.as_ref().map_or(0, |detail| detail.channels * self.extractor.shape.area() / 4);
        grid_shape(self.extractor.shape).area() * OF_A_PLACE + 2 * 2 * widest
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// A fitted discriminator.
#[derive(Debug)]
struct DiscriminatorMember {
    network: Network,
}

impl Member for DiscriminatorMember {
    fn descriptors(&self) -> &[Descriptor] {
        DESCRIPTORS
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        self.infer_with(inputs, &FeatureCache::default(), want)
    }

    fn infer_with(&self, inputs: &[&[f32]], cache: &FeatureCache, want: Want) -> Result<Vec<Inference>> {
        let network = &self.network;
        let features = cache.features(&network.extractor, inputs)?;
        let grids: Vec<&[f32]> = features.iter().map(|features| &features.grid[..]).collect();
        let compared = network.reference.compare_all(&grids, &[]);
        let Shape { height, width, channels } = network.extractor.shape;
        let pixels = TensorData::new(inputs.concat(), [inputs.len(), height, width, channels]);
        let logits = network.logits(Tensor::from_data(pixels, network.extractor.backbone.device()), compared);
        let grid = Shape { channels: 1, ..grid_shape(network.extractor.shape) };
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let infer = |(features, logits): (&Features, &[f32])| {
            let measurements = peak_top_and_mean(logits, &features.foreground).to_vec();
            let map = want.map.then(|| {
                let odds: Vec<f32> = logits.iter().map(|logit| softplus_of(*logit)).collect();
                bilinear(&odds, grid, Shape { channels: 1, ..network.extractor.shape })
            });
            Inference { measurements, map, ..Inference::default() }
        };
        Ok(features.par_iter().zip(logits.par_chunks_exact(grid.len())).map(infer).collect())
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let network = &self.network;
        let features = FeaturesGraph::of(graph, &network.extractor, input)?;
        let logits = network.logits_graph(graph, input, &features);
        let measurements = peak_top_and_mean_graph(graph, logits, features.foreground).to_vec();
        let grid = Shape { channels: 1, ..grid_shape(network.extractor.shape) };
        let odds = graph.softplus(logits);
        let odds = graph.reshape(odds, &[grid.height, grid.width]);
        let map = Some(bilinear_graph(graph, odds, grid, network.extractor.shape));
        Ok(GraphInference { measurements, map, ..GraphInference::default() })
    }

    fn gives(&self) -> Want {
        Want::MAP
    }

    fn backbone(&self) -> Option<&Backbone> {
        Some(&self.network.extractor.backbone)
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = weights(&self.network);
        self.network.reference.write(&mut tensors);
        self.network.extractor.write(&mut tensors);
        tensors
    }

    fn parameter_count(&self) -> usize {
        count_parameters(&self.network)
    }
}

/// ln(1 + e^x): 0 or above, and like x where x is large.
fn softplus_of(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
