//! Frozen features of images: the outputs of a [`Backbone`]'s feature blocks, brought onto one grid, and pooled over each
//! image. Members that work on the same features share them through [`FeatureCache`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aberra_metrics::Result;
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::backbone::Backbone;
use crate::background::Background;
use crate::graph::{Graph, Value};
use crate::inputs::Inputs;
use crate::resample::{area_mean, area_mean_graph, bilinear, mean_of_3_by_3, smooth_bilinear_graph};
use crate::shape::Shape;
use crate::tensors::Tensors;

/// Pixels of the image from one place of the grid to the next.
pub(crate) const GRID_STRIDE_PX: usize = Backbone::STRIDES[1];

/// Features of one place of the grid: the channels of all feature blocks.
pub(crate) const GRID_CHANNELS: usize = Backbone::CHANNELS[0] + Backbone::CHANNELS[1] + Backbone::CHANNELS[2];

/// Channels of a layout: those of the last feature block, which shows parts.
pub(crate) const LAYOUT_CHANNELS: usize = Backbone::CHANNELS[2];

/// Cells of a layout at most along a side.
const LAYOUT_SIDE: usize = 8;

/// Images of a forward pass: more do not make it faster.
const FORWARD_BATCH: usize = 8;

/// Least share of foreground of a place that counts: an image that is black throughout has features, too.
const LEAST_FOREGROUND: f32 = 1e-3;

/// Images held in memory at once where all of many are looked at.
const CHUNK: usize = 32;

/// The features of one image.
#[derive(Debug)]
pub(crate) struct Features {
    /// `[rows, columns, GRID_CHANNELS]`: each block's output, averaged over 3 x 3 places of its own grid.
    pub(crate) grid: Vec<f32>,
    /// Share of foreground of each place, `[rows, columns]`, 0 to 1.
    pub(crate) foreground: Vec<f32>,
    /// Of each block, its channels' means and deviations.
    pub(crate) pooled: Vec<Pooled>,
    /// The last block's output, averaged over the cells of a coarse grid, `[cells, LAYOUT_CHANNELS]`.
    pub(crate) layout: Vec<f32>,
}

/// Statistics of a block's channels over one image, `[2 x channels]` each: means, then standard deviations.
#[derive(Debug)]
pub(crate) struct Pooled {
    /// Over the whole image.
    pub(crate) whole: Vec<f32>,
    /// Over the foreground.
    pub(crate) foreground: Vec<f32>,
}

/// Height and width of the grid of images of this shape; its channels are those of the features.
pub(crate) fn grid_shape(shape: Shape) -> Shape {
    Shape {
        height: shape.height.div_ceil(GRID_STRIDE_PX),
        width: shape.width.div_ceil(GRID_STRIDE_PX),
        channels: GRID_CHANNELS,
    }
}

/// Height, width and channels of the layout of images of this shape: two of the last block's places for one, at most
/// [`LAYOUT_SIDE`] along a side.
pub(crate) fn layout_shape(shape: Shape) -> Shape {
    let side = |pixels: usize| pixels.div_ceil(2 * Backbone::STRIDES[2]).clamp(1, LAYOUT_SIDE);
    Shape { height: side(shape.height), width: side(shape.width), channels: LAYOUT_CHANNELS }
}

/// What turns network inputs of one shape into features.
#[derive(Clone, Debug)]
pub(crate) struct Extractor {
    pub(crate) backbone: Arc<Backbone>,
    pub(crate) shape: Shape,
    background: Background,
}

impl Extractor {
    /// For inputs like these normals.
    ///
    /// # Errors
    /// Inputs that cannot be read.
    pub(crate) fn of(backbone: Arc<Backbone>, normals: &Inputs<'_>) -> Result<Self> {
        Ok(Self { backbone, shape: normals.shape(), background: Background::of(normals)? })
    }

    /// That of a model's tensors.
    ///
    /// # Errors
    /// As [`Background::read`].
    pub(crate) fn read(backbone: Arc<Backbone>, shape: Shape, tensors: &mut Tensors) -> Result<Self> {
        Ok(Self { backbone, shape, background: Background::read(tensors)? })
    }

    pub(crate) fn write(&self, tensors: &mut Tensors) {
        self.background.write(tensors);
    }

    /// The features of `inputs`, in order.
    ///
    /// # Errors
    /// Inputs that do not fit the shape, or a shape that the backbone does not take.
    pub(crate) fn features(&self, inputs: &[&[f32]]) -> Result<Vec<Features>> {
        let mut all = Vec::with_capacity(inputs.len());
        for inputs in inputs.chunks(FORWARD_BATCH) {
            let blocks = self.backbone.features_of(inputs, self.shape)?.map(Block::of);
            let of_image = |(image, input): (usize, &&[f32])| {
                let grey = self.shape.grey(input);
                features_of_image(&blocks, image, &grey, self)
            };
            all.par_extend(inputs.par_iter().enumerate().map(of_image));
        }
        Ok(all)
    }

