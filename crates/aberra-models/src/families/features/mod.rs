//! The family `features`: statistics of the normals in the space of frozen features; nothing is trained.
//!
//! Three views. The whole image: Mahalanobis distances of each block's channel means and deviations, under a Ledoit-Wolf
//! covariance (Rippel et al., *Modeling the distribution of normal data in pre-trained deep features*, 2021). Its patches:
//! distances to the nearest of a bank of the normals' patches, whitened (Roth et al., *Towards total recall in industrial
//! anomaly detection*, 2022) and a little in their positions, which are also the map. Its layout: what no combination of the
//! normals' layouts explains.

mod layout;
mod patches;

use std::sync::Arc;

use aberra_metrics::covariance::{Cholesky, Cloud, Mahalanobis};
use aberra_metrics::{Error, Result};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::layout::Layout;
use self::patches::PatchBank;
use crate::backbone::{Backbone, Platform};
use crate::family::{Family, Fitted, Preset, Settings, parse, schema_of, to_settings};
use crate::features::{Extractor, FeatureCache, Features, FeaturesGraph, GRID_CHANNELS, grid_shape};
use crate::graph::{Graph, GraphInference, Value};
use crate::inputs::Inputs;
use crate::measure::pooling::{peak_top_and_mean, peak_top_and_mean_graph};
use crate::measure::reference::mahalanobis_graph;
use crate::measure::{Descriptor, Inference, Want};
use crate::member::{Member, SharedMember};
use crate::network::Precision;
use crate::resample::{bilinear, bilinear_graph};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, take};
use crate::train::FitContext;
use crate::whitening::Whitening;

const DEVIATIONS: &str = "standard deviations";

/// Without a layout, as in detectors of versions before it, the last three are not measured.
const DESCRIPTORS: &[Descriptor] = &[
    Descriptor::unusual("whole_edges", DEVIATIONS, "distance of the image's edges to those of normals"),
    Descriptor::unusual("whole_textures", DEVIATIONS, "distance of the image's textures to those of normals"),
    Descriptor::unusual("whole_parts", DEVIATIONS, "distance of the image's parts to those of normals"),
    Descriptor::unusual("whole_all", DEVIATIONS, "distance of all the image's features to those of normals"),
    Descriptor::unusual("object_edges", DEVIATIONS, "distance of the foreground's edges to those of normals"),
    Descriptor::unusual(
        "object_textures",
        DEVIATIONS,
        "distance of the foreground's textures to those of normals",
    ),
    Descriptor::unusual("object_parts", DEVIATIONS, "distance of the foreground's parts to those of normals"),
    Descriptor::unusual(
        "object_all",
        DEVIATIONS,
        "distance of all the foreground's features to those of normals",
    ),
    Descriptor::unusual(
        "patch_peak",
        "",
        "distance to the nearest normal patch, mean of the highest 1 % of patches",
    ),
    Descriptor::unusual(
        "patch_top",
        "",
        "distance to the nearest normal patch, mean of the highest 10 % of patches in the foreground",
    ),
    Descriptor::unusual("patch_mean", "", "distance to the nearest normal patch, mean of the foreground"),
    Descriptor::unusual(
        "layout_peak",
        "",
        "what normal layouts do not explain of the image's parts, at the most unusual place",
    ),
    Descriptor::unusual(
        "layout_top",
        "",
        "what normal layouts do not explain of the image's parts, mean of the most unusual 10 % of places",
    ),
    Descriptor::unusual(
        "layout_mean",
        "",
        "what normal layouts do not explain of the image's parts, mean of all places",
    ),
];

/// Pooled statistics of each image that are compared: whole and foreground, each of three blocks and of all together.
const GLOBAL: usize = 8;

/// Added to the variance of each channel, in standard deviations: normals that are all alike have a covariance, too.
const LEAST_VARIANCE: f64 = 1e-3;

/// Settings of the statistics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FeatureSettings {
    /// Patches in the bank, 64 to 32,768.
    pub bank: usize,
    /// Whitened directions in which patches are compared, the leading ones of 176, 8 to 176.
    pub directions: usize,
}

impl Default for FeatureSettings {
    fn default() -> Self {
        Self { bank: 1024, directions: GRID_CHANNELS }
    }
}

