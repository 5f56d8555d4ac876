//! Bytes that are too many for memory: a temporary file without a name, which is gone with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use super::fault::{self, Operation};

/// A temporary file to whose end is written, and from which is read anywhere; on any thread.
#[derive(Debug)]
pub(crate) struct SpillFile(Mutex<File>);

impl SpillFile {
    /// Makes one in the folder that the system has for temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn create() -> io::Result<Self> {
        tempfile::tempfile().map(|file| Self(Mutex::new(file)))
    }

    /// Adds `bytes`; returns where they lie.
    ///
    /// # Errors
    /// They cannot be written, as where the disk is full.
    pub(crate) fn add(&self, bytes: &[u8]) -> io::Result<u64> {
        fault::check(Operation::Append)?;
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)?;
        Ok(at)
    }

    /// Fills `bytes` with those that lie at a place.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }
}
