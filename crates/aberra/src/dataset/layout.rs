//! Folder names -> labels, masks and given splits. Where a wrong guess would call anomalies normal, it asks instead.

mod masks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aberra_image::Format;

use self::masks::{MaskFile, Wanting, assign, separate};
use super::channels::{ChannelFile, Joined, join_cases};
use super::remarks::counted;
use super::walk::{Found, Skipped, describe_marked_folders, walk};
use super::words::{Meaning, is_image_folder, is_split, meaning, plain};
use super::{Dataset, FolderSplit, Label, Layout, OpenOptions, Sample};
use crate::{Error, Result};

/// Lists the folder at `root`, recognising its layout.
pub(super) fn open(root: &Path, options: &OpenOptions) -> Result<Dataset> {
    let (found, skipped) = walk(root)?;
    let (images, masks) = separate(found);
    if images.is_empty() {
        return Err(no_images(root, &skipped, masks.len()));
    }
    let Joined { images, channels, note } =
        join_cases(images, options.cases).map_err(|error| error.with_path(root))?;
    let mut notes: Vec<String> = note.into_iter().collect();
    let channels: BTreeMap<&Path, Vec<ChannelFile>> =
        images.iter().map(|file| file.path.as_path()).zip(channels).collect();
    let (layout, labelled) = if options.normal == ["*"] {
        (Layout::Plain, images.iter().map(Labelled::normal).collect())
    } else {
        by_class(root, &images, options, &mut notes)?
    };
    let samples = with_masks(labelled, &channels, &masks, &mut notes);
    Ok(Dataset { root: root.to_owned(), layout, samples, skipped, notes })
}

fn no_images(root: &Path, skipped: &Skipped, masks: usize) -> Error {
    let others: usize = skipped.other.values().sum();
    let others = (others > 0).then(|| format!("{others} other files"));
    let masks = (masks > 0).then(|| format!("{masks} that are masks by their names"));
    let found: Vec<String> = masks
        .into_iter()
        .chain(skipped.unsupported.iter().map(ToString::to_string))
        .chain(others)
        .chain(describe_marked_folders(&skipped.marked_folders))
        .collect();
    let though = if found.is_empty() { "" } else { ", though " };
    Error::data(format!("expected a folder of images, found none{though}{}", found.join(" and ")))
        .with_path(root)
        .with_hint(format!("images are {} files, at any depth below the folder", Format::names()))
}

/// A file with what its folders say.
struct Labelled<'a> {
    file: &'a Found,
    label: Label,
    split: Option<FolderSplit>,
    class: Option<&'a str>,
}

impl<'a> Labelled<'a> {
    fn normal(file: &'a Found) -> Self {
        Self { file, label: Label::Normal, split: None, class: None }
    }
}

fn with_masks(
    labelled: Vec<Labelled<'_>>,
    channels: &BTreeMap<&Path, Vec<ChannelFile>>,
    masks: &[MaskFile],
    notes: &mut Vec<String>,
) -> Vec<Sample> {
    let wanting: Vec<Wanting<'_>> = labelled
        .iter()
        .map(|one| Wanting { file: one.file, class: one.class, is_normal: one.label.is_normal() })
        .collect();
    let (assigned, more) = assign(&wanting, masks);
    notes.extend(more);
    let samples = labelled.into_iter().zip(assigned).map(|(one, mask)| Sample {
        path: one.file.path.clone(),
        channels: channels.get(one.file.path.as_path()).cloned().unwrap_or_default(),
        page: None,
        volume: None,
        name: one.file.name(),
        label: one.label,
        mask,
        group: None,
        folder_split: one.split,
    });
    samples.collect()
}

/// A file and the folders that may say something of it: less folders around all images, and less `images`.
struct Foldered<'a> {
    file: &'a Found,
    folders: Vec<&'a str>,
}

/// A file in its class folder, with the folders below that.
struct Classified<'a> {
    file: &'a Found,
    split: Option<FolderSplit>,
    class: &'a str,
    below: Vec<&'a str>,
}

