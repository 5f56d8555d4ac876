//! Volumes: the slices of a file of several images, or of a DICOM series that lies in several files, without those that show nothing
//! but air.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aberra_image::{Format, Limits, count_pages};
use rayon::prelude::*;

use super::empty::{are_empty, spread};
use super::reading::read_image;
use super::remarks::counted;
use super::series::{At, Grouped, Placed, group, placed};

/// What is judged as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Case {
    /// An image that is no slice: that of a file, or a page of it, or a file that cannot be read.
    Image {
        /// The file.
        path: PathBuf,
        /// The page, from 0; `None` for the one image of a file.
        page: Option<u32>,
    },
    /// Several slices.
    Volume(Volume),
}

/// The slices of a volume, in the order in which they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// The file, or the folder of the series' files; with the number of the series where there are several. Unique among the
    /// volumes that were found together.
    pub name: String,
    /// All of them.
    pub slices: Vec<Slice>,
    /// Whether two of them lie at one place, so that they fill no grid.
    pub has_repeated_positions: bool,
}

/// A slice of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slice {
    /// Its file.
    pub path: PathBuf,
    /// Its number within the file, from 0; `None` for the one image of a file.
    pub page: Option<u32>,
    /// It shows nothing but air, and is neither learnt from nor scored.
    pub is_empty: bool,
}

impl Volume {
    /// The slices that are scored, each with its number among all, from 0.
    pub fn scored(&self) -> impl Iterator<Item = (usize, &Slice)> {
        self.slices.iter().enumerate().filter(|(_, slice)| !slice.is_empty)
    }

    /// Number of the slices that show nothing but air.
    pub fn empty(&self) -> usize {
        self.slices.iter().filter(|slice| slice.is_empty).count()
    }

    /// The file that holds all of its slices, if there is one.
    pub fn file(&self) -> Option<&Path> {
        let first = self.slices.first()?;
        let is_one = first.page.is_some() && self.slices.iter().all(|slice| slice.path == first.path);
        is_one.then_some(&first.path)
    }
}

/// The cases among files, and what was decided about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cases {
    /// In the order of their first files.
    pub cases: Vec<Case>,
    /// What was put together, dropped or left out, in plain words.
    pub notes: Vec<String>,
}

/// Finds the volumes among files: each file of several images, and each DICOM series. Overviews (localizers) are dropped, and slices
/// that show nothing but air are marked. Every slice is read once.
pub fn find_cases(files: Vec<PathBuf>, limits: &Limits) -> Cases {
    let names: Vec<String> = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let found = find(&names, &files, limits);
    let image = |at: &At| (at.file, Case::Image { path: files[at.file].clone(), page: at.page });
    let mut cases: Vec<(usize, Case)> = found.alone.iter().map(image).collect();
    cases.extend(found.volumes.into_iter().map(|(first, volume)| (first, Case::Volume(volume))));
    cases.sort_by_key(|(first, _)| *first);
    Cases { cases: cases.into_iter().map(|(_, case)| case).collect(), notes: found.notes }
}

/// What was found among files, by their numbers.
pub(super) struct FoundVolumes {
    /// Each with the number of its first file.
    pub(super) volumes: Vec<(usize, Volume)>,
    /// For each slice of each volume its file.
    pub(super) files: Vec<Vec<usize>>,
    /// Images that are no slices.
    pub(super) alone: Vec<At>,
    pub(super) notes: Vec<String>,
}

/// What a file holds.
enum Content {
    One,
    Pages(u32),
    Dicom(Vec<Placed>),
}

