//! The marker of folders that Aberra writes: listings of images pass over what lies in them.

use std::fs;
use std::path::{Path, PathBuf};

use aberra_image::is_image_file;
use aberra_metrics::{Error, Result};

use crate::output;

/// The file by which such a folder is known.
pub(super) const MARKER: &str = ".aberra-run";
const MARKER_TEXT: &[u8] = b"Aberra wrote this folder; listings of images pass over it.\n";

/// Makes the folder if need be, and marks it.
///
/// # Errors
/// It cannot be written.
pub(super) fn mark(folder: &Path) -> Result<()> {
    output::make_folder(folder)?;
    let marker = folder.join(MARKER);
    if marker.is_file() { Ok(()) } else { output::write(&marker, MARKER_TEXT) }
}

/// Makes sure that a marker hides nothing.
///
/// # Errors
/// The folder is not marked and has images directly in it.
pub(super) fn refuse_images(folder: &Path) -> Result<()> {
    if folder.join(MARKER).is_file() {
        return Ok(());
    }
    // A folder that is not there, or cannot be read, is found out by writing to it.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let Some(image) = files.iter().find(|file| is_image_file(file)).and_then(|file| file.file_name()) else {
        return Ok(());
    };
    Err(Error::file(format!("expected a folder without images to write to, found {}", image.display()))
        .with_path(folder)
        .with_hint("give another folder: listings of images pass over the folders that Aberra writes"))
}
