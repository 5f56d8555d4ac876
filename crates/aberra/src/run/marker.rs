//! The marker of folders that Aberra writes: listings of images pass over what lies in them.

use std::path::Path;

use aberra_image::is_image_file;
use aberra_metrics::{Error, Result};
use walkdir::WalkDir;

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
/// The folder is not marked, and images lie below it in folders that are not marked.
pub(super) fn refuse_images(folder: &Path) -> Result<()> {
    if folder.join(MARKER).is_file() {
        return Ok(());
    }
    // What a listing would enter. A folder that is not there, or cannot be read, is found out by writing to it.
    let entered =
        WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(|entry| {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            entry.depth() == 0 || !is_hidden && !entry.path().join(MARKER).is_file()
        });
    let mut files = entered.flatten().filter(|entry| entry.file_type().is_file());
    let Some(image) = files.find(|file| is_image_file(file.path())) else { return Ok(()) };
    let image = image.path().strip_prefix(folder).unwrap_or(image.path());
    Err(Error::file(format!("expected a folder without images to write to, found {}", image.display()))
        .with_path(folder)
        .with_hint("give another folder: listings of images pass over the folders that Aberra writes"))
}
