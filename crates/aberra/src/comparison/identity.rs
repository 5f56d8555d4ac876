//! What decides a cell's result, as a hash: settings, images, labels, masks, groups, the split, and Aberra's version. A
//! finished cell is reused only where all of it is the same.

use aberra_metrics::{Error, Result};
use rayon::prelude::*;

use crate::checked_config::CheckedConfig;
use crate::dataset::{Dataset, Inspection, Sample, Split};

/// Hashes of a data set's samples: name, label, and the content of image and mask.
pub(super) struct DataDigest(Vec<blake3::Hash>);

impl DataDigest {
    pub(super) fn of(dataset: &Dataset, inspection: &Inspection) -> Self {
        let samples = dataset.samples.par_iter().enumerate();
        Self(samples.map(|(index, sample)| of_sample(sample, index, inspection)).collect())
    }

    /// The identity of a cell, hexadecimal; its settings are resolved.
    pub(super) fn cell(&self, recipe: &str, config: &CheckedConfig, split: &Split) -> Result<String> {
        let settings = serde_json::to_string(config)
            .map_err(|error| Error::settings(format!("{recipe}: settings that are not JSON ({error})")))?;
        let mut hasher = Hasher::default();
        hasher.part(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.part(recipe.as_bytes());
        hasher.part(settings.as_bytes());
        for (sample, group) in self.0.iter().zip(&split.group_of) {
            hasher.part(sample.as_bytes());
            hasher.number(*group);
        }
        for part in [&split.train, &split.fit, &split.calibration, &split.test] {
            hasher.number(part.len());
            part.iter().for_each(|&index| hasher.number(index));
        }
        Ok(hasher.0.finalize().to_hex().to_string())
    }
}

fn of_sample(sample: &Sample, index: usize, inspection: &Inspection) -> blake3::Hash {
    let mut hasher = Hasher::default();
    hasher.part(sample.name.as_bytes());
    hasher.part(sample.label.kind().map_or(&b"\0"[..], str::as_bytes));
    match inspection.get(index) {
        Some(seen) => hasher.part(&seen.fingerprint.id.to_bytes()),
        None => hasher.part(b"unreadable"),
    }
    // A mask that cannot be read is left out of the pixel metrics.
    match sample.mask.as_ref().map(std::fs::read) {
        None => hasher.part(b"no mask"),
        Some(Err(_)) => hasher.part(b"unreadable mask"),
        Some(Ok(mask)) => hasher.part(blake3::hash(&mask).as_bytes()),
    }
    hasher.0.finalize()
}

/// Parts with their lengths, so that what ends one cannot begin the next.
#[derive(Default)]
struct Hasher(blake3::Hasher);

impl Hasher {
    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.update(bytes);
    }

    fn number(&mut self, number: usize) {
        self.0.update(&(number as u64).to_le_bytes());
    }
}
