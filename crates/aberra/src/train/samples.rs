//! Snapshots: reconstructions of fixed held-out normals as training goes on, one sheet of pictures an epoch kept.

use std::fs;
use std::path::{Path, PathBuf};

use aberra_image::{Image, Limits, encode_png};

use super::{Inputs, Run, TrainSettings};
use crate::model::Model;
use crate::score::respond;
use crate::{Error, Result, of_image, store};

/// Images on a sheet.
const IMAGES: usize = 8;

/// The errors' brightness: an error of 0.25 is white.
const ERROR_GAIN: f32 = 4.0;

/// Where sheets lie in a run folder.
const FOLDER: &str = "samples";
const PREFIX: &str = "epoch-";
const SUFFIX: &str = ".png";

/// What the model made of the held-out normals after one epoch; pictures `[size_px, size_px, channels]`, 0 to 1.
pub(crate) struct Snapshot {
    pub(crate) epoch: usize,
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) reconstructions: Vec<Vec<f32>>,
}

/// Keeps the snapshot of an epoch where it is one of those that are kept; a new best one takes the place of `replaced`.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn keep(
    folder: &Path,
    epoch: usize,
    is_best: bool,
    replaced: Option<usize>,
    model: &Model,
    run: &Run<'_>,
    held_out: &Inputs,
) -> Result<()> {
    if run.train.snapshots == 0 {
        return Ok(());
    }
    if let Some(before) = replaced.filter(|&before| !stays(run.train, before)) {
        remove(&path(folder, before))?;
    }
    if is_best || stays(run.train, epoch) { write(folder, epoch, model, run, held_out) } else { Ok(()) }
}

/// Removes the snapshots after `epoch`: those of a run before this one, or of epochs that a resumed run does again.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn forget(folder: &Path, epoch: usize) -> Result<()> {
    kept(folder)?.into_iter().filter(|(number, _)| *number > epoch).try_for_each(|(_, path)| remove(&path))
}

/// The snapshots of a run folder, by epoch. Sheets that are not of pictures of `size_px` and `channels` are left out.
///
/// # Errors
/// A sheet cannot be read.
pub(crate) fn read(folder: &Path, size_px: usize, channels: usize) -> Result<Vec<Snapshot>> {
    let sheets = kept(folder)?.into_iter().map(|(epoch, path)| {
        let sheet = aberra_image::read(&path, &Limits::default()).map_err(of_image)?;
        Ok(cut(&sheet, epoch, size_px, channels))
    });
    sheets.filter_map(Result::transpose).collect()
}

/// Whether the snapshot of an epoch stays, the best or not.
fn stays(settings: &TrainSettings, epoch: usize) -> bool {
    let step = settings.epochs.div_ceil(settings.snapshots.max(1));
    epoch == 1 || epoch == settings.epochs || epoch.is_multiple_of(step)
}

fn path(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(FOLDER).join(format!("{PREFIX}{epoch:04}{SUFFIX}"))
}

/// Epochs and sheets in a run folder.
fn kept(folder: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let samples = folder.join(FOLDER);
    let io = |error: std::io::Error| Error::io(&samples, &error);
    let entries = match fs::read_dir(&samples) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        if let Some(epoch) = number.and_then(|number| number.parse().ok()) {
            kept.push((epoch, entry.path()));
        }
    }
    kept.sort();
    Ok(kept)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, &error)),
        _ => Ok(()),
    }
}

/// Writes a row of originals, one of reconstructions, one of absolute errors.
fn write(folder: &Path, epoch: usize, model: &Model, run: &Run<'_>, held_out: &Inputs) -> Result<()> {
    let count = held_out.len().min(IMAGES);
    let originals = (0..count).map(|index| held_out.get(index)).collect::<Result<Vec<_>>>()?;
    let slices: Vec<&[f32]> = originals.iter().map(AsRef::as_ref).collect();
    let responses = respond(model, &slices)?;
    let (side, channels) = (run.size_px, run.channels);
    let mut sheet = vec![0; 3 * side * count * side * channels];
    for (column, (original, response)) in slices.iter().zip(&responses).enumerate() {
        for at in 0..side * side * channels {
            let (x, m) = (original[at], response.mean[at]);
            let (row, rest) = (at / (side * channels), at % (side * channels));
            for (band, value) in [x, m, (x - m).abs() * ERROR_GAIN].into_iter().enumerate() {
                let to = ((band * side + row) * count + column) * side * channels + rest;
                sheet[to] = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
            }
        }
    }
    let png = encode_png(&sheet, 3 * side, count * side, run.color).map_err(of_image)?;
    let samples = folder.join(FOLDER);
    fs::create_dir_all(&samples).map_err(|error| Error::io(&samples, &error))?;
    store::write_durably(&path(folder, epoch), &png)
}

/// The pictures of a sheet; `None` where it is of another size.
fn cut(sheet: &Image, epoch: usize, size_px: usize, channels: usize) -> Option<Snapshot> {
    let fits =
        sheet.height == 3 * size_px && sheet.width.is_multiple_of(size_px) && sheet.channels == channels;
    let picture = |band: usize, column: usize| {
        let row = |y: usize| {
            let start = ((band * size_px + y) * sheet.width + column * size_px) * channels;
            &sheet.pixels[start..start + size_px * channels]
        };
        (0..size_px).flat_map(|y| row(y).iter().copied()).collect::<Vec<f32>>()
    };
    let band = |band: usize| (0..sheet.width / size_px).map(|column| picture(band, column)).collect();
    fits.then(|| Snapshot { epoch, inputs: band(0), reconstructions: band(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_epochs_stay_as_are_asked_for() {
        for (epochs, snapshots) in [(1, 20), (7, 20), (20, 20), (21, 20), (200, 20), (1_000, 20), (100, 1)] {
            let settings = TrainSettings { epochs, snapshots, ..TrainSettings::default() };
            let kept: Vec<usize> = (1..=epochs).filter(|&epoch| stays(&settings, epoch)).collect();
            assert!(kept.len() <= snapshots + 2 && kept.contains(&1) && kept.contains(&epochs), "{kept:?}");
        }
    }
}
