//! Shortcuts: properties of file, frame and device that separate normals from anomalies without looking at the content.

use std::collections::{BTreeMap, BTreeSet};

use aberra_image::Acquisition;
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
    /// What the property was compared with, where it is one of several values: a frequent size, colour mode or field strength.
    /// In place of a text of DICOM files, which may name persons, stands an image that has the same: `that of a.dcm`.
    pub value: Option<String>,
}

/// A property of file, frame or device, not of what is shown.
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
    /// Being taken by one kind of device, as DICOM files say.
    Modality,
    /// ... by devices of one manufacturer.
    Manufacturer,
    /// ... by one model of device.
    Model,
    /// ... by one protocol.
    Protocol,
    /// ... in one strength of the magnetic field.
    FieldStrength,
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
            Self::Modality => "modality",
            Self::Manufacturer => "manufacturer",
            Self::Model => "model of the device",
            Self::Protocol => "protocol",
            Self::FieldStrength => "field strength",
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
    let seen: Vec<(&str, &Inspected, bool)> = samples
        .iter()
        .filter_map(|&index| {
            let sample = dataset.samples.get(index)?;
            Some((&*sample.name, inspection.get(index)?, !sample.label.is_normal()))
        })
        .collect();
    let anomalous: Vec<bool> = seen.iter().map(|(.., anomalous)| *anomalous).collect();
    let measure = |property: Property, value: Option<String>, scores: &[f64]| {
        let auroc = auroc(scores, &anomalous)?;
        Some(Shortcut {
            property,
            auroc: auroc.max(1.0 - auroc),
            is_higher_in_anomalies: auroc >= 0.5,
            value,
        })
    };
    let number = |property: Property, of: &dyn Fn(&Inspected) -> f64| {
        let scores: Vec<f64> = seen.iter().map(|(_, seen, _)| of(seen)).collect();
        measure(property, None, &scores)
    };
    let best_value = |property: Property, values: &[String]| {
        frequent(values)
            .into_iter()
            .filter_map(|value| {
                let scores: Vec<f64> = values.iter().map(|of| f64::from(u8::from(*of == value))).collect();
                measure(property, Some(value), &scores)
            })
            .reduce(|best, next| if next.auroc > best.auroc { next } else { best })
    };
    let word = |property: Property, of: &dyn Fn(&Inspected) -> String| {
        best_value(property, &seen.iter().map(|(_, seen, _)| of(seen)).collect::<Vec<_>>())
    };
    // Of the device, where an image states anything.
    let device = |property: Property, of: &dyn Fn(&Acquisition) -> Option<Told>| {
        let told = seen.iter().map(|(_, seen, _)| seen.origin.and_then(|origin| of(&origin.acquisition)));
        let told: Vec<Option<Told>> = told.collect();
        let mut examples: BTreeMap<[u8; 32], &str> = BTreeMap::new();
        for (told, (name, ..)) in told.iter().zip(&seen) {
            if let Some(Told::Secret(hash)) = told {
                examples.entry(*hash).or_insert(name);
            }
        }
        let in_words = |told: &Option<Told>| match told {
            None => "not stated".to_owned(),
            Some(Told::Open(text)) => text.clone(),
            Some(Told::Secret(hash)) => format!("that of {}", examples[hash]),
        };
        let is_told = told.iter().any(Option::is_some);
        is_told.then(|| best_value(property, &told.iter().map(in_words).collect::<Vec<_>>())).flatten()
    };
    let pixels = |seen: &Inspected| (seen.height * seen.width).max(1) as f64;
    let mut shortcuts: Vec<Shortcut> = [
        number(Property::PixelCount, &pixels),
        number(Property::Aspect, &|seen| seen.width as f64 / seen.height.max(1) as f64),
        word(Property::Size, &|seen| format!("{} x {}", seen.width, seen.height)),
        word(Property::ColorMode, &|seen| format!("{:?}", seen.color_mode).to_lowercase()),
        number(Property::BytesPerPixel, &|seen| seen.bytes as f64 / pixels(seen)),
        number(Property::Mean, &|seen| seen.mean),
        number(Property::StandardDeviation, &|seen| seen.standard_deviation),
        number(Property::DarkFraction, &|seen| seen.dark_fraction),
        device(Property::Modality, &|device| Some(Told::Open(device.modality?.to_owned()))),
        device(Property::Manufacturer, &|device| device.manufacturer.map(Told::Secret)),
        device(Property::Model, &|device| device.model.map(Told::Secret)),
        device(Property::Protocol, &|device| device.protocol.map(Told::Secret)),
        device(Property::FieldStrength, &|device| {
            Some(Told::Open(format!("{:.1} T", device.field_strength_t?)))
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    shortcuts.sort_by(|a, b| b.auroc.total_cmp(&a.auroc).then(a.property.cmp(&b.property)));
    shortcuts
}

/// What a file states about the device.
enum Told {
    /// In words that name no person.
    Open(String),
    /// In words that are not kept.
    Secret([u8; 32]),
}

/// The up to three most frequent values, most frequent first.
fn frequent(values: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    values.iter().for_each(|value| *counts.entry(value).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    counts.into_iter().take(3).map(|(value, _)| value.to_owned()).collect()
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