impl FeatureSettings {
    fn check(&self, shape: Shape) -> Result<()> {
        if !(64..=32_768).contains(&self.bank) {
            return Err(Error::settings(format!("model.bank: expected 64 to 32768, found {}", self.bank)));
        }
        Whitening::check_directions(self.directions)?;
        Backbone::check_shape(shape)
    }
}

const PRESETS: &[Preset] = &[Preset {
    name: "base",
    about: "the default: a bank of 1,024 patches, compared in all directions",
    size_px: None,
    settings: base,
}];

fn base() -> Settings {
    to_settings(&FeatureSettings::default())
}

/// The family.
pub(super) struct FeatureStatistics;

impl Family for FeatureStatistics {
    fn name(&self) -> &'static str {
        "features"
    }

    fn about(&self) -> &'static str {
        "statistics of the normals' frozen features: of whole images, of their layout, and of their patches"
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn takes_any_channels(&self) -> bool {
        false
    }

    fn schema(&self) -> serde_json::Value {
        schema_of::<FeatureSettings>()
    }

    fn resolve(&self, settings: &Settings, shape: Shape, _: Option<Precision>) -> Result<Settings> {
        Ok(to_settings(&checked(settings, shape)?))
    }

    fn ignores_held_out(&self) -> bool {
        true
    }

    fn fit(
        &self,
        settings: &Settings,
        context: &mut FitContext<'_>,
        train: &Inputs<'_>,
        _: &Inputs<'_>,
    ) -> Result<Fitted> {
        let settings = checked(settings, train.shape())?;
        let shape = train.shape();
        let extractor = Extractor::of(context.backbone.get(&context.device)?, train)?;
        let mut global: Vec<Vec<f32>> = vec![Vec::new(); GLOBAL];
        let mut sample = PatchBank::sample(context.seed, train.len(), grid_shape(shape));
        let (mut layouts, mut seen) = (Vec::new(), 0);
        extractor.each(train, |features| {
            for (all, one) in global.iter_mut().zip(global_of(&features)) {
                all.extend(one);
            }
            sample.add(&features);
            // Evenly over all images, so many of them.
            if seen * layout::IMAGES / train.len() >= layouts.len() && layouts.len() < layout::IMAGES {
                layouts.push(features.layout);
            }
            seen += 1;
        })?;
        let mut tensors = Tensors::new();
        for (index, points) in global.iter().enumerate() {
            Whole::fit(points, train.len())?.write(&mut tensors, index);
        }
        PatchBank::fit(&sample, &settings, &context.device)?.write(&mut tensors);
        Layout::fit(&layouts, &context.device)?.write(&mut tensors);
        extractor.write(&mut tensors);
        // As it will be read: the same numbers, bit for bit.
        let member = Statistics::read(&settings, shape, tensors, extractor.backbone)?;
        Ok(Fitted::at_once(member))
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        tensors: Tensors,
        platform: &Platform,
    ) -> Result<SharedMember> {
        let backbone = platform.backbone()?;
        Ok(Arc::new(Statistics::read(&checked(settings, shape)?, shape, tensors, backbone)?))
    }
}

fn checked(settings: &Settings, shape: Shape) -> Result<FeatureSettings> {
    let settings: FeatureSettings = parse(settings)?;
    settings.check(shape)?;
    Ok(settings)
}

/// The pooled statistics that are compared, in the order of the descriptors.
fn global_of(features: &Features) -> Vec<Vec<f32>> {
    let whole: Vec<Vec<f32>> = features.pooled.iter().map(|pooled| pooled.whole.clone()).collect();
    let foreground: Vec<Vec<f32>> = features.pooled.iter().map(|pooled| pooled.foreground.clone()).collect();
    let with_all = |mut blocks: Vec<Vec<f32>>| {
        blocks.push(blocks.concat());
        blocks
    };
    [with_all(whole), with_all(foreground)].concat()
}

/// Distances of one kind of pooled statistics to those of the normals.
#[derive(Debug)]
struct Whole {
    mean: Vec<f32>,
    /// One over the deviation; 0 for a channel that does not vary.
    factor: Vec<f32>,
    distance: Mahalanobis,
}

