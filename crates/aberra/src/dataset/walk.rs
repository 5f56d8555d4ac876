//! Folder -> files that are, or claim to be, images.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use aberra_image::Format;
use serde::Serialize;
use walkdir::{DirEntry, WalkDir};

use crate::{Error, Result};

/// Files that were passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Files that are neither named like an image nor have the content of one, counted by extension (`""` for none).
    pub other: BTreeMap<String, usize>,
    /// What could not be entered or read while listing, symbolic link loops included: one line each.
    pub unreachable: Vec<String>,
}

/// A file that is, or claims to be, an image.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Components relative to the root, lossy.
    pub(crate) parts: Vec<String>,
}

impl Found {
    /// The components, `/` separated.
    pub(crate) fn name(&self) -> String {
        self.parts.join("/")
    }
}

/// Everything below `root` that is named like an image or has the content of one, sorted by path. Hidden files are
/// passed over, links followed, loops reported.
pub(crate) fn walk(root: &Path) -> Result<(Vec<Found>, Skipped)> {
    let (mut found, mut skipped) = (Vec::new(), Skipped::default());
    for entry in entries(root) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.depth() == 0 => {
                let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
                return Err(Error::io(root, &error));
            }
            Err(error) => {
                skipped.unreachable.push(error.to_string());
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path();
        if is_image(path) {
            let relative = path.strip_prefix(root).unwrap_or(path);
            let parts = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            found.push(Found { path: path.to_owned(), parts });
        } else {
            *skipped.other.entry(extension(path)).or_default() += 1;
        }
    }
    Ok((found, skipped))
}

/// The image files at `path`, listed as they are asked for: the path itself if it is a file, whatever its name, else
/// everything below it that is named like an image or has the content of one, in the order of names. Hidden files are
/// passed over, links followed but not in circles. What cannot be entered is an error among the others.
pub fn image_files(path: &Path) -> impl Iterator<Item = Result<PathBuf>> + use<> {
    let root = path.to_owned();
    entries(path).filter_map(move |entry| match entry {
        Ok(entry) if entry.depth() == 0 && !entry.file_type().is_dir() => Some(Ok(entry.into_path())),
        Ok(entry) if entry.file_type().is_file() && is_image(entry.path()) => Some(Ok(entry.into_path())),
        Ok(_) => None,
        // What a loop leads back to is listed where it lies.
        Err(error) if error.loop_ancestor().is_some() => None,
        Err(error) => {
            let path = error.path().unwrap_or(&root).to_owned();
            let error = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
            Some(Err(Error::io(&path, &error)))
        }
    })
}

/// What lies below `root`, in the order of names, without hidden files.
fn entries(root: &Path) -> impl Iterator<Item = walkdir::Result<DirEntry>> + use<> {
    let visible =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible)
}

fn is_image(path: &Path) -> bool {
    Format::of_extension(&extension(path)).is_some() || has_image_content(path)
}

/// Lower-case extension, `""` for none.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// The first bytes are those of a format that decoding knows. A file that cannot be opened has none.
fn has_image_content(path: &Path) -> bool {
    let mut start = Vec::with_capacity(16);
    let read = File::open(path).and_then(|file| file.take(16).read_to_end(&mut start));
    let riff_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
    let bitmap = start.starts_with(b"BM") && start.get(6..10) == Some(&[0; 4]);
    read.is_ok()
        && (start.starts_with(b"\x89PNG\r\n\x1a\n")
            || start.starts_with(&[0xff, 0xd8, 0xff])
            || start.starts_with(b"II*\0")
            || start.starts_with(b"MM\0*")
            || bitmap
            || riff_webp)
}
