//! What the measurements of quality share: a data set, a detector trained on one of its folds, and settings.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aberra::dataset::{Dataset, Fold, Grouping, Inspection, OpenOptions, Split};
use aberra::job::{Event, Job};
use aberra::models::train::{EpochRecord, Progress};
use aberra::{CheckedConfig, Detector, TrainConfig, TrainOptions};

/// What a measurement returns when it fails.
pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A data set whose images are read and grouped.
pub(crate) struct Grouped {
    /// The samples.
    pub(crate) dataset: Dataset,
    /// What is known of each image.
    pub(crate) inspection: Inspection,
    /// Which belong together.
    pub(crate) grouping: Grouping,
}

impl Grouped {
    /// Reads and groups the data set at `path`.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(path: &Path, normal: &[String], config: &CheckedConfig) -> Result<Self> {
        let dataset =
            Dataset::open(path, &OpenOptions { normal: normal.to_vec(), ..OpenOptions::default() })?;
        let inspection = dataset.inspect(&config.limits);
        let grouping = Grouping::of(&dataset, &inspection, config.split.by)?;
        Ok(Self { dataset, inspection, grouping })
    }

    /// Fold `index` of `of`.
    ///
    /// # Errors
    /// Too few normals.
    pub(crate) fn fold(&self, config: &CheckedConfig, index: usize, of: usize) -> Result<Split> {
        let fold = Fold { index, of };
        Ok(Split::fold(&self.dataset, &self.inspection, &self.grouping, &config.split_settings(), fold)?)
    }

    /// Trains on a split, with epochs on standard error. Returns the detector and the seconds it took.
    ///
    /// # Errors
    /// Training fails.
    pub(crate) fn train(&self, config: &CheckedConfig, split: &Split) -> Result<(Detector, f64)> {
        let started = Instant::now();
        let mut watch = |event: Event<'_>| {
            note_event(&event);
            ControlFlow::Continue(())
        };
        let options = TrainOptions {
            split: Some(split),
            inspection: Some(&self.inspection),
            weights: None,
            job: Job::watched(&mut watch),
        };
        let detector = Detector::train_with(&self.dataset, config, options)?;
        Ok((detector, started.elapsed().as_secs_f64()))
    }

    /// The normals among some samples.
    pub(crate) fn normals(&self, samples: &[usize]) -> Vec<usize> {
        samples.iter().copied().filter(|&sample| self.dataset.samples[sample].label.is_normal()).collect()
    }

    /// Files of some samples.
    pub(crate) fn paths(&self, samples: &[usize]) -> Vec<PathBuf> {
        samples.iter().map(|&sample| self.dataset.samples[sample].path.clone()).collect()
    }
}

/// Settings from `section.name=value` texts.
///
/// # Errors
/// A setting that does not exist or is out of its range.
pub(crate) fn config(settings: &[String]) -> Result<CheckedConfig> {
    let layers =
        settings.iter().map(|text| TrainConfig::assignment_layer(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(TrainConfig::from_layers(&layers)?)
}

/// How a job goes, on standard error: parts, and the epochs that were measured on synthetic anomalies.
pub(crate) fn note_event(event: &Event<'_>) {
    match event {
        Event::Part { name, done, of, finished_before } => {
            let before = if *finished_before { " (finished before)" } else { "" };
            note(&format!("{} of {of}: {name}{before}", done + 1));
        }
        Event::Fit { member, progress: Progress::Epoch { record, .. } }
            if record.standardized_shift.is_some() || record.epoch == 1 =>
        {
            note_epoch(member, record);
        }
        _ => {}
    }
}

fn note_epoch(member: &str, record: &EpochRecord) {
    note(&format!(
        "{member} epoch {} train {:.1} held-out {:.1} standardised shift {:?} {:.0} images/s",
        record.epoch,
        record.train.total,
        record.held_out.total,
        record.standardized_shift,
        record.images_per_s.unwrap_or(f64::NAN)
    ));
}

/// A line on standard error.
#[allow(clippy::print_stderr)] // A measurement tells how it goes.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// A line on standard output.
#[allow(clippy::print_stdout)] // A measurement's result.
pub(crate) fn result(text: &str) {
    println!("{text}");
}
