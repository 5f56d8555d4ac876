//! The scorer `fusion`: the sum of three measurements of one image, each in standard deviations of normals.
//!
//! Each sees what the others miss: the `residual` an image that is reconstructed worse than its complexity explains,
//! the latent distance one that is unlike every training normal, the error's peak a small area that stands out. Scores
//! that are standardised on held-out normals and averaged are the usual way to combine detectors (Aggarwal and Sathe,
//! *Theoretical foundations and algorithms for outlier ensembles*, 2015).

use aberra_metrics::Result;
use aberra_metrics::standardize::Standardizer;
use aberra_models::graph::{Graph, Value};
use serde::{Deserialize, Serialize};

use super::evidence::{Normals, ScorerGraphInput, ScorerInput, log, log_less_graph};
use super::residual::{Residual, ResidualParameters};
use super::scorer::ScorerKind;

/// The sum of residual, latent distance and error peak, each in standard deviations of the fit split's normals.
pub(super) struct Fusion;

/// The views and their scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FusionParameters {
    /// Of the residual.
    residual: ResidualParameters,
    residual_scale: Standardizer,
    /// Measurements that are added as logarithms.
    measurements: Vec<View>,
}

/// A measurement as a logarithm in standard deviations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    /// Full name.
    pub(super) measurement: String,
    pub(super) scale: Standardizer,
}

impl View {
    pub(super) fn fit(normals: &Normals<'_>, scorer: &str, name: &str) -> Result<Self> {
        let measurement = normals.require(scorer, name)?;
        let scale = normals.standardizer(|sample| log(sample.get(&measurement)))?;
        Ok(Self { measurement, scale })
    }

    pub(super) fn score(&self, sample: &ScorerInput<'_>) -> f64 {
        self.scale.apply(log(sample.get(&self.measurement)))
    }

    /// [`score`](Self::score) in a graph.
    pub(super) fn graph(&self, graph: &mut Graph, sample: &ScorerGraphInput<'_>) -> Result<Value> {
        let centered = log_less_graph(graph, sample.get(&self.measurement)?, self.scale.mean);
        Ok(graph.times(centered, self.scale.scale))
    }
}

/// [`Standardizer::apply`] in a graph.
pub(super) fn standardized_graph(graph: &mut Graph, value: Value, by: &Standardizer) -> Value {
    let centered = graph.plus(value, -by.mean);
    graph.times(centered, by.scale)
}

impl ScorerKind for Fusion {
    type Parameters = FusionParameters;

    const NAME: &'static str = "fusion";
    const ABOUT: &'static str =
        "residual, latent distance and the error's peak, each in standard deviations of normals, added up";

    fn fit(normals: &Normals<'_>) -> Result<FusionParameters> {
        let residual = Residual::fit(normals)?;
        let residual_scale = normals.standardizer(|sample| Residual::score(&residual, sample))?;
        let view = |name| View::fit(normals, Self::NAME, name);
        let measurements = vec![view("neighbour_distance")?, view("peak_error")?];
        Ok(FusionParameters { residual, residual_scale, measurements })
    }

    fn score(parameters: &FusionParameters, sample: &ScorerInput<'_>) -> f64 {
        let residual = parameters.residual_scale.apply(Residual::score(&parameters.residual, sample));
        let views = parameters.measurements.iter().map(|view| view.score(sample));
        std::iter::once(residual).chain(views).sum()
    }

    fn graph(
        parameters: &FusionParameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        let residual = Residual::graph(&parameters.residual, graph, sample)?;
        let mut sum = standardized_graph(graph, residual, &parameters.residual_scale);
        for view in &parameters.measurements {
            let own = view.graph(graph, sample)?;
            sum = graph.add(sum, own);
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Measured};
    use super::*;

    #[test]
    fn normals_score_zero_on_average_and_each_view_raises_the_score() {
        let normals = testing::normals(1, |draw| Measured {
            squared_error: 0.01 * draw(),
            peak_error: 4.0 * draw(),
            kl: 60.0 * draw(),
            neighbour_distance: 5.0 * draw(),
            gradient_energy: 0.02 * draw(),
            standard_deviation: 0.2 * draw(),
            ..Measured::default()
        });
        let parameters = testing::fit::<Fusion>(&normals);
        let score = |measured: &Measured| testing::score::<Fusion>(&parameters, measured);
        let mean = normals.iter().map(score).sum::<f64>() / normals.len() as f64;
        assert!(mean.abs() < 1e-9, "{mean}");
        let usual = score(&normals[0]);
        let worse = Measured { squared_error: 2.0 * normals[0].squared_error, ..normals[0] };
        let stranger = Measured { neighbour_distance: 2.0 * normals[0].neighbour_distance, ..normals[0] };
        let spot = Measured { peak_error: 2.0 * normals[0].peak_error, ..normals[0] };
        for changed in [worse, stranger, spot] {
            assert!(score(&changed) > usual + 0.5, "{changed:?}");
        }
    }

    #[test]
    fn a_view_that_does_not_vary_is_left_out() {
        let normals = testing::normals(1, |draw| Measured {
            squared_error: 0.01 * draw(),
            peak_error: 4.0 * draw(),
            kl: 60.0 * draw(),
            neighbour_distance: 3.0,
            gradient_energy: 0.02 * draw(),
            standard_deviation: 0.2 * draw(),
            ..Measured::default()
        });
        let parameters = testing::fit::<Fusion>(&normals);
        let far = Measured { neighbour_distance: 30.0, ..normals[0] };
        let score = |measured: &Measured| testing::score::<Fusion>(&parameters, measured);
        assert_eq!(score(&far), score(&normals[0]));
    }
}
