//! Which images a detector knows already: those it was made from, by their identity, and near-duplicates of them.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use aberra_image::{ImageId, Limits};
use rayon::prelude::*;

use crate::dataset::{Dataset, Fingerprint, InVolume, Sample, Sketch};
use crate::detector::{Detector, Part};

/// The images that a detector was made from.
pub(super) struct Known {
    /// Image -> what it was used for.
    parts: HashMap<ImageId, Part>,
    sketches: Vec<Sketch>,
    similarity: f32,
}

impl Known {
    pub(super) fn to(detector: &Detector) -> Self {
        let normals = detector.normals();
        Self {
            parts: normals.iter().map(|normal| (normal.sketch.id, normal.part)).collect(),
            sketches: normals.iter().map(|normal| normal.sketch.clone()).collect(),
            similarity: detector.document.near_copy_similarity,
        }
    }

    /// What the detector used the very same image for.
    pub(super) fn part_of(&self, fingerprint: &Fingerprint) -> Option<Part> {
        self.parts.get(&fingerprint.id).copied()
    }

    /// The volumes among samples of which the detector was made from a slice: their other slices are no test of it. Reads the files of
    /// slices, once each.
    pub(super) fn own_volumes<'a>(
        &self,
        dataset: &'a Dataset,
        members: &[usize],
        limits: &Limits,
    ) -> BTreeSet<&'a str> {
        let slices: Vec<(&InVolume, &Sample)> = members
            .iter()
            .map(|&index| &dataset.samples[index])
            .filter_map(|sample| Some((sample.volume.as_ref()?, sample)))
            .collect();
        let paths: BTreeSet<&Path> = slices.iter().flat_map(|(_, sample)| files(sample)).collect();
        let paths: Vec<&Path> = paths.into_iter().collect();
        let ids: HashMap<&Path, ImageId> =
            paths.par_iter().with_max_len(1).filter_map(|&path| Some((path, id_of(path, limits)?))).collect();
        let is_own = |sample: &Sample| {
            let frame = sample.page.unwrap_or(0);
            let parts: Option<Vec<ImageId>> =
                files(sample).map(|path| Some(ImageId { frame, ..*ids.get(path)? })).collect();
            parts.is_some_and(|parts| {
                let id = if sample.channels.is_empty() { parts[0] } else { ImageId::of_parts(parts) };
                self.parts.contains_key(&id)
            })
        };
        slices.iter().filter(|(_, sample)| is_own(sample)).map(|(place, _)| place.name.as_str()).collect()
    }

    /// Whether the image, in any of its eight orientations, is a near-duplicate of one the detector was made from.
    pub(super) fn has_copy_of(&self, fingerprint: &Fingerprint) -> bool {
        let copies = Sketch::find_copies(&self.sketches, &[fingerprint], self.similarity);
        copies.iter().any(Option::is_some)
    }
}

/// The files that a sample comes from.
fn files(sample: &Sample) -> impl Iterator<Item = &Path> {
    let channels = sample.channels.iter().map(|channel| channel.path.as_path());
    channels.chain(sample.channels.is_empty().then_some(sample.path.as_path()))
}

/// The identity of a file's first image; `None` for a file that cannot be read.
fn id_of(path: &Path, limits: &Limits) -> Option<ImageId> {
    let metadata = fs::metadata(path).ok()?;
    let is_read = metadata.is_file() && metadata.len() <= limits.max_bytes;
    is_read.then(|| fs::read(path).ok()).flatten().map(|bytes| ImageId::of_bytes(&bytes))
}
