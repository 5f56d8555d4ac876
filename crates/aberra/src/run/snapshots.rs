//! Snapshots: reconstructions of a few held-out normals during training, one sheet of images per epoch that is kept.

use std::fs;
use std::path::{Path, PathBuf};

use aberra_image::{Color, Image, Limits, encode_png};
use aberra_metrics::{Error, Result};
use aberra_models::train::Preview;
use aberra_models::{Inputs, Shape};

use super::marker::mark;
use crate::decode_error::of_image;
use crate::output;

/// Images on a sheet.
const IMAGES: usize = 8;

/// The errors' brightness: an error of 0.25 is white.
const ERROR_GAIN: f32 = 4.0;

const PREFIX: &str = "epoch-";
const SUFFIX: &str = ".png";

/// Reconstructions of held-out normals after one epoch; pictures `[height, width, channels]`, 0 to 1.
pub(crate) struct Snapshot {
    pub(crate) epoch: usize,
    pub(crate) inputs: Vec<Vec<f32>>,
    pub(crate) reconstructions: Vec<Vec<f32>>,
}

/// The snapshots of a training, in a folder of their own.
pub(crate) struct Snapshots {
    pub(crate) folder: PathBuf,
    /// How many epochs are kept, evenly spread, of how many.
    pub(crate) wanted: usize,
    pub(crate) epochs: usize,
    pub(crate) color: Color,
}

impl Snapshots {
    /// Keeps the snapshot of an epoch where it is one of those that are kept; a new best one takes the place of `replaced`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn keep(
        &self,
        epoch: usize,
        is_best: bool,
        replaced: Option<usize>,
        preview: &Preview<'_>,
        held_out: &Inputs<'_>,
    ) -> Result<()> {
        if self.wanted == 0 {
            return Ok(());
        }
        if let Some(before) = replaced.filter(|&before| !self.stays(before)) {
            output::remove(&path(&self.folder, before))?;
        }
        match is_best || self.stays(epoch) {
            true => self.write(epoch, preview, held_out),
            false => Ok(()),
        }
    }

    /// Whether the snapshot of an epoch stays, the best or not.
    fn stays(&self, epoch: usize) -> bool {
        let step = self.epochs.div_ceil(self.wanted.max(1));
        epoch == 1 || epoch == self.epochs || epoch.is_multiple_of(step)
    }

    /// Removes the snapshots after `epoch`: those of a run before this one, or of epochs that a resumed run does again.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn forget_after(&self, epoch: usize) -> Result<()> {
        let late = kept(&self.folder)?.into_iter().filter(|(number, _)| *number > epoch);
        late.into_iter().try_for_each(|(_, path)| output::remove(&path))
    }

    /// Writes a row of originals, one of reconstructions, one of absolute errors.
    fn write(&self, epoch: usize, preview: &Preview<'_>, held_out: &Inputs<'_>) -> Result<()> {
        let Shape { height, width, .. } = held_out.shape();
        let (own, channels) = (held_out.shape().channels, self.color.channels());
        let count = held_out.len().min(IMAGES);
        let originals = (0..count).map(|index| held_out.get(index)).collect::<Result<Vec<_>>>()?;
        let slices: Vec<&[f32]> = originals.iter().map(AsRef::as_ref).collect();
        let Some(reconstructions) = preview(&slices)? else { return Ok(()) };
        let mut sheet = vec![0; 3 * height * count * width * channels];
        for (column, (original, reconstruction)) in slices.iter().zip(&reconstructions).enumerate() {
            let [original, reconstruction] =
                [original, &reconstruction[..]].map(|one| self.color.show(one, own));
            for at in 0..height * width * channels {
                let (x, m) = (original[at], reconstruction[at]);
                let (row, rest) = (at / (width * channels), at % (width * channels));
                for (band, value) in [x, m, (x - m).abs() * ERROR_GAIN].into_iter().enumerate() {
                    let to = ((band * height + row) * count + column) * width * channels + rest;
                    sheet[to] = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        }
        let png = encode_png(&sheet, 3 * height, count * width, self.color).map_err(of_image)?;
        mark(&self.folder)?;
        output::write(&path(&self.folder, epoch), &png)
    }
}

impl Snapshot {
    /// The snapshots in a folder, by epoch. Sheets that are not of pictures of this shape are left out.
    ///
    /// # Errors
    /// A sheet cannot be read.
    pub(crate) fn read_all(folder: &Path, shape: Shape) -> Result<Vec<Self>> {
        let sheets = kept(folder)?.into_iter().map(|(epoch, path)| {
            let sheet = aberra_image::read(&path, &Limits::default()).map_err(of_image)?;
            Ok(Self::cut(&sheet, epoch, shape))
        });
        sheets.filter_map(Result::transpose).collect()
    }

    /// The pictures of a sheet; `None` if it is of another size.
    fn cut(sheet: &Image, epoch: usize, shape: Shape) -> Option<Self> {
        let Shape { height, width, channels } = shape;
        let fits =
            sheet.height == 3 * height && sheet.width.is_multiple_of(width) && sheet.channels == channels;
        let picture = |band: usize, column: usize| {
            let row = |y: usize| {
                let start = ((band * height + y) * sheet.width + column * width) * channels;
                &sheet.pixels[start..start + width * channels]
            };
            (0..height).flat_map(|y| row(y).iter().copied()).collect::<Vec<f32>>()
        };
        let band = |band: usize| (0..sheet.width / width).map(|column| picture(band, column)).collect();
        fits.then(|| Self { epoch, inputs: band(0), reconstructions: band(1) })
    }
}

fn path(folder: &Path, epoch: usize) -> PathBuf {
    folder.join(format!("{PREFIX}{epoch:04}{SUFFIX}"))
}

/// Epochs and sheets in a folder.
fn kept(folder: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let io = |error: std::io::Error| Error::io(folder, &error);
    let entries = match fs::read_dir(folder) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_epochs_stay_as_are_asked_for() {
        for (epochs, snapshots) in [(1, 20), (7, 20), (20, 20), (21, 20), (200, 20), (1_000, 20), (100, 1)] {
            let all = Snapshots { folder: PathBuf::new(), wanted: snapshots, epochs, color: Color::Grey };
            let kept: Vec<usize> = (1..=epochs).filter(|&epoch| all.stays(epoch)).collect();
            assert!(kept.len() <= snapshots + 2 && kept.contains(&1) && kept.contains(&epochs), "{kept:?}");
        }
    }
}
