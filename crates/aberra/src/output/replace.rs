//! A new file beside its target, renamed over it when it is whole, and removed when it never gets there.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::fault::{self, Operation};

/// Names of unfinished files begin and end so. They are hidden, so listings pass over them, and short, so that any name of
/// a target will do.
const PREFIX: &str = ".aberra-";
const SUFFIX: &str = ".tmp";

/// An unfinished file is left alone at least so long: its writer may not have locked it yet.
pub(super) const MINIMUM_AGE: Duration = Duration::from_secs(60);

/// Unfinished files of this process.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A file that is to take the place of another.
pub(super) struct Replacement {
    /// Locked, so that it shows whether its writer lives.
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    is_committed: bool,
}

impl Replacement {
    /// Begins a file beside `target`, with the mode of the one there.
    pub(super) fn create(target: PathBuf) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        fault::check(Operation::Create)?;
        let folder = folder_of(&target);
        let (temporary, file) = loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let temporary = folder.join(format!("{PREFIX}{}-{number}{SUFFIX}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => break (temporary, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        unfinished(|all| {
            all.insert(temporary.clone());
        });
        // A file system without locks does without the sweep.
        let _ = file.try_lock();
        let replacement = Self { file, temporary, target, is_committed: false };
        if let Ok(before) = fs::metadata(&replacement.target) {
            keep_mode(&replacement.file, &before)?;
        }
        Ok(replacement)
    }

    /// Renames it over its target, after the disk has it if `durably`.
    pub(super) fn commit(mut self, durably: bool) -> io::Result<()> {
        if durably {
            fault::check(Operation::Synchronise)?;
            self.file.sync_all()?;
        }
        fault::check(Operation::Rename)?;
        fs::rename(&self.temporary, &self.target)?;
        self.is_committed = true;
        if durably {
            fault::check(Operation::SynchroniseFolder)?;
            synchronise_folder(folder_of(&self.target))?;
        }
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fault::check_write(&mut self.file, bytes)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_committed {
            // Where not even that is possible, the sweep will try again.
            let _ = fs::remove_file(&self.temporary);
        }
        unfinished(|all| {
            all.remove(&self.temporary);
        });
    }
}

/// Removes every unfinished file of this process: for a handler of signals that is about to end it.
pub fn remove_unfinished() {
    unfinished(|all| {
        for path in std::mem::take(all) {
            let _ = fs::remove_file(path);
        }
    });
}

/// Removes unfinished files whose writers are gone, such as one that was killed.
pub(super) fn sweep(folder: &Path, minimum_age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_unfinished =
            name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if !is_unfinished {
            continue;
        }
        let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        let Ok(file) = OpenOptions::new().write(true).open(entry.path()) else { continue };
        if age.is_some_and(|age| age >= minimum_age) && file.try_lock().is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn unfinished(act: impl FnOnce(&mut BTreeSet<PathBuf>)) {
    act(&mut UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(unix)]
fn keep_mode(file: &File, before: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
        // Only root may give files away; the file is then this user's, with the same mode.
        let _ = fchown(file, Some(before.uid()), Some(before.gid()));
    }
    file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o777))
}

#[cfg(not(unix))]
fn keep_mode(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Makes a rename last. Folders that cannot be opened or synchronised, as on some file systems, are left to the system.
#[cfg(unix)]
fn synchronise_folder(folder: &Path) -> io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};

    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if ![InvalidInput, PermissionDenied, Unsupported].contains(&error.kind()) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn synchronise_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The folder that a file lies in.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
