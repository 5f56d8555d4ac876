//! The well-known residual VAE for 256 x 256 brain MRI slices.

use aberra_kernels::ActivationFunction;
use burn::module::Module;
use burn::tensor::Tensor;

use super::layer::{Conv, Direction, Init, Window, activate};
use super::{NetworkSettings, Outputs};
use crate::graph::{Graph, Value};
use crate::shape::Shape;

pub(super) const LATENT_SIDE: usize = 4;

/// 3 x 3 convolution; residual blocks of stride 4; 1 x 1 convolutions to a 4 x 4 grid of latents; six doubling
/// transposed convolutions and a 3 x 3 convolution.
///
/// # Shapes
/// `[n, 256, 256, channels]` -> `[n, 16 latent]` or, with a log-variance, `[n, 2 * 16 latent]`; `[n, 16 latent]` ->
/// `[n, 256, 256, decoded]`
#[derive(Module, Debug)]
pub(crate) struct Residual {
    stem: Conv,
    blocks: Vec<Block>,
    mean: Conv,
    log_variance: Option<Conv>,
    decoder: Vec<Conv>,
    head: Conv,
    #[module(skip)]
    latent_channels: usize,
}

/// Two stride-2 3 x 3 convolutions beside a stride-4 3 x 3 shortcut, each with batch normalisation.
#[derive(Module, Debug)]
struct Block {
    first: Conv,
    second: Conv,
    shortcut: Conv,
    #[module(skip)]
    activation: ActivationFunction,
}

impl Residual {
    pub(super) fn init(
        init: &mut Init<'_>,
        settings: &NetworkSettings,
        shape: Shape,
        outputs: Outputs,
    ) -> Self {
        let act = settings.kernel_activation();
        let widths = &settings.channels;
        let ch = widths[0];
        let stem = Conv::init(
            init,
            Direction::Down,
            (shape.channels, ch),
            Window(3, 1, 1),
            false,
            ActivationFunction::Identity,
        );
        let ins = [ch, widths[0], widths[1]];
        let blocks = ins.iter().zip(widths).map(|(&i, &o)| Block::init(init, (i, o), act)).collect();
        let latent = settings.latent;
        let mut to_latent = || {
            let ends = (widths[2], latent);
            Conv::init(init, Direction::Down, ends, Window(1, 1, 0), false, ActivationFunction::Identity)
        };
        let mean = to_latent();
        let log_variance = (outputs.encoded > latent * LATENT_SIDE * LATENT_SIDE).then(to_latent);
        let ups = [latent, 4 * ch, 2 * ch, ch, ch / 2, ch / 4, ch / 8];
        let decoder = ups
            .windows(2)
            .map(|pair| Conv::init(init, Direction::Up, (pair[0], pair[1]), Window(4, 2, 1), true, act))
            .collect();
        let head = Conv::init(
            init,
            Direction::Down,
            (ch / 8, outputs.decoded),
            Window(3, 1, 1),
            false,
            ActivationFunction::Identity,
        );
        Self { stem, blocks, mean, log_variance, decoder, head, latent_channels: latent }
    }

    pub(super) fn encode(&self, input: Tensor<4>) -> Tensor<2> {
        let grid = self.blocks.iter().fold(self.stem.forward(input), |hidden, block| block.forward(hidden));
        let mean: Tensor<2> = self.mean.forward(grid.clone()).flatten(1, 3);
        match &self.log_variance {
            Some(layer) => Tensor::cat(vec![mean, layer.forward(grid).flatten(1, 3)], 1),
            None => mean,
        }
    }

    pub(super) fn decode(&self, latent: Tensor<2>) -> Tensor<4> {
        let batch = latent.dims()[0];
        let grid = latent.reshape([batch, LATENT_SIDE, LATENT_SIDE, self.latent_channels]);
        self.head.forward(self.decoder.iter().fold(grid, |hidden, stage| stage.forward(hidden)))
    }

    pub(super) fn encode_graph(&self, graph: &mut Graph, input: Value) -> Value {
        let stem = self.stem.graph(graph, input);
        let grid = self.blocks.iter().fold(stem, |hidden, block| block.graph(graph, hidden));
        let mut flat = |layer: &Conv| {
            let places = layer.graph(graph, grid);
            let places = graph.places(places);
            graph.flatten(places)
        };
        let mean = flat(&self.mean);
        match self.log_variance.as_ref().map(flat) {
            Some(log_variance) => graph.concat(&[mean, log_variance], 0),
            None => mean,
        }
    }

    pub(super) fn decode_graph(&self, graph: &mut Graph, latent: Value) -> Value {
        let places = graph.reshape(latent, &[LATENT_SIDE * LATENT_SIDE, self.latent_channels]);
        let grid = graph.image_of_places(places, LATENT_SIDE, LATENT_SIDE);
        let decoded = self.decoder.iter().fold(grid, |hidden, stage| stage.graph(graph, hidden));
        self.head.graph(graph, decoded)
    }
}

impl Block {
    fn init(init: &mut Init<'_>, (ins, outs): (usize, usize), act: ActivationFunction) -> Self {
        Self {
            first: Conv::init(init, Direction::Down, (ins, outs), Window(3, 2, 1), true, act),
            second: Conv::init(
                init,
                Direction::Down,
                (outs, outs),
                Window(3, 2, 1),
                true,
                ActivationFunction::Identity,
            ),
            shortcut: Conv::init(
                init,
                Direction::Down,
                (ins, outs),
                Window(3, 4, 1),
                true,
                ActivationFunction::Identity,
            ),
            activation: act,
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let deep = self.second.forward(self.first.forward(input.clone()));
        activate(deep + self.shortcut.forward(input), self.activation)
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Value {
        let first = self.first.graph(graph, input);
        let (deep, shortcut) = (self.second.graph(graph, first), self.shortcut.graph(graph, input));
        let sum = graph.add(deep, shortcut);
        graph.activation(sum, self.activation)
    }
}
