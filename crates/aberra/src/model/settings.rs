//! What a model is made of: settings, presets, and the check of both.

use aberra_kernels::InstructionSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Settings of a variational autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
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
    /// What the decoder predicts, and so what reconstruction error costs.
    pub likelihood: Likelihood,
    /// What the operands of products are rounded to, in training and in scoring alike.
    pub precision: Precision,
}

/// What the operands of products are rounded to. Sums, weights and everything else are `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `bf16` where the processor has instructions for it (AVX512_BF16), else `f32`. A detector holds which it was.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// bfloat16, rounded in software where the processor lacks the instructions.
    Bf16,
}

impl Precision {
    /// The one that `Auto` means on this processor; the others are what they are.
    ///
    /// # Errors
    /// The environment variable `ABERRA_KERNELS` asks for instructions that the processor lacks.
    pub fn resolved(self) -> Result<Self> {
        Ok(match self {
            Self::Auto if instructions()?.has_bf16() => Self::Bf16,
            Self::Auto => Self::F32,
            settled => settled,
        })
    }

    /// The name used in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// The kernels' precision, once resolved.
    pub(super) fn of_kernels(self) -> Result<aberra_kernels::Precision> {
        Ok(match self.resolved()? {
            Self::Bf16 => aberra_kernels::Precision::Bf16,
            _ => aberra_kernels::Precision::F32,
        })
    }
}

/// The instructions that the kernels use.
///
/// # Errors
/// The environment variable `ABERRA_KERNELS` asks for instructions that the processor lacks.
pub(crate) fn instructions() -> Result<InstructionSet> {
    InstructionSet::chosen().map_err(|error| {
        Error::settings(error.to_string()).with_hint("unset it to use the widest that the processor has")
    })
}

/// How encoder and decoder are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
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
pub enum Normalization {
    /// None.
    #[default]
    None,
    /// Batch normalisation (Ioffe and Szegedy, 2015).
    Batch,
}

/// p(x | z), a pixel at a time; its negative logarithm is the reconstruction term of the loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Likelihood {
    /// Gaussian of fixed variance: squared error / (2 variance). Variance 0.5 is the sum of squares.
    Gaussian {
        /// The variance, above 0.
        variance: f64,
    },
    /// Gaussian whose log-variance the decoder predicts for each pixel (uncertainty decoder: Mao et al., "Abnormality
    /// detection in chest X-ray images using uncertainty prediction autoencoders", 2020).
    Uncertainty,
    /// Laplace of fixed scale: absolute error / scale.
    Laplace {
        /// The scale, above 0.
        scale: f64,
    },
    /// Bernoulli: binary cross-entropy.
    Bernoulli,
}

/// A named model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// For images of 64 px: four stages.
    Small,
    /// The default, for images of 128 px: five stages.
    #[default]
    Base,
    /// The model of the PyTorch speed comparison: 32-64-128-256 channels, latent 128, sum of squares.
    Peer,
    /// The well-known 256 x 256 residual VAE: 1-256-512-1024 channels, 32 x 4 x 4 latents.
    Reference,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [Self::Small, Self::Base, Self::Peer, Self::Reference];

    /// The name used in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Base => "base",
            Self::Peer => "peer",
            Self::Reference => "reference",
        }
    }

    /// The preset's settings.
    pub fn settings(self) -> ModelSettings {
        let base = ModelSettings {
            architecture: Architecture::Convolutional,
            channels: vec![16, 32, 64, 64, 64],
            latent: 32,
            hidden: 0,
            kernel_px: 4,
            activation: Activation::Relu,
            normalization: Normalization::Batch,
            likelihood: Likelihood::Uncertainty,
            precision: Precision::Auto,
        };
        match self {
            Self::Small => ModelSettings { channels: vec![16, 32, 64, 64], ..base },
            Self::Base => base,
            Self::Peer => ModelSettings {
                channels: vec![32, 64, 128, 256],
                latent: 128,
                normalization: Normalization::None,
                likelihood: Likelihood::Gaussian { variance: 0.5 },
                ..base
            },
            Self::Reference => ModelSettings {
                architecture: Architecture::Residual,
                channels: vec![256, 512, 1024],
                activation: Activation::LeakyRelu,
                normalization: Normalization::Batch,
                likelihood: Likelihood::Gaussian { variance: 0.5 },
                ..base
            },
        }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Preset::default().settings()
    }
}

impl ModelSettings {
    /// Checks the settings against the side of the network input.
    ///
    /// # Errors
    /// A setting out of its range, or a side that the stages do not divide.
    pub fn check(&self, size_px: usize) -> Result<()> {
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
        if let Likelihood::Gaussian { variance: spread } | Likelihood::Laplace { scale: spread } =
            self.likelihood
            && !(spread.is_finite() && spread > 0.0)
        {
            return Err(Error::settings(format!(
                "model.likelihood: expected a variance or scale above 0, found {spread}"
            )));
        }
        match self.architecture {
            Architecture::Convolutional => self.check_convolutional(size_px),
            Architecture::Residual => self.check_residual(size_px),
        }
    }

    fn check_convolutional(&self, size_px: usize) -> Result<()> {
        if self.kernel_px != 4 {
            return Err(Error::settings(format!("model.kernel_px: expected 4, found {}", self.kernel_px)));
        }
        let divisor = 1 << self.channels.len();
        if !size_px.is_multiple_of(divisor) {
            return Err(Error::settings(format!(
                "preprocessing.size_px: expected a multiple of {divisor} for {} stages, found {size_px}",
                self.channels.len()
            ))
            .with_hint("choose another size or another number of model.channels"));
        }
        Ok(())
    }

    fn check_residual(&self, size_px: usize) -> Result<()> {
        if size_px != 256 || self.channels.len() != 3 {
            return Err(Error::settings(format!(
                "the residual architecture takes 256 px and 3 stages, found {size_px} px and {} stages",
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
