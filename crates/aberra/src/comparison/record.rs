//! The file of a finished cell: what the table shows of it, and the scores that intervals are drawn from.

use std::fs;
use std::path::Path;

use aberra_metrics::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::output;
use crate::wire::ComparisonCell;

const KIND: &str = "aberra comparison cell";
const VERSION: u32 = 1;

/// A finished cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CellRecord {
    pub(super) cell: ComparisonCell,
    /// The images that were scored.
    pub(super) images: Vec<TestedImage>,
}

/// An image that a cell scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestedImage {
    pub(super) name: String,
    pub(super) group: usize,
    pub(super) anomalous: bool,
    /// By the recipe's scorer.
    pub(super) score: f64,
    /// By plain reconstruction error, where that could be fitted.
    pub(super) classic_score: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    version: u32,
    identity: String,
    record: CellRecord,
}

impl CellRecord {
    /// The record in the file at `path`, where there is one.
    ///
    /// # Errors
    /// A file that cannot be read, or is no record of a cell with this identity.
    pub(super) fn read(path: &Path, identity: &str) -> Result<Option<Self>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, &error)),
        };
        let refuse = |found: String| {
            Error::data(format!("expected a finished cell of version {VERSION}, found {found}"))
                .with_path(path)
                .with_hint("delete the file, and the cell is computed again")
        };
        let envelope: Envelope = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("another file, or one that was changed ({error})")))?;
        if envelope.kind != KIND || envelope.version != VERSION {
            return Err(refuse(format!("{} of version {}", envelope.kind, envelope.version)));
        }
        if envelope.identity != identity {
            return Err(refuse("one of other settings or data".to_owned()));
        }
        Ok(Some(envelope.record))
    }

    /// Writes the file at `path`, atomically and durably.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path, identity: &str) -> Result<()> {
        let envelope = Envelope {
            kind: KIND.to_owned(),
            version: VERSION,
            identity: identity.to_owned(),
            record: self.clone(),
        };
        let text = serde_json::to_string(&envelope)
            .map_err(|error| Error::data(format!("the cell cannot be written ({error})")).with_path(path))?;
        output::write(path, text.as_bytes())
    }
}

/// A record with 12 groups of normal images (2 images each, the fold's own) and 12 of anomalous ones (the same in every
/// fold), whose scores lie `shift` higher.
#[cfg(test)]
pub(super) fn made_up(recipe: &str, fold: usize, seed: u64, shift: f64) -> CellRecord {
    use std::collections::BTreeMap;

    use aberra_metrics::random::{Stream, generator};
    use aberra_metrics::ranking::{auroc, average_precision};
    use aberra_metrics::weights::group_weights;
    use rand::RngExt;

    use crate::dataset::Fold;
    use crate::evaluate::{CLASSIC_SCORER, Metric};

    const GROUPS: usize = 12;
    let mut random = generator(seed, Stream::Phantom, fold as u64);
    let image = |number: usize| {
        let anomalous = number >= 2 * GROUPS;
        let (group, name) = match anomalous {
            false => ((fold + 1) * 100 + number / 2, format!("good/{fold}-{number:02}.png")),
            true => (number, format!("scratch/{number:02}.png")),
        };
        let mut draw = || random.random::<f64>() + if anomalous { shift } else { 0.0 };
        TestedImage { name, group, anomalous, score: draw(), classic_score: Some(draw()) }
    };
    let images: Vec<TestedImage> = (0..3 * GROUPS).map(image).collect();
    let scores: Vec<f64> = images.iter().map(|image| image.score).collect();
    let labels: Vec<bool> = images.iter().map(|image| image.anomalous).collect();
    let groups: Vec<u64> = images.iter().map(|image| image.group as u64).collect();
    let weights = group_weights(&groups, &labels);
    let known = Metric::Known(auroc(&scores, &labels, Some(&weights)).unwrap());
    let cell = ComparisonCell {
        recipe: recipe.to_owned(),
        fold: Fold { index: fold, of: 2 },
        seed,
        normals: 2 * GROUPS,
        anomalies: GROUPS,
        auroc: known.clone(),
        average_precision: Metric::Known(average_precision(&scores, &labels, Some(&weights)).unwrap()),
        pixel_average_precision: Metric::new(None, "no masks"),
        tpr_at_5_fpr: Metric::Known(0.25),
        false_alarm_rate: Metric::Known(0.0625),
        scorers: BTreeMap::from([
            ("learned".to_owned(), known),
            (CLASSIC_SCORER.to_owned(), Metric::Known(0.5)),
        ]),
        calibration: 19,
        training_secs: 2.0 + fold as f64,
        ms_per_image: Metric::Known(0.5),
        parameters: 1234,
        best_epoch: 3,
        instructions: "avx2".to_owned(),
        threads: 2,
    };
    CellRecord { cell, images }
}
