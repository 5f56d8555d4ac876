//! A split as a file: names, groups and identities of the images, so that it can be given back and checked.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Dataset, Fold, GroupBy, Inspection, Leak, Split, SplitPolicy, SplitSettings};
use crate::{Error, Result, output};

const FORMAT: &str = "aberra split";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitFile {
    format: String,
    version: u32,
    seed: u64,
    rate: f64,
    by: GroupBy,
    policy: SplitPolicy,
    fold: Option<Fold>,
    leak: Option<Leak>,
    train: Vec<Entry>,
    fit: Vec<Entry>,
    calibration: Vec<Entry>,
    test: Vec<Entry>,
    unused: Vec<Entry>,
    unreadable: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    group: usize,
    /// The image's identity as text: the BLAKE3 hash of its file, and its number within the file unless it is the first.
    /// Empty where the file could not be read.
    hash: String,
}

impl Split {
    /// Writes the split as JSON, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written, or the split is of another data set.
    pub fn write(&self, path: &Path, dataset: &Dataset, inspection: &Inspection) -> Result<()> {
        let entries = |part: &[usize]| {
            part.iter()
                .map(|&index| {
                    Ok(Entry {
                        name: dataset.samples.get(index).ok_or_else(|| foreign(path))?.name.clone(),
                        group: *self.group_of.get(index).ok_or_else(|| foreign(path))?,
                        hash: id_text(inspection, index),
                    })
                })
                .collect::<Result<Vec<_>>>()
        };
        let file = SplitFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            seed: self.seed,
            rate: self.rate,
            by: self.by,
            policy: self.policy,
            fold: self.fold,
            leak: self.leak,
            train: entries(&self.train)?,
            fit: entries(&self.fit)?,
            calibration: entries(&self.calibration)?,
            test: entries(&self.test)?,
            unused: entries(&self.unused)?,
            unreadable: entries(&self.unreadable)?,
        };
        let mut json = serde_json::to_vec_pretty(&file).map_err(|error| Error::data(error.to_string()))?;
        json.push(b'\n');
        output::write(path, &json)
    }

    /// Reads a split and checks that it divides exactly this data set: the same names with the same contents,
    /// normals only in train, fit and calibration, and no group in two parts unless given folders were kept.
    ///
    /// # Errors
    /// The file cannot be read, is not a split, or does not fit the data set.
    pub fn read(path: &Path, dataset: &Dataset, inspection: &Inspection) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| Error::io(path, &error))?;
        let wrong = |message: String| {
            Error::data(message).with_path(path).with_hint("make a new split of these images")
        };
        let file: SplitFile = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("expected a split as Aberra writes it: {error}")))?;
        if file.format != FORMAT || file.version != VERSION {
            return Err(wrong(format!(
                "expected `{FORMAT}` version {VERSION}, found `{}` version {}",
                file.format, file.version
            )));
        }
        // Samples by name; lossy names may be shared, then the identity tells.
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, sample) in dataset.samples.iter().enumerate() {
            by_name.entry(&sample.name).or_default().push(index);
        }
        let mut group_of = vec![usize::MAX; dataset.samples.len()];
        let (mut missing, mut changed) = (Vec::new(), Vec::new());
        let mut place = |entries: &[Entry]| {
            let mut part = Vec::with_capacity(entries.len());
            for entry in entries {
                let named = by_name.get_mut(entry.name.as_str()).filter(|named| !named.is_empty());
                let Some(named) = named else {
                    missing.push(entry.name.clone());
                    continue;
                };
                let Some(at) = named.iter().position(|&index| id_text(inspection, index) == entry.hash)
                else {
                    changed.push(entry.name.clone());
                    continue;
                };
                let index = named.remove(at);
                group_of[index] = entry.group;
                part.push(index);
            }
            part.sort_unstable();
            part
        };
        let split = Self {
            seed: file.seed,
            rate: file.rate,
            by: file.by,
            policy: file.policy,
            fold: file.fold,
            train: place(&file.train),
            fit: place(&file.fit),
            calibration: place(&file.calibration),
            test: place(&file.test),
            unused: place(&file.unused),
            unreadable: place(&file.unreadable),
            group_of: Vec::new(),
            leak: file.leak,
        };
        if !missing.is_empty() {
            return Err(wrong(format!(
                "the split names {} that the data set does not have (or names them twice)",
                some(&missing)
            )));
        }
        if !changed.is_empty() {
            return Err(wrong(format!(
                "the contents have changed since the split was made: {}",
                some(&changed)
            )));
        }
        let new = by_name.values().flatten().map(|&index| dataset.samples[index].name.clone());
        let mut new: Vec<String> = new.collect();
        if !new.is_empty() {
            new.sort();
            return Err(wrong(format!("the data set has {} that the split does not name", some(&new))));
        }
        let split = Self { group_of, ..split };
        split.check_numbers().map_err(wrong)?;
        split.check_parts(dataset).map_err(wrong)?;
        Ok(split)
    }

    /// Whether the numbers could be those of a split that was made.
    fn check_numbers(&self) -> std::result::Result<(), String> {
        let settings = SplitSettings { rate: self.rate, ..SplitSettings::default() };
        settings.check().map_err(|error| error.to_string())?;
        if let Some(Fold { index, of }) = self.fold
            && (of < 2 || index >= of)
        {
            return Err(format!(
                "expected a fold from 0 and below the number of folds, found {index} of {of}"
            ));
        }
        if let Some(Leak { normal, normal_leaked, anomalous, anomalous_leaked }) = self.leak
            && (normal_leaked > normal || anomalous_leaked > anomalous)
        {
            return Err(format!(
                "expected at most as many leaked images as there are, found {normal_leaked} of {normal} normal and \
                 {anomalous_leaked} of {anomalous} anomalous"
            ));
        }
        Ok(())
    }

    fn check_parts(&self, dataset: &Dataset) -> std::result::Result<(), String> {
        let mut part_of = BTreeMap::new();
        for (name, part) in [
            ("train", &self.train),
            ("fit", &self.fit),
            ("calibration", &self.calibration),
            ("test", &self.test),
        ] {
            for &index in part {
                let sample = &dataset.samples[index];
                if name != "test" && !sample.label.is_normal() {
                    return Err(format!(
                        "{} is anomalous ({}), but in the {name} part",
                        sample.name, sample.label
                    ));
                }
                let other = *part_of.entry(self.group_of[index]).or_insert(name);
                if other != name && self.policy == SplitPolicy::Pool {
                    return Err(format!(
                        "group {} lies in both the {other} and the {name} part",
                        self.group_of[index]
                    ));
                }
            }
        }
        Ok(())
    }
}

fn foreign(path: &Path) -> Error {
    Error::data("the split is of another data set").with_path(path)
}

fn id_text(inspection: &Inspection, index: usize) -> String {
    inspection.get(index).map_or_else(String::new, |seen| seen.fingerprint.id.to_string())
}

/// The number of names and the first three.
fn some(names: &[String]) -> String {
    let first = names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 3 { ", ..." } else { "" };
    format!("{} images ({first}{more})", names.len())
}
