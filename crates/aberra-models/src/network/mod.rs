//! Networks: an encoder from images to a latent space, and the decoder that mirrors it, as plain Burn modules.
//!
//! They touch no files, clock or hidden randomness: initial weights come from a generator given to them. A new
//! architecture is one file here and one variant of the enum `Network`.

pub(crate) mod convolutional;
pub(crate) mod layer;
pub(crate) mod residual;
mod settings;

use aberra_metrics::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use self::convolutional::Convolutional;
use self::residual::Residual;
use crate::graph::{Graph, Value};
use crate::shape::Shape;

pub use self::settings::{Activation, Architecture, NetworkSettings, Normalization, Precision};

/// Values that encoder and decoder put out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outputs {
    /// Of the encoder, for each image.
    pub(crate) encoded: usize,
    /// Of the decoder, for each pixel.
    pub(crate) decoded: usize,
}

/// The architectures. Each encodes `[n, height, width, channels]` to `[n, encoded]` and decodes `[n, latent]` to
/// `[n, height, width, decoded]`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // A model holds one network, once.
pub(crate) enum Network {
    Convolutional(Convolutional),
    Residual(Residual),
}

impl Network {
    /// A network with initial weights drawn from `seed`, without one for weights that are loaded. The settings are checked and resolved.
    pub(crate) fn init(
        settings: &NetworkSettings,
        shape: Shape,
        outputs: Outputs,
        seed: Option<u64>,
        device: &Device,
    ) -> Self {
        let mut init = layer::Init::new(seed, device, settings.precision.of_kernels());
        match settings.architecture {
            Architecture::Convolutional => {
                Self::Convolutional(Convolutional::init(&mut init, settings, shape, outputs))
            }
            Architecture::Residual => Self::Residual(Residual::init(&mut init, settings, shape, outputs)),
        }
    }

    pub(crate) fn encode(&self, input: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Convolutional(network) => network.encode(input),
            Self::Residual(network) => network.encode(input),
        }
    }

    pub(crate) fn decode(&self, latent: Tensor<2>) -> Tensor<4> {
        match self {
            Self::Convolutional(network) => network.decode(latent),
            Self::Residual(network) => network.decode(latent),
        }
    }

    /// [`encode`](Self::encode) in a graph: `[channels, height, width]` -> `[encoded]`.
    pub(crate) fn encode_graph(&self, graph: &mut Graph, input: Value) -> Value {
        match self {
            Self::Convolutional(network) => network.encode_graph(graph, input),
            Self::Residual(network) => network.encode_graph(graph, input),
        }
    }

    /// [`decode`](Self::decode) in a graph: `[latent]` -> `[decoded, height, width]`.
    pub(crate) fn decode_graph(&self, graph: &mut Graph, latent: Value) -> Value {
        match self {
            Self::Convolutional(network) => network.decode_graph(graph, latent),
            Self::Residual(network) => network.decode_graph(graph, latent),
        }
    }
}

impl NetworkSettings {
    /// Dimensions of the latent space that the decoder takes.
    pub(crate) fn latent_dimensions(&self) -> usize {
        match self.architecture {
            Architecture::Convolutional => self.latent,
            Architecture::Residual => self.latent * residual::LATENT_SIDE * residual::LATENT_SIDE,
        }
    }
}

/// Images a forward pass takes at once when nothing is trained.
pub(crate) const FORWARD_BATCH: usize = 16;

/// `inputs`, each `[height, width, channels]` flattened, as one batch.
///
/// # Errors
/// A length that does not fit the shape.
pub(crate) fn batch(inputs: &[&[f32]], shape: Shape, device: &Device) -> Result<Tensor<4>> {
    inputs.iter().try_for_each(|input| shape.check(input))?;
    let data = TensorData::new(inputs.concat(), [inputs.len(), shape.height, shape.width, shape.channels]);
    Ok(Tensor::from_data(data, device))
}
