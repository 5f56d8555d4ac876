//! The interface of scorers: evidence in, one number out, higher = more anomalous. A score is never clamped or
//! rescaled.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use aberra_metrics::{Error, Result};
use aberra_models::graph::{Graph, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::evidence::{Normals, ScorerGraphInput, ScorerInput};

/// A way to turn evidence into a score, with parameters that it learns from normals of the fit split.
///
/// Write one with [`ScorerKind`]: a type with its parameters, and [`Kind`] makes a scorer of it.
pub trait Scorer: Sync {
    /// The name used in settings and on the command line.
    fn name(&self) -> &'static str;

    /// What it measures, in one line.
    fn about(&self) -> &'static str;

    /// Whether it pools the map itself: maps are then made for every image.
    fn needs_map(&self) -> bool;

    /// Fits the parameters on the normals of the fit split.
    ///
    /// # Errors
    /// Too few normals, a measurement that no member makes, or evidence that does not vary.
    fn fit(&self, normals: &Normals<'_>) -> Result<Parameters>;

    /// Restores saved parameters.
    ///
    /// # Errors
    /// They are of another layout.
    fn parameters(&self, saved: serde_json::Value) -> Result<Parameters>;

    /// The score of an image, with the parameters that this scorer returned.
    fn score(&self, parameters: &Parameters, sample: &ScorerInput<'_>) -> f64;

    /// Writes the score of each image into a graph, with the parameters that this scorer returned.
    ///
    /// # Errors
    /// It cannot be written as a graph, which is what a scorer does that does not say otherwise.
    fn graph(
        &self,
        parameters: &Parameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        let _ = (parameters, graph, sample);
        Err(no_graph(self.name()))
    }

    /// The evidence that it weighs by synthetic anomalies, the heaviest first, for people; empty if it weighs none.
    fn weights(&self, parameters: &Parameters) -> Vec<EvidenceWeight> {
        let _ = parameters;
        Vec::new()
    }
}

/// How much a measurement counts in a score, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EvidenceWeight {
    /// Full name of the measurement.
    pub measurement: String,
    /// Its share of the score, 0 to 1.
    pub weight: f64,
    /// AUROC of the measurement alone on synthetic anomalies in the fit split's normals.
    pub synthetic_auroc: f64,
}

/// The fitted parameters of a scorer, of its own type.
#[derive(Clone)]
pub struct Parameters {
    typed: Arc<dyn Any + Send + Sync>,
    saved: serde_json::Value,
}

/// A scorer by its parameters' type.
pub trait ScorerKind: Sync {
    /// The fitted parameters.
    type Parameters: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The name used in settings and on the command line.
    const NAME: &'static str;

    /// What it measures, in one line.
    const ABOUT: &'static str;

    /// Whether it pools the map itself.
    const NEEDS_MAP: bool = false;

    /// Fits the parameters on the normals of the fit split.
    ///
    /// # Errors
    /// As [`Scorer::fit`].
    fn fit(normals: &Normals<'_>) -> Result<Self::Parameters>;

    /// The score of an image.
    fn score(parameters: &Self::Parameters, sample: &ScorerInput<'_>) -> f64;

    /// As [`Scorer::graph`].
    ///
    /// # Errors
    /// As [`Scorer::graph`].
    fn graph(
        parameters: &Self::Parameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        let _ = (parameters, graph, sample);
        Err(no_graph(Self::NAME))
    }

    /// As [`Scorer::weights`].
    fn weights(parameters: &Self::Parameters) -> Vec<EvidenceWeight> {
        let _ = parameters;
        Vec::new()
    }
}

/// The scorer of a [`ScorerKind`].
pub struct Kind<K>(std::marker::PhantomData<K>);

impl<K> Kind<K> {
    /// The scorer, for the list.
    pub const SCORER: Self = Self(std::marker::PhantomData);
}

impl<K: ScorerKind> Scorer for Kind<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn about(&self) -> &'static str {
        K::ABOUT
    }

    fn needs_map(&self) -> bool {
        K::NEEDS_MAP
    }

    fn fit(&self, normals: &Normals<'_>) -> Result<Parameters> {
        let fitted = K::fit(normals)?;
        let saved = serde_json::to_value(&fitted)
            .map_err(|error| Error::data(format!("the scorer {} cannot be kept ({error})", K::NAME)))?;
        if holds_null(&saved) {
            return Err(Error::data(format!(
                "the scorer {} cannot be fitted: the evidence is not finite",
                K::NAME
            ))
            .with_hint("give other normal images, or choose the scorer mse"));
        }
        Ok(Parameters { typed: Arc::new(fitted), saved })
    }

    fn parameters(&self, saved: serde_json::Value) -> Result<Parameters> {
        let typed: K::Parameters = serde_json::from_value(saved.clone()).map_err(|error| {
            Error::detector(format!("the parameters of the scorer {} do not parse ({error})", K::NAME))
        })?;
        Ok(Parameters { typed: Arc::new(typed), saved })
    }

    fn score(&self, parameters: &Parameters, sample: &ScorerInput<'_>) -> f64 {
        // Parameters of another scorer have no score.
        parameters.typed.downcast_ref().map_or(f64::NAN, |parameters| K::score(parameters, sample))
    }

    fn graph(
        &self,
        parameters: &Parameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        match parameters.typed.downcast_ref() {
            Some(parameters) => K::graph(parameters, graph, sample),
            None => Err(Error::detector(format!("expected parameters of the scorer {}", K::NAME))),
        }
    }

    fn weights(&self, parameters: &Parameters) -> Vec<EvidenceWeight> {
        parameters.typed.downcast_ref().map(K::weights).unwrap_or_default()
    }
}

fn no_graph(scorer: &str) -> Error {
    Error::settings(format!("the scorer {scorer} cannot be written as a graph of operators"))
        .with_hint("choose another scorer; one of one's own says how in ScorerKind::graph")
}

/// Whether a number was not finite, which JSON writes as null.
fn holds_null(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Array(values) => values.iter().any(holds_null),
        serde_json::Value::Object(fields) => fields.values().any(holds_null),
        _ => false,
    }
}

impl Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.saved.fmt(f)
    }
}

