//! The progress of a training run: its plan, its steps, and a record of each epoch.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use aberra_metrics::Result;
use serde::{Deserialize, Serialize};

use crate::network::Precision;

/// A progress event of a run.
#[non_exhaustive]
pub enum Progress<'a> {
    /// Before the first step.
    Start(Plan),
    /// After each step.
    Step {
        /// Counted from 1.
        epoch: usize,
        /// Steps taken over all epochs.
        step: usize,
        /// The step's loss, per image.
        loss: f64,
    },
    /// After each step of what a family learns beside its main network, which has no epochs of its own in the history.
    Beside {
        /// What is learnt, such as "pictures".
        what: &'static str,
        /// Counted from 1.
        step: usize,
        /// Steps in all.
        steps: usize,
    },
    /// After each epoch.
    Epoch {
        /// What was measured.
        record: &'a EpochRecord,
        /// The epoch whose weights were the best until this one's replaced them.
        replaced: Option<usize>,
        /// Reconstructs network inputs with this epoch's weights.
        preview: &'a Preview<'a>,
    },
}

/// Reproduces network inputs with the weights of the moment; `None` if the family reproduces none.
pub type Preview<'a> = dyn Fn(&[&[f32]]) -> Result<Option<Vec<Vec<f32>>>> + 'a;

/// A callback that receives the progress of a run, and can stop it: a checkpoint is written first.
pub type Observe<'a> = dyn FnMut(Progress<'_>) -> Result<ControlFlow<()>> + 'a;

/// The size of a run, known before it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Training images.
    pub images: usize,
    /// Held-out normals.
    pub held_out: usize,
    /// Weights that training changes.
    pub parameters: usize,
    /// The precision of the operands of products.
    pub precision: Precision,
    /// The name of the instruction set in use.
    pub instructions: &'static str,
    /// Memory the run expects to use: weights, moments, gradients, activations and images kept.
    pub memory_bytes: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Epochs.
    pub epochs: usize,
    /// Epochs by the settings; fewer where they ask for a least number of steps.
    pub epochs_asked: usize,
    /// Epochs finished before this start; above 0 when resumed.
    pub epochs_done: usize,
    /// Steps taken before this start; above 0 when resumed.
    pub steps_done: usize,
}

/// One epoch: losses per image, on training images (augmented, sampled) and on held-out normals (deterministic).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps taken so far.
    pub step: usize,
    /// On the training images.
    pub train: LossRecord,
    /// On the held-out normals.
    pub held_out: LossRecord,
    /// Learning rate at the epoch's end.
    pub learning_rate: f64,
    /// Other numbers of the family by name, such as the weight `beta`, or a codebook's `perplexity`.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
    /// The standardised mean shift of the scorer when synthetic anomalies are drawn into the held-out normals, in the
    /// epochs that measure it.
    pub standardized_shift: Option<f64>,
    /// Whether this epoch's weights are the best so far.
    pub best: bool,
    /// Training images per second; filled in by the caller, which has a clock.
    #[serde(default)]
    pub images_per_s: Option<f64>,
}

/// A loss, the mean over images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LossRecord {
    /// The sum of the terms, each times its weight.
    pub total: f64,
    /// The terms by name, without their weights.
    pub terms: BTreeMap<String, f64>,
}

impl LossRecord {
    /// From each term's name and weight, and its mean.
    pub(super) fn new(weights: &[(&'static str, f64)], means: &[f64]) -> Self {
        let total = weights.iter().zip(means).fold(0.0, |sum, ((_, weight), mean)| sum + weight * mean);
        let terms = weights.iter().zip(means).map(|((name, _), mean)| ((*name).to_owned(), *mean));
        Self { total, terms: terms.collect() }
    }
}