fn by_class<'a>(
    root: &Path,
    images: &'a [Found],
    options: &OpenOptions,
    notes: &mut Vec<String>,
) -> Result<(Layout, Vec<Labelled<'a>>)> {
    let (foldered, around) = unwrap(images, options);
    if !around.is_empty() {
        notes.push(format!("read the folder `{}` as the data set", around.join("/")));
    }
    refuse_several_sets(root, &around, &foldered)?;
    let has_splits = foldered.iter().any(|file| file.folders.len() > 1 && is_split(file.folders[0]));
    let mut classified = Vec::new();
    let mut loose = Vec::new();
    for &Foldered { file, ref folders } in &foldered {
        match (has_splits, folders.as_slice()) {
            (true, &[split, class, ref below @ ..]) if is_split(split) => classified.push(Classified {
                file,
                split: FolderSplit::from_word(split),
                class,
                below: below.to_vec(),
            }),
            (false, &[class, ref below @ ..]) => {
                classified.push(Classified { file, split: None, class, below: below.to_vec() });
            }
            _ => loose.push(file),
        }
    }
    let classes: BTreeSet<&str> = classified.iter().map(|one| one.class).collect();
    if !has_splits && classes.len() > 1 && classes.iter().all(|class| is_split(class)) {
        return Err(Error::data(format!("found images directly in {}, without class folders", list(&classes)))
            .with_path(root)
            .with_hint("put them in folders by class, such as train/good and test/crack, or open one folder of normal images"));
    }

    let (normal, told) = normal_classes(root, &classes, options)?;
    if normal.is_empty() {
        return without_normal_class(root, has_splits, &classes, classified, &loose, notes);
    }
    if !told {
        refuse_defects_among_normals(root, classified.iter().filter(|one| normal.contains(one.class)))?;
    }
    if !loose.is_empty() {
        let names: Vec<String> = loose.iter().map(|file| file.name()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let what = counted(
            &names,
            "image that lies outside the class folders",
            "images that lie outside the class folders",
        );
        notes.push(format!("left out {what}"));
    }
    if !told && classes.contains("0") && !normal.contains("0") {
        notes.push("took class `0` as a kind of anomaly, though 0 is normal in a manifest; if it is normal here, give `--normal 0` and the other normal classes".to_owned());
    }
    let has = |split: &str, class: &str| {
        foldered.iter().any(|file| matches!(file.folders.as_slice(), [first, second, ..] if *first == split && *second == class))
    };
    let has_test = foldered.iter().any(|file| file.folders.first() == Some(&"test"));
    let is_mvtec = normal.len() == 1 && has("train", "good") && has_test;
    if !told && !is_mvtec {
        notes.insert(0, format!("took class {} as normal, by its usual name", list(&normal)));
    }
    let kinds = classes.difference(&normal).map(|class| (*class).to_owned()).collect();
    let layout = if is_mvtec {
        Layout::Mvtec
    } else {
        Layout::ClassFolders { normal: normal.iter().map(|class| (*class).to_owned()).collect(), kinds }
    };
    let labelled = classified.into_iter().map(|one| {
        let label = match normal.contains(one.class) {
            true => Label::Normal,
            false => Label::Anomalous { kind: one.class.to_owned() },
        };
        Labelled { file: one.file, label, split: one.split, class: Some(one.class) }
    });
    Ok((layout, labelled.collect()))
}

/// No class is known to be normal: a plain folder of normal images, unless the folders look like classes or like defects.
fn without_normal_class<'a>(
    root: &Path,
    has_splits: bool,
    classes: &BTreeSet<&'a str>,
    classified: Vec<Classified<'a>>,
    loose: &[&'a Found],
    notes: &mut Vec<String>,
) -> Result<(Layout, Vec<Labelled<'a>>)> {
    let hint =
        "name the normal ones, for example `--normal notumor`; `--normal '*'` if all images are normal";
    let are_defects = !classes.is_empty() && classes.iter().all(|class| meaning(class) == Meaning::Defect);
    if loose.is_empty() && are_defects && (classes.len() == 1 || has_splits) {
        let kinds = classes.iter().map(|class| (*class).to_owned()).collect();
        let labelled = classified.into_iter().map(|one| Labelled {
            file: one.file,
            label: Label::Anomalous { kind: one.class.to_owned() },
            split: one.split,
            class: Some(one.class),
        });
        notes.push(format!(
            "took class {} as anomalies, by its name; if its images are normal, give `--normal '*'`",
            list(classes)
        ));
        return Ok((Layout::ClassFolders { normal: Vec::new(), kinds }, labelled.collect()));
    }
    if has_splits || (loose.is_empty() && classes.len() > 1) {
        let text = format!("found the classes {}, and none is known to be normal", list(classes));
        return Err(Error::data(text).with_path(root).with_hint(hint));
    }
    refuse_defects_among_normals(root, classified.iter())?;
    if !classes.is_empty() {
        let count = classified.len();
        notes.push(format!(
            "took what lies in {} as normal too ({count} of the images): no folder says otherwise",
            list(classes)
        ));
    }
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if meaning(&name) == Meaning::Defect || super::words::is_mask_folder(&name) {
        notes.push(format!("took the images as normal, though the folder is called `{name}`"));
    }
    let all = classified.iter().map(|one| one.file).chain(loose.iter().copied());
    Ok((Layout::Plain, all.map(Labelled::normal).collect()))
}

/// Takes away folders around all images, as unpacked archives have them, as long as folders that may be classes or parts
/// remain; and `images` anywhere.
fn unwrap<'a>(images: &'a [Found], options: &OpenOptions) -> (Vec<Foldered<'a>>, Vec<&'a str>) {
    let folders = |file: &'a Found| {
        let (_, folders) = file.parts.split_last()?;
        Some(folders.iter().map(String::as_str).filter(|name| !is_image_folder(name)).collect())
    };
    let mut foldered: Vec<Foldered<'a>> =
        images.iter().map(|file| Foldered { file, folders: folders(file).unwrap_or_default() }).collect();
    let is_named = |name: &str| options.normal.iter().any(|normal| plain(normal) == plain(name));
    let mut around = Vec::new();
    while let Some(&first) = foldered.first().and_then(|file| file.folders.first()) {
        let says_something = is_split(first) || is_named(first) || meaning(first) != Meaning::Open;
        let is_around_folders =
            foldered.iter().all(|file| file.folders.len() > 1 && file.folders[0] == first);
        if says_something || !is_around_folders {
            break;
        }
        foldered.iter_mut().for_each(|file| {
            file.folders.remove(0);
        });
        around.push(first);
    }
    (foldered, around)
}

