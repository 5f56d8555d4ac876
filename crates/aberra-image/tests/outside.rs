//! Files that are not ours, below `formats` in the development data: none panics or takes long, and where
//! `golden/make_medical.py FOLDER` has written beside them what pydicom or nibabel says, values agree. Skipped, saying so,
//! where the folder is absent.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aberra_image::{Images, Limits, decode};
use serde::Deserialize;

/// The folder `formats` of the development data, in `ABERRA_DATA` or beside the repository.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("ABERRA_DATA").map_or_else(beside, PathBuf::from).join("formats");
    let there = folder.is_dir();
    if !there {
        println!("skipped: no development data at {}", folder.display());
    }
    there.then_some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_ours = path.extension().is_some_and(|end| end == "npy" || end == "json");
            match path.is_dir() {
                true => folders.push(path),
                false if !is_ours => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    files
}

/// What the reference reads in a file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Expected {
    error: Option<String>,
    pages: Vec<u32>,
    /// The difference that one stored level makes, where compression is lossy.
    level: f32,
}

fn expected(folder: &Path) -> BTreeMap<PathBuf, Expected> {
    let lists = files_named(folder, "expected.json");
    let entries = lists.into_iter().flat_map(|list| {
        let entries: BTreeMap<String, Expected> = serde_json::from_slice(&fs::read(&list).unwrap()).unwrap();
        let root = list.parent().unwrap().to_owned();
        entries.into_iter().map(move |(name, entry)| (root.join(name), entry))
    });
    entries.collect()
}

fn files_named(folder: &Path, name: &str) -> Vec<PathBuf> {
    let below = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    below.chain([folder.to_owned()]).map(|path| path.join(name)).filter(|path| path.is_file()).collect()
}

#[test]
fn outside_files_agree_with_the_references_or_are_refused() {
    let Some(folder) = folder() else { return };
    let (limits, expected) = (Limits::default(), expected(&folder));
    let (mut equal, mut pages, mut refused, mut only_ours, mut wrong) =
        (0, 0, Vec::new(), Vec::new(), Vec::new());
    let mut slowest = (Duration::ZERO, PathBuf::new());
    for path in files(&folder) {
        let (bytes, start) = (fs::read(&path).unwrap(), Instant::now());
        let image = decode(&bytes, &limits);
        slowest = slowest.max((start.elapsed(), path.clone()));
        let reference = expected.get(&path);
        let name = path.strip_prefix(&folder).unwrap().display().to_string();
        match (image, reference) {
            (Err(error), reference) => {
                let has_values = reference.is_some_and(|reference| reference.error.is_none());
                let line =
                    format!("{name}: {error} [{}]", if has_values { "the reference reads it" } else { "" });
                match error.to_string().contains("gave up") {
                    true => wrong.push(line),
                    false => refused.push(line),
                }
            }
            (Ok(_), None) => only_ours.push(name),
            (Ok(_), Some(Expected { error: Some(error), .. })) => only_ours.push(format!("{name}: {error}")),
            (Ok(_), Some(reference)) => {
                let images = Images::open(&bytes, &limits).unwrap();
                let compare = |&page: &u32| -> Result<(), String> {
                    let image = images.decode(page).map_err(|error| error.to_string())?;
                    let golden = fs::read(format!("{}.{page}.npy", path.display())).unwrap();
                    let golden = decode(&golden, &limits).map_err(|error| error.to_string())?;
                    let shape = (image.height, image.width, image.channels);
                    if shape != (golden.height, golden.width, golden.channels) {
                        return Err(format!("{shape:?}"));
                    }
                    let largest = golden.pixels.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
                    let pairs = image.pixels.iter().zip(&golden.pixels);
                    let worst = pairs.map(|(found, golden)| (found - golden).abs()).fold(0.0, f32::max);
                    let most = 1e-6 * largest.max(1e-30) + 1.01 * reference.level;
                    if worst > most { Err(format!("off by {worst}, at most {most}")) } else { Ok(()) }
                };
                match reference.pages.iter().map(compare).collect::<Result<Vec<()>, _>>() {
                    Ok(compared) => {
                        equal += 1;
                        pages += compared.len();
                    }
                    Err(reason) => wrong.push(format!("{name}: {reason}")),
                }
            }
        }
    }
    println!(
        "{equal} files ({pages} pages) agree; {} refused, {} read without a reference",
        refused.len(),
        only_ours.len()
    );
    println!("slowest {slowest:?}\nrefused {refused:#?}\nonly read here {only_ours:#?}");
    assert!(slowest.0 < Duration::from_secs(5), "{slowest:?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
