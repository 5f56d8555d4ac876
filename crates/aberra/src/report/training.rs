//! How training went, from a run folder.

use std::path::Path;

use super::pictures::PictureFormat;
use crate::wire::{EpochData, SnapshotData, SnapshotsData, TrainingData, short};
use aberra_models::Shape;
use aberra_models::train::{LossRecord, SelectionCriterion};

use crate::detector::{Detector, MemberProvenance};
use crate::members::NamedMember;
use crate::run::{RunFolder, Snapshot, read_history};
use crate::{Error, Result};

/// Most images of a snapshot that a report shows, and fewer where they are large.
const IMAGES: usize = 8;
const LARGE_PX: usize = 96;
const LARGE_IMAGES: usize = 4;

/// The training of each member that trained in epochs.
///
/// # Errors
/// A folder that holds no history, or that of another detector.
pub(super) fn training(
    folder: &Path,
    detector: &Detector,
    format: PictureFormat,
) -> Result<Vec<TrainingData>> {
    let members = detector.members().iter().zip(&detector.provenance().members);
    let several = detector.members().len() > 1;
    let trained = members.filter(|(_, provenance)| provenance.best_epoch > 0);
    let outer = detector.input_shape();
    let criterion = detector.config().train.criterion;
    let of_member = |(named, provenance): (&NamedMember, &MemberProvenance)| {
        let settings = detector.config().members().iter().find(|settings| settings.name == named.name);
        let shape = settings.map_or(outer, |settings| settings.shape(outer));
        let shape = Shape { channels: format.color.channels(), ..shape };
        let chosen = Chosen { epoch: provenance.best_epoch, criterion, shape };
        let format = PictureFormat { height: shape.height, width: shape.width, ..format };
        member(folder, &named.name, several, chosen, format)
    };
    trained.map(of_member).collect()
}

/// The epoch whose weights were taken, what chose it, and the shape of the member's input.
#[derive(Clone, Copy)]
struct Chosen {
    epoch: usize,
    criterion: SelectionCriterion,
    shape: Shape,
}

fn member(
    folder: &Path,
    name: &str,
    several: bool,
    chosen: Chosen,
    format: PictureFormat,
) -> Result<TrainingData> {
    let best_epoch = chosen.epoch;
    let run = RunFolder::at(folder);
    let named = several.then_some(name);
    let records = read_history(&run.history(named)).map_err(|error| {
        error.with_hint("give the folder that `aberra train --out` wrote, with history.jsonl in it")
    })?;
    if !records.iter().any(|record| record.epoch == best_epoch && record.best) {
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
            train: short_loss(&record.train),
            held_out: short_loss(&record.held_out),
            learning_rate: short(record.learning_rate),
            standardized_shift: record.standardized_shift.map(short),
            figures: record.figures.iter().map(|(name, value)| (name.clone(), short(*value))).collect(),
            best: record.best,
            images_per_s: record.images_per_s.map(short),
        })
        .collect();
    let snapshots = snapshots(&run.samples(named), chosen.shape, format)?;
    Ok(TrainingData { member: name.to_owned(), epochs, best_epoch, criterion: chosen.criterion, snapshots })
}

fn short_loss(loss: &LossRecord) -> LossRecord {
    let terms = loss.terms.iter().map(|(name, value)| (name.clone(), short(*value)));
    LossRecord { total: short(loss.total), terms: terms.collect() }
}

fn snapshots(folder: &Path, shape: Shape, format: PictureFormat) -> Result<SnapshotsData> {
    let kept = Snapshot::read_all(folder, shape)?;
    let most = if format.height.max(format.width) > LARGE_PX { LARGE_IMAGES } else { IMAGES };
    let pictures = |images: &[Vec<f32>]| {
        images.iter().take(most).map(|image| format.picture(image)).collect::<Result<Vec<String>>>()
    };
    let Some(first) = kept.first() else { return Ok(SnapshotsData::default()) };
    let inputs = pictures(&first.inputs)?;
    let epochs = kept.iter().filter(|snapshot| snapshot.inputs.len() == first.inputs.len()).map(|snapshot| {
        Ok(SnapshotData { epoch: snapshot.epoch, reconstructions: pictures(&snapshot.reconstructions)? })
    });
    Ok(SnapshotsData { inputs, epochs: epochs.collect::<Result<_>>()? })
}
