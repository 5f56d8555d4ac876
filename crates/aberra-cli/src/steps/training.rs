//! Trains a detector with progress on standard error.

use std::path::Path;

use aberra::dataset::{Dataset, Inspection, Split};
use aberra::{Detector, TrainConfig, TrainOptions};

use crate::error::CommandError;
use crate::interrupt;
use crate::progress::TrainingProgress;

/// Trains with progress on standard error; Ctrl-C ends it with a checkpoint.
pub(crate) fn learn(
    dataset: &Dataset,
    inspection: &Inspection,
    split: &Split,
    config: &TrainConfig,
    folder: &Path,
    resume: bool,
) -> Result<Detector, CommandError> {
    let mut progress = TrainingProgress::default();
    interrupt::set_training(true);
    let trained = Detector::train_with(
        dataset,
        config,
        TrainOptions {
            split: Some(split),
            inspection: Some(inspection),
            folder: Some(folder),
            resume,
            observe: Some(&mut |told| progress.observe(told)),
        },
    );
    interrupt::set_training(false);
    progress.finish();
    Ok(trained?)
}
