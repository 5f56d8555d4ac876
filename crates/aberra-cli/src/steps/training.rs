//! Trains a detector with a progress bar.

use aberra::dataset::{Dataset, Inspection, Split};
use aberra::job::Job;
use aberra::run::RunFolder;
use aberra::{CheckedConfig, Detector, TrainOptions};

use crate::error::{CommandError, ExitStatus};
use crate::interrupt;
use crate::progress::TrainingProgress;

/// Trains with progress on standard error; Ctrl-C ends it with a checkpoint. The exit status remembers records and
/// pictures that could not be written.
pub(crate) fn train(
    dataset: &Dataset,
    inspection: &Inspection,
    split: &Split,
    config: &CheckedConfig,
    folder: &RunFolder,
    resume: bool,
) -> Result<(Detector, ExitStatus), CommandError> {
    let mut progress = TrainingProgress::new(config.members().len());
    let mut watch = |event: aberra::job::Event<'_>| progress.watch(event);
    let options = TrainOptions {
        split: Some(split),
        inspection: Some(inspection),
        job: Job { folder: Some(folder), resume, ..Job::watched(&mut watch) },
    };
    interrupt::set_training(true);
    let trained = Detector::train_with(dataset, config, options);
    interrupt::set_training(false);
    progress.finish();
    let status = if progress.not_kept() { ExitStatus::SomeFailed } else { ExitStatus::Done };
    Ok((trained?, status))
}
