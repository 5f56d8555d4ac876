//! The scorer `residual`: log mean squared error minus its prediction from the image's complexity.

use aberra_metrics::Result;
use aberra_metrics::regression::{HuberSettings, huber_regression};
use aberra_models::graph::{Graph, Value};
use serde::{Deserialize, Serialize};

use super::evidence::{Normals, ScorerGraphInput, ScorerInput, log, log_graph};
use super::scorer::ScorerKind;

/// Log squared error minus its prediction from KL (where a member has it), gradient energy and standard deviation.
pub(super) struct Residual;

/// The regression, and what goes into it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResidualParameters {
    /// Full name of the measurement whose logarithm is predicted.
    target: String,
    intercept: f64,
    predictors: Vec<Predictor>,
}

/// A measurement that predicts, and its slope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predictor {
    /// Full name.
    measurement: String,
    /// Whether its logarithm predicts.
    log: bool,
    slope: f64,
}

/// Measurements that predict the error where members make them, and whether by their logarithm.
const PREDICTORS: [(&str, bool); 3] =
    [("kl", false), ("gradient_energy", true), ("standard_deviation", true)];

impl Predictor {
    fn value(&self, sample: &ScorerInput<'_>) -> f64 {
        let value = sample.get(&self.measurement);
        if self.log { log(value) } else { value }
    }
}

impl ScorerKind for Residual {
    type Parameters = ResidualParameters;

    const NAME: &'static str = "residual";
    const ABOUT: &'static str =
        "log squared error minus its prediction from KL, gradient energy and standard deviation";

    fn fit(normals: &Normals<'_>) -> Result<ResidualParameters> {
        normals.require_several(Self::NAME)?;
        let target = normals.require(Self::NAME, "squared_error")?;
        let mut predictors: Vec<Predictor> = PREDICTORS
            .into_iter()
            .filter_map(|(name, log)| {
                Some(Predictor { measurement: normals.find(name)?.to_owned(), log, slope: 0.0 })
            })
            .collect();
        let features: Vec<f64> = normals
            .samples()
            .flat_map(|sample| {
                predictors.iter().map(|predictor| predictor.value(&sample)).collect::<Vec<_>>()
            })
            .collect();
        let targets: Vec<f64> = normals.samples().map(|sample| log(sample.get(&target))).collect();
        let fit = huber_regression(
            &features,
            predictors.len(),
            &targets,
            normals.weights,
            HuberSettings::default(),
        )?;
        for (predictor, slope) in predictors.iter_mut().zip(fit.coefficients) {
            predictor.slope = slope;
        }
        Ok(ResidualParameters { target, intercept: fit.intercept, predictors })
    }

    fn score(parameters: &ResidualParameters, sample: &ScorerInput<'_>) -> f64 {
        let prediction: f64 =
            parameters.predictors.iter().map(|predictor| predictor.value(sample) * predictor.slope).sum();
        log(sample.get(&parameters.target)) - parameters.intercept - prediction
    }

    fn graph(
        parameters: &ResidualParameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        let target = log_graph(graph, sample.get(&parameters.target)?);
        let mut score = graph.plus(target, -parameters.intercept);
        for predictor in &parameters.predictors {
            let mut value = sample.get(&predictor.measurement)?;
            if predictor.log {
                value = log_graph(graph, value);
            }
            let part = graph.times(value, predictor.slope);
            score = graph.subtract(score, part);
        }
        Ok(score)
    }
}
