//! How the program ends: its exit codes, and the words for what went wrong.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// What a verb gives back.
pub(crate) type CommandResult = Result<ExitStatus, CommandError>;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Everything was done.
    Done = 0,
    /// Nothing was done, or the program was used wrongly.
    NothingDone = 1,
    /// Some images failed.
    SomeFailed = 2,
    /// An image is anomalous, and the user asked to be told so.
    Anomalous = 3,
    /// Stopped by Ctrl-C, as shells have it: 128 + SIGINT.
    Interrupted = 130,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a verb could not go on.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The library says why.
    Library(aberra::Error),
    /// The program says why, and what to do.
    Own { message: String, hint: Option<String> },
    /// Whoever read standard output has left: no error.
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

/// An error with its path, where it does not name it itself.
pub(crate) fn named(path: &Path, error: &aberra::Error) -> String {
    let (path, text) = (path.display().to_string(), error.to_string());
    if text.starts_with(&path) { text } else { format!("{path}: {text}") }
}
