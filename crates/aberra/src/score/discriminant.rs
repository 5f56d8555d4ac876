//! The scorer `discriminant`: all evidence weighed by how far synthetic anomalies, drawn into the fit split's own normals,
//! raise it above what normals vary by.
//!
//! A linear discriminant (Fisher, 1936): weights solve (S + lambda I) w = d, where S is the covariance of the normals and d the
//! mean rise. What describes the image alone (complexity) takes part as a covariate, so that evidence is judged for an image of
//! that complexity; evidence of anomalies has no negative weight, so that none can bury the others.

use aberra_metrics::{Error, Result};
use aberra_models::measure::Direction;
use serde::{Deserialize, Serialize};

use super::evidence::{Normals, ScorerInput, log};
use super::scorer::ScorerKind;

/// All evidence, weighed by synthetic anomalies.
pub(super) struct Discriminant;

/// How much the identity is added to the covariance of standardised evidence.
const SHRINKAGE: f64 = 0.3;

/// Largest rise of one anomaly that counts, in standard deviations of normals: what is found is found.
const LARGEST_RISE: f64 = 4.0;

/// Rounds of coordinate descent; the weights no longer move long before.
const ROUNDS: usize = 500;

/// The evidence and its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscriminantParameters {
    terms: Vec<Term>,
}

/// A measurement that takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    /// Full name.
    measurement: String,
    /// Whether its logarithm counts: it is positive on every normal.
    log: bool,
    /// Median on normals.
    middle: f64,
    /// Median distance from it, in the units in which it is a standard deviation of a normal distribution.
    spread: f64,
    weight: f64,
}

impl Term {
    fn value(&self, sample: &ScorerInput<'_>) -> f64 {
        let value = sample.get(&self.measurement);
        let value = if self.log { log(value) } else { value };
        (value - self.middle) / self.spread
    }
}

impl ScorerKind for Discriminant {
    type Parameters = DiscriminantParameters;

    const NAME: &'static str = "discriminant";
    const ABOUT: &'static str =
        "all evidence, weighed by how far synthetic anomalies raise it above what normals vary by";

    fn fit(normals: &Normals<'_>) -> Result<DiscriminantParameters> {
        normals.require_several(Self::NAME)?;
        if normals.anomalies.is_empty() {
            return Err(Error::data(
                "the scorer discriminant expects synthetic anomalies to fit on, found none",
            ));
        }
        let mut terms: Vec<Term> = Vec::new();
        let mut free = Vec::new();
        for descriptor in normals.descriptors {
            let name = descriptor.name.as_ref();
            let raw: Vec<f64> = normals.samples().map(|sample| sample.get(name)).collect();
            let log = raw.iter().all(|&value| value > 0.0);
            let values: Vec<f64> = raw.iter().map(|&value| if log { value.ln() } else { value }).collect();
            let middle = weighted_median(&values, normals.weights);
            let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
            let spread = 1.4826 * weighted_median(&distances, normals.weights);
            if spread > 1e-9 * middle.abs().max(1e-3) && spread.is_finite() {
                terms.push(Term { measurement: name.to_owned(), log, middle, spread, weight: 0.0 });
                free.push(descriptor.direction == Direction::Context);
            }
        }
        let row =
            |sample: &ScorerInput<'_>| -> Vec<f64> { terms.iter().map(|term| term.value(sample)).collect() };
        let rows: Vec<Vec<f64>> = normals.samples().map(|sample| row(&sample)).collect();
        let anomalies: Vec<Vec<f64>> = normals
            .anomalies
            .iter()
            .map(|evidence| row(&ScorerInput::new(normals.descriptors, evidence)))
            .collect();
        let weights: Vec<f64> = match normals.weights {
            Some(weights) => weights.to_vec(),
            None => vec![1.0; rows.len()],
        };
        let solution = discriminant(&rows, &weights, &anomalies, &free);
        for (term, weight) in terms.iter_mut().zip(solution) {
            term.weight = weight;
        }
        terms.retain(|term| term.weight != 0.0);
        Ok(DiscriminantParameters { terms })
    }

    fn score(parameters: &DiscriminantParameters, sample: &ScorerInput<'_>) -> f64 {
        parameters.terms.iter().map(|term| term.weight * term.value(sample)).sum()
    }
}

/// The weights of standardised evidence; those that are not `free` are 0 or above.
fn discriminant(normals: &[Vec<f64>], weights: &[f64], anomalies: &[Vec<f64>], free: &[bool]) -> Vec<f64> {
    let size = free.len();
    let total: f64 = weights.iter().sum();
    let clipped = |row: &[f64], at: usize| row[at].clamp(-LARGEST_RISE, LARGEST_RISE);
    let mean: Vec<f64> = (0..size)
        .map(|at| {
            normals.iter().zip(weights).map(|(row, weight)| weight * clipped(row, at)).sum::<f64>() / total
        })
        .collect();
    let mut matrix = vec![vec![0.0; size]; size];
    for (row, weight) in normals.iter().zip(weights) {
        for i in 0..size {
            for j in 0..size {
                matrix[i][j] += weight * (clipped(row, i) - mean[i]) * (clipped(row, j) - mean[j]) / total;
            }
        }
    }
    // Each anomaly against the normal that it was drawn into.
    let copies = (anomalies.len() / normals.len()).max(1);
    let mut rise = vec![0.0; size];
    for (index, anomaly) in anomalies.iter().enumerate() {
        let normal = &normals[(index / copies).min(normals.len() - 1)];
        let weight = weights[(index / copies).min(normals.len() - 1)];
        for at in 0..size {
            rise[at] += weight * (anomaly[at] - normal[at]).clamp(-LARGEST_RISE, LARGEST_RISE)
                / (total * copies as f64);
        }
    }
    // Minimises w' (S + lambda I) w / 2 - d' w, one weight at a time.
    let mut solution = vec![0.0; size];
    for _ in 0..ROUNDS {
        for at in 0..size {
            let others: f64 = (0..size).filter(|&j| j != at).map(|j| matrix[at][j] * solution[j]).sum();
            let best = (rise[at] - others) / (matrix[at][at] + SHRINKAGE);
            solution[at] = if free[at] { best } else { best.max(0.0) };
        }
    }
    solution
}

fn weighted_median(values: &[f64], weights: Option<&[f64]>) -> f64 {
    let mut order: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        .map(|(at, &value)| (value, weights.map_or(1.0, |weights| weights[at])))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = order.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    for (value, weight) in &order {
        sum += weight;
        if sum >= half {
            return *value;
        }
    }
    order.last().map_or(0.0, |(value, _)| *value)
}
