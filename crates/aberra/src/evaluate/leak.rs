//! Which images a detector knows already: those it was made from, by their identity, and near-duplicates of them.

use std::collections::HashMap;

use aberra_image::ImageId;

use crate::dataset::{Fingerprint, Sketch};
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

    /// Whether the image, in any of its eight orientations, is a near-duplicate of one the detector was made from.
    pub(super) fn has_copy_of(&self, fingerprint: &Fingerprint) -> bool {
        let copies = Sketch::find_copies(&self.sketches, &[fingerprint], self.similarity);
        copies.iter().any(Option::is_some)
    }
}
