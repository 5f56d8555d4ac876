//! A file that grows while the work goes on: lines and events of a training.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::fault::{self, Operation};

/// A file to whose end is written.
pub(crate) struct LogFile(File);

impl LogFile {
    /// Opens the file at `path`, and makes it if need be.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        fault::check(Operation::Append)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
