//! The family `vqvae`: an autoencoder whose latent grid is rounded to a codebook (van den Oord et al., *Neural discrete
//! representation learning*, 2017; Razavi et al., *Generating diverse high-fidelity images with VQ-VAE-2*, 2019).
//!
//! Each embedding z of the encoder's grid `[height / 2^stages, width / 2^stages, code_dimensions]` becomes its nearest code e;
//! the decoder sees `z + stop_gradient(e - z)`. The loss is a [mix](super::LossWeights) of reconstruction losses plus
//! `commitment |z - stop_gradient(e)|^2`, summed over the grid. Codes follow the embeddings as moving averages
//! ([`Codebook`]), and dead ones restart.
//!
//! In scoring, the rarity of an image's codes among those of the training normals stands where other families have a
//! latent likelihood.

use std::collections::BTreeMap;

use aberra_kernels::ActivationFunction;
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codebook::Codebook;
use super::losses::LossWeights;
use super::perceptual::Perceptual;
use super::reproduce::{Reproduce, Reproduced, ReproducedGraph, reconstructions};
use crate::family::{Preset, Settings, to_settings};
use crate::graph::{Graph, Value};
use crate::inputs::Inputs;
use crate::measure::reconstruction::{ABSOLUTE_ERROR, Errors, PEAK_ERROR, SQUARED_ERROR, SSIM_ERROR};
use crate::measure::reconstruction_graph::ReconstructionGraph;
use crate::measure::reference::{MAHALANOBIS, NEIGHBOUR_DISTANCE};
use crate::measure::{Descriptor, Embedding};
use crate::network::layer::{Conv, Direction, Init, Window};
use crate::network::{FORWARD_BATCH, NetworkSettings, Normalization, Precision, batch};
use crate::shape::Shape;
use crate::tensors::{device_of, rows};
use crate::train::{Loss, Preparation, Step, Term, Trainable, nothing_ahead};

/// Mean over the grid of |z - e|^2.
const QUANTISATION_ERROR: Descriptor = Descriptor::unusual(
    "quantisation_error",
    "latent units^2",
    "squared distance of the latent grid to its codes, mean over the grid",
);
/// Mean over the grid of -log of the code's frequency among the training normals.
const CODE_RARITY: Descriptor = Descriptor::unusual(
    "code_rarity",
    "nats",
    "negative log-frequency of the image's codes among the training normals, mean over the grid",
);

const DESCRIPTORS: &[Descriptor] = &[
    SQUARED_ERROR,
    ABSOLUTE_ERROR,
    SSIM_ERROR,
    PEAK_ERROR,
    QUANTISATION_ERROR,
    CODE_RARITY,
    MAHALANOBIS,
    NEIGHBOUR_DISTANCE,
];

/// Settings of a vector-quantised autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VqvaeSettings {
    /// Channels of the encoder's stages, first to last; the decoder mirrors them. Each stage halves the sides.
    pub channels: Vec<usize>,
    /// Number of codes.
    pub codes: usize,
    /// Dimensions of each code.
    pub code_dimensions: usize,
    /// Weight of the commitment term.
    pub commitment: f64,
    /// What reconstruction error costs.
    pub loss: LossWeights,
    /// Normalisation after each convolution.
    pub normalization: Normalization,
    /// What the operands of products are rounded to, in training and in scoring alike.
    pub precision: Precision,
}

impl Default for VqvaeSettings {
    fn default() -> Self {
        Self {
            channels: vec![32, 64, 64],
            codes: 256,
            code_dimensions: 16,
            commitment: 0.25,
            loss: LossWeights::default(),
            normalization: Normalization::Batch,
            precision: Precision::Auto,
        }
    }
}

const PRESETS: &[Preset] = &[
    Preset {
        name: "small",
        about: "for images of 64 px: three stages, 256 codes",
        size_px: Some(64),
        settings: small,
    },
    Preset {
        name: "base",
        about: "the default, for images of 128 px: four stages, 512 codes",
        size_px: Some(128),
        settings: base,
    },
];

fn small() -> Settings {
    to_settings(&VqvaeSettings::default())
}

fn base() -> Settings {
    to_settings(&VqvaeSettings { channels: vec![32, 64, 64, 64], codes: 512, ..VqvaeSettings::default() })
}

impl VqvaeSettings {
    /// # Errors
    /// A setting out of its range, or one that does not fit the shape.
    fn check(&self, shape: Shape) -> Result<()> {
        NetworkSettings { channels: self.channels.clone(), ..NetworkSettings::default() }.check(shape)?;
        self.loss.check(shape)?;
        for (name, found, low, high) in
            [("codes", self.codes, 2, 65_536), ("code_dimensions", self.code_dimensions, 1, 4096)]
        {
            if !(low..=high).contains(&found) {
                return Err(Error::settings(format!(
                    "model.{name}: expected {low} to {high}, found {found}"
                )));
            }
        }
        if !(0.0..=1e6).contains(&self.commitment) {
            return Err(Error::settings(format!(
                "model.commitment: expected 0 to 1000000, found {}",
                self.commitment
            )));
        }
        Ok(())
    }
}

