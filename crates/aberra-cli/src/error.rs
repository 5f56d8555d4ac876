//! Exit codes, and the errors of the program.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The result of a verb.
pub(crate) type CommandResult = Result<ExitStatus, CommandError>;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Everything was done.
    Done = 0,
    /// Nothing was done, or wrong usage.
    NothingDone = 1,
    /// Some images, or cells of a comparison, failed.
    SomeFailed = 2,
    /// An image is anomalous, and the user asked for an exit code.
    Anomalous = 3,
    /// Stopped by Ctrl-C, as in shells: 128 + SIGINT.
    Interrupted = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// An error of the library.
    Library(aberra::Error),
    /// An error of the program.
    Own { message: String, hint: Option<String> },
    /// Standard output was closed by its reader: no error.
    ReaderLeft,
}

impl CommandError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Own { message: message.into(), hint: None }
    }

    pub(crate) fn at(path: &Path, message: impl Display) -> Self {
        Self::new(format!("{}: {message}", path.display()))
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Own { message, .. } => Self::Own { message, hint: Some(hint.into()) },
            other => other,
        }
    }
}

impl From<aberra::Error> for CommandError {
    fn from(error: aberra::Error) -> Self {
        Self::Library(error)
    }
}

impl From<aberra_serve::ServeError> for CommandError {
    fn from(error: aberra_serve::ServeError) -> Self {
        Self::Own { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

/// Of writing to standard output.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::new(format!("standard output: {error}")),
        }
    }
}

/// The error of an image file, with the file's path where the error does not name it.
pub(crate) fn named(path: &Path, error: &aberra::Error) -> String {
    match error.path() {
        Some(named) if named == path => error.to_string(),
        _ => format!("{}: {error}", path.display()),
    }
}
