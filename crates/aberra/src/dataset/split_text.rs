//! A split as human-readable text.

use std::fmt;

use super::split::percent;
use super::{Dataset, GroupBy, Split};

/// A split with the data set it divides, for people.
pub struct Printed<'a>(&'a Split, &'a Dataset);

impl Split {
    /// For printing.
    pub fn display<'a>(&'a self, dataset: &'a Dataset) -> Printed<'a> {
        Printed(self, dataset)
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
