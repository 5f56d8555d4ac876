//! How training went, from a run folder.

use std::path::Path;

use super::data::{EpochData, SnapshotData, SnapshotsData, TrainingData, short};
use super::pictures::Frame;
use crate::detector::Detector;
use crate::train::{read_history, samples};
use crate::{Error, Result};

/// Most images of a snapshot that a report shows, and fewer where they are large.
const IMAGES: usize = 8;
const LARGE_PX: usize = 96;
const LARGE_IMAGES: usize = 4;

/// The training data of a run folder.
///
/// # Errors
/// A folder that holds no history, or that of another detector.
pub(super) fn training(folder: &Path, detector: &Detector, frame: Frame) -> Result<TrainingData> {
    let records = read_history(folder).map_err(|error| {
        error.with_hint("give the folder that `aberra train --out` wrote, with history.jsonl in it")
    })?;
    let best_epoch = detector.provenance().best_epoch;
    let is_its_own = records.len() <= detector.config().train.epochs
        && records.iter().any(|record| record.epoch == best_epoch && record.best);
    if !is_its_own {
        return Err(Error::data(format!(
            "expected the run of this detector, whose weights are of epoch {best_epoch}, found another's"
        ))
        .with_path(folder)
        .with_hint("give its run folder with --run"));
    }
    let epochs = records
        .iter()
        .map(|record| EpochData {
            epoch: record.epoch,
            train_total: short(record.train_total),
            train_reconstruction: short(record.train_reconstruction),
            train_kl: short(record.train_kl),
            held_out_total: short(record.held_out_total),
            held_out_reconstruction: short(record.held_out_reconstruction),
            held_out_kl: short(record.held_out_kl),
            beta: short(record.beta),
            learning_rate: short(record.learning_rate),
            best: record.best,
            images_per_s: short(record.images_per_s),
        })
        .collect();
    Ok(TrainingData { epochs, best_epoch, snapshots: snapshots(folder, frame)? })
}

fn snapshots(folder: &Path, frame: Frame) -> Result<SnapshotsData> {
    let kept = samples::read(folder, frame.size_px, frame.color.channels())?;
    let most = if frame.size_px > LARGE_PX { LARGE_IMAGES } else { IMAGES };
    let pictures = |images: &[Vec<f32>]| {
        images.iter().take(most).map(|image| frame.picture(image)).collect::<Result<Vec<String>>>()
    };
    let Some(first) = kept.first() else { return Ok(SnapshotsData::default()) };
    let inputs = pictures(&first.inputs)?;
    let epochs = kept.iter().filter(|snapshot| snapshot.inputs.len() == first.inputs.len()).map(|snapshot| {
        Ok(SnapshotData { epoch: snapshot.epoch, reconstructions: pictures(&snapshot.reconstructions)? })
    });
    Ok(SnapshotsData { inputs, epochs: epochs.collect::<Result<_>>()? })
}
