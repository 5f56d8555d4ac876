//! The library's one error: opaque, with predicates, context and path.

use std::fmt;
use std::path::{Path, PathBuf};

/// Something that was expected, what was found instead, and what to do.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    path: Option<PathBuf>,
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
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Kind::Input, message)
    }

    /// A setting out of its range or at odds with another.
    pub(crate) fn settings(message: impl Into<String>) -> Self {
        Self::new(Kind::Settings, message)
    }

    /// A detector file that does not verify or does not fit.
    pub(crate) fn detector(message: impl Into<String>) -> Self {
        Self::new(Kind::Detector, message)
    }

    /// A data set that cannot support what was asked of it.
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// A file or folder that could not be read or written.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(Kind::Io, error.to_string()).with_path(path)
    }

    /// Stopped on request; what was done so far is kept.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, path: None }
    }

    /// The same error with what to do next.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, naming the file.
    pub(crate) fn with_path(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
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

    /// The data cannot support what was asked of it.
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
            Some(path) => write!(f, "{}: {}", path.display(), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl From<aberra_image::Error> for Error {
    fn from(error: aberra_image::Error) -> Self {
        Self::new(if error.is_io() { Kind::Io } else { Kind::Input }, error.to_string())
    }
}
