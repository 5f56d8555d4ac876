//! The families, a file each, and their list.

mod autoencoder;
mod codebook;
mod discriminator;
mod features;
mod likelihood;
mod losses;
mod reproduce;
mod vae;
mod vqvae;

use self::reproduce::ReproducingFamily;
use crate::family::Family;

pub use self::autoencoder::AutoencoderSettings;
pub use self::discriminator::DiscriminatorSettings;
pub use self::features::FeatureSettings;
pub use self::likelihood::Likelihood;
pub use self::losses::LossWeights;
pub use self::vae::{VaeSettings, VariationalAutoencoder};
pub use self::vqvae::VqvaeSettings;

/// The family that is fitted by default.
pub const DEFAULT_FAMILY: &str = "vae";

/// Every family.
pub const FAMILIES: &[&dyn Family] = &[
    &ReproducingFamily::<vae::VariationalAutoencoder>::new(),
    &ReproducingFamily::<autoencoder::Model>::new(),
    &ReproducingFamily::<vqvae::Model>::new(),
    &features::FeatureStatistics,
    &discriminator::Discriminator,
];
