//! Folder names -> labels, masks and given splits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aberra_image::Format;

use super::walk::{Found, describe_marked_folders, walk};
use super::{Dataset, FolderSplit, Label, Layout, OpenOptions, Sample};
use crate::{Error, Result};

/// Names by which data sets call their normal class, in lower case without punctuation.
const USUAL_NORMAL: [&str; 6] = ["good", "normal", "notumor", "notumour", "healthy", "ok"];
/// Names of folders that hold masks next to the images, in lower case without punctuation.
const MASK_FOLDERS: [&str; 4] = ["mask", "masks", "groundtruth", "gt"];

/// Lists the folder at `root`, recognising its layout.
pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Dataset> {
    let (found, skipped) = walk(root)?;
    let top: BTreeSet<String> =
        found.iter().filter(|file| file.parts.len() > 1).map(|file| file.parts[0].clone()).collect();
    let is_mask_folder = |name: &str| MASK_FOLDERS.contains(&plain(name).as_str());
    let has_image_folders = top.iter().any(|name| !is_mask_folder(name));
    let (masks, images): (Vec<Found>, Vec<Found>) = found
        .into_iter()
        .partition(|file| has_image_folders && file.parts.len() > 1 && is_mask_folder(&file.parts[0]));
    if images.is_empty() {
        let others: usize = skipped.other.values().sum();
        let others = (others > 0).then(|| format!("{others} other files"));
        let found: Vec<String> =
            others.into_iter().chain(describe_marked_folders(&skipped.marked_folders)).collect();
        let though = if found.is_empty() { "" } else { ", though " };
        return Err(Error::data(format!(
            "expected a folder of images, found none{though}{}",
            found.join(" and ")
        ))
        .with_path(root)
        .with_hint(format!("images are {} files, at any depth below the folder", Format::names())));
    }
    let mut notes = Vec::new();
    let (layout, samples) = if options.normal == ["*"] {
        (Layout::Plain, images.iter().map(|file| sample(file, Label::Normal, None, None)).collect())
    } else {
        by_class(root, &images, &MaskIndex::new(&masks), options, &mut notes)?
    };
    Ok(Dataset { root: root.to_owned(), layout, samples, skipped, notes })
}

fn by_class(
    root: &Path,
    images: &[Found],
    masks: &MaskIndex,
    options: &OpenOptions,
    notes: &mut Vec<String>,
) -> Result<(Layout, Vec<Sample>)> {
    let has_splits =
        images.iter().any(|file| file.parts.len() > 2 && FolderSplit::from_word(&file.parts[0]).is_some());
    let classified: Vec<(&Found, Option<FolderSplit>, &str)> = images
        .iter()
        .filter_map(|file| match (has_splits, file.parts.as_slice()) {
            (true, [split, class, _, ..]) => {
                FolderSplit::from_word(split).map(|split| (file, Some(split), class.as_str()))
            }
            (false, [class, _, ..]) => Some((file, None, class.as_str())),
            _ => None,
        })
        .collect();
    let classes: BTreeSet<&str> = classified.iter().map(|(_, _, class)| *class).collect();
    let only_splits = !has_splits
        && !classes.is_empty()
        && classes.iter().all(|class| FolderSplit::from_word(class).is_some());
    if only_splits && classes.len() > 1 {
        return Err(Error::data(format!("found images directly in {}, without class folders", list(&classes)))
            .with_path(root)
            .with_hint("put them in folders by class, such as train/good and test/crack, or open one folder of normal images"));
    }

    let (normal, told) = normal_classes(root, &classes, options)?;
    let loose = images.len() - classified.len();
    if normal.is_empty() {
        // No class is known to be normal: a plain folder, unless the folders look like classes.
        if has_splits || (loose == 0 && classes.len() > 1) {
            return Err(Error::data(format!("found the classes {}, and none is known to be normal", list(&classes)))
                .with_path(root)
                .with_hint("name the normal ones, for example `--normal notumor`; `--normal '*'` if all images are normal"));
        }
        return Ok((
            Layout::Plain,
            images.iter().map(|file| sample(file, Label::Normal, None, None)).collect(),
        ));
    }
    if !told {
        notes.push(format!("took class {} as normal, by its usual name", list(&normal)));
    }
    if loose > 0 {
        notes.push(format!("left out {loose} images that lie outside the class folders"));
    }
    let samples = classified
        .iter()
        .map(|&(file, split, class)| {
            let label = if normal.contains(class) {
                Label::Normal
            } else {
                Label::Anomalous { kind: class.to_owned() }
            };
            let mask = if label.is_normal() { None } else { masks.of(file, has_splits) };
            sample(file, label, mask, split)
        })
        .collect();
    let has = |prefix: [&str; 2]| images.iter().any(|file| file.parts.len() > 2 && file.parts[..2] == prefix);
    let mvtec =
        normal.len() == 1 && has(["train", "good"]) && images.iter().any(|file| file.parts[0] == "test");
    let kinds = classes.difference(&normal).map(|class| (*class).to_owned()).collect();
    let layout = if mvtec {
        notes.clear();
        Layout::Mvtec
    } else {
        Layout::ClassFolders { normal: normal.iter().map(|class| (*class).to_owned()).collect(), kinds }
    };
    Ok((layout, samples))
}

/// The normal classes, and whether the user named them. None may be known.
fn normal_classes<'a>(
    root: &Path,
    classes: &BTreeSet<&'a str>,
    options: &OpenOptions,
) -> Result<(BTreeSet<&'a str>, bool)> {
    if options.normal.is_empty() {
        let usual = classes.iter().filter(|class| USUAL_NORMAL.contains(&plain(class).as_str())).copied();
        return Ok((usual.collect(), false));
    }
    let mut normal = BTreeSet::new();
    for name in &options.normal {
        let exact = classes.iter().find(|class| **class == name);
        let Some(class) = exact.or_else(|| classes.iter().find(|class| plain(class) == plain(name))) else {
            let there = if classes.is_empty() {
                "there are no class folders".into()
            } else {
                format!("there are {}", list(classes))
            };
            return Err(Error::data(format!("expected a class `{name}`; {there}"))
                .with_path(root)
                .with_hint("name classes as their folders are named"));
        };
        normal.insert(*class);
    }
    Ok((normal, true))
}

fn sample(file: &Found, label: Label, mask: Option<PathBuf>, folder_split: Option<FolderSplit>) -> Sample {
    Sample { path: file.path.clone(), name: file.name(), label, mask, group: None, folder_split }
}

/// Masks by their path below the mask folder, without extension and without `_mask`.
struct MaskIndex(BTreeMap<String, PathBuf>);

impl MaskIndex {
    fn new(masks: &[Found]) -> Self {
        let key = |file: &Found| {
            let key = stem(&file.parts[1..]);
            key.strip_suffix("_mask").map(str::to_owned).unwrap_or(key)
        };
        Self(masks.iter().map(|file| (key(file), file.path.clone())).collect())
    }

    /// The mask at the image's own path, or at that path less the split folder.
    fn of(&self, file: &Found, has_splits: bool) -> Option<PathBuf> {
        let below_split = has_splits.then(|| stem(&file.parts[1..]));
        self.0.get(&stem(&file.parts)).or_else(|| self.0.get(&below_split?)).cloned()
    }
}

/// Components joined by `/`, the last one without its extension.
fn stem(parts: &[String]) -> String {
    let joined = parts.join("/");
    match joined.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem.to_owned(),
        _ => joined,
    }
}

/// Lower case, letters and digits only.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
