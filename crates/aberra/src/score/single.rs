//! Scorers that are one measurement, as it is.

use aberra_metrics::Result;
use aberra_models::graph::{Graph, Value};
use serde::{Deserialize, Serialize};

use super::evidence::{Normals, ScorerGraphInput, ScorerInput};
use super::scorer::ScorerKind;

/// The measurement that is the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measurement {
    /// Its full name.
    measurement: String,
}

/// A scorer that is the first member's measurement of this name.
macro_rules! single {
    ($kind:ident, $name:literal, $measurement:literal, $about:literal) => {
        #[doc = $about]
        pub(super) struct $kind;

        impl ScorerKind for $kind {
            type Parameters = Measurement;

            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;

            fn fit(normals: &Normals<'_>) -> Result<Measurement> {
                Ok(Measurement { measurement: normals.require($name, $measurement)? })
            }

            fn score(parameters: &Measurement, sample: &ScorerInput<'_>) -> f64 {
                sample.get(&parameters.measurement)
            }

            fn graph(
                parameters: &Measurement,
                _: &mut Graph,
                sample: &ScorerGraphInput<'_>,
            ) -> Result<Value> {
                sample.get(&parameters.measurement)
            }
        }
    };
}

single!(Mse, "mse", "squared_error", "mean squared reconstruction error");
single!(Ssim, "ssim", "ssim_error", "1 - structural similarity of image and reconstruction");
single!(
    Uncertainty,
    "uncertainty",
    "weighted_error",
    "squared error over predicted variance, the mean over pixels"
);
single!(Peak, "peak", "peak_error", "squared error over predicted variance, where a small area's is largest");
single!(Latent, "latent", "neighbour_distance", "distance of the embedding to its nearest training normals");