/// Folders that are data sets themselves, at any depth, as the parent of MVTec's categories has them.
fn refuse_several_sets(root: &Path, around: &[&str], foldered: &[Foldered<'_>]) -> Result<()> {
    let sets: BTreeSet<&[&str]> = foldered.iter().filter_map(|file| set_of(&file.folders)).collect();
    let is_by_class = sets.iter().any(|set| meaning(set[0]) != Meaning::Open);
    let (Some(first), false) = (sets.first(), is_by_class) else { return Ok(()) };
    let path = around.iter().chain(*first).fold(root.to_owned(), |path, name| path.join(name));
    let names: Vec<String> = sets.iter().map(|set| set.join("/")).collect();
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    Err(Error::data(format!(
        "found {} that hold parts of a split each: data sets of their own",
        list(&names)
    ))
    .with_path(root)
    .with_hint(format!("give one of them, such as {}", path.display())))
}

/// The folders down to a data set among them: one that holds a part of a split, if it is the outermost, and further down one
/// that holds a part with a class of normal images, such as `train/good`.
fn set_of<'a, 'b>(folders: &'b [&'a str]) -> Option<&'b [&'a str]> {
    if folders.first().is_none_or(|first| is_split(first)) {
        return None;
    }
    let is_set = |&depth: &usize| {
        is_split(folders[depth])
            && (depth == 1 || folders.get(depth + 1).is_some_and(|class| meaning(class) == Meaning::Normal))
    };
    (1..folders.len()).find(is_set).map(|depth| &folders[..depth])
}

/// Images that would count as normal, in folders whose names say that they are not.
fn refuse_defects_among_normals<'a>(
    root: &Path,
    normals: impl Iterator<Item = &'a Classified<'a>>,
) -> Result<()> {
    let mut defects: BTreeMap<&str, usize> = BTreeMap::new();
    for one in normals {
        let mut folders = [one.class].into_iter().chain(one.below.iter().copied());
        if let Some(name) = folders.find(|name| meaning(name) == Meaning::Defect) {
            *defects.entry(name).or_default() += 1;
        }
    }
    if defects.is_empty() {
        return Ok(());
    }
    let count: usize = defects.values().sum();
    let names: BTreeSet<&str> = defects.into_keys().collect();
    Err(Error::data(format!(
        "expected normal images, found {count} in {} by whose name they are none",
        list(&names)
    ))
    .with_path(root)
    .with_hint("put normal images in a folder `good` beside it, name the normal classes with --normal, or give `--normal '*'` if all images are normal"))
}

/// The normal classes, and whether the user named them. None may be known.
fn normal_classes<'a>(
    root: &Path,
    classes: &BTreeSet<&'a str>,
    options: &OpenOptions,
) -> Result<(BTreeSet<&'a str>, bool)> {
    if options.normal.is_empty() {
        let that_say =
            |wanted: Meaning| classes.iter().copied().filter(move |class| meaning(class) == wanted).collect();
        let usual: BTreeSet<&str> = that_say(Meaning::Normal);
        let usual = if usual.is_empty() { that_say(Meaning::PerhapsNormal) } else { usual };
        return Ok((usual, false));
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

fn list(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
