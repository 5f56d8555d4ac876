//! The one place that writes files: targets are checked before the work, plain files replaced whole, links followed,
//! devices and pipes written straight into, and nothing temporary is left behind.
//!
//! A plain file is written beside its target, synchronised, and renamed over it: whatever fails, the old file or the new
//! one is there. What memory has no room for goes into temporary files without a name (`SpillFile`). Text that goes to a terminal or a log loses what would control it in [`printable`] and [`lines`].

mod fault;
mod log;
mod name;
mod place;
mod replace;
mod spill;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

pub use aberra_metrics::text::{lines, printable};
use aberra_metrics::{Error, Result};

pub(crate) use self::log::LogFile;
pub use self::name::file_name;
use self::place::{Place, Stream, resolve};
pub use self::place::{check, check_folder};
use self::replace::Replacement;
pub use self::replace::remove_unfinished;
pub(crate) use self::spill::SpillFile;

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// A file, device or pipe that is being written. A plain file takes the place of an older one when it is
/// [committed](Self::commit), and leaves no trace if it never is.
pub struct OutputFile {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Replacement(BufWriter<Replacement>),
    Stream(File),
    StandardOutput,
    StandardError,
}

impl OutputFile {
    /// Begins to write to `path`: links are followed, and what is no plain file is opened as it is.
    ///
    /// # Errors
    /// A folder, a parent folder that is missing or cannot be written, a device that cannot be opened.
    pub fn create(path: &Path) -> Result<Self> {
        let sink = match resolve(path)? {
            Place::File(target) => {
                let replacement = Replacement::create(target).map_err(|error| failed(path, &error))?;
                Sink::Replacement(BufWriter::with_capacity(BUFFER_BYTES, replacement))
            }
            Place::Stream(Stream::StandardOutput) => Sink::StandardOutput,
            Place::Stream(Stream::StandardError) => Sink::StandardError,
            // Appending never overwrites what the shell that opened the file wrote into it.
            Place::Stream(Stream::At(target)) => {
                let file = OpenOptions::new().append(true).open(target);
                Sink::Stream(file.map_err(|error| Error::io(path, &error))?)
            }
        };
        Ok(Self { path: path.to_owned(), sink })
    }

    /// Appends to the plain file at `path`, made if it is not there, after its first `length` bytes: what follows them is
    /// dropped. What is written arrives at once.
    ///
    /// # Errors
    /// As [`create`](Self::create), and anything but a plain file.
    pub fn append(path: &Path, length: u64) -> Result<Self> {
        let Place::File(target) = resolve(path)? else {
            let message = "expected a plain file to append to, found a device or a pipe";
            return Err(Error::file(message).with_path(path).with_hint("give the path of a file"));
        };
        let open = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&target)?;
            file.set_len(length)?;
            file.seek(io::SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(|error: io::Error| Error::io(path, &error))?;
        Ok(Self { path: path.to_owned(), sink: Sink::Stream(file) })
    }

    /// Whether what is written arrives at once, as in a pipe, and not when it is committed.
    pub fn is_stream(&self) -> bool {
        !matches!(self.sink, Sink::Replacement(_))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// The disk is full, a reader is gone, ...
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.sink {
            Sink::Replacement(file) => {
                return file.write_all(bytes).map_err(|error| failed(&self.path, &error));
            }
            Sink::Stream(file) => file.write_all(bytes),
            Sink::StandardOutput => flushed(&mut io::stdout().lock(), bytes),
            Sink::StandardError => flushed(&mut io::stderr().lock(), bytes),
        };
        written.map_err(|error| Error::io(&self.path, &error))
    }

    /// Puts a plain file in its place, durably.
    ///
    /// # Errors
    /// It cannot be synchronised or renamed. The older file is then still whole.
    pub fn commit(self) -> Result<()> {
        self.finish(true)
    }

    fn finish(self, durably: bool) -> Result<()> {
        let Self { path, sink } = self;
        let Sink::Replacement(file) = sink else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.commit(durably)).map_err(|error| failed(&path, &error))
    }
}

/// Writes `bytes` to `path`: a plain file is replaced atomically and durably.
///
/// # Errors
/// As [`OutputFile`]'s. An older file at `path` is then still whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Writes `bytes` to `path` as [`write`] does, but without waiting for the disk: for many files that can be made again.
///
/// # Errors
/// As [`write`]'s.
pub(crate) fn write_unsynchronised(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write_all(bytes)?;
    file.finish(false)
}

/// Makes a folder, and those above it.
///
/// # Errors
/// It cannot be made, or is no folder.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(path, &error))
}

/// Removes a file that may be there.
///
/// # Errors
/// It is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path, &error)),
        _ => Ok(()),
    }
}

/// Removes what processes that are gone left in a folder.
pub(crate) fn sweep(folder: &Path) {
    replace::sweep(folder, replace::MINIMUM_AGE);
}

fn flushed(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::io(path, error).with_hint("an older file of that name, if there was one, is still whole")
}

#[cfg(test)]
mod tests;