impl Whole {
    fn fit(points: &[f32], count: usize) -> Result<Self> {
        let dimensions = points.len() / count.max(1);
        let (mean, factor) = means_and_factors(points.chunks_exact(dimensions), dimensions);
        let scaled: Vec<f32> =
            points.chunks_exact(dimensions).flat_map(|point| scale(point, &mean, &factor)).collect();
        let mut cloud = Cloud::ledoit_wolf(&scaled, dimensions, None)?;
        for channel in 0..dimensions {
            cloud.covariance[channel * dimensions + channel] += LEAST_VARIANCE;
        }
        let distance = cloud.mahalanobis()?;
        Ok(Self { mean, factor, distance })
    }

    /// Distance in standard deviations of a normal image: 1 is usual, whatever the number of channels.
    fn measure(&self, point: &[f32]) -> f64 {
        let distance = self.distance.distance(&scale(point, &self.mean, &self.factor));
        distance.unwrap_or(f64::NAN) / (self.mean.len() as f64).sqrt()
    }

    /// [`measure`](Self::measure) of `[dimensions]` in a graph.
    fn measure_graph(&self, graph: &mut Graph, point: Value) -> Value {
        let dimensions = self.mean.len();
        let (mean, factor) =
            (graph.constant(&[dimensions], &self.mean), graph.constant(&[dimensions], &self.factor));
        let centered = graph.subtract(point, mean);
        let scaled = graph.multiply(centered, factor);
        let distance = mahalanobis_graph(graph, &self.distance, scaled);
        graph.times(distance, 1.0 / (dimensions as f64).sqrt())
    }

    fn write(&self, tensors: &mut Tensors, index: usize) {
        let middle: Vec<f32> = self.distance.mean().iter().map(|&value| value as f32).collect();
        let rows: Vec<f32> = self.distance.factor().rows().iter().map(|&value| value as f32).collect();
        let parts = [
            ("mean", &self.mean),
            ("factor", &self.factor),
            ("middle", &middle),
            ("covariance_factor", &rows),
        ];
        for (name, values) in parts {
            let weight = Weight { shape: vec![values.len()], values: values.clone() };
            tensors.insert(format!("whole.{index}.{name}"), weight);
        }
    }

    fn read(tensors: &mut Tensors, index: usize, dimensions: usize) -> Result<Self> {
        let mut part = |name: &str, length: usize| take(tensors, &format!("whole.{index}.{name}"), &[length]);
        let (mean, factor) = (part("mean", dimensions)?, part("factor", dimensions)?);
        let middle = part("middle", dimensions)?.into_iter().map(f64::from).collect();
        let rows = part("covariance_factor", dimensions * (dimensions + 1) / 2)?;
        let rows =
            Cholesky::from_rows(rows.into_iter().map(f64::from).collect(), dimensions).ok_or_else(|| {
                Error::detector(format!("whole.{index}.covariance_factor: expected a positive diagonal"))
            })?;
        Ok(Self { mean, factor, distance: Mahalanobis::new(middle, rows) })
    }
}

/// Means of points, each `[dimensions]`, and one over their deviations; 0 where they do not vary.
fn means_and_factors<'a>(
    points: impl Iterator<Item = &'a [f32]> + Clone,
    dimensions: usize,
) -> (Vec<f32>, Vec<f32>) {
    let count = points.clone().count() as f64;
    let mean_of = |of: &dyn Fn(usize, f32) -> f64| -> Vec<f64> {
        let mut sums = vec![0.0; dimensions];
        for point in points.clone() {
            sums.iter_mut().zip(point).enumerate().for_each(|(at, (sum, &value))| *sum += of(at, value));
        }
        sums.iter().map(|sum| sum / count).collect()
    };
    let mean = mean_of(&|_, value| f64::from(value));
    let variance = mean_of(&|at, value| (f64::from(value) - mean[at]).powi(2));
    let factor = |&variance: &f64| if variance > 1e-12 { (1.0 / variance.sqrt()) as f32 } else { 0.0 };
    (mean.iter().map(|&mean| mean as f32).collect(), variance.iter().map(factor).collect())
}

