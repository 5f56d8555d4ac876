//! Strided convolutions, mirrored by transposed convolutions.

use aberra_kernels::ActivationFunction;
use burn::module::Module;
use burn::tensor::Tensor;

use super::layer::{Conv, Direction, Init, Linear, Window};
use super::{NetworkSettings, Normalization, Outputs};
use crate::graph::{Graph, Value};
use crate::shape::Shape;

/// Each stage halves the sides: kernel 4, stride 2, padding 1.
const HALVE: Window = Window(4, 2, 1);

/// Stages of halving convolutions, an optional dense layer, and a dense layer to the latent space; the decoder mirrors
/// it.
///
/// # Shapes
/// `[n, height, width, channels]` -> `[n, encoded]`; `[n, latent]` -> `[n, height, width, decoded]`
#[derive(Module, Debug)]
pub(crate) struct Convolutional {
    encoder: Vec<Conv>,
    encoder_hidden: Option<Linear>,
    posterior: Linear,
    expand: Linear,
    decoder_hidden: Option<Linear>,
    decoder: Vec<Conv>,
    #[module(skip)]
    latent: usize,
    #[module(skip)]
    grid: [usize; 3],
}

impl Convolutional {
    pub(super) fn init(
        init: &mut Init<'_>,
        settings: &NetworkSettings,
        shape: Shape,
        outputs: Outputs,
    ) -> Self {
        let act = settings.kernel_activation();
        let normalized = settings.normalization == Normalization::Batch;
        let stages = &settings.channels;
        let (height, width) = (shape.height >> stages.len(), shape.width >> stages.len());
        let last = stages[stages.len() - 1];
        let flat = height * width * last;
        let (hidden, latent) = (settings.hidden, settings.latent);
        let narrow = if hidden == 0 { flat } else { hidden };

        let ins = [&[shape.channels], &stages[..stages.len() - 1]].concat();
        let encoder = ins
            .iter()
            .zip(stages)
            .map(|(&i, &o)| Conv::init(init, Direction::Down, (i, o), HALVE, normalized, act))
            .collect();
        let encoder_hidden = (hidden > 0).then(|| Linear::init(init, (flat, hidden), act));
        let posterior = Linear::init(init, (narrow, outputs.encoded), ActivationFunction::Identity);
        let first = if hidden == 0 { ActivationFunction::Identity } else { act };
        let expand = Linear::init(init, (latent, narrow), first);
        let decoder_hidden = (hidden > 0).then(|| Linear::init(init, (hidden, flat), act));
        let decoder = (0..stages.len())
            .rev()
            .map(|stage| match stage {
                0 => {
                    let ends = (stages[0], outputs.decoded);
                    Conv::init(init, Direction::Up, ends, HALVE, false, ActivationFunction::Identity)
                }
                _ => Conv::init(
                    init,
                    Direction::Up,
                    (stages[stage], stages[stage - 1]),
                    HALVE,
                    normalized,
                    act,
                ),
            })
            .collect();
        let grid = [height, width, last];
        Self { encoder, encoder_hidden, posterior, expand, decoder_hidden, decoder, latent, grid }
    }

    pub(super) fn encode(&self, input: Tensor<4>) -> Tensor<2> {
        let grid = self.encoder.iter().fold(input, |hidden, stage| stage.forward(hidden));
        let mut flat: Tensor<2> = grid.flatten(1, 3);
        if let Some(layer) = &self.encoder_hidden {
            flat = layer.forward(flat);
        }
        self.posterior.forward(flat)
    }

    pub(super) fn decode(&self, latent: Tensor<2>) -> Tensor<4> {
        let batch = latent.dims()[0];
        let mut flat = self.expand.forward(latent);
        if let Some(layer) = &self.decoder_hidden {
            flat = layer.forward(flat);
        }
        let [height, width, channels] = self.grid;
        let grid = flat.reshape([batch, height, width, channels]);
        self.decoder.iter().fold(grid, |hidden, stage| stage.forward(hidden))
    }

    pub(super) fn encode_graph(&self, graph: &mut Graph, input: Value) -> Value {
        let grid = self.encoder.iter().fold(input, |hidden, stage| stage.graph(graph, hidden));
        let places = graph.places(grid);
        let mut flat = graph.flatten(places);
        if let Some(layer) = &self.encoder_hidden {
            flat = layer.graph(graph, flat);
        }
        self.posterior.graph(graph, flat)
    }

    pub(super) fn decode_graph(&self, graph: &mut Graph, latent: Value) -> Value {
        let mut flat = self.expand.graph(graph, latent);
        if let Some(layer) = &self.decoder_hidden {
            flat = layer.graph(graph, flat);
        }
        let [height, width, channels] = self.grid;
        let places = graph.reshape(flat, &[height * width, channels]);
        let grid = graph.image_of_places(places, height, width);
        self.decoder.iter().fold(grid, |hidden, stage| stage.graph(graph, hidden))
    }
}
