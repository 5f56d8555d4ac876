//! A split as human-readable text.

use std::collections::BTreeSet;
use std::fmt;

use super::split::percent;
use super::{Dataset, DominatingGroup, GroupBy, Split};

/// A split with the data set it divides, for people.
pub struct Printed<'a>(&'a Split, &'a Dataset);

/// The samples of a split that are neither learnt from nor tested on.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftAside {
    /// How many.
    pub images: usize,
    /// Why, each with its number.
    pub reasons: Vec<String>,
    /// More than a fifth of all images: the evaluation speaks of fewer than one would think.
    pub is_much: bool,
    /// What to do about most of them.
    pub hint: Option<&'static str>,
}

impl Split {
    /// For printing.
    pub fn display<'a>(&'a self, dataset: &'a Dataset) -> Printed<'a> {
        Printed(self, dataset)
    }

    /// How many samples are left aside, and why.
    pub fn left_aside(&self, dataset: &Dataset) -> LeftAside {
        /// The share of all images from which on it is much.
        const MUCH: f64 = 0.2;
        let groups = |samples: &[usize]| -> BTreeSet<usize> {
            samples.iter().map(|&index| self.group_of[index]).collect()
        };
        let (learnt, calibration) =
            (groups(&[&self.train[..], &self.fit].concat()), groups(&self.calibration));
        let (mut further, mut alike, mut outside) = (0, 0, 0);
        for &index in &self.unused {
            let (group, is_normal) = (self.group_of[index], dataset.samples[index].label.is_normal());
            match is_normal {
                true if calibration.contains(&group) => further += 1,
                false if learnt.contains(&group) || calibration.contains(&group) => alike += 1,
                _ => outside += 1,
            }
        }
        let reasons = [
            (further, "normal, of groups that give one image to calibrate on"),
            (alike, "anomalous, in one group with normal images that are learnt from or calibrated on"),
            (outside, "in no part that the folders or the manifest name"),
        ];
        let hint = match self.by {
            _ if outside >= further + alike => {
                Some("name the part of each image, or leave out `--split layout`")
            }
            GroupBy::Near => Some(DominatingGroup::HINT),
            GroupBy::Exact | GroupBy::Manifest => {
                Some("give more groups: one normal image of each calibrates")
            }
            GroupBy::None => None,
        };
        LeftAside {
            hint,
            images: self.unused.len(),
            reasons: reasons
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, why)| format!("{count} {why}"))
                .collect(),
            is_much: self.unused.len() as f64 > MUCH * dataset.samples.len() as f64,
        }
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(split, dataset) = self;
        let sizes = split.sizes(dataset);
        let by = match split.by {
            GroupBy::Near => "groups of near-duplicates",
            GroupBy::Exact => "groups of exact copies",
            GroupBy::Manifest => "groups of the manifest",
            GroupBy::None => "single images",
        };
        write!(f, "split by {by}, seed {}", split.seed)?;
        if let Some(fold) = split.fold {
            write!(f, ", fold {} of {}", fold.index + 1, fold.of)?;
        }
        writeln!(f, ", for a false-alarm rate of {}", percent(split.rate))?;
        let normal = split.test.iter().filter(|&&index| dataset.samples[index].label.is_normal()).count();
        writeln!(f, "  train        {:>6} images of {} groups", split.train.len(), sizes.train)?;
        writeln!(f, "  fit          {:>6} images of {} groups", split.fit.len(), sizes.fit)?;
        writeln!(f, "  calibration  {:>6} images, one per group", split.calibration.len())?;
        writeln!(
            f,
            "  test         {:>6} normal and {} anomalous images of their groups",
            normal,
            split.test.len() - normal
        )?;
        write!(f, "  left aside   {:>6} images", split.unused.len())?;
        let aside = split.left_aside(dataset);
        if !aside.reasons.is_empty() {
            write!(f, ": {}", aside.reasons.join("; "))?;
        }
        if !split.unreadable.is_empty() {
            write!(f, "\n  unreadable   {:>6} images", split.unreadable.len())?;
        }
        if let Some(leak) = split.leak {
            write!(
                f,
                "\nthe given folders leak: {} of {} normal and {} of {} anomalous test images have a copy among those learned from",
                leak.normal_leaked, leak.normal, leak.anomalous_leaked, leak.anomalous
            )?;
        }
        Ok(())
    }
}
