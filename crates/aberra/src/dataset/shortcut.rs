//! Shortcuts: file and frame properties that separate normals from anomalies without looking at the content.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Dataset, FolderSplit, Grouping, Inspected, Inspection, Sample};

/// A baseline at which a data set is easier than it should be.
const SUSPICIOUS_AUROC: f64 = 0.7;

/// How well one property of the file or frame separates normals from anomalies, one of each per group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Shortcut {
    /// The property.
    pub property: Property,
    /// Area under the ROC curve in the better direction, 0.5 to 1; ties count half.
    pub auroc: f64,
    /// Anomalies have the higher values (for a property that an image has or has not: more often have it).
    pub is_higher_in_anomalies: bool,
    /// What the property was compared with, where it is one of several values: the modal size or colour mode.
    pub value: Option<String>,
}

/// A property of file or frame, not of what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Property {
    /// Width x height.
    PixelCount,
    /// Width / height.
    Aspect,
    /// Having exactly one size: the most predictive of the frequent sizes.
    Size,
    /// Being stored in one colour mode: the most predictive one.
    ColorMode,
    /// Length of the file per pixel.
    BytesPerPixel,
    /// Mean grey value.
    Mean,
    /// Standard deviation of the grey values.
    StandardDeviation,
    /// Share of dark pixels.
    DarkFraction,
}

impl Shortcut {
    /// The property alone does what a detector should need the image's content for.
    pub fn is_suspicious(&self) -> bool {
        self.auroc >= SUSPICIOUS_AUROC
    }
}

impl Property {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::PixelCount => "pixel count",
            Self::Aspect => "aspect (width / height)",
            Self::Size => "size",
            Self::ColorMode => "colour mode",
            Self::BytesPerPixel => "bytes per pixel",
            Self::Mean => "mean",
            Self::StandardDeviation => "standard deviation",
            Self::DarkFraction => "dark fraction",
        }
    }
}

/// The samples that a data set's baselines are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ShortcutPart {
    /// The test part that folders or a manifest give, where it has normal and anomalous samples.
    GivenTest,
    /// All of them.
    All,
}

impl ShortcutPart {
    /// That of a data set.
    pub fn of(dataset: &Dataset) -> Self {
        let has = |normal: bool| {
            dataset
                .samples
                .iter()
                .any(|sample| Self::GivenTest.holds(sample) && sample.label.is_normal() == normal)
        };
        if has(true) && has(false) { Self::GivenTest } else { Self::All }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::GivenTest => "the given test part",
            Self::All => "all images",
        }
    }

    fn holds(self, sample: &Sample) -> bool {
        self == Self::All || sample.folder_split == Some(FolderSplit::Test)
    }
}

/// The baselines over the first normal and the first anomalous sample of each group in [a part](ShortcutPart::of) of the data
/// set, best first. Empty where either is missing.
pub fn shortcuts(dataset: &Dataset, inspection: &Inspection, grouping: &Grouping) -> Vec<Shortcut> {
    let part = ShortcutPart::of(dataset);
    let mut taken = BTreeSet::new();
    let first = (0..dataset.samples.len()).filter(|&index| {
        inspection.get(index).is_some()
            && part.holds(&dataset.samples[index])
            && taken.insert((grouping.group_of[index], dataset.samples[index].label.is_normal()))
    });
    shortcuts_of(dataset, inspection, &first.collect::<Vec<_>>())
}

/// The baselines over the given samples, such as a split's test part, best first. Empty where there are no normals or
/// no anomalies among them.
pub fn shortcuts_of(dataset: &Dataset, inspection: &Inspection, samples: &[usize]) -> Vec<Shortcut> {
    let seen: Vec<(&Inspected, bool)> = samples
        .iter()
        .filter_map(|&index| Some((inspection.get(index)?, !dataset.samples.get(index)?.label.is_normal())))
        .collect();
    let anomalous: Vec<bool> = seen.iter().map(|(_, anomalous)| *anomalous).collect();
    let measure = |property: Property, value: Option<String>, of: &dyn Fn(&Inspected) -> f64| {
        let scores: Vec<f64> = seen.iter().map(|(seen, _)| of(seen)).collect();
        let auroc = auroc(&scores, &anomalous)?;
        Some(Shortcut {
            property,
            auroc: auroc.max(1.0 - auroc),
            is_higher_in_anomalies: auroc >= 0.5,
            value,
        })
    };
    let pixels = |seen: &Inspected| (seen.height * seen.width).max(1) as f64;
    let size = |seen: &Inspected| format!("{} x {}", seen.width, seen.height);
    let mode = |seen: &Inspected| format!("{:?}", seen.color_mode).to_lowercase();
    let best_value = |property: Property, of: &dyn Fn(&Inspected) -> String| {
        frequent(seen.iter().map(|(seen, _)| of(seen)))
            .into_iter()
            .filter_map(|value| {
                measure(property, Some(value.clone()), &|seen| f64::from(u8::from(of(seen) == value)))
            })
            .reduce(|best, next| if next.auroc > best.auroc { next } else { best })
    };
    let mut shortcuts: Vec<Shortcut> = [
        measure(Property::PixelCount, None, &pixels),
        measure(Property::Aspect, None, &|seen| seen.width as f64 / seen.height.max(1) as f64),
        best_value(Property::Size, &size),
        best_value(Property::ColorMode, &mode),
        measure(Property::BytesPerPixel, None, &|seen| seen.bytes as f64 / pixels(seen)),
        measure(Property::Mean, None, &|seen| seen.mean),
        measure(Property::StandardDeviation, None, &|seen| seen.standard_deviation),
        measure(Property::DarkFraction, None, &|seen| seen.dark_fraction),
    ]
    .into_iter()
    .flatten()
    .collect();
    shortcuts.sort_by(|a, b| b.auroc.total_cmp(&a.auroc).then(a.property.cmp(&b.property)));
    shortcuts
}

/// The up to three most frequent values, most frequent first.
fn frequent(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.into_iter().take(3).map(|(value, _)| value).collect()
}

/// Area under the ROC curve by ranks, ties counting half; `None` without both classes.
fn auroc(scores: &[f64], anomalous: &[bool]) -> Option<f64> {
    let positive = anomalous.iter().filter(|&&a| a).count() as f64;
    let negative = anomalous.len() as f64 - positive;
    if positive == 0.0 || negative == 0.0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut ranks, mut before) = (0.0, 0.0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let count = tied.len() as f64;
        let hits = tied.iter().filter(|&&index| anomalous[index]).count() as f64;
        ranks += hits * (before + (count + 1.0) / 2.0);
        before += count;
    }
    Some((ranks - positive * (positive + 1.0) / 2.0) / (positive * negative))
}

#[cfg(test)]
mod tests {
    use super::auroc;

    #[test]
    fn auroc_counts_pairs_and_ties_by_half() {
        let (scores, anomalous) = ([0.1, 0.4, 0.4, 0.8, 0.4], [false, false, true, true, false]);
        // Pairs: 0.4 beats 0.1 and ties twice (2 of 3), 0.8 beats all three.
        assert_eq!(auroc(&scores, &anomalous), Some(5.0 / 6.0));
        assert_eq!(auroc(&scores, &[true; 5]), None);
        assert_eq!(auroc(&[1.0, 1.0], &[true, false]), Some(0.5));
    }
}
