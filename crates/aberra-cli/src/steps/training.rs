//! Training with a progress bar, which Ctrl-C ends with a checkpoint.

use aberra::job::Watch;
use aberra::{CheckedConfig, Result};

use crate::error::{CommandError, ExitStatus};
use crate::interrupt;
use crate::progress::TrainingProgress;

/// Trains with progress on standard error; Ctrl-C ends it with a checkpoint. The exit status remembers records and
/// pictures that could not be written.
pub(crate) fn watched<T>(
    config: &CheckedConfig,
    train: impl FnOnce(&mut Watch<'_>) -> Result<T>,
) -> Result<(T, ExitStatus), CommandError> {
    let mut progress = TrainingProgress::new(names(config));
    interrupt::set_training(true);
    let trained = train(&mut |event| progress.watch(event));
    interrupt::set_training(false);
    progress.finish();
    let status = if progress.not_kept() { ExitStatus::SomeFailed } else { ExitStatus::Done };
    Ok((trained?, status))
}

/// The names of a detector's members, in the order in which they are fitted.
pub(crate) fn names(config: &CheckedConfig) -> Vec<String> {
    config.members().iter().map(|member| member.name.clone()).collect()
}
