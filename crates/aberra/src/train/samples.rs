//! Reconstructions of fixed held-out normals as training goes on: one sheet of pictures an epoch that is checked.

use std::path::Path;

use aberra_image::encode_png;

use super::{Inputs, Run};
use crate::model::Model;
use crate::score::respond;
use crate::{Error, Result, store};

/// Images on a sheet.
const IMAGES: usize = 8;

/// The errors' brightness: an error of 0.25 is white.
const ERROR_GAIN: f32 = 4.0;

/// Writes `samples/epoch-NNNN.png`: a row of originals, one of reconstructions, one of absolute errors.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn write(
    folder: &Path,
    epoch: usize,
    model: &Model,
    run: &Run<'_>,
    held_out: &Inputs,
) -> Result<()> {
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
    let png = encode_png(&sheet, 3 * side, count * side, run.color)?;
    let samples = folder.join("samples");
    std::fs::create_dir_all(&samples).map_err(|error| Error::io(&samples, &error))?;
    store::write_durably(&samples.join(format!("epoch-{epoch:04}.png")), &png)
}