fn scale(point: &[f32], mean: &[f32], factor: &[f32]) -> Vec<f32> {
    point.iter().zip(mean).zip(factor).map(|((value, mean), factor)| (value - mean) * factor).collect()
}

/// Fitted statistics.
#[derive(Debug)]
struct Statistics {
    extractor: Extractor,
    whole: Vec<Whole>,
    patches: PatchBank,
    layout: Option<Layout>,
    /// As they were read.
    tensors: Tensors,
}

impl Statistics {
    fn read(
        settings: &FeatureSettings,
        shape: Shape,
        tensors: Tensors,
        backbone: Arc<Backbone>,
    ) -> Result<Self> {
        let kept = tensors.clone();
        let mut tensors = tensors;
        let blocks: Vec<usize> = Backbone::CHANNELS.iter().map(|channels| 2 * channels).collect();
        let dimensions = [&blocks[..], &[blocks.iter().sum()]].concat();
        let whole =
            (0..GLOBAL).map(|index| Whole::read(&mut tensors, index, dimensions[index % dimensions.len()]));
        let whole = whole.collect::<Result<_>>()?;
        let patches = PatchBank::read(&mut tensors, settings, backbone.device())?;
        let layout = Layout::read(&mut tensors, shape, backbone.device())?;
        let extractor = Extractor::read(backbone, shape, &mut tensors)?;
        if let Some(extra) = tensors.keys().next() {
            return Err(Error::detector(format!("the model has no weight called {extra}")));
        }
        Ok(Self { extractor, whole, patches, layout, tensors: kept })
    }
}

impl Member for Statistics {
    fn descriptors(&self) -> &[Descriptor] {
        match self.layout {
            Some(_) => DESCRIPTORS,
            None => &DESCRIPTORS[..DESCRIPTORS.len() - layout::MEASUREMENTS],
        }
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        self.infer_with(inputs, &FeatureCache::default(), want)
    }

    fn infer_with(&self, inputs: &[&[f32]], cache: &FeatureCache, want: Want) -> Result<Vec<Inference>> {
        let features = cache.features(&self.extractor, inputs)?;
        let grid = Shape { channels: 1, ..grid_shape(self.extractor.shape) };
        let infer = |features: &Features| {
            let distances = self.patches.distances(&features.grid, grid);
            let whole =
                self.whole.iter().zip(global_of(features)).map(|(whole, point)| whole.measure(&point));
            let patches = peak_top_and_mean(&distances, &features.foreground);
            let layout = self.layout.iter().flat_map(|layout| layout.measure(&features.layout));
            let measurements = whole.chain(patches).chain(layout).collect();
            let map =
                want.map.then(|| bilinear(&distances, grid, Shape { channels: 1, ..self.extractor.shape }));
            Inference { measurements, map, ..Inference::default() }
        };
        Ok(features.par_iter().map(infer).collect())
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let features = FeaturesGraph::of(graph, &self.extractor, input)?;
        let grid = Shape { channels: 1, ..grid_shape(self.extractor.shape) };
        let distances = self.patches.distances_graph(graph, features.grid, grid);
        let mut points = Vec::with_capacity(GLOBAL);
        for blocks in [&features.whole, &features.object] {
            points.extend(blocks);
            points.push(graph.concat(blocks, 0));
        }
        let whole = self.whole.iter().zip(points).map(|(whole, point)| whole.measure_graph(graph, point));
        let mut measurements: Vec<Value> = whole.collect();
        measurements.extend(peak_top_and_mean_graph(graph, distances, features.foreground));
        if let Some(layout) = &self.layout {
            measurements.extend(layout.measure_graph(graph, features.layout));
        }
        let map = graph.reshape(distances, &[grid.height, grid.width]);
        let map = Some(bilinear_graph(graph, map, grid, self.extractor.shape));
        Ok(GraphInference { measurements, map, ..GraphInference::default() })
    }

    fn gives(&self) -> Want {
        Want::MAP
    }

    fn backbone(&self) -> Option<&Backbone> {
        Some(&self.extractor.backbone)
    }

    fn tensors(&self) -> Tensors {
        self.tensors.clone()
    }

    fn parameter_count(&self) -> usize {
        self.tensors.values().map(|weight| weight.values.len()).sum()
    }
}