/// Kernel 4, stride 2, padding 1: halves or doubles the sides.
const HALVE: Window = Window(4, 2, 1);
/// Kernel 3, stride 1, padding 1: keeps the sides.
const KEEP: Window = Window(3, 1, 1);

/// Halving convolutions and one that keeps the sides; the decoder mirrors them.
///
/// # Shapes
/// `[n, height, width, channels]` -> `[n, height / 2^stages, width / 2^stages, code_dimensions]` and back
#[derive(Module, Debug)]
pub(super) struct Model {
    encoder: Vec<Conv>,
    to_grid: Conv,
    codebook: Codebook,
    from_grid: Conv,
    decoder: Vec<Conv>,
    #[module(skip)]
    settings: VqvaeSettings,
    #[module(skip)]
    shape: Shape,
    #[module(skip)]
    perceptual: Option<Perceptual>,
}

/// A batch's latent grid and what it was rounded to.
struct Quantised {
    /// As the encoder gives it, `[n, rows, columns, code_dimensions]`.
    grid: Tensor<4>,
    /// The codes in its place, of the same shape; no gradient.
    codes: Tensor<4>,
    /// The code of each place of each image.
    assigned: Vec<usize>,
}

impl Model {
    fn encode(&self, input: Tensor<4>) -> Tensor<4> {
        self.to_grid.forward(self.encoder.iter().fold(input, |hidden, stage| stage.forward(hidden)))
    }

    /// The logits of the expected pixels.
    fn decode(&self, grid: Tensor<4>) -> Tensor<4> {
        self.decoder.iter().fold(self.from_grid.forward(grid), |hidden, stage| stage.forward(hidden))
    }

    fn quantise(&self, grid: Tensor<4>) -> Quantised {
        let dims = grid.dims();
        let dimensions = dims[3];
        let flat = grid.clone().detach().reshape([dims[0] * dims[1] * dims[2], dimensions]);
        let assigned = self.codebook.nearest(flat);
        let codes = self.codebook.codes();
        let values: Vec<f32> =
            assigned.iter().flat_map(|code| &codes[code * dimensions..][..dimensions]).copied().collect();
        let codes = Tensor::from_data(TensorData::new(values, dims), &grid.device());
        Quantised { grid, codes, assigned }
    }

    /// The loss of a batch whose grid was rounded.
    fn cost(&self, input: &Tensor<4>, quantised: &Quantised) -> Loss {
        let Quantised { grid, codes, .. } = quantised;
        let straight_through = grid.clone() + (codes.clone() - grid.clone()).detach();
        let logits = self.decode(straight_through);
        let mut terms = self.settings.loss.terms(&logits, input, self.perceptual.as_ref());
        let distance = (grid.clone() - codes.clone()).powf_scalar(2.0).sum() / input.dims()[0] as f64;
        terms.push(Term { name: "commitment", weight: self.settings.commitment, value: distance });
        Loss::new(terms)
    }
}

impl Trainable for Model {
    type Prepared = ();

    fn preparation(&self) -> Preparation<()> {
        nothing_ahead()
    }

    fn loss(&self, input: Tensor<4>, (): (), step: &Step<'_>) -> Loss {
        let grid = self.encode(input.clone());
        let embeddings: Vec<f32> = grid.clone().into_data().iter::<f32>().collect();
        let mut random = generator(step.seed, Stream::Codebook, step.step as u64);
        self.codebook.start(&embeddings, &mut random);
        let quantised = self.quantise(grid);
        let loss = self.cost(&input, &quantised);
        self.codebook.follow(&embeddings, &quantised.assigned, &mut random);
        loss
    }

    fn held_out_loss(&self, input: Tensor<4>, _epoch: usize) -> Loss {
        self.cost(&input, &self.quantise(self.encode(input.clone())))
    }

    fn reconstruct(&self, inputs: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> {
        reconstructions(self, inputs).map(Some)
    }

    fn figures(&self, _epoch: usize) -> BTreeMap<String, f64> {
        BTreeMap::from([
            ("perplexity".to_owned(), self.codebook.perplexity()),
            ("dead_codes".to_owned(), self.codebook.dead() as f64),
        ])
    }

    fn activations_per_image(&self) -> usize {
        let network =
            NetworkSettings { channels: self.settings.channels.clone(), ..NetworkSettings::default() };
        let beside = self.perceptual.as_ref().map_or(0, |_| Perceptual::activations_per_image(self.shape));
        network.activations_per_image(self.shape) + beside
    }

    fn precision(&self) -> Precision {
        self.settings.precision
    }
}

impl Reproduce for Model {
    const NAME: &'static str = "vqvae";
    const ABOUT: &'static str =
        "vector-quantised autoencoder: reconstruction error, and how rare an image's codes are";
    const PRESETS: &'static [Preset] = PRESETS;
    const DEFAULT_PRESET: &'static str = "base";
    const DESCRIPTORS: &'static [Descriptor] = DESCRIPTORS;
    type Settings = VqvaeSettings;

    fn check(settings: &VqvaeSettings, shape: Shape) -> Result<()> {
        settings.check(shape)
    }

