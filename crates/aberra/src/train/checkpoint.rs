//! The whole state of training, so that a run that was cut goes on as if it had not been.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrainSettings;
use crate::model::{ModelSettings, Weight};
use crate::store::{self, FileKind};
use crate::{Error, Result};

/// The file in a run folder.
pub(super) const CHECKPOINT_FILE: &str = "checkpoint.safetensors";

const KIND: FileKind = FileKind { name: "checkpoint", version: 2 };

/// Where a run stands, apart from weights and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Epochs finished.
    pub(super) epoch: usize,
    /// Steps taken within the epoch after them.
    pub(super) step_in_epoch: usize,
    /// Sums over those steps' images.
    pub(super) sums: Sums,
    /// The best value of the criterion so far (higher is better), and the epochs finished when it was measured.
    pub(super) best: Option<(f64, usize)>,
    /// Measurements since then.
    pub(super) checks_since_best: usize,
}

/// Sums over images, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) images: usize,
    pub(super) reconstruction: f64,
    pub(super) kl: f64,
}

/// Everything that decides what a run computes; a checkpoint continues only the run it is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) model: ModelSettings,
    pub(super) train: TrainSettings,
    pub(super) scorer: String,
    pub(super) seed: u64,
    /// Hash of the preprocessed training and held-out images.
    pub(super) data: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    identity: Identity,
    position: Position,
    step: u32,
}

/// Weights by name: as they are, and as they were at the best value of the criterion.
pub(super) struct State {
    pub(super) position: Position,
    pub(super) step: u32,
    pub(super) weights: BTreeMap<String, Weight>,
    pub(super) best_weights: BTreeMap<String, Weight>,
    pub(super) moments: BTreeMap<String, [Weight; 2]>,
}

/// Writes the state to the run folder.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn write(folder: &Path, identity: &Identity, state: State) -> Result<()> {
    let mut tensors = BTreeMap::new();
    tensors.extend(state.weights.into_iter().map(|(name, weight)| (format!("weights/{name}"), weight)));
    tensors.extend(state.best_weights.into_iter().map(|(name, weight)| (format!("best/{name}"), weight)));
    for (name, [first, second]) in state.moments {
        tensors.insert(format!("first-moment/{name}"), first);
        tensors.insert(format!("second-moment/{name}"), second);
    }
    let document = Document { identity: identity.clone(), position: state.position, step: state.step };
    store::write(&folder.join(CHECKPOINT_FILE), KIND, &document, &tensors).map(drop)
}

/// Reads the state in the run folder, if there is one.
///
/// # Errors
/// The checkpoint does not verify, or is of another run.
pub(super) fn read(folder: &Path, identity: &Identity) -> Result<Option<State>> {
    let path = folder.join(CHECKPOINT_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let stored = store::read::<Document>(&path, KIND)?;
    let found = &stored.document.identity;
    let differing = [
        ("model", found.model != identity.model),
        ("train", found.train != identity.train),
        ("scorer", found.scorer != identity.scorer),
        ("seed", found.seed != identity.seed),
        ("images", found.data != identity.data),
    ];
    if let Some((name, _)) = differing.iter().find(|(_, differs)| *differs) {
        return Err(Error::settings(format!(
            "expected the checkpoint of this run, found one with other {name}"
        ))
        .with_path(&path)
        .with_hint("give the settings and data it was started with, or another run folder"));
    }
    let mut state = State {
        position: stored.document.position,
        step: stored.document.step,
        weights: BTreeMap::new(),
        best_weights: BTreeMap::new(),
        moments: BTreeMap::new(),
    };
    let mut first_moments = BTreeMap::new();
    for (name, weight) in stored.tensors {
        match name.split_once('/') {
            Some(("weights", name)) => drop(state.weights.insert(name.to_owned(), weight)),
            Some(("best", name)) => drop(state.best_weights.insert(name.to_owned(), weight)),
            Some(("first-moment", name)) => drop(first_moments.insert(name.to_owned(), weight)),
            Some(("second-moment", name)) => {
                if let Some(first) = first_moments.remove(name) {
                    state.moments.insert(name.to_owned(), [first, weight]);
                }
            }
            _ => return Err(Error::detector(format!("unexpected tensor {name}")).with_path(&path)),
        }
    }
    Ok(Some(state))
}