/// Finds volumes among files that are called `names`.
pub(super) fn find(names: &[String], files: &[PathBuf], limits: &Limits) -> FoundVolumes {
    let contents: Vec<Content> = files
        .par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(file, path)| content(file, path, limits))
        .collect();
    let (mut stacks, mut alone, mut placed) = (Vec::new(), Vec::new(), Vec::new());
    for (file, content) in contents.into_iter().enumerate() {
        match content {
            Content::One => alone.push(At { file, page: None }),
            Content::Pages(count) => {
                stacks.push(((0..count).map(|page| At { file, page: Some(page) }).collect(), false));
            }
            Content::Dicom(images) => placed.extend(images),
        }
    }
    let Grouped { stacks: series, alone: single, localizers } = group(placed);
    stacks.extend(series.into_iter().map(|stack| (stack.slices, stack.has_repeated_positions)));
    alone.extend(single);
    let first = |slices: &[At]| slices.iter().map(|at| at.file).min().unwrap_or_default();
    stacks.sort_by_key(|(slices, _): &(Vec<At>, bool)| first(slices));
    let named = unique(stacks.iter().map(|(slices, _)| base_name(slices, names)).collect());
    let volumes: Vec<(usize, Volume)> = stacks
        .iter()
        .zip(named)
        .map(|((slices, repeated), name)| {
            let volume = marked(slices, files, limits);
            (first(slices), Volume { name, slices: volume, has_repeated_positions: *repeated })
        })
        .collect();
    let mut localizers: Vec<&str> = localizers.iter().map(|at| names[at.file].as_str()).collect();
    localizers.dedup();
    let files = stacks.iter().map(|(slices, _)| slices.iter().map(|at| at.file).collect()).collect();
    let notes = notes(&volumes, &localizers);
    FoundVolumes { volumes, files, alone, notes }
}

fn content(file: usize, path: &Path, limits: &Limits) -> Content {
    // What cannot be read says so when it is.
    if Format::of_file(path) == Some(Format::Dicom) {
        return placed(file, path, limits).map_or(Content::One, Content::Dicom);
    }
    match count_pages(path, limits) {
        Ok(count) if count > 1 => Content::Pages(count),
        _ => Content::One,
    }
}

/// The slices, with those marked that are empty.
fn marked(slices: &[At], files: &[PathBuf], limits: &Limits) -> Vec<Slice> {
    let read = |at: &At| read_image(&files[at.file], at.page, limits).ok().map(|image| spread(&image));
    let spreads: Vec<Option<f32>> = slices.par_iter().with_max_len(1).map(read).collect();
    let slice = |(at, is_empty): (&At, bool)| Slice { path: files[at.file].clone(), page: at.page, is_empty };
    slices.iter().zip(are_empty(&spreads)).map(slice).collect()
}

/// The file's name, or that of the folder that holds all files of the series.
fn base_name(slices: &[At], names: &[String]) -> String {
    let mut files: Vec<&str> = slices.iter().map(|at| names[at.file].as_str()).collect();
    files.dedup();
    let folder = |name: &str| name.rfind('/').map_or(0, |at| at + 1);
    match files[..] {
        [one] => one.to_owned(),
        [first, ref others @ ..] => {
            let mut shared = &first[..folder(first)];
            while !others.iter().all(|other| other.starts_with(shared)) {
                shared = &shared[..folder(shared.trim_end_matches('/'))];
            }
            if shared.is_empty() { "./".to_owned() } else { shared.to_owned() }
        }
        [] => String::new(),
    }
}

/// The names, those that are equal with a number each.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    names.iter().for_each(|name| counts.entry(name.clone()).or_default().0 += 1);
    let numbered = |name: String| match counts.get_mut(&name) {
        Some((2.., seen)) => {
            *seen += 1;
            format!("{name}, series {seen}")
        }
        _ => name,
    };
    names.into_iter().map(numbered).collect()
}

fn notes(volumes: &[(usize, Volume)], localizers: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    let slices: usize = volumes.iter().map(|(_, volume)| volume.slices.len()).sum();
    let empty: usize = volumes.iter().map(|(_, volume)| volume.empty()).sum();
    let names = |which: &dyn Fn(&Volume) -> bool| -> Vec<&str> {
        let volumes = volumes.iter().map(|(_, volume)| volume).filter(|volume| which(volume));
        volumes.map(|volume| volume.name.as_str()).collect()
    };
    let all = names(&|_| true);
    if !all.is_empty() {
        let found = counted(&all, "volume", "volumes");
        notes.push(match empty {
            0 => format!("{found} of {slices} slices, none of them empty"),
            _ => {
                format!("{found} of {slices} slices, of which {empty} show nothing but air and are left out")
            }
        });
    }
    let repeated = names(&|volume| volume.has_repeated_positions);
    if !repeated.is_empty() {
        notes.push(counted(
            &repeated,
            "volume has slices at one place, all of which are taken",
            "volumes have slices at one place, all of which are taken",
        ));
    }
    if !localizers.is_empty() {
        notes.push(counted(
            localizers,
            "overview (localizer) is dropped",
            "overviews (localizers) are dropped",
        ));
    }
    notes
}
