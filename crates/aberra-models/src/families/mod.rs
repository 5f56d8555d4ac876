//! The families, a file each, and their list.

mod autoencoder;
mod codebook;
mod discriminator;
mod feature_vae;
mod features;
mod likelihood;
mod losses;
mod perceptual;
mod reproduce;
mod vae;
mod vqvae;

use self::reproduce::ReproducingFamily;
use crate::family::{Family, Settings};

pub use self::autoencoder::AutoencoderSettings;
pub use self::discriminator::DiscriminatorSettings;
pub use self::feature_vae::FeatureVaeSettings;
pub use self::features::FeatureSettings;
pub use self::likelihood::Likelihood;
pub use self::losses::LossWeights;
pub use self::vae::{InputRange, VaeSettings, VariationalAutoencoder};
pub use self::vqvae::VqvaeSettings;

/// The family that is fitted by default.
pub const DEFAULT_FAMILY: &str = "vae";

/// The longer side of the inputs of the default detector's variational autoencoder, which sees shapes rather than textures.
const VAE_SIZE_PX: usize = 64;

/// The members of the default detector, as tables of settings. `quick` trains less, on a few hundred images: for a
/// demonstration.
pub fn default_members(quick: bool) -> Vec<Settings> {
    let table = |settings: &[(&str, serde_json::Value)]| -> Settings {
        settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let mut pixels =
        table(&[("family", "vae".into()), ("preset", "small".into()), ("size_px", VAE_SIZE_PX.into())]);
    if quick {
        pixels.extend(table(&[
            ("beta", 0.1.into()),
            ("beta_warmup_epochs", 2.into()),
            ("variance_warmup_epochs", 3.into()),
        ]));
    }
    let preset = if quick { "quick" } else { "base" };
    let trained = |family: &str| table(&[("family", family.into()), ("preset", preset.into())]);
    let members = vec![
        pixels,
        table(&[("family", "features".into())]),
        trained("feature-vae"),
        trained("discriminator"),
    ];
    members
}

/// Every family.
pub const FAMILIES: &[&dyn Family] = &[
    &ReproducingFamily::<vae::VariationalAutoencoder>::new(),
    &ReproducingFamily::<autoencoder::Model>::new(),
    &ReproducingFamily::<vqvae::Model>::new(),
    &features::FeatureStatistics,
    &feature_vae::FeatureVae,
    &discriminator::Discriminator,
];
