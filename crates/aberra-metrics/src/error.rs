//! The library's one error: opaque, with predicates, context and path.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::text::printable;

/// Something that was expected, what was found instead, and what to do.
///
/// Opaque: its predicates ([`is_data`](Self::is_data) and so on) tell the kind of failure. Implementations of
/// families, scorers and formats make one by the constructor of its kind and add a hint, the file, and the underlying
/// error. `Display` shows path and message; the hint is shown separately. The [source](std::error::Error::source) is
/// already part of the message and is there to be inspected, not to be printed again.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    path: Option<PathBuf>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Input,
    Settings,
    Detector,
    Data,
    Io,
    Interrupted,
}

impl Error {
    /// An image that could not be read or used.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Kind::Input, message)
    }

    /// A setting out of its range or at odds with another.
    pub fn settings(message: impl Into<String>) -> Self {
        Self::new(Kind::Settings, message)
    }

    /// A detector file that does not verify or does not fit.
    pub fn detector(message: impl Into<String>) -> Self {
        Self::new(Kind::Detector, message)
    }

    /// A data set that does not support the operation.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// A file or folder that could not be read or written, with the system's error as the source.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        // An `io::Error` cannot be cloned; its code, or else its kind and message, are what it consists of.
        let copy = match error.raw_os_error() {
            Some(code) => std::io::Error::from_raw_os_error(code),
            None => std::io::Error::new(error.kind(), error.to_string()),
        };
        Self::new(Kind::Io, error.to_string()).with_path(path).with_source(copy)
    }

    /// A file or folder that could not be read or written, in words; see [`io`](Self::io) for an error of the system.
    pub fn file(message: impl Into<String>) -> Self {
        Self::new(Kind::Io, message)
    }

    /// Stopped on request; what was done so far is kept.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, path: None, source: None }
    }

    /// The same error with what to do next.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, naming the file.
    pub fn with_path(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The same error with the error that caused it, for [`std::error::Error::source`]. The message should already
    /// say what the cause says.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An image could not be read or used.
    pub fn is_input(&self) -> bool {
        self.kind == Kind::Input
    }

    /// A setting is out of range.
    pub fn is_settings(&self) -> bool {
        self.kind == Kind::Settings
    }

    /// A detector file does not verify or does not fit.
    pub fn is_detector(&self) -> bool {
        self.kind == Kind::Detector
    }

    /// The data does not support the operation.
    pub fn is_data(&self) -> bool {
        self.kind == Kind::Data
    }

    /// A file or folder could not be read or written.
    pub fn is_io(&self) -> bool {
        self.kind == Kind::Io
    }

    /// Stopped on request.
    pub fn is_interrupted(&self) -> bool {
        self.kind == Kind::Interrupted
    }

    /// What to do next, when there is something to say.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The file or folder concerned.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}: {}", printable(&path.to_string_lossy()), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn the_cause_can_be_inspected() {
        let path = Path::new("a/file");
        let denied = io::Error::new(io::ErrorKind::PermissionDenied, "may not");
        let error = Error::io(path, &denied);
        assert_eq!((error.to_string().as_str(), error.path()), ("a/file: may not", Some(path)));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        assert!(cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied));

        let system = io::Error::from_raw_os_error(2);
        let error = Error::io(path, &system);
        assert!(error.is_io() && error.to_string() == format!("a/file: {system}"));
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.and_then(io::Error::raw_os_error), Some(2));

        let own = Error::data("expected rows, found none").with_source(denied).with_hint("add some");
        assert!(own.is_data() && own.source().is_some() && own.hint() == Some("add some"));
        assert!(Error::data("expected rows, found none").source().is_none());
    }
}
