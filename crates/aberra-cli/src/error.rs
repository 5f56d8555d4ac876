//! Errors of verbs, and exit codes.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// The result of a verb.
pub(crate) type CommandResult = Result<ExitStatus, CommandError>;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Success.
    Done = 0,
    /// An error, or wrong usage; nothing was done.
    NothingDone = 1,
    /// Some images, or some cells of a comparison, failed.
    SomeFailed = 2,
    /// An image is anomalous, and `--fail-on-anomaly` was given.
    Anomalous = 3,
    /// Interrupted by Ctrl-C; by the convention of shells, 128 + SIGINT.
    Interrupted = 130,
}

/// The error that ended a verb.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// An error of the library.
    Library(aberra::Error),
    /// An error of the program, perhaps with a hint.
    Own { message: String, hint: Option<String> },
    /// The reader of a pipe that is written to has gone, which is not an error.
    ClosedPipe,
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
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe) {
            true => Self::ClosedPipe,
            false => Self::Library(error),
        }
    }
}

impl From<aberra_serve::ServeError> for CommandError {
    fn from(error: aberra_serve::ServeError) -> Self {
        Self::Own { message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

/// An error of writing to standard output.
impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::new(format!("standard output: {error}")),
        }
    }
}

/// The error's message, preceded by the path of the image if the error does not name it.
pub(crate) fn with_path(path: &Path, error: &aberra::Error) -> String {
    match error.path() {
        Some(found) if found == path => error.to_string(),
        _ => format!("{}: {error}", path.display()),
    }
}