    /// Of each of `inputs` the [`grid`](Features::grid) alone.
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub(crate) fn grids(&self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
        let mut all = Vec::with_capacity(inputs.len());
        for inputs in inputs.chunks(FORWARD_BATCH) {
            let blocks = self.backbone.features_of(inputs, self.shape)?.map(Block::of);
            let grid = |image| joined_on_grid(&blocks, image, self.shape);
            all.par_extend((0..inputs.len()).into_par_iter().map(grid));
        }
        Ok(all)
    }

    /// The features of normals, a few images at a time.
    ///
    /// # Errors
    /// As [`features`](Self::features); inputs that cannot be read.
    pub(crate) fn each(&self, normals: &Inputs<'_>, mut each: impl FnMut(Features)) -> Result<()> {
        normals.chunks(CHUNK, |inputs| {
            self.features(inputs)?.into_iter().for_each(&mut each);
            Ok(())
        })
    }
}

/// A block's output for several images.
struct Block {
    shape: Shape,
    values: Vec<f32>,
}

impl Block {
    fn of(output: Tensor<4>) -> Self {
        let [_, height, width, channels] = output.dims();
        let values = output.into_data().try_into_vec::<f32>().unwrap_or_default();
        Self { shape: Shape { height, width, channels }, values }
    }

    fn image(&self, image: usize) -> &[f32] {
        &self.values[image * self.shape.len()..][..self.shape.len()]
    }
}

fn features_of_image(blocks: &[Block; 3], image: usize, grey: &[f32], extractor: &Extractor) -> Features {
    let &Extractor { shape, background, .. } = extractor;
    let lit: Vec<f32> = grey.iter().map(|&value| f32::from(background.is_left_by(value))).collect();
    let plane = Shape { channels: 1, ..shape };
    let foreground_of = |shape: Shape| area_mean(&lit, plane, Shape { channels: 1, ..shape });

    let pool =
        |block: &Block| Pooled::of(block.image(image), block.shape.channels, &foreground_of(block.shape));
    let [.., parts] = blocks;
    Features {
        grid: joined_on_grid(blocks, image, shape),
        foreground: foreground_of(grid_shape(shape)),
        pooled: blocks.iter().map(pool).collect(),
        layout: area_mean(parts.image(image), parts.shape, layout_shape(shape)),
    }
}

/// The [`grid`](Features::grid) of an image.
fn joined_on_grid(blocks: &[Block; 3], image: usize, shape: Shape) -> Vec<f32> {
    let grid = grid_shape(shape);
    let mut joined = vec![0.0_f32; grid.len()];
    let mut first = 0;
    for block in blocks {
        let smooth = mean_of_3_by_3(block.image(image), block.shape);
        let channels = block.shape.channels;
        let on_grid = bilinear(&smooth, block.shape, Shape { channels, ..grid });
        for (joined, own) in joined.chunks_exact_mut(GRID_CHANNELS).zip(on_grid.chunks_exact(channels)) {
            joined[first..first + channels].copy_from_slice(own);
        }
        first += channels;
    }
    joined
}

impl Pooled {
    fn of(values: &[f32], channels: usize, foreground: &[f32]) -> Self {
        let ones = vec![1.0; foreground.len()];
        let lit: Vec<f32> = foreground.iter().map(|share| share.max(LEAST_FOREGROUND)).collect();
        Self { whole: moments(values, channels, &ones), foreground: moments(values, channels, &lit) }
    }
}

/// Weighted means and standard deviations of the channels, one after the other.
fn moments(values: &[f32], channels: usize, weights: &[f32]) -> Vec<f32> {
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    let mut mean = vec![0.0_f64; channels];
    for (place, &weight) in values.chunks_exact(channels).zip(weights) {
        mean.iter_mut().zip(place).for_each(|(sum, &value)| *sum += f64::from(weight * value));
    }
    mean.iter_mut().for_each(|sum| *sum /= total);
    let mut variance = vec![0.0_f64; channels];
    for (place, &weight) in values.chunks_exact(channels).zip(weights) {
        for ((sum, &value), mean) in variance.iter_mut().zip(place).zip(&mean) {
            *sum += f64::from(weight) * (f64::from(value) - mean).powi(2);
        }
    }
    let deviation = variance.iter().map(|sum| (sum / total).sqrt() as f32);
    mean.iter().map(|&mean| mean as f32).chain(deviation).collect()
}

/// [`Features`] in a graph.
pub(crate) struct FeaturesGraph {
    /// `[places, GRID_CHANNELS]`.
    pub(crate) grid: Value,
    /// `[places]`.
    pub(crate) foreground: Value,
    /// Of each block, `[2 x channels]` over the whole image.
    pub(crate) whole: Vec<Value>,
    /// The same over the foreground.
    pub(crate) object: Vec<Value>,
    /// `[cells, LAYOUT_CHANNELS]`.
    pub(crate) layout: Value,
}

