//! What a run folder keeps of a training to go on from: a checkpoint of each member, and members that are finished, each with
//! everything that determines what its fit computes.

use std::path::PathBuf;

use aberra_metrics::Result;
use aberra_models::{Fitted, Inputs, Platform, SharedMember, Tensors};
use serde::{Deserialize, Serialize};

use crate::checked_config::CheckedConfig;
use crate::config::TrainConfig;
use crate::member_settings::MemberSettings;
use crate::output;
use crate::run::{CheckpointFile, Identity, Kinship, RunFolder};
use crate::store::{self, FileKind, Stored};
use crate::training_tiles::Seen;

/// A member's files in a run folder.
pub(crate) struct KeptMember<'a> {
    pub(crate) folder: &'a RunFolder,
    /// Its name among several members.
    pub(crate) name: Option<&'a str>,
    identity: Identity,
}

impl<'a> KeptMember<'a> {
    /// Of a member that is fitted to these inputs, which have its own size.
    pub(crate) fn of(
        folder: &'a RunFolder,
        settings: &'a MemberSettings,
        config: &CheckedConfig,
        platform: &Platform,
        train: &Inputs<'_>,
        held_out: &Inputs<'_>,
    ) -> Self {
        let name = (config.members().len() > 1).then_some(settings.name.as_str());
        Self { folder, name, identity: identity(settings, config, platform, train, held_out) }
    }

    /// Where its training is kept while it goes on.
    pub(crate) fn checkpoint(&self) -> CheckpointFile {
        CheckpointFile { path: self.folder.checkpoint(self.name), identity: self.identity.clone() }
    }

    /// Where it is kept once it is fitted, if there are others.
    pub(crate) fn finished(&self) -> Option<FinishedMember> {
        let path = self.folder.member(self.name?);
        Some(FinishedMember { path, identity: self.identity.clone() })
    }
}

/// Makes sure that the files of a run folder are of these settings and data, member by member. Returns how many epochs a member
/// was to have before that has more now.
///
/// # Errors
/// A checkpoint of others, a file that cannot be read.
pub(crate) fn check(
    folder: &RunFolder,
    config: &CheckedConfig,
    platform: &Platform,
    train: &Inputs<'_>,
    held_out: &Inputs<'_>,
) -> Result<Option<usize>> {
    let mut longer = None;
    for settings in config.members() {
        let (train, held_out) = (Seen::by(train, settings)?, Seen::by(held_out, settings)?);
        let kept = KeptMember::of(folder, settings, config, platform, train.get(), held_out.get());
        let is_finished = match kept.finished() {
            Some(finished) => finished.stored()?.is_some(),
            None => false,
        };
        if !is_finished && let Some(Kinship::Longer { before }) = kept.checkpoint().kinship()? {
            longer = Some(before);
        }
    }
    Ok(longer)
}

/// Removes what a run before this one left to go on from.
///
/// # Errors
/// A file that cannot be removed.
pub(crate) fn forget(folder: &RunFolder, config: &CheckedConfig) -> Result<()> {
    output::remove(&folder.checkpoint(None))?;
    config.members().iter().try_for_each(|settings| {
        output::remove(&folder.checkpoint(Some(&settings.name)))?;
        output::remove(&folder.member(&settings.name))
    })
}

/// Everything that determines the result of a member's fit, with names for messages.
fn identity(
    settings: &MemberSettings,
    config: &TrainConfig,
    platform: &Platform,
    train: &Inputs<'_>,
    held_out: &Inputs<'_>,
) -> Identity {
    // What few images make of a least number of steps is a number of epochs.
    let mut training = serde_json::to_value(&config.train).unwrap_or_default();
    if let Some(training) = training.as_object_mut() {
        training.remove("least_steps");
        training.insert("epochs".to_owned(), config.train.epochs_over(train.len()).into());
    }
    let parts = [
        ("model", serde_json::json!({ "family": settings.family.name(), "settings": settings.settings })),
        ("train", training),
        ("backbone", platform.backbone.identity().into()),
        ("scorer", config.scorer.clone().into()),
        ("seed", settings.seed.unwrap_or(config.seed).into()),
        ("images", format!("{}-{}", train.digest(), held_out.digest()).into()),
    ];
    Identity::new(parts.map(|(name, value)| (name.to_owned(), value)))
}

/// A member that was fitted while others of its detector still are, so that a resumed run need not fit it again.
pub(crate) struct FinishedMember {
    path: PathBuf,
    identity: Identity,
}

#[derive(Serialize, Deserialize)]
struct FinishedDocument {
    identity: Identity,
    epoch: usize,
    standardized_shift: Option<f64>,
}

const FINISHED: FileKind = FileKind { name: "member", version: 1, oldest: 1 };

impl FinishedMember {
    /// Its file, where it was fitted with the same data and settings.
    fn stored(&self) -> Result<Option<Stored<FinishedDocument>>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let stored = store::read::<FinishedDocument>(&self.path, FINISHED)?;
        Ok((stored.document.identity == self.identity).then_some(stored))
    }

    /// The member, where it was fitted with the same data and settings.
    pub(crate) fn read(&self, load: impl FnOnce(Tensors) -> Result<SharedMember>) -> Result<Option<Fitted>> {
        let Some(stored) = self.stored()? else { return Ok(None) };
        let FinishedDocument { epoch, standardized_shift, .. } = stored.document;
        Ok(Some(Fitted { member: load(stored.tensors)?, epoch, standardized_shift }))
    }

    pub(crate) fn write(&self, fitted: &Fitted) -> Result<()> {
        let document = FinishedDocument {
            identity: self.identity.clone(),
            epoch: fitted.epoch,
            standardized_shift: fitted.standardized_shift,
        };
        store::write(&self.path, FINISHED, &document, &fitted.member.tensors()).map(drop)
    }
}
