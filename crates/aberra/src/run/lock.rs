//! The lock of a run folder: held by the process that writes it, named to those who ask, and free again when that process
//! ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use aberra_metrics::{Error, Result};

/// The file that is locked. The system unlocks it with the end of its holder, also if that is killed.
pub(super) const LOCK: &str = ".aberra-lock";

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Writes into the lock who holds it.
    pub(super) fn name_holder(&mut self) -> Result<()> {
        let words: Vec<String> =
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let text = format!("process {} ({})\n", std::process::id(), words.join(" "));
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(text.as_bytes())
        };
        write(&mut self.file).map_err(|error| Error::io(&self.path, &error))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock that names nobody is free; where that cannot be written, the system still unlocks it.
        let _ = self.file.set_len(0);
    }
}

/// Takes the lock of a folder where there is one.
///
/// # Errors
/// Another holds it, or it cannot be opened.
pub(super) fn take_existing(folder: &Path) -> Result<Option<Lock>> {
    take_with(folder, OpenOptions::new().write(true))
}

/// Takes the lock of a folder, and makes it if need be.
///
/// # Errors
/// As [`take_existing`].
pub(super) fn take(folder: &Path) -> Result<Lock> {
    let options = &mut OpenOptions::new();
    let lock = take_with(folder, options.write(true).create(true).truncate(false))?;
    lock.ok_or_else(|| Error::io(folder, &io::ErrorKind::NotFound.into()))
}

/// Makes sure that no other process writes the run folder in which `path` lies or will lie, if it lies in one.
///
/// # Errors
/// One does.
pub fn refuse_in_use(path: &Path) -> Result<()> {
    let absolute = std::path::absolute(path).map_err(|error| Error::io(path, &error))?;
    // Of what is not there yet, the folders above it count.
    let real = absolute.ancestors().find_map(|above| above.canonicalize().ok());
    for folder in real.iter().flat_map(|real| real.ancestors()) {
        let Ok(file) = File::open(folder.join(LOCK)) else { continue };
        if let Err(TryLockError::WouldBlock) = file.try_lock_shared() {
            return Err(in_use(folder));
        }
    }
    Ok(())
}

fn take_with(folder: &Path, options: &OpenOptions) -> Result<Option<Lock>> {
    let unwritable = |error: io::Error| {
        Error::file(format!("expected a folder that can be written ({error})"))
            .with_path(folder)
            .with_hint("give another folder")
    };
    let path = folder.join(LOCK);
    let file = match options.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unwritable(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file, path })),
        Err(TryLockError::WouldBlock) => Err(in_use(folder)),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

fn in_use(folder: &Path) -> Error {
    let holder = fs::read_to_string(folder.join(LOCK)).unwrap_or_default();
    let holder = match holder.trim() {
        "" => "another process",
        holder => holder,
    };
    Error::file(format!("expected a run folder that nobody is writing, found one in use by {holder}"))
        .with_path(folder)
        .with_hint("wait for it, or give another folder")
}
