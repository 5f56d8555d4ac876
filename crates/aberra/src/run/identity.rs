//! Everything that determines what a member's training computes, so that a run goes on with files of its own kind alone.

use aberra_metrics::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where the number of epochs is.
const TRAIN: &str = "train";
const EPOCHS: &str = "epochs";

/// Parts with names for messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Identity(Map<String, Value>);

/// How a kept training is to the one that goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kinship {
    /// They compute the same.
    Same,
    /// It is the same but for more epochs; the kept one was to end after so many.
    Longer {
        /// Epochs of the kept training.
        before: usize,
    },
    /// They differ in the part of this name.
    Other(String),
}

impl Identity {
    pub(crate) fn new(parts: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// How `kept` is to this one.
    pub(crate) fn kinship(&self, kept: &Self) -> Kinship {
        let differing = self.0.keys().find(|name| kept.0.get(*name) != self.0.get(*name));
        let Some(name) = differing else { return Kinship::Same };
        let epochs = |identity: &Self| identity.0.get(TRAIN)?.get(EPOCHS)?.as_u64();
        let (before, now) = (epochs(kept), epochs(self));
        match before.filter(|before| Some(*before) < now && kept.with_epochs(now) == self.0) {
            Some(before) => Kinship::Longer { before: usize::try_from(before).unwrap_or(usize::MAX) },
            None => Kinship::Other(name.clone()),
        }
    }

    /// # Errors
    /// Other parts than these, or fewer epochs than `kept` was to have.
    pub(crate) fn check(&self, kept: &Self) -> Result<()> {
        match self.kinship(kept) {
            Kinship::Same | Kinship::Longer { .. } => Ok(()),
            Kinship::Other(name) => {
                let epochs = |identity: &Self| identity.0.get(TRAIN)?.get(EPOCHS)?.as_u64();
                if let (Some(before), Some(now)) = (epochs(kept), epochs(self))
                    && now < before
                    && kept.with_epochs(Some(now)) == self.0
                {
                    let text = format!(
                        "expected at least the {before} epochs that this run was to have, found {now}"
                    );
                    return Err(
                        Error::settings(text).with_hint("give as many or more, or another run folder")
                    );
                }
                let text = format!("expected the checkpoint of this run, found one with other {name}");
                Err(Error::settings(text).with_hint(
                    "give the settings and data it was started with (more epochs continue it), or another run folder",
                ))
            }
        }
    }

    /// The parts with another number of epochs.
    fn with_epochs(&self, epochs: Option<u64>) -> Map<String, Value> {
        let mut parts = self.0.clone();
        if let (Some(Value::Object(train)), Some(epochs)) = (parts.get_mut(TRAIN), epochs) {
            train.insert(EPOCHS.to_owned(), epochs.into());
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_longer_training_is_kin_and_no_other_change_is() {
        let of = |epochs: usize, rate: f64, seed: u64| {
            let train = json!({ "epochs": epochs, "learning_rate": rate });
            Identity::new([("train".to_owned(), train), ("seed".to_owned(), seed.into())])
        };
        let now = of(9, 0.1, 1);
        assert_eq!(now.kinship(&of(9, 0.1, 1)), Kinship::Same);
        assert_eq!(now.kinship(&of(4, 0.1, 1)), Kinship::Longer { before: 4 });
        for (kept, part) in [(of(12, 0.1, 1), "train"), (of(4, 0.2, 1), "train"), (of(4, 0.1, 2), "seed")] {
            let error = now.check(&kept).unwrap_err().to_string();
            assert!(error.contains("other") || error.contains("at least the 12 epochs"), "{error}");
            assert!(matches!(now.kinship(&kept), Kinship::Other(name) if name == part || name == "train"));
        }
    }
}
