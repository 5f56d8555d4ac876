//! Volumes: verdicts on NIfTI files and DICOM series as a whole.

use std::path::PathBuf;
use std::sync::Arc;

use aberra::Detector as Inner;
use aberra::dataset::{Case, find_cases};
use aberra::models::measure::Want;
use aberra::wire::VolumeCard;
use aberra::{Error, Result, VolumeVerdict};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::error::exception;
use crate::images::bytes;
use crate::job::Line;
use crate::said::Said;

/// A volume: its name, its verdict as JSON or why there is none, the places of its slices, and its map with the shape of it.
pub(crate) type Judged = (String, Result<String>, Vec<(PathBuf, Option<u32>)>, Option<Map>);

/// Little-endian floats, `slices * height * width`, and these three.
pub(crate) struct Map {
    values: Vec<u8>,
    shape: (usize, usize, usize),
}

/// What of a volume crosses.
pub(crate) type Volume =
    (String, Py<PyAny>, Vec<(PathBuf, Option<u32>)>, Option<(Py<PyByteArray>, (usize, usize, usize))>);

/// Judges the volumes among files; with them comes what was decided about the files.
///
/// # Errors
/// A request to stop, or not one volume.
pub(crate) fn judge(
    detector: &Arc<Inner>,
    files: Vec<PathBuf>,
    maps: bool,
    line: &Line,
) -> Result<(Vec<Judged>, Said)> {
    let found = find_cases(files, &detector.config().limits);
    let mut said = Said(found.notes, Vec::new());
    let of = found.cases.len();
    let mut judged = Vec::new();
    let mut alone = 0;
    for case in found.cases {
        let Case::Volume(volume) = case else {
            alone += 1;
            continue;
        };
        let mut map: Option<Map> = None;
        let want = if maps { Want::MAP } else { Want::MEASUREMENTS };
        let mut is_stopped = false;
        let count = volume.slices.len();
        let verdict: Result<VolumeVerdict> = detector.score_volume(&volume, want, |number, verdict| {
            if let (true, Ok(verdict)) = (maps, verdict)
                && let Ok(values) = verdict.map_at_image_size()
            {
                put(
                    &mut map,
                    count,
                    number,
                    (verdict.placement.image_height, verdict.placement.image_width),
                    &values,
                );
            }
            let flow = line.step(
                "scoring the volumes",
                judged.len(),
                of,
                format!("slice {} of {count}", number + 1),
            );
            is_stopped |= flow.is_break();
            flow
        });
        if is_stopped {
            return Err(Error::interrupted("scoring was stopped"));
        }
        let card = verdict.and_then(|verdict| {
            let card = VolumeCard::of(&volume, &verdict);
            serde_json::to_string(&card).map_err(|error| Error::data(error.to_string()))
        });
        let slices = volume.slices.iter().map(|slice| (slice.path.clone(), slice.page)).collect();
        judged.push((volume.name, card, slices, map));
    }
    if judged.is_empty() {
        return Err(Error::data(format!(
            "expected volumes (NIfTI or DICOM), found {alone} images that are none"
        ))
        .with_hint("score images with score(), or slices with score(pages=True)"));
    }
    if alone > 0 {
        said.warn([format!("{alone} images that are slices of no volume were passed over")]);
    }
    Ok((judged, said))
}

/// Puts the map of a slice into that of the volume; one of another size is left out.
fn put(map: &mut Option<Map>, slices: usize, number: usize, (height, width): (usize, usize), values: &[f32]) {
    let map = map.get_or_insert_with(|| Map {
        values: vec![0; 4 * slices * height * width],
        shape: (slices, height, width),
    });
    if map.shape == (slices, height, width) {
        let size = 4 * height * width;
        map.values[number * size..(number + 1) * size].copy_from_slice(&bytes(values));
    }
}

/// A judged volume as it crosses.
pub(crate) fn object(py: Python<'_>, (name, card, slices, map): Judged) -> PyResult<Volume> {
    let card = match card {
        Ok(card) => card.into_pyobject(py)?.into_any().unbind(),
        Err(error) => exception(py, &error).into_value(py).into_any(),
    };
    let map = map.map(|map| (PyByteArray::new(py, &map.values).unbind(), map.shape));
    Ok((name, card, slices, map))
}
