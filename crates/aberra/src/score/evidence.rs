//! Evidence: all measurements of all members on one image, joined in order; and the table of many images' evidence.

use aberra_metrics::standardize::Standardizer;
use aberra_metrics::{Error, Result};
use aberra_models::graph::{Graph, Value};
use aberra_models::measure::Descriptor;
use serde::{Deserialize, Serialize};

/// All measurements on one image, in the order of the detector's [descriptors](crate::Detector::descriptors).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence(pub Vec<f64>);

/// The input of a scorer: the evidence on one image, and its map.
#[derive(Clone, Copy, Debug)]
pub struct ScorerInput<'a> {
    /// The descriptors of the measurements, in order.
    pub descriptors: &'a [Descriptor],
    /// The measurements.
    pub evidence: &'a Evidence,
    /// Where the image is unusual, `[height, width]`, for scorers that [need it](super::Scorer::needs_map).
    pub map: Option<&'a [f32]>,
}

/// Normals that scorers are fitted on.
#[derive(Clone, Copy, Debug)]
pub struct Normals<'a> {
    /// The descriptors of the measurements, in order.
    pub descriptors: &'a [Descriptor],
    /// The measurements of each image.
    pub evidence: &'a [Evidence],
    /// The map of each image, where any scorer needs it; else empty.
    pub maps: &'a [Vec<f32>],
    /// The weight of each image, where they differ: images of one group share a weight of 1.
    pub weights: Option<&'a [f64]>,
    /// The measurements of the same images with synthetic anomalies drawn in, for scorers that weigh evidence by them; else
    /// empty.
    pub anomalies: &'a [Evidence],
}

/// The input of a scorer in a graph: the evidence on each image, and its map.
#[derive(Clone, Copy, Debug)]
pub struct ScorerGraphInput<'a> {
    /// The descriptors of the measurements, in order.
    pub descriptors: &'a [Descriptor],
    /// The measurements.
    pub evidence: &'a [Value],
    /// Where the image is unusual, `[height, width]`, where a member says so.
    pub map: Option<Value>,
}

impl ScorerGraphInput<'_> {
    /// The measurement of this full name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<Value> {
        let position = self.descriptors.iter().position(|descriptor| descriptor.name == name);
        position.and_then(|at| self.evidence.get(at)).copied().ok_or_else(|| {
            Error::detector(format!("the scorer expects the measurement {name}, which no member makes"))
        })
    }
}

impl Evidence {
    /// Each measurement with its name.
    pub fn named<'a>(&'a self, descriptors: &'a [Descriptor]) -> impl Iterator<Item = (&'a str, f64)> {
        descriptors.iter().map(|descriptor| descriptor.name.as_ref()).zip(self.0.iter().copied())
    }
}

impl<'a> ScorerInput<'a> {
    /// Evidence without a map.
    pub fn new(descriptors: &'a [Descriptor], evidence: &'a Evidence) -> Self {
        Self { descriptors, evidence, map: None }
    }

    /// The measurement of this full name; NaN if there is none.
    pub fn get(&self, name: &str) -> f64 {
        let position = self.descriptors.iter().position(|descriptor| descriptor.name == name);
        position.and_then(|at| self.evidence.0.get(at)).copied().unwrap_or(f64::NAN)
    }
}

impl<'a> Normals<'a> {
    /// Normals without maps, all of one weight.
    pub fn new(descriptors: &'a [Descriptor], evidence: &'a [Evidence]) -> Self {
        Self { descriptors, evidence, maps: &[], weights: None, anomalies: &[] }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.evidence.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.evidence.is_empty()
    }

    /// The images one by one.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = ScorerInput<'a>> + Clone {
        let (descriptors, maps) = (self.descriptors, self.maps);
        self.evidence.iter().enumerate().map(move |(at, evidence)| ScorerInput {
            descriptors,
            evidence,
            map: maps.get(at).map(Vec::as_slice),
        })
    }

    /// A value of each image in standard deviations, weighted as the images are.
    ///
    /// # Errors
    /// No images, or a value that is not finite.
    pub fn standardizer(&self, value: impl Fn(&ScorerInput<'_>) -> f64) -> Result<Standardizer> {
        let values: Vec<f64> = self.samples().map(|sample| value(&sample)).collect();
        Standardizer::fit(&values, self.weights)
    }

    /// The full name of the first measurement called `name`, by its full name or without its member's.
    pub fn find(&self, name: &str) -> Option<&'a str> {
        let own = |full: &str| full.rsplit_once('.').map_or(full, |(_, own)| own) == name;
        let mut names = self.descriptors.iter().map(|descriptor| descriptor.name.as_ref());
        names.clone().find(|full| *full == name).or_else(|| names.find(|full| own(full)))
    }

    /// As [`find`](Self::find), for a scorer that cannot do without it.
    ///
    /// # Errors
    /// No member measures it.
    pub fn require(&self, scorer: &str, name: &str) -> Result<String> {
        self.find(name).map(str::to_owned).ok_or_else(|| {
            Error::settings(format!(
                "the scorer {scorer} expects the measurement {name}, which no member of this detector makes"
            ))
            .with_hint("choose another scorer, or a family that makes it")
        })
    }

    /// Rejects too few normals for a scorer that learns parameters.
    ///
    /// # Errors
    /// There are fewer than 8.
    pub fn require_several(&self, scorer: &str) -> Result<()> {
        const LEAST: usize = 8;
        if self.len() >= LEAST {
            return Ok(());
        }
        Err(Error::data(format!(
            "the scorer {scorer} expects at least {LEAST} normals to fit on, found {}",
            self.len()
        ))
        .with_hint("give more normal images, or choose the scorer mse"))
    }
}

/// The logarithm, finite on images that are black or perfectly reconstructed.
pub(super) fn log(value: f64) -> f64 {
    value.max(FLOOR).ln()
}

/// [`log`] in a graph.
pub(super) fn log_graph(graph: &mut Graph, value: Value) -> Value {
    log_less_graph(graph, value, 0.0)
}

/// [`log`] less `middle` in a graph: the logarithm of a quotient near 1, which keeps the digits that the difference of two
/// logarithms would lose in `f32`.
pub(super) fn log_less_graph(graph: &mut Graph, value: Value, middle: f64) -> Value {
    let value = graph.at_least(value, FLOOR);
    let quotient = if middle == 0.0 { value } else { graph.times(value, (-middle).exp()) };
    graph.ln(quotient)
}

/// The smallest value whose logarithm is taken.
const FLOOR: f64 = 1e-9;