/// A scorer with its fitted parameters.
#[derive(Clone)]
pub struct FittedScorer {
    scorer: &'static dyn Scorer,
    parameters: Parameters,
}

impl FittedScorer {
    /// Fits a scorer on normals of the fit split.
    ///
    /// # Errors
    /// As [`Scorer::fit`].
    pub fn fit(scorer: &'static dyn Scorer, normals: &Normals<'_>) -> Result<Self> {
        Ok(Self { scorer, parameters: scorer.fit(normals)? })
    }

    /// The scorer's name.
    pub fn name(&self) -> &'static str {
        self.scorer.name()
    }

    /// What it measures, in one line.
    pub fn about(&self) -> &'static str {
        self.scorer.about()
    }

    /// Whether it pools the map itself.
    pub fn needs_map(&self) -> bool {
        self.scorer.needs_map()
    }

    /// The score of an image.
    pub fn score(&self, sample: &ScorerInput<'_>) -> f64 {
        self.scorer.score(&self.parameters, sample)
    }

    /// The evidence that it weighs by synthetic anomalies, the heaviest first; empty if it weighs none.
    pub fn weights(&self) -> Vec<EvidenceWeight> {
        self.scorer.weights(&self.parameters)
    }

    /// Writes the score of each image into a graph.
    ///
    /// # Errors
    /// As [`Scorer::graph`].
    pub fn graph(&self, graph: &mut Graph, sample: &ScorerGraphInput<'_>) -> Result<Value> {
        self.scorer.graph(&self.parameters, graph, sample)
    }
}

impl Debug for FittedScorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FittedScorer")
            .field("name", &self.name())
            .field("parameters", &self.parameters)
            .finish()
    }
}

impl PartialEq for FittedScorer {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.parameters.saved == other.parameters.saved
    }
}

/// A fitted scorer as it stands in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedScorer {
    name: String,
    parameters: serde_json::Value,
}

impl Serialize for FittedScorer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        SavedScorer { name: self.name().to_owned(), parameters: self.parameters.saved.clone() }.serialize(to)
    }
}

impl SavedScorer {
    /// The fitted scorer, one of `scorers`.
    ///
    /// # Errors
    /// It is none of them, or its parameters are of another layout.
    pub fn load(self, scorers: &[&'static dyn Scorer]) -> Result<FittedScorer> {
        let scorer = super::find(scorers, &self.name)?;
        Ok(FittedScorer { scorer, parameters: scorer.parameters(self.parameters)? })
    }
}
