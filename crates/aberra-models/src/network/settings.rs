//! Settings of an encoder and its mirrored decoder, and their check.

use aberra_metrics::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shape::Shape;

/// Settings of an encoder and the decoder that mirrors it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NetworkSettings {
    /// How encoder and decoder are built.
    pub architecture: Architecture,
    /// Channels of the encoder's stages, first to last; the decoder mirrors them. Each stage halves the sides
    /// (`convolutional`) or quarters them (`residual`).
    pub channels: Vec<usize>,
    /// Dimensions of the latent space. The `residual` architecture has `latent` channels on a 4 x 4 grid.
    pub latent: usize,
    /// Width of the dense layer between the last stage and the latent space; 0 leaves it out.
    pub hidden: usize,
    /// Side of the convolution kernels of the `convolutional` architecture: 4 (stride 2, padding 1).
    pub kernel_px: usize,
    /// Non-linearity between layers.
    pub activation: Activation,
    /// Normalisation after each convolution.
    pub normalization: Normalization,
    /// What the operands of products are rounded to, in training and in scoring alike.
    pub precision: Precision,
}

/// What the operands of products are rounded to. Sums, weights and everything else are `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Precision {
    /// `bf16` where the processor multiplies it faster than `f32`, by a table of families (Zen 4 and 5 of AMD do) or else by a
    /// measurement that is taken once (`aberra info --machine` shows it); `f32` elsewhere. A detector holds which it was.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// bfloat16, rounded in software where the processor lacks the instructions.
    Bf16,
}

impl Precision {
    /// The one that it means where `Auto` means `auto`; the others are what they are.
    pub fn resolved(self, auto: Self) -> Self {
        if self == Self::Auto { auto } else { self }
    }

    /// The name used in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// The kernels' precision; `Auto`, which a resolved setting is not, counts as `F32`.
    pub(crate) fn of_kernels(self) -> aberra_kernels::OperandPrecision {
        match self {
            Self::Bf16 => aberra_kernels::OperandPrecision::Bf16,
            Self::F32 | Self::Auto => aberra_kernels::OperandPrecision::F32,
        }
    }
}

/// How encoder and decoder are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Architecture {
    /// Strided convolutions, mirrored by transposed convolutions.
    #[default]
    Convolutional,
    /// Residual blocks of stride 4; 256 px only.
    Residual,
}

/// Non-linearity between layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0).
    #[default]
    Relu,
    /// x, or 0.2 x below zero.
    LeakyRelu,
}

/// Normalisation after each convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Normalization {
    /// None.
    #[default]
    None,
    /// Batch normalisation (Ioffe and Szegedy, 2015).
    Batch,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            architecture: Architecture::Convolutional,
            channels: vec![16, 32, 64, 64, 64],
            latent: 32,
            hidden: 0,
            kernel_px: 4,
            activation: Activation::Relu,
            normalization: Normalization::Batch,
            precision: Precision::Auto,
        }
    }
}

impl NetworkSettings {
    /// Checks the settings against the shape of the network input.
    ///
    /// # Errors
    /// A setting out of its range, or a side that the stages do not divide.
    pub fn check(&self, shape: Shape) -> Result<()> {
        let channels_fit = (1..=8).contains(&self.channels.len())
            && self.channels.iter().all(|channels| (1..=4096).contains(channels));
        if !channels_fit {
            return Err(Error::settings(format!(
                "model.channels: expected 1 to 8 stages of 1 to 4096 channels, found {:?}",
                self.channels
            )));
        }
        if !(1..=4096).contains(&self.latent) {
            return Err(Error::settings(format!("model.latent: expected 1 to 4096, found {}", self.latent)));
        }
        if self.hidden > 16_384 {
            return Err(Error::settings(format!("model.hidden: expected 0 to 16384, found {}", self.hidden)));
        }
        match self.architecture {
            Architecture::Convolutional => self.check_convolutional(shape),
            Architecture::Residual => self.check_residual(shape),
        }
    }

    fn check_convolutional(&self, shape: Shape) -> Result<()> {
        if self.kernel_px != 4 {
            return Err(Error::settings(format!("model.kernel_px: expected 4, found {}", self.kernel_px)));
        }
        let divisor = 1 << self.channels.len();
        if let Some(side) = [shape.height, shape.width].into_iter().find(|side| !side.is_multiple_of(divisor))
        {
            return Err(Error::settings(format!(
                "preprocessing.size_px: expected a multiple of {divisor} for {} stages, found {side}",
                self.channels.len()
            ))
            .with_hint("choose another size or another number of model.channels"));
        }
        Ok(())
    }

    fn check_residual(&self, shape: Shape) -> Result<()> {
        if (shape.height, shape.width) != (256, 256) || self.channels.len() != 3 {
            return Err(Error::settings(format!(
                "the residual architecture takes 256 px and 3 stages, found {} x {} px and {} stages",
                shape.height,
                shape.width,
                self.channels.len()
            ))
            .with_hint("set preprocessing.size_px = 256, or choose the convolutional architecture"));
        }
        if !self.channels[0].is_multiple_of(8) {
            return Err(Error::settings(format!(
                "model.channels: the residual decoder divides the first by 8, found {}",
                self.channels[0]
            )));
        }
        Ok(())
    }
}

impl NetworkSettings {
    /// Activations that training holds for one image, forward and backward, in values.
    pub(crate) fn activations_per_image(&self, shape: Shape) -> usize {
        let stages = self.channels.iter().enumerate();
        let activations: usize =
            stages.map(|(stage, channels)| (shape.area() >> (2 * (stage + 1))).max(1) * channels).sum();
        4 * activations + 16 * shape.len()
    }

    /// The kernels' activation for the settings' one.
    pub(crate) fn kernel_activation(&self) -> aberra_kernels::ActivationFunction {
        match self.activation {
            Activation::Relu => aberra_kernels::ActivationFunction::Relu,
            Activation::LeakyRelu => aberra_kernels::ActivationFunction::LeakyRelu(0.2),
        }
    }
}
