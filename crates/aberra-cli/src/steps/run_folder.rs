//! The files of a run folder, and the name of a detector that lies in one.

use std::path::Path;

pub(crate) const DETECTOR_FILE: &str = "detector.aberra";
pub(crate) const SPLIT_FILE: &str = "split.json";
pub(crate) const SETTINGS_FILE: &str = "config.toml";
pub(crate) const CHECKPOINT_FILE: &str = "checkpoint.safetensors";

/// What people call a detector: its file's name, or its run folder's where the file is called as `train` calls it.
pub(crate) fn name_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).filter(|_| path.ends_with(DETECTOR_FILE));
    let name = folder.or(path.file_stem()).unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
