//! Volumes: the slices of a file of several images, of a DICOM series that lies in several files, or of files that are numbered, without
//! those that show nothing but air.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aberra_image::{Format, Header, Limits, count_pages, probe};
use rayon::prelude::*;

use super::empty::{are_empty, spread};
use super::numbered::{Alone, Sequence, sequences};
use super::reading::read_image;
use super::remarks::counted;
use super::series::{At, Grouped, Placed, Stack, group, placed};

/// What is judged as a whole.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Volume {
    /// The file, the folder of the series' files (of files without one, the first and how many more), or what the names of numbered
    /// files have in common; with the number of the series where there are several. Unique among the volumes that were found together.
    pub name: String,
    /// All of them.
    pub slices: Vec<Slice>,
    /// Whether two of them lie at one place, so that they fill no grid.
    pub has_repeated_positions: bool,
    /// Millimetres from slice to slice, where its files say and they are evenly spaced (DICOM, NIfTI).
    pub slice_spacing_mm: Option<f32>,
}

/// A slice of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slice {
    /// Its file.
    pub path: PathBuf,
    /// Its number within the file, from 0; `None` for the one image of a file.
    pub page: Option<u32>,
}

impl Volume {
    /// For each slice whether it shows nothing but air: such slices are neither learnt from nor scored. Reads all of them; one that
    /// cannot be read is not empty.
    pub fn empty_slices(&self, limits: &Limits) -> Vec<bool> {
        let read = |slice: &Slice| {
            let image = read_image(&slice.path, slice.page, limits);
            image.ok().map(|image| spread(&image))
        };
        let spreads: Vec<Option<f32>> = self.slices.par_iter().with_max_len(1).map(read).collect();
        are_empty(&spreads)
    }

    /// The file that holds all of its slices, if there is one.
    pub fn file(&self) -> Option<&Path> {
        let first = self.slices.first()?;
        let is_one = first.page.is_some() && self.slices.iter().all(|slice| slice.path == first.path);
        is_one.then_some(&first.path)
    }
}

/// The cases among files, and what was decided about them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Cases {
    /// In the order of their first files.
    pub cases: Vec<Case>,
    /// What was put together, dropped or left out, in plain words.
    pub notes: Vec<String>,
}

/// Finds the volumes among files: each file of several images, each DICOM series, and numbered images of one size (`p1-01.png`,
/// `p1-02.png`). Overviews (localizers) are dropped. Decodes nothing.
pub fn find_cases(files: Vec<PathBuf>, limits: &Limits) -> Cases {
    let names: Vec<String> = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    cases_of(&files, find(&names, &files, limits))
}

