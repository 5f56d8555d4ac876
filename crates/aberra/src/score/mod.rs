//! From evidence to scores: the scorers that turn an image's measurements into one number.
//!
//! A new scorer is one file with a [`ScorerKind`] and one line in [`SCORERS`].

mod evidence;
mod fusion;
mod residual;
mod scorer;
mod single;
#[cfg(test)]
mod testing;
mod typicality;

pub use self::evidence::{Evidence, Normals, Sample};
pub use self::scorer::{FittedScorer, Kind, Parameters, Scorer, ScorerKind};

use aberra_metrics::{Error, Result};

/// The scorer used unless another is asked for.
pub const DEFAULT_SCORER: &str = "fusion";

/// Every scorer.
pub const SCORERS: &[&dyn Scorer] = &[
    &Kind::<single::Mse>::SCORER,
    &Kind::<single::Ssim>::SCORER,
    &Kind::<single::Uncertainty>::SCORER,
    &Kind::<single::Peak>::SCORER,
    &Kind::<single::Latent>::SCORER,
    &Kind::<residual::Residual>::SCORER,
    &Kind::<typicality::Typicality>::SCORER,
    &Kind::<fusion::Fusion>::SCORER,
];

/// The scorer called `name`.
///
/// # Errors
/// There is none; the message lists those there are.
pub fn scorer(name: &str) -> Result<&'static dyn Scorer> {
    SCORERS.iter().copied().find(|scorer| scorer.name() == name).ok_or_else(|| {
        let names: Vec<&str> = SCORERS.iter().map(|scorer| scorer.name()).collect();
        Error::settings(format!("scorer: expected one of {}, found {name:?}", names.join(", ")))
    })
}
