//! Which files below a folder are masks, and of which images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::dataset::remarks::counted;
use crate::dataset::walk::{Found, extension};
use crate::dataset::words::{is_image_folder, is_mask_folder, is_split, split_extension, without_mask_word};

/// A mask, and the path by which its image is found.
pub(super) struct MaskFile {
    file: Found,
    key: String,
}

/// Parts the files into images and masks: what lies in a folder of masks at any depth, what is named like a mask beside an
/// image, what lies in a folder named like one of masks beside one of images, and PNGs of which each has a JPEG's name.
pub(super) fn separate(found: Vec<Found>) -> (Vec<Found>, Vec<MaskFile>) {
    let folders: BTreeSet<&[String]> =
        found.iter().flat_map(|file| (1..file.parts.len()).map(move |depth| &file.parts[..depth])).collect();
    let stems: BTreeSet<String> = found.iter().map(|file| stem(&file.parts)).collect();
    let endings: BTreeSet<String> = found
        .iter()
        .filter_map(|file| {
            let whole = stem(&file.parts);
            let (image, ending) = split_ending(&whole)?;
            stems.contains(&image).then_some(ending)
        })
        .collect();
    let paired = beside_jpegs(&found);
    let keys: Vec<Option<String>> =
        found.iter().map(|file| key_of_mask(file, &folders, &endings, &paired)).collect();
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for (file, key) in found.into_iter().zip(keys) {
        match key {
            Some(key) => masks.push(MaskFile { file, key }),
            None => images.push(file),
        }
    }
    (images, masks)
}

/// The path of a mask without what says that it is one; `None` for an image.
fn key_of_mask(
    file: &Found,
    folders: &BTreeSet<&[String]>,
    endings: &BTreeSet<String>,
    paired: &BTreeSet<String>,
) -> Option<String> {
    let whole = stem(&file.parts);
    let name = whole.rsplit('/').next().unwrap_or_default();
    let mut is_mask = split_ending(&whole).is_some_and(|(_, ending)| endings.contains(&ending));
    is_mask |= paired.contains(&whole) && !matches!(extension(&file.path).as_str(), "jpg" | "jpeg");
    let mut kept = Vec::new();
    for depth in 1..file.parts.len() {
        let (folder, above) = (file.parts[depth - 1].as_str(), &file.parts[..depth - 1]);
        let image_folder = without_mask_word(folder).filter(|name| {
            let sibling: Vec<String> = above.iter().cloned().chain([(*name).to_owned()]).collect();
            folders.contains(sibling.as_slice())
        });
        is_mask |= is_mask_folder(folder) || image_folder.is_some();
        if !is_mask_folder(folder) && !is_image_folder(folder) {
            kept.push(image_folder.unwrap_or(folder));
        }
    }
    kept.push(without_mask_word(name).unwrap_or(name));
    is_mask.then(|| kept.join("/"))
}

