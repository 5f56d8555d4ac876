//! Which images a detector knows already: those it was made from, by their content, and near-copies of them.

use std::collections::HashMap;

use crate::dataset::{Fingerprint, NearHasher};
use crate::detector::{Detector, Part};

/// The images that a detector was made from.
pub(super) struct Known<'a> {
    /// Content hash, hexadecimal -> what it was used for.
    parts: HashMap<&'a str, Part>,
    hasher: Option<&'a NearHasher>,
    near_hashes: Vec<&'a str>,
}

impl<'a> Known<'a> {
    pub(super) fn to(detector: &'a Detector) -> Self {
        let normals = detector.normals();
        Self {
            parts: normals.iter().map(|normal| (normal.content_hash.as_str(), normal.part)).collect(),
            hasher: detector.document.near_hasher.as_ref(),
            near_hashes: normals.iter().filter_map(|normal| normal.near_hash.as_deref()).collect(),
        }
    }

    /// Whether near-copies can be recognised at all.
    pub(super) fn is_complete(&self) -> bool {
        self.hasher.is_some() && self.near_hashes.len() >= self.parts.len()
    }

    /// What the detector used the very same file for.
    pub(super) fn part_of(&self, fingerprint: &Fingerprint) -> Option<Part> {
        let hash = blake3::Hash::from(fingerprint.content).to_hex();
        self.parts.get(hash.as_str()).copied()
    }

    /// Whether the image, in any of its eight orientations, is a near-copy of one the detector was made from.
    pub(super) fn has_copy_of(&self, fingerprint: &Fingerprint) -> bool {
        let Some(hasher) = self.hasher else { return false };
        let orientations = hasher.orientations(&fingerprint.thumbnail);
        self.near_hashes.iter().any(|hash| orientations.is_near(hash))
    }
}
