//! From evidence to scores: the scorers that turn an image's measurements into one number.
//!
//! A new scorer is one file with a [`ScorerKind`] and one line in [`SCORERS`].

mod combined;
mod evidence;
mod fusion;
mod residual;
mod scorer;
mod single;
#[cfg(test)]
mod testing;
mod typicality;

pub use self::evidence::{Evidence, Normals, ScorerGraphInput, ScorerInput};
pub use self::scorer::{EvidenceWeight, FittedScorer, Kind, Parameters, SavedScorer, Scorer, ScorerKind};

use aberra_metrics::{Error, Result};

/// The scorer used by default.
pub const DEFAULT_SCORER: &str = "combined";

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
    &Kind::<combined::Combined>::SCORER,
];

/// The scorer called `name` among `scorers`.
///
/// # Errors
/// There is none; the message lists those there are.
pub fn find<'a>(scorers: &[&'a dyn Scorer], name: &str) -> Result<&'a dyn Scorer> {
    scorers.iter().copied().find(|scorer| scorer.name() == name).ok_or_else(|| {
        let names: Vec<&str> = scorers.iter().map(|scorer| scorer.name()).collect();
        Error::settings(format!("scorer: expected one of {}, found {name:?}", names.join(", ")))
    })
}
