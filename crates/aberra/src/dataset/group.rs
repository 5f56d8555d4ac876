//! Which samples must stay together: exact copies, near-duplicates, groups of a manifest.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::union::Union;
use super::{CloseLook, Dataset, Inspection, closely, near};
use crate::{Error, Result};

/// A group with more than this share of the images dominates.
const DOMINATING_SHARE: f64 = 0.1;
/// A group of fewer images than this never dominates.
const DOMINATING_LEAST: usize = 10;

/// By what samples are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GroupBy {
    /// Near-duplicates, over flips and quarter turns, the patients of DICOM files, and the groups of a manifest where it gives
    /// any.
    #[default]
    Near,
    /// Images equal in every pixel, the patients of DICOM files, and the groups of a manifest where it gives any.
    Exact,
    /// Only the groups of the manifest; a sample without one is a group of its own.
    Manifest,
    /// Every sample is a group of its own.
    None,
}

/// A division of the samples into groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    /// By what.
    pub by: GroupBy,
    /// Sample -> group. Groups are numbered in the order of their first sample.
    pub group_of: Vec<usize>,
    /// Number of groups.
    pub count: usize,
    /// Sets of samples that are equal in every pixel, two or more in each, whatever `by` says.
    pub exact: Vec<Vec<usize>>,
    /// Pairs of near-duplicates, the smaller first, sorted; empty unless grouped by near-duplicates.
    pub near: Vec<(usize, usize)>,
    /// Similarity of thumbnails above which two images of this set are compared closely; `None` unless grouped by
    /// near-duplicates.
    pub threshold: Option<f32>,
    /// What comparing look-alikes closely found; `None` unless grouped by near-duplicates.
    pub close_look: Option<CloseLook>,
    /// Patients of DICOM files, the images of each of which are in one group.
    pub patients: usize,
}

/// A group with more than a tenth of a data set's images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DominatingGroup {
    /// Its images.
    pub images: usize,
    /// All images.
    pub of: usize,
    /// Its first sample.
    pub example: usize,
}

impl DominatingGroup {
    /// What to do about it.
    pub const HINT: &'static str =
        "if these are different objects that only look alike, use `--group exact` or a manifest with groups";

    /// What is to say about it.
    pub fn text(&self, dataset: &Dataset) -> String {
        let example = dataset.samples.get(self.example).map_or("", |sample| sample.name.as_str());
        format!("one group holds {} of {} images (like {example})", self.images, self.of)
    }
}

impl Grouping {
    /// Groups the samples of `dataset`.
    ///
    /// # Errors
    /// Grouping by manifest, and no sample has a group; a temporary file that cannot be read again.
    pub fn of(dataset: &Dataset, inspection: &Inspection, by: GroupBy) -> Result<Self> {
        let count = dataset.samples.len();
        let mut union = Union::new(count);
        let exact = exact_copies(inspection);
        if by == GroupBy::Manifest && dataset.samples.iter().all(|sample| sample.group.is_none()) {
            return Err(Error::data("expected groups in the manifest's column `group`, found none")
                .with_path(&dataset.root)
                .with_hint("write the column, or group by near-duplicates with `--group near`"));
        }
        if by != GroupBy::None {
            let mut first = HashMap::new();
            for (index, sample) in dataset.samples.iter().enumerate() {
                if let Some(group) = &sample.group {
                    union.join(*first.entry(group.as_str()).or_insert(index), index);
                }
            }
        }
        Self::of_content(inspection, by, exact, union)
    }

    /// Groups decoded images by near-duplicates, and by the patients of DICOM files.
    ///
    /// # Errors
    /// A temporary file that cannot be read again.
    pub fn of_images(inspection: &Inspection) -> Result<Self> {
        let (exact, union) = (exact_copies(inspection), Union::new(inspection.images.len()));
        Self::of_content(inspection, GroupBy::Near, exact, union)
    }

    /// Joins what looks alike, as far as `by` asks for it, to the groups that there are.
    fn of_content(
        inspection: &Inspection,
        by: GroupBy,
        exact: Vec<Vec<usize>>,
        mut union: Union,
    ) -> Result<Self> {
        let (mut near, mut threshold, mut close_look) = (Vec::new(), None, None);
        let mut patients = HashMap::new();
        if matches!(by, GroupBy::Near | GroupBy::Exact) {
            for index in 0..inspection.images.len() {
                if let Some(patient) = inspection.get(index).and_then(|seen| seen.origin?.group) {
                    union.join(*patients.entry(patient).or_insert(index), index);
                }
            }
            for copies in &exact {
                copies.iter().for_each(|&index| union.join(copies[0], index));
            }
        }
        if by == GroupBy::Near {
            let alike = near::copies(inspection);
            let (copies, look) = closely::confirmed(inspection, &alike.pairs)?;
            copies.iter().for_each(|&(a, b)| union.join(a, b));
            (near, threshold, close_look) = (copies, Some(alike.threshold), Some(look));
        }
        let (group_of, count) = union.numbered();
        Ok(Self { by, group_of, count, exact, near, threshold, close_look, patients: patients.len() })
    }

    /// The largest group, if it holds more than a tenth of the images.
    pub fn dominating(&self) -> Option<DominatingGroup> {
        let members = self.members();
        let largest = members.iter().rev().max_by_key(|members| members.len())?;
        let (images, of) = (largest.len(), self.group_of.len());
        let least = (of as f64 * DOMINATING_SHARE).max(DOMINATING_LEAST as f64);
        (images as f64 > least).then(|| DominatingGroup { images, of, example: largest[0] })
    }

    /// Group -> its samples, in order.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.count];
        for (sample, &group) in self.group_of.iter().enumerate() {
            members[group].push(sample);
        }
        members
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Near => "near",
            Self::Exact => "exact",
            Self::Manifest => "manifest",
            Self::None => "none",
        })
    }
}

impl std::str::FromStr for GroupBy {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "near" => Ok(Self::Near),
            "exact" => Ok(Self::Exact),
            "manifest" => Ok(Self::Manifest),
            "none" => Ok(Self::None),
            _ => {
                Err(Error::settings(format!("expected group near, exact, manifest or none, found `{word}`")))
            }
        }
    }
}

fn exact_copies(inspection: &Inspection) -> Vec<Vec<usize>> {
    let mut same: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for index in 0..inspection.images.len() {
        if let Some(seen) = inspection.get(index) {
            same.entry(seen.fingerprint.pixels).or_default().push(index);
        }
    }
    let mut exact: Vec<Vec<usize>> = same.into_values().filter(|copies| copies.len() > 1).collect();
    exact.sort();
    exact
}
