//! The scorer `typicality`: is the evidence as a whole what normals give? An image is as suspicious when the model
//! reproduces it too well for its complexity as when it does so too badly.
//!
//! The density of several statistics of a generative model, rather than its likelihood alone, is what finds images from
//! elsewhere (Nalisnick et al., *Detecting out-of-distribution inputs to deep generative models using typicality*, 2019;
//! Morningstar et al., *Density of states estimation for out-of-distribution detection*, 2021). A small area that stands
//! out, or a latent far from all others, changes few of the statistics: both are added.

use super::Evidence;
use super::scorer::{Scorer, least_normals, log, standardizer};
use crate::statistics::covariance::{Cholesky, Cloud};
use crate::{Error, Result};

/// How untypical the evidence is: the sum of three distances, each in standard deviations of the fit split's normals.
pub(super) struct Typicality;

/// Statistics whose joint density is learned.
const STATISTICS: usize = 5;
/// Distances that are added up.
const DISTANCES: usize = 3;

/// What is learned from normals, in the order in which it is kept: of each statistic mean and scale, the matrix that
/// whitens the statistics, of each distance mean and scale.
struct Learned {
    statistics: [[f64; 2]; STATISTICS],
    whitening: [[f64; STATISTICS]; STATISTICS],
    distances: [[f64; 2]; DISTANCES],
}

impl Scorer for Typicality {
    fn name(&self) -> &'static str {
        "typicality"
    }

    fn about(&self) -> &'static str {
        "how untypical errors, KL and complexity are together, plus the latent distance and the error's peak"
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn fit(&self, normals: &[Evidence]) -> Result<Vec<f64>> {
        least_normals(self.name(), normals)?;
        let mut learned = Learned {
            statistics: std::array::from_fn(|at| {
                standardizer(normals.iter().map(|normal| statistics(normal)[at]))
            }),
            whitening: [[0.0; STATISTICS]; STATISTICS],
            distances: [[0.0, 1.0]; DISTANCES],
        };
        let standardized: Vec<f32> = normals
            .iter()
            .flat_map(|normal| learned.standardized(normal))
            .map(|value| value as f32)
            .collect();
        let cloud = Cloud::ledoit_wolf(&standardized, STATISTICS)?;
        let factor = Cholesky::new(&cloud.covariance, STATISTICS).ok_or_else(|| {
            Error::data("the evidence of the normals does not vary")
                .with_hint("give other normal images, or choose the scorer mse")
        })?;
        for column in 0..STATISTICS {
            let unit: [f64; STATISTICS] = std::array::from_fn(|row| f64::from(u8::from(row == column)));
            for (row, value) in factor.solve_lower(&unit).into_iter().enumerate() {
                learned.whitening[row][column] = value;
            }
        }
        let distances: Vec<[f64; DISTANCES]> =
            normals.iter().map(|normal| learned.distances(normal)).collect();
        learned.distances =
            std::array::from_fn(|at| standardizer(distances.iter().map(|distances| distances[at])));
        Ok(learned.to_parameters())
    }

    fn score(&self, parameters: &[f64], evidence: &Evidence) -> f64 {
        Learned::from_parameters(parameters).map_or(f64::NAN, |learned| learned.score(evidence))
    }
}

impl Learned {
    const LENGTH: usize = 2 * STATISTICS + STATISTICS * STATISTICS + 2 * DISTANCES;

    fn score(&self, evidence: &Evidence) -> f64 {
        let distances = self.distances(evidence).into_iter().zip(&self.distances);
        distances.map(|(distance, [mean, scale])| (distance - mean) * scale).sum()
    }

    /// The statistics in standard deviations.
    fn standardized(&self, evidence: &Evidence) -> [f64; STATISTICS] {
        let statistics = statistics(evidence);
        std::array::from_fn(|at| (statistics[at] - self.statistics[at][0]) * self.statistics[at][1])
    }

    /// How far the statistics are from the normals' (Mahalanobis), how far the latent is from its neighbours (log), and
    /// the peak of the error (log).
    fn distances(&self, evidence: &Evidence) -> [f64; DISTANCES] {
        let standardized = self.standardized(evidence);
        let whitened = self
            .whitening
            .iter()
            .map(|row| row.iter().zip(&standardized).map(|(weight, value)| weight * value).sum::<f64>());
        let density = whitened.map(|value| value * value).sum::<f64>().sqrt();
        [density, log(evidence.neighbour_distance), log(evidence.peak_error)]
    }

    fn to_parameters(&self) -> Vec<f64> {
        [self.statistics.as_flattened(), self.whitening.as_flattened(), self.distances.as_flattened()]
            .concat()
    }

    fn from_parameters(parameters: &[f64]) -> Option<Self> {
        let parameters: &[f64; Self::LENGTH] = parameters.try_into().ok()?;
        let pair = |first: usize| [parameters[first], parameters[first + 1]];
        let whitening = 2 * STATISTICS;
        let distances = whitening + STATISTICS * STATISTICS;
        Some(Self {
            statistics: std::array::from_fn(|at| pair(2 * at)),
            whitening: std::array::from_fn(|row| {
                std::array::from_fn(|column| parameters[whitening + row * STATISTICS + column])
            }),
            distances: std::array::from_fn(|at| pair(distances + 2 * at)),
        })
    }
}

/// What is looked at together: three errors, the KL divergence and the complexity, as logarithms.
fn statistics(evidence: &Evidence) -> [f64; STATISTICS] {
    [
        log(evidence.squared_error),
        log(evidence.weighted_error),
        log(evidence.expected_error),
        log(evidence.kl),
        log(evidence.gradient_energy),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, generator};
    use rand::RngExt;

    /// Errors that follow complexity, as those of a trained model do.
    fn normals() -> Vec<Evidence> {
        let mut random = generator(2, Stream::Phantom, 0);
        (0..40)
            .map(|_| {
                let busy = 0.5 + random.random::<f64>();
                let mut near = |value: f64| value * busy * (0.9 + 0.2 * random.random::<f64>());
                Evidence {
                    squared_error: near(0.01),
                    weighted_error: near(1.0),
                    expected_error: near(0.01),
                    peak_error: near(4.0),
                    kl: near(60.0),
                    neighbour_distance: near(5.0),
                    gradient_energy: near(0.02),
                    ..Evidence::default()
                }
            })
            .collect()
    }

    #[test]
    fn too_good_for_its_complexity_is_as_untypical_as_too_bad() {
        let normals = normals();
        let parameters = Typicality.fit(&normals).unwrap();
        let score = |evidence: &Evidence| Typicality.score(&parameters, evidence);
        let highest = normals.iter().map(score).fold(f64::MIN, f64::max);
        for factor in [0.3, 3.0] {
            let odd = Evidence { squared_error: factor * normals[0].squared_error, ..normals[0] };
            assert!(score(&odd) > highest, "{factor}: {} against {highest}", score(&odd));
        }
    }

    #[test]
    fn a_model_without_predicted_variance_can_be_fitted() {
        let normals: Vec<Evidence> = normals()
            .into_iter()
            .map(|normal| Evidence { expected_error: 0.0, weighted_error: normal.squared_error, ..normal })
            .collect();
        let parameters = Typicality.fit(&normals).unwrap();
        assert!(parameters.iter().all(|parameter| parameter.is_finite()), "a file cannot hold others");
        assert!(normals.iter().all(|normal| Typicality.score(&parameters, normal).is_finite()));
    }
}
