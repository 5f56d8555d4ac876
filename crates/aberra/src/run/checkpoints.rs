//! Checkpoints of a member's training as files of a run folder: only those of the same data and settings are handed out.

use std::path::PathBuf;

use aberra_metrics::Result;
use aberra_models::train::{Checkpoint, Checkpoints};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::identity::{Identity, Kinship};
use crate::store::{self, FileKind};

const KIND: FileKind = FileKind { name: "checkpoint", version: 3, oldest: 3 };

/// A checkpoint's file, and everything that decides what its run computes.
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
}

#[derive(Serialize, Deserialize)]
struct Document {
    identity: Identity,
    state: Value,
}

impl CheckpointFile {
    /// How the training that is kept is to the run's; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or is of another run.
    pub(crate) fn kinship(&self) -> Result<Option<Kinship>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let kept = store::read::<Document>(&self.path, KIND)?.document.identity;
        self.identity.check(&kept).map_err(|error| error.with_path(&self.path))?;
        Ok(Some(self.identity.kinship(&kept)))
    }
}

impl Checkpoints for CheckpointFile {
    fn read(&mut self) -> Result<Option<Checkpoint>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let stored = store::read::<Document>(&self.path, KIND)?;
        self.identity.check(&stored.document.identity).map_err(|error| error.with_path(&self.path))?;
        Ok(Some(Checkpoint { state: stored.document.state, tensors: stored.tensors }))
    }

    fn write(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let document = Document { identity: self.identity.clone(), state: checkpoint.state.clone() };
        store::write(&self.path, KIND, &document, &checkpoint.tensors).map(drop)
    }

    fn place(&self) -> Option<String> {
        self.path.exists().then(|| self.path.display().to_string())
    }
}