    fn precision_of(settings: &mut VqvaeSettings) -> &mut Precision {
        &mut settings.precision
    }

    fn init(settings: &VqvaeSettings, shape: Shape, seed: Option<u64>, device: &Device) -> Self {
        let mut init = Init::new(seed, device, settings.precision.of_kernels());
        let normalized = settings.normalization == Normalization::Batch;
        let (relu, identity) = (ActivationFunction::Relu, ActivationFunction::Identity);
        let stages = &settings.channels;
        let last = stages[stages.len() - 1];
        let ins = [&[shape.channels], &stages[..stages.len() - 1]].concat();
        let encoder = ins
            .iter()
            .zip(stages)
            .map(|(&ins, &outs)| Conv::init(&mut init, Direction::Down, (ins, outs), HALVE, normalized, relu))
            .collect();
        let code_dimensions = settings.code_dimensions;
        let to_grid = Conv::init(&mut init, Direction::Down, (last, code_dimensions), KEEP, false, identity);
        let from_grid =
            Conv::init(&mut init, Direction::Down, (code_dimensions, last), KEEP, normalized, relu);
        let decoder = (0..stages.len())
            .rev()
            .map(|stage| match stage {
                0 => {
                    Conv::init(&mut init, Direction::Up, (stages[0], shape.channels), HALVE, false, identity)
                }
                _ => {
                    let ends = (stages[stage], stages[stage - 1]);
                    Conv::init(&mut init, Direction::Up, ends, HALVE, normalized, relu)
                }
            })
            .collect();
        let codebook = Codebook::init(settings.codes, code_dimensions, device);
        Self {
            encoder,
            to_grid,
            codebook,
            from_grid,
            decoder,
            settings: settings.clone(),
            shape,
            perceptual: None,
        }
    }

    fn trained(self, train: &Inputs<'_>) -> Result<Self> {
        let mut counts = vec![0.0; self.settings.codes];
        train.chunks(FORWARD_BATCH, |inputs| {
            let quantised = self.quantise(self.encode(batch(inputs, self.shape, &device_of(&self))?));
            quantised.assigned.into_iter().for_each(|code| counts[code] += 1.0);
            Ok(())
        })?;
        Ok(Self { codebook: self.codebook.with_usage(counts), ..self })
    }

    fn perceptual_weight(settings: &VqvaeSettings) -> f64 {
        settings.loss.perceptual
    }

    fn with_perceptual(self, perceptual: Perceptual) -> Self {
        Self { perceptual: Some(perceptual), ..self }
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn dimensions(&self) -> usize {
        self.settings.code_dimensions
    }

    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<Reproduced>> {
        let count = inputs.len();
        let quantised = self.quantise(self.encode(batch(inputs, self.shape, &device_of(self))?));
        let means = rows(sigmoid(self.decode(quantised.codes.clone())), count);
        let (grids, codes) = (rows(quantised.grid, count), rows(quantised.codes, count));
        let places = quantised.assigned.len() / count;
        let assigned = quantised.assigned.chunks_exact(places);
        let surprise = self.codebook.surprise();
        let dimensions = self.settings.code_dimensions;
        let outputs =
            means.into_iter().zip(grids).zip(codes).zip(assigned).map(|(((mean, grid), codes), assigned)| {
                let squares = grid.iter().zip(&codes).map(|(z, e)| f64::from(z - e).powi(2));
                let error = squares.sum::<f64>() / places as f64;
                let centre = (0..dimensions).map(|dimension| {
                    let sum: f32 = grid.iter().skip(dimension).step_by(dimensions).sum();
                    sum / places as f32
                });
                let embedding = Embedding { mean: centre.collect(), log_variance: None };
                let rarity = assigned.iter().map(|&code| surprise[code]).sum::<f64>() / places as f64;
                Reproduced { mean, log_variance: None, embedding, own: vec![error, rarity] }
            });
        Ok(outputs.collect())
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> ReproducedGraph {
        let hidden = self.encoder.iter().fold(input, |hidden, stage| stage.graph(graph, hidden));
        let grid = self.to_grid.graph(graph, hidden);
        let (height, width) = match graph.dims(grid)[..] {
            [_, height, width] => (height, width),
            _ => (1, 1),
        };
        let embeddings = graph.places(grid);
        let (codes, surprise) = self.codebook.quantise_graph(graph, embeddings);
        let differences = graph.subtract(embeddings, codes);
        let squares = graph.square(differences);
        let squares = graph.sum(squares, &[1]);
        let (error, rarity) = (graph.mean(squares, &[0]), graph.mean(surprise, &[0]));
        let centre = graph.mean(embeddings, &[0]);
        let rounded = graph.image_of_places(codes, height, width);
        let first = self.from_grid.graph(graph, rounded);
        let logits = self.decoder.iter().fold(first, |hidden, stage| stage.graph(graph, hidden));
        let reconstruction = ReconstructionGraph { mean: graph.sigmoid(logits), log_variance: None };
        ReproducedGraph { reconstruction, embedding: centre, own: vec![error, rarity] }
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
            errors.peak,
            own[0],
            own[1],
            mahalanobis,
            neighbour_distance,
        ]
    }
}
