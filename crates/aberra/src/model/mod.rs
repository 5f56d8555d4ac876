//! The model: encoder and decoder of a variational autoencoder (Kingma and Welling, 2014), as plain Burn modules.
//!
//! A model touches no files, clock or hidden randomness: noise and initial weights come from generators given to it.
//! A new architecture is one file here and one variant of `Network`.

mod convolutional;
mod layer;
mod likelihood;
mod residual;
mod settings;
mod weights;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

pub use self::likelihood::{Loss, Reconstruction};
pub(crate) use self::settings::instructions;
pub use self::settings::{
    Activation, Architecture, Likelihood, ModelSettings, Normalization, Precision, Preset,
};
pub(crate) use self::weights::{Weight, load_weights, weights};

use self::convolutional::Convolutional;
use self::residual::Residual;
use crate::random::{Stream, generator};
use crate::{Error, Result};

/// q(z | x): a diagonal Gaussian for each image. `[batch, latent]`, in latent units and log of their squares.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// mu.
    pub mean: Tensor<2>,
    /// log sigma^2.
    pub log_variance: Tensor<2>,
}

/// Encoder and decoder.
#[derive(Module, Debug)]
pub struct Model {
    network: Network,
    #[module(skip)]
    settings: ModelSettings,
    #[module(skip)]
    input: [usize; 3],
}

/// The architectures. Each encodes `[n, h, w, c]` to `[n, 2 latent]` and decodes `[n, latent]` to `[n, h, w, outputs]`.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // A model holds one network, once.
enum Network {
    Convolutional(Convolutional),
    Residual(Residual),
}

impl Model {
    /// A model with initial weights drawn from `seed`, for inputs `[size_px, size_px, channels]`.
    ///
    /// # Errors
    /// As [`ModelSettings::check`], and where the environment variable `ABERRA_KERNELS` asks for instructions that the
    /// processor lacks.
    pub fn new(
        settings: &ModelSettings,
        size_px: usize,
        channels: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        settings.check(size_px)?;
        let precision = settings.precision.of_kernels()?;
        let mut random = generator(seed, Stream::Weights, 0);
        let mut init = layer::Init { random: &mut random, device, precision };
        let network = match settings.architecture {
            Architecture::Convolutional => {
                Network::Convolutional(Convolutional::init(&mut init, settings, size_px, channels))
            }
            Architecture::Residual => Network::Residual(Residual::init(&mut init, settings, channels)),
        };
        Ok(Self { network, settings: settings.clone(), input: [size_px, size_px, channels] })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// `[height, width, channels]` of the input.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// Dimensions of the latent space.
    pub fn latent(&self) -> usize {
        match &self.network {
            Network::Convolutional(network) => network.latent(),
            Network::Residual(network) => network.latent(),
        }
    }

    /// Where its weights are.
    pub(crate) fn device(&self) -> Device {
        self.devices().into_iter().next().unwrap_or_else(Device::flex)
    }

    /// Number of weights that training changes.
    pub fn parameter_count(&self) -> usize {
        weights::count_parameters(self)
    }

    /// q(z | x) of `[batch, height, width, channels]`.
    pub fn posterior(&self, input: Tensor<4>) -> Posterior {
        let batch = input.dims()[0];
        let latent = self.latent();
        let both = match &self.network {
            Network::Convolutional(network) => network.encode(input),
            Network::Residual(network) => network.encode(input),
        };
        Posterior {
            mean: both.clone().slice([0..batch, 0..latent]),
            log_variance: both.slice([0..batch, latent..2 * latent]),
        }
    }

    /// p(x | z) of `[batch, latent]`.
    pub fn reconstruction(&self, latent: Tensor<2>) -> Reconstruction {
        let output = match &self.network {
            Network::Convolutional(network) => network.decode(latent),
            Network::Residual(network) => network.decode(latent),
        };
        Reconstruction::new(self.settings.likelihood, output, self.input[2])
    }

    /// The pixels of `inputs`, each `[height, width, channels]` flattened, as one batch.
    ///
    /// # Errors
    /// A length that does not fit the model.
    pub fn batch(&self, inputs: &[&[f32]]) -> Result<Tensor<4>> {
        let [height, width, channels] = self.input;
        let length = height * width * channels;
        if let Some(odd) = inputs.iter().find(|input| input.len() != length) {
            return Err(Error::settings(format!(
                "expected inputs of {height} x {width} x {channels} values, found {}",
                odd.len()
            )));
        }
        let data = TensorData::new(inputs.concat(), [inputs.len(), height, width, channels]);
        Ok(Tensor::from_data(data, &self.device()))
    }
}

/// Values of the decoder's last layer for each pixel of `channels` channels.
fn outputs(settings: &ModelSettings, channels: usize) -> usize {
    match settings.likelihood {
        Likelihood::Uncertainty => 2 * channels,
        _ => channels,
    }
}

/// The kernels' activation for the settings' one.
fn activation(settings: &ModelSettings) -> aberra_kernels::Activation {
    match settings.activation {
        Activation::Relu => aberra_kernels::Activation::Relu,
        Activation::LeakyRelu => aberra_kernels::Activation::LeakyRelu(0.2),
    }
}
