//! The scorer `typicality`: how typical the joint evidence is of normals. An image is as suspicious if the model
//! reconstructs it too well for its complexity as if it does so too badly.
//!
//! The density of several statistics of a generative model, rather than its likelihood alone, is what finds images from
//! elsewhere (Nalisnick et al., *Detecting out-of-distribution inputs to deep generative models using typicality*, 2019;
//! Morningstar et al., *Density of states estimation for out-of-distribution detection*, 2021). A small area that stands
//! out, or a latent far from all others, changes few of the statistics: both are added.

use aberra_metrics::covariance::{Cholesky, Cloud};
use aberra_metrics::standardize::Standardizer;
use aberra_metrics::{Error, Result};
use aberra_models::graph::{Graph, Value};
use serde::{Deserialize, Serialize};

use super::evidence::{Normals, ScorerGraphInput, ScorerInput};
use super::fusion::{View, standardized_graph};
use super::scorer::ScorerKind;

/// How untypical the evidence is: the sum of three distances, each in standard deviations of the fit split's normals.
pub(super) struct Typicality;

/// Measurements whose joint density is learnt: three errors, the KL divergence and the complexity, as logarithms.
const STATISTICS: [&str; 5] = ["squared_error", "weighted_error", "expected_error", "kl", "gradient_energy"];

/// The joint density, and the distances that are added to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypicalityParameters {
    statistics: Vec<View>,
    /// The matrix that whitens the statistics, row by row.
    whitening: Vec<Vec<f64>>,
    density_scale: Standardizer,
    /// Measurements that are added as logarithms.
    measurements: Vec<View>,
}

impl ScorerKind for Typicality {
    type Parameters = TypicalityParameters;

    const NAME: &'static str = "typicality";
    const ABOUT: &'static str =
        "how untypical errors, KL and complexity are together, plus the latent distance and the error's peak";

    fn fit(normals: &Normals<'_>) -> Result<TypicalityParameters> {
        normals.require_several(Self::NAME)?;
        let view = |name: &str| View::fit(normals, Self::NAME, name);
        let statistics = STATISTICS.into_iter().map(view).collect::<Result<Vec<_>>>()?;
        let standardised: Vec<f32> = normals
            .samples()
            .flat_map(|sample| statistics.iter().map(|view| view.score(&sample) as f32).collect::<Vec<_>>())
            .collect();
        let count = statistics.len();
        let cloud = Cloud::ledoit_wolf(&standardised, count, normals.weights)?;
        let factor = Cholesky::new(&cloud.covariance, count).ok_or_else(|| {
            Error::data("the evidence of the normals does not vary")
                .with_hint("give other normal images, or choose the scorer mse")
        })?;
        // The inverse of the factor, column by column.
        let unit =
            |column: usize| (0..count).map(|row| f64::from(u8::from(row == column))).collect::<Vec<_>>();
        let columns: Vec<Vec<f64>> = (0..count).map(|column| factor.solve_lower(&unit(column))).collect();
        let whitening = (0..count).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
        let mut parameters = TypicalityParameters {
            statistics,
            whitening,
            density_scale: Standardizer { mean: 0.0, scale: 1.0 },
            measurements: vec![view("neighbour_distance")?, view("peak_error")?],
        };
        parameters.density_scale = normals.standardizer(|sample| parameters.distance(sample))?;
        Ok(parameters)
    }

    fn score(parameters: &TypicalityParameters, sample: &ScorerInput<'_>) -> f64 {
        let density = parameters.density_scale.apply(parameters.distance(sample));
        let views = parameters.measurements.iter().map(|view| view.score(sample));
        std::iter::once(density).chain(views).sum()
    }

    fn graph(
        parameters: &TypicalityParameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        let mut statistics = Vec::with_capacity(parameters.statistics.len());
        for view in &parameters.statistics {
            let value = view.graph(graph, sample)?;
            statistics.push(graph.reshape(value, &[1]));
        }
        let standardised = graph.concat(&statistics, 0);
        let count = statistics.len();
        let transposed = (0..count * count).map(|at| parameters.whitening[at % count][at / count] as f32);
        let whitening = graph.constant(&[count, count], &transposed.collect::<Vec<_>>());
        let whitened = graph.matmul(standardised, whitening);
        let squares = graph.square(whitened);
        let sum = graph.sum(squares, &[0]);
        let distance = graph.sqrt(sum);
        let mut score = standardized_graph(graph, distance, &parameters.density_scale);
        for view in &parameters.measurements {
            let own = view.graph(graph, sample)?;
            score = graph.add(score, own);
        }
        Ok(score)
    }
}

impl TypicalityParameters {
    /// Mahalanobis distance of the statistics from the normals'.
    fn distance(&self, sample: &ScorerInput<'_>) -> f64 {
        let standardised: Vec<f64> = self.statistics.iter().map(|view| view.score(sample)).collect();
        let whitened = self
            .whitening
            .iter()
            .map(|row| row.iter().zip(&standardised).map(|(weight, value)| weight * value).sum::<f64>());
        whitened.map(|value| value * value).sum::<f64>().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Measured};
    use super::*;

    /// Errors that follow complexity, as those of a trained model do.
    fn normals() -> Vec<Measured> {
        testing::normals(2, |draw| {
            let busy = draw();
            let mut near = |value: f64| value * busy * (0.9 + 0.2 * (draw() - 0.5));
            Measured {
                squared_error: near(0.01),
                weighted_error: near(1.0),
                expected_error: near(0.01),
                peak_error: near(4.0),
                kl: near(60.0),
                neighbour_distance: near(5.0),
                gradient_energy: near(0.02),
                ..Measured::default()
            }
        })
    }

    #[test]
    fn too_good_for_its_complexity_is_as_untypical_as_too_bad() {
        let normals = normals();
        let parameters = testing::fit::<Typicality>(&normals);
        let score = |measured: &Measured| testing::score::<Typicality>(&parameters, measured);
        let highest = normals.iter().map(score).fold(f64::MIN, f64::max);
        for factor in [0.3, 3.0] {
            let odd = Measured { squared_error: factor * normals[0].squared_error, ..normals[0] };
            assert!(score(&odd) > highest, "{factor}: {} against {highest}", score(&odd));
        }
    }

    #[test]
    fn a_model_without_predicted_variance_can_be_fitted() {
        let normals: Vec<Measured> = normals()
            .into_iter()
            .map(|normal| Measured { expected_error: 0.0, weighted_error: normal.squared_error, ..normal })
            .collect();
        let parameters = testing::fit::<Typicality>(&normals);
        assert!(normals.iter().all(|normal| testing::score::<Typicality>(&parameters, normal).is_finite()));
    }
}