/// The path of the image beside which a mask of this path would lie, and what of its name says mask.
fn split_ending(stem: &str) -> Option<(String, String)> {
    let name = stem.rsplit('/').next()?;
    let image = without_mask_word(name)?;
    let word = match name.strip_prefix(image) {
        Some(after) => format!("*{}", after.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_')),
        None => format!("{}*", name.strip_suffix(image)?),
    };
    let folder = &stem[..stem.len() - name.len()];
    Some((format!("{folder}{image}"), word.to_lowercase()))
}

/// The paths without extension of what looks like masks by its format: in a folder of JPEGs, files that keep every value and
/// of which each has the stem of a JPEG.
fn beside_jpegs(found: &[Found]) -> BTreeSet<String> {
    let mut folders: BTreeMap<&[String], (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for file in found {
        let (jpegs, exact) = folders.entry(&file.parts[..file.parts.len() - 1]).or_default();
        match extension(&file.path).as_str() {
            "jpg" | "jpeg" => jpegs.insert(stem(&file.parts)),
            "png" | "bmp" => exact.insert(stem(&file.parts)),
            _ => continue,
        };
    }
    folders
        .into_values()
        .filter(|(jpegs, exact)| exact.is_subset(jpegs))
        .flat_map(|(_, exact)| exact)
        .collect()
}

/// An image that wants its mask.
pub(super) struct Wanting<'a> {
    pub(super) file: &'a Found,
    /// The class folder's name, if it lies in one.
    pub(super) class: Option<&'a str>,
    pub(super) is_normal: bool,
}

/// The masks of images, in their order, and what there is to say.
pub(super) fn assign(images: &[Wanting<'_>], masks: &[MaskFile]) -> (Vec<Option<PathBuf>>, Vec<String>) {
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, mask) in masks.iter().enumerate() {
        by_key.entry(mask.key.as_str()).or_default().push(index);
    }
    // From the image's whole path to ever less of it: the first that a mask has too.
    let keys: Vec<Option<(String, usize)>> = images
        .iter()
        .map(|image| {
            let keys = keys_of_image(image).into_iter().enumerate();
            keys.map(|(rank, key)| (key, rank)).find(|(key, _)| by_key.contains_key(key.as_str()))
        })
        .collect();
    // A mask belongs to the image whose path says most; where several say as much, to none.
    let mut claims: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        if let Some((key, rank)) = key {
            // A normal image has no foreground: the mask of an anomaly of the same name is the anomaly's.
            let rank = 2 * rank + usize::from(images[index].is_normal);
            claims.entry(key).or_default().push((rank, index));
        }
    }
    let mut assigned = vec![None; images.len()];
    let (mut used, mut of_normals) = (BTreeSet::new(), Vec::new());
    let (mut several, mut contested) = (Vec::new(), Vec::new());
    for (key, mut claims) in claims {
        claims.sort_unstable();
        let (rank, index) = claims[0];
        let its = &by_key[key];
        let image = &images[index];
        used.extend(its.iter().copied());
        if image.is_normal {
            of_normals.extend(its.iter().map(|&mask| masks[mask].file.name()));
        } else if claims.get(1).is_some_and(|&(other, _)| other == rank) {
            contested.push(image.file.name());
        } else if its.len() > 1 {
            several.push(image.file.name());
        } else {
            assigned[index] = Some(masks[its[0]].file.path.clone());
        }
    }
    let unmatched: Vec<String> = (0..masks.len())
        .filter(|index| !used.contains(index))
        .map(|index| masks[index].file.name())
        .collect();
    let mut notes = Vec::new();
    let mut say = |names: &[String], one: &str, many: &str, what: &str| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !names.is_empty() {
            notes.push(format!("{}: {what}", counted(&names, one, many)));
        }
    };
    say(&unmatched, "mask matches no image", "masks match no image", "no pixel figures by them");
    say(
        &several,
        "anomaly has several masks",
        "anomalies have several masks",
        "none is used; join them into one file",
    );
    say(
        &contested,
        "mask could belong to several anomalies",
        "masks could belong to several anomalies",
        "not used",
    );
    say(&of_normals, "mask of a normal image", "masks of normal images", "not used");
    (assigned, notes)
}

/// The image's path without extension, then without its split, its class, or both.
fn keys_of_image(image: &Wanting<'_>) -> Vec<String> {
    let parts = &image.file.parts;
    let (folders, name) = (&parts[..parts.len() - 1], stem(&parts[parts.len() - 1..]));
    let folders: Vec<&str> =
        folders.iter().map(String::as_str).filter(|name| !is_image_folder(name)).collect();
    let key = |with_split: bool, with_class: bool| {
        let kept = folders.iter().copied().filter(|name| {
            (with_split || !is_split(name)) && (with_class || image.class.is_none_or(|class| class != *name))
        });
        kept.chain([name.as_str()]).collect::<Vec<_>>().join("/")
    };
    vec![key(true, true), key(false, true), key(true, false), key(false, false)]
}

/// Components joined by `/`, the last one without its extension.
fn stem(parts: &[String]) -> String {
    let Some((name, folders)) = parts.split_last() else { return String::new() };
    let (stem, _) = split_extension(name);
    folders.iter().map(String::as_str).chain([stem]).collect::<Vec<_>>().join("/")
}