/// What was found among files, as cases.
pub(super) fn cases_of(files: &[PathBuf], found: FoundVolumes) -> Cases {
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
pub(super) enum Content {
    /// One image, or none that can be read.
    One {
        /// Height and width.
        sides: Option<[usize; 2]>,
    },
    Pages {
        count: u32,
        slice_spacing_mm: Option<f32>,
    },
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
    found_in(names, files, contents)
}

/// The volumes among files that hold `contents`.
pub(super) fn found_in(names: &[String], files: &[PathBuf], contents: Vec<Content>) -> FoundVolumes {
    let (mut stacks, mut ones, mut placed) = (Vec::new(), Vec::new(), Vec::new());
    for (file, content) in contents.into_iter().enumerate() {
        match content {
            Content::One { sides } => ones.push(Alone { file, name: &names[file], sides }),
            Content::Pages { count, slice_spacing_mm } => {
                let slices = (0..count).map(|page| At { file, page: Some(page) }).collect();
                let stack = Stack { slices, has_repeated_positions: false, slice_spacing_mm };
                stacks.push((stack, names[file].clone()));
            }
            Content::Dicom(images) => placed.extend(images),
        }
    }
    let Grouped { stacks: series, mut alone, localizers } = group(placed);
    stacks.extend(series.into_iter().map(|stack| {
        let name = base_name(&stack.slices, names);
        (stack, name)
    }));
    let (numbered, others) = sequences(&ones);
    let image = |file: usize| At { file, page: None };
    alone.extend(others.into_iter().map(image));
    stacks.extend(numbered.iter().map(|Sequence { name, files }| {
        let slices = files.iter().copied().map(image).collect();
        (Stack { slices, has_repeated_positions: false, slice_spacing_mm: None }, name.clone())
    }));
    let first = |slices: &[At]| slices.iter().map(|at| at.file).min().unwrap_or_default();
    stacks.sort_by_key(|(stack, _): &(Stack, String)| first(&stack.slices));
    let named = unique(stacks.iter().map(|(_, name)| name.clone()).collect());
    let volumes: Vec<(usize, Volume)> = stacks
        .iter()
        .zip(named)
        .map(|((stack, _), name)| {
            let slice = |at: &At| Slice { path: files[at.file].clone(), page: at.page };
            let &Stack { ref slices, has_repeated_positions, slice_spacing_mm } = stack;
            let volume = Volume {
                name,
                slices: slices.iter().map(slice).collect(),
                has_repeated_positions,
                slice_spacing_mm,
            };
            (first(slices), volume)
        })
        .collect();
    let mut localizers: Vec<&str> = localizers.iter().map(|at| names[at.file].as_str()).collect();
    localizers.dedup();
    let files = stacks.iter().map(|(stack, _)| stack.slices.iter().map(|at| at.file).collect()).collect();
    let numbered: Vec<&str> = numbered.iter().map(|sequence| sequence.name.as_str()).collect();
    let notes = notes(&volumes, &numbered, &localizers);
    FoundVolumes { volumes, files, alone, notes }
}

/// What a file holds; one that cannot be read says so when it is.
fn content(number: usize, path: &Path, limits: &Limits) -> Content {
    if Format::of_file(path) == Some(Format::Dicom) {
        return placed(number, path, limits).map_or(Content::UNREADABLE, Content::Dicom);
    }
    match count_pages(path, limits) {
        Ok(count) if count > 1 => Content::Pages {
            count,
            slice_spacing_mm: probe(path, limits).ok().and_then(|header| header.slice_spacing_mm),
        },
        _ => probe(path, limits).map_or(Content::UNREADABLE, |header| Content::one(&header)),
    }
}

impl Content {
    /// What stands for a file that cannot be read.
    pub(super) const UNREADABLE: Self = Self::One { sides: None };

    /// One image, as its header is.
    pub(super) fn one(header: &Header) -> Self {
        Self::One { sides: Some([header.height, header.width]) }
    }
}

/// The file's name, or that of the folder that holds all files of the series; of files without a folder the first's.
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
            if shared.is_empty() { format!("{first} and {} more", others.len()) } else { shared.to_owned() }
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

fn notes(volumes: &[(usize, Volume)], numbered: &[&str], localizers: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    let all: Vec<&str> = volumes.iter().map(|(_, volume)| volume.name.as_str()).collect();
    if !all.is_empty() {
        let slices: usize = volumes.iter().map(|(_, volume)| volume.slices.len()).sum();
        notes.push(format!("{}, {slices} slices", counted(&all, "volume", "volumes")));
    }
    let repeated = volumes.iter().map(|(_, volume)| volume).filter(|volume| volume.has_repeated_positions);
    let repeated: Vec<&str> = repeated.map(|volume| volume.name.as_str()).collect();
    for (names, one, many) in [
        (numbered, "volume is made of numbered images", "volumes are made of numbered images"),
        (
            &repeated[..],
            "volume has slices at one place, all of which are taken",
            "volumes have slices at one place, all of which are taken",
        ),
        (localizers, "overview (localizer) is dropped", "overviews (localizers) are dropped"),
    ] {
        if !names.is_empty() {
            notes.push(counted(names, one, many));
        }
    }
    notes
}

/// How many slices were left out because they show nothing but air, in words.
pub fn empty_left_out(empty: usize, of: usize) -> String {
    match empty {
        0 => format!("none of {of} slices is empty"),
        1 => format!("1 of {of} slices shows nothing but air and is left out"),
        _ => format!("{empty} of {of} slices show nothing but air and are left out"),
    }
}
