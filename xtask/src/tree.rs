//! The repository as the checks see it: every file that git tracks or would track, with its text, and the folder in
//! which cargo builds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder in which cargo builds: `CARGO_TARGET_DIR`, or `target/`.
pub(crate) fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    std::path::absolute(&target).unwrap_or(target)
}

/// Text files by their path from the repository root, always with `/`.
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads what git tracks under `root`, and what it would track if it were added. Binary files are left out.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root)
            .output()
            .map_err(|error| format!("git is needed to list the project's files: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("expected a git checkout at {}; git said: {}", root.display(), said.trim()));
        }
        let mut files = BTreeMap::new();
        for path in output.stdout.split(|&byte| byte == 0).filter(|path| !path.is_empty()) {
            let path = std::str::from_utf8(path)
                .map_err(|_| format!("a file name is not UTF-8: {}", String::from_utf8_lossy(path)))?;
            // A tracked file that was deleted and not yet committed is no file.
            let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
            if let Ok(text) = String::from_utf8(bytes) {
                files.insert(path.to_owned(), text);
            }
        }
        Ok(Self { files })
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect() }
    }
}
