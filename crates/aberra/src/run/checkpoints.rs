//! Checkpoints of a member's training as files of a run folder: only those of the same data and settings are handed out.

use std::path::PathBuf;

use aberra_metrics::{Error, Result};
use aberra_models::train::{Checkpoint, Checkpoints};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::store::{self, FileKind};

const KIND: FileKind = FileKind { name: "checkpoint", version: 3, oldest: 3 };

/// A checkpoint's file, and everything that decides what its run computes.
pub(crate) struct CheckpointFile {
    pub(crate) path: PathBuf,
    /// Parts that must be those of the run, each with the name by which a message calls it.
    pub(crate) identity: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    identity: Map<String, Value>,
    state: Value,
}

impl Checkpoints for CheckpointFile {
    fn read(&mut self) -> Result<Option<Checkpoint>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let stored = store::read::<Document>(&self.path, KIND)?;
        let found = &stored.document.identity;
        if let Some(name) = self.identity.keys().find(|name| found.get(*name) != self.identity.get(*name)) {
            return Err(Error::settings(format!(
                "expected the checkpoint of this run, found one with other {name}"
            ))
            .with_path(&self.path)
            .with_hint("give the settings and data it was started with, or another run folder"));
        }
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
