//! Strided convolutions, mirrored by transposed convolutions.

use aberra_kernels::Activation;
use burn::module::Module;
use burn::tensor::Tensor;
use rand::Rng;

use super::layer::{Conv, Direction, Init, Linear, Window};
use super::{ModelSettings, Normalization, activation, outputs};

/// Each stage halves the sides: kernel 4, stride 2, padding 1.
const HALVE: Window = Window(4, 2, 1);

/// Stages of halving convolutions, an optional dense layer, and a dense layer to mean and log-variance; the decoder
/// mirrors it.
///
/// # Shapes
/// `[n, size, size, channels]` -> `[n, 2 latent]`; `[n, latent]` -> `[n, size, size, outputs]`
#[derive(Module, Debug)]
pub(super) struct Convolutional {
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
    pub(super) fn init<R: Rng>(
        init: &mut Init<'_, R>,
        settings: &ModelSettings,
        size_px: usize,
        channels: usize,
    ) -> Self {
        let act = activation(settings);
        let normalized = settings.normalization == Normalization::Batch;
        let stages = &settings.channels;
        let (side, last) = (size_px >> stages.len(), stages[stages.len() - 1]);
        let flat = side * side * last;
        let (hidden, latent) = (settings.hidden, settings.latent);
        let narrow = if hidden == 0 { flat } else { hidden };

        let ins = [&[channels], &stages[..stages.len() - 1]].concat();
        let encoder = ins
            .iter()
            .zip(stages)
            .map(|(&i, &o)| Conv::init(init, Direction::Down, (i, o), HALVE, normalized, act))
            .collect();
        let encoder_hidden = (hidden > 0).then(|| Linear::init(init, (flat, hidden), act));
        let posterior = Linear::init(init, (narrow, 2 * latent), Activation::Identity);
        let first = if hidden == 0 { Activation::Identity } else { act };
        let expand = Linear::init(init, (latent, narrow), first);
        let decoder_hidden = (hidden > 0).then(|| Linear::init(init, (hidden, flat), act));
        let last_index = stages.len() - 1;
        let decoder = (0..stages.len())
            .rev()
            .map(|stage| match stage {
                0 => {
                    let ends = (stages[0], outputs(settings, channels));
                    Conv::init(init, Direction::Up, ends, HALVE, false, Activation::Identity)
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
        let grid = [side, side, stages[last_index]];
        Self { encoder, encoder_hidden, posterior, expand, decoder_hidden, decoder, latent, grid }
    }

    pub(super) fn latent(&self) -> usize {
        self.latent
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
}
