//! The complete state of a training run, so that an interrupted run resumes exactly where it stopped.

use std::collections::BTreeMap;

use aberra_metrics::{Error, Result};
use serde::{Deserialize, Serialize};

use super::record::LossRecord;
use crate::tensors::{Tensors, Weight, prefixed, take_prefixed};

/// A training run's state, as passed to the code that stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The position of the run.
    pub state: serde_json::Value,
    /// Weights, best weights and the optimiser's moments.
    pub tensors: Tensors,
}

/// Stores checkpoints. An implementation must return only checkpoints of the same data and settings.
pub trait Checkpoints {
    /// The stored checkpoint, if any.
    ///
    /// # Errors
    /// It does not verify, or is of another run.
    fn read(&mut self) -> Result<Option<Checkpoint>>;

    /// Replaces the checkpoint atomically.
    ///
    /// # Errors
    /// It cannot be written.
    fn write(&mut self, checkpoint: &Checkpoint) -> Result<()>;

    /// The path of the checkpoint, for messages; `None` before there is one.
    fn place(&self) -> Option<String>;
}

/// The position of a run, apart from weights and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Epochs finished.
    pub(super) epoch: usize,
    /// Steps taken within the epoch after them.
    pub(super) step_in_epoch: usize,
    /// Sums over those steps' images.
    pub(super) sums: LossSums,
    /// The best value of the criterion so far (higher is better), and the epochs finished when it was measured.
    pub(super) best: Option<(f64, usize)>,
    /// Measurements since then.
    pub(super) checks_since_best: usize,
}

/// Sums of a loss's terms over images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LossSums {
    pub(super) images: usize,
    /// In the loss's order.
    pub(super) terms: Vec<f64>,
}

impl LossSums {
    /// Counts a batch whose terms have these means over its images.
    pub(super) fn add(&mut self, means: &[f64], images: usize) {
        self.terms.resize(means.len(), 0.0);
        self.images += images;
        for (sum, mean) in self.terms.iter_mut().zip(means) {
            *sum += mean * images as f64;
        }
    }

    /// The means over all images.
    pub(super) fn record(&self, weights: &[(&'static str, f64)]) -> LossRecord {
        let count = self.images.max(1) as f64;
        let means: Vec<f64> = self.terms.iter().map(|sum| sum / count).collect();
        LossRecord::new(weights, &means)
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    position: Position,
    step: u32,
}

/// Weights by name: as they are, and as they were at the best value of the criterion; the optimiser's state.
pub(super) struct State {
    pub(super) position: Position,
    pub(super) step: u32,
    pub(super) weights: Tensors,
    pub(super) best_weights: Tensors,
    pub(super) moments: BTreeMap<String, [Weight; 2]>,
}

const WEIGHTS: &str = "weights/";
const BEST: &str = "best/";
const FIRST_MOMENT: &str = "first-moment/";
const SECOND_MOMENT: &str = "second-moment/";

impl State {
    pub(super) fn into_checkpoint(self) -> Checkpoint {
        let document = Document { position: self.position, step: self.step };
        let mut tensors: Tensors = prefixed(self.weights, WEIGHTS).collect();
        tensors.extend(prefixed(self.best_weights, BEST));
        for (name, [first, second]) in self.moments {
            tensors.insert(format!("{FIRST_MOMENT}{name}"), first);
            tensors.insert(format!("{SECOND_MOMENT}{name}"), second);
        }
        // A document of numbers always serialises.
        Checkpoint { state: serde_json::to_value(document).unwrap_or_default(), tensors }
    }

    /// # Errors
    /// A checkpoint of another layout.
    pub(super) fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self> {
        let Checkpoint { state, mut tensors } = checkpoint;
        let document: Document = serde_json::from_value(state)
            .map_err(|error| Error::detector(format!("the checkpoint's state does not parse ({error})")))?;
        let mut take = |prefix| take_prefixed(&mut tensors, prefix);
        let (weights, best_weights) = (take(WEIGHTS), take(BEST));
        let (first, mut second) = (take(FIRST_MOMENT), take(SECOND_MOMENT));
        let moments = first.into_iter().filter_map(|(name, first)| {
            let second = second.remove(&name)?;
            Some((name, [first, second]))
        });
        let moments = moments.collect();
        match tensors.keys().next() {
            Some(name) => Err(Error::detector(format!("unexpected tensor {name} in the checkpoint"))),
            None => {
                Ok(Self { position: document.position, step: document.step, weights, best_weights, moments })
            }
        }
    }
}