impl FeaturesGraph {
    /// The features of `input`, `[channels, height, width]`, written once for all members that work on them.
    ///
    /// # Errors
    /// A shape that the backbone does not take.
    pub(crate) fn of(graph: &mut Graph, extractor: &Extractor, input: Value) -> Result<Self> {
        let Extractor { backbone, shape, background } = extractor;
        let shape = *shape;
        let name = format!("features {} of {}, {background:?}", backbone.hash(), input.number());
        let values = graph.once(&name, |graph| {
            let blocks = backbone.features_graph(graph, input, shape)?;
            let grid = grid_shape(shape);
            let grey = graph.mean(input, &[0]);
            let lit = background.is_left_by_graph(graph, grey);
            let lit = graph.share(lit);
            let foreground_of = |graph: &mut Graph, of: Shape| {
                let share = area_mean_graph(graph, lit, shape, of);
                graph.flatten(share)
            };
            let (mut on_grid, mut whole, mut object) = (Vec::new(), Vec::new(), Vec::new());
            let layout = blocks.last().map_or(input, |parts| {
                let [channels, height, width] = parts.dims;
                let of = Shape { height, width, channels };
                let cells = area_mean_graph(graph, parts.value, of, layout_shape(shape));
                graph.places(cells)
            });
            for block in blocks {
                let [channels, height, width] = block.dims;
                let of = Shape { height, width, channels };
                on_grid.push(smooth_bilinear_graph(graph, block.value, of, grid));
                let flat = graph.reshape(block.value, &[channels, of.area()]);
                let share = foreground_of(graph, of);
                let share = graph.at_least(share, f64::from(LEAST_FOREGROUND));
                whole.push(moments_graph(graph, flat, None));
                object.push(moments_graph(graph, flat, Some(share)));
            }
            let joined = graph.concat(&on_grid, 0);
            let first = [graph.places(joined), foreground_of(graph, grid), layout];
            Ok([&first[..], &whole, &object].concat())
        })?;
        let blocks = Backbone::CHANNELS.len();
        let (whole, object) = values[3..].split_at(blocks);
        Ok(Self {
            grid: values[0],
            foreground: values[1],
            whole: whole.to_vec(),
            object: object.to_vec(),
            layout: values[2],
        })
    }
}

/// [`moments`] of `[channels, places]` in a graph; without weights all places count alike.
fn moments_graph(graph: &mut Graph, values: Value, weights: Option<Value>) -> Value {
    let [channels, places] = match graph.dims(values)[..] {
        [channels, places] => [channels, places],
        _ => [1, 1],
    };
    let column = weights.map(|weights| {
        let total = graph.sum(weights, &[0]);
        let total = graph.reshape(total, &[1]);
        let shares = graph.divide(weights, total);
        graph.reshape(shares, &[places, 1])
    });
    let mean_of = |graph: &mut Graph, values: Value| match column {
        Some(column) => graph.matmul(values, column),
        None => {
            let mean = graph.mean(values, &[1]);
            graph.reshape(mean, &[channels, 1])
        }
    };
    let mean = mean_of(graph, values);
    let centered = graph.subtract(values, mean);
    let squares = graph.square(centered);
    let variance = mean_of(graph, squares);
    let deviation = graph.sqrt(variance);
    let both = graph.concat(&[mean, deviation], 0);
    graph.flatten(both)
}

/// The features of one batch of inputs, computed once for all members that work on them.
#[derive(Debug, Default)]
pub struct FeatureCache {
    kept: Mutex<Vec<(CacheKey, Arc<Vec<Features>>)>>,
    /// Of the inputs' channels, each by itself.
    channels: Mutex<BTreeMap<usize, Arc<FeatureCache>>>,
}

/// The backbone's hash, the shape of the inputs, and their background.
type CacheKey = (String, [usize; 3], Background);

impl FeatureCache {
    /// The features of `inputs`: those that were computed before, if any were.
    ///
    /// # Errors
    /// As [`Extractor::features`].
    pub(crate) fn features(&self, extractor: &Extractor, inputs: &[&[f32]]) -> Result<Arc<Vec<Features>>> {
        let &Extractor { ref backbone, shape, background } = extractor;
        let key = (backbone.hash().to_owned(), [shape.height, shape.width, shape.channels], background);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, features)) = kept.iter().find(|(known, _)| *known == key) {
            return Ok(features.clone());
        }
        let features = Arc::new(extractor.features(inputs)?);
        kept.push((key, features.clone()));
        Ok(features)
    }

    /// That of one channel of the same inputs.
    pub(crate) fn of_channel(&self, channel: usize) -> Arc<Self> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(channel).or_default().clone()
    }
}
