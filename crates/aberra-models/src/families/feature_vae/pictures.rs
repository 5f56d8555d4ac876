//! The decoder of pictures: what the features that the network expects at each place look like as an image. People see it beside
//! the image; no measurement takes part in it, and its gradient does not reach the network.

use std::sync::Arc;

use aberra_kernels::{ActivationFunction, OperandPrecision, PixelLikelihood, reconstruction_cost};
use aberra_metrics::{Error, Result};
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::FeatureVaeMember;
use crate::features::GRID_STRIDE_PX;
use crate::graph::{Graph, Value};
use crate::inputs::Inputs;
use crate::network::Precision;
use crate::network::layer::{Conv, Direction, Init, Window};
use crate::resample::{bilinear, bilinear_graph};
use crate::shape::Shape;
use crate::tensors::{rows, with_half_weights};
use crate::train::{FitContext, Loss, Preparation, Step, Term, Trainable, nothing_ahead};

/// Channels between the expected features and the picture, each layer at twice the side of the one before.
const WIDTHS: [usize; 2] = [48, 24];

/// Images of a training step: more steps bring more than larger ones.
const BATCH: usize = 8;

/// From the expected features to a picture, whose sides are [`GRID_STRIDE_PX`] times those of their grid.
#[derive(Module, Debug)]
pub(super) struct PictureDecoder {
    mix: Conv,
    up: Vec<Conv>,
}

impl PictureDecoder {
    pub(super) fn init(directions: usize, channels: usize, seed: Option<u64>, device: &Device) -> Self {
        let mut init = Init::new(seed, device, OperandPrecision::F32);
        let (relu, identity) = (ActivationFunction::Relu, ActivationFunction::Identity);
        let ends = (directions, directions);
        let mix = Conv::init(&mut init, Direction::Down, ends, Window(3, 1, 1), true, relu);
        let mut double = |ends, normalized, activation| {
            Conv::init(&mut init, Direction::Up, ends, Window(4, 2, 1), normalized, activation)
        };
        let [first, second] = WIDTHS;
        let up = vec![
            double((directions, first), true, relu),
            double((first, second), true, relu),
            double((second, channels), false, identity),
        ];
        Self { mix, up }
    }

    /// The logits of a picture's pixels: `[batch, rows, columns, directions]` ->
    /// `[batch, 8 rows, 8 columns, channels]`.
    fn logits(&self, expected: Tensor<4>) -> Tensor<4> {
        self.up.iter().fold(self.mix.forward(expected), |hidden, layer| layer.forward(hidden))
    }

    /// The pictures, each of `shape`, 0 to 1, of expected features `[batch, rows, columns, directions]`.
    pub(super) fn pictures(&self, expected: Tensor<4>, shape: Shape) -> Vec<Vec<f32>> {
        let logits = self.logits(expected);
        let [count, height, width, channels] = logits.dims();
        let own = Shape { height, width, channels };
        let pictures = rows(sigmoid(logits), count);
        pictures.par_iter().map(|picture| bilinear(picture, own, shape)).collect()
    }

    /// [`pictures`](Self::pictures) in a graph, of one image's `[directions, rows, columns]`: `[channels, height, width]`.
    pub(super) fn graph(&self, graph: &mut Graph, expected: Value, grid: Shape, shape: Shape) -> Value {
        let mixed = self.mix.graph(graph, expected);
        let logits = self.up.iter().fold(mixed, |hidden, layer| layer.graph(graph, hidden));
        let picture = graph.sigmoid(logits);
        bilinear_graph(graph, picture, drawn(grid, shape.channels), shape)
    }
}

/// The shape of the picture of a grid.
fn drawn(grid: Shape, channels: usize) -> Shape {
    Shape { height: grid.height * GRID_STRIDE_PX, width: grid.width * GRID_STRIDE_PX, channels }
}

/// Teaches a decoder what images look like from what the trained `member` expects of them, on so many of them, rounded up to
/// whole epochs.
///
/// # Errors
/// As training.
pub(super) fn learn(
    images: usize,
    member: FeatureVaeMember,
    context: &mut FitContext<'_>,
    inputs: &Inputs<'_>,
    held_out: &Inputs<'_>,
) -> Result<FeatureVaeMember> {
    let (shape, directions) = (inputs.shape(), member.space.whitening.directions());
    let device = context.device.clone().autodiff();
    let decoder = PictureDecoder::init(directions, shape.channels, Some(context.seed), &device);
    let member = Arc::new(member);
    let pupil = Pupil { decoder, member: member.clone() };
    let own = context.train.with_epochs(images.div_ceil(inputs.len().max(1)))?;
    let own = own.with_batch_size(BATCH)?.without_augmentation();
    let Pupil { decoder, member: of_pupil } =
        context.train_beside("pictures", pupil, own, inputs, held_out)?;
    drop(of_pupil);
    let mut member = Arc::into_inner(member)
        .ok_or_else(|| Error::settings("the trained network is still in use by its decoder of pictures"))?;
    member.network.pictures = Some(with_half_weights(decoder)?);
    Ok(member)
}

/// A decoder that learns from what a member expects.
#[derive(Module, Debug)]
struct Pupil {
    decoder: PictureDecoder,
    #[module(skip)]
    member: Arc<FeatureVaeMember>,
}

impl Pupil {
    /// The mean over a batch of images of the squared error of their pictures, in units of the intensities.
    fn cost(&self, input: Tensor<4>) -> Loss {
        let (device, space) = (input.device(), &self.member.space);
        let images = rows(input.clone(), input.dims()[0]);
        let slices: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
        // The inputs fit the shape, and the shape was checked.
        let features = space.extractor.features(&slices).unwrap_or_default();
        let whitened: Vec<Vec<f32>> = features.par_iter().map(|features| space.whiten(features)).collect();
        let expected = self.member.means(self.member.run(whitened.concat(), slices.len()).features);
        let logits = self.decoder.logits(Tensor::from_data(expected.into_data(), &device));
        let drawn = drawn(space.grid(), space.extractor.shape.channels);
        let target = if drawn == space.extractor.shape {
            input
        } else {
            let targets: Vec<Vec<f32>> =
                slices.par_iter().map(|image| bilinear(image, space.extractor.shape, drawn)).collect();
            Tensor::from_data(TensorData::new(targets.concat(), logits.dims()), &device)
        };
        let value = reconstruction_cost(logits, target, PixelLikelihood::Gaussian { variance: 0.5 });
        Loss::new(vec![Term { name: "reconstruction", weight: 1.0, value }])
    }
}

impl Trainable for Pupil {
    type Prepared = ();

    fn preparation(&self) -> Preparation<()> {
        nothing_ahead()
    }

    fn loss(&self, input: Tensor<4>, (): (), _: &Step<'_>) -> Loss {
        self.cost(input)
    }

    fn held_out_loss(&self, input: Tensor<4>, _: usize) -> Loss {
        self.cost(input)
    }

    fn reconstruct(&self, _: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> {
        Ok(None)
    }

    fn activations_per_image(&self) -> usize {
        // Each layer's output forward and backward.
        let grid = self.member.space.grid();
        let widths = WIDTHS.iter().enumerate();
        let up: usize = widths.map(|(at, channels)| (grid.area() << (2 * (at + 1))) * channels).sum();
        4 * (grid.len() + up) + 4 * self.member.space.extractor.shape.len()
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}
