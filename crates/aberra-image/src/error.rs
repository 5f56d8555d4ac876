//! Errors of decoding and preprocessing.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file that could not become an image, or an image that could not become a network input.
///
/// The message says what was expected, what was found and what to do.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Io,
    Format,
    Unsupported,
    Limit,
    Pixels,
    Settings,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), path: None }
    }

    /// The same error, naming the file.
    pub fn with_path(mut self, path: &Path) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// The file could not be read at all.
    pub fn is_io(&self) -> bool {
        self.kind == Kind::Io
    }

    /// The content is not a readable image of a known format: it is damaged, something else, or
    /// [not supported](Self::is_unsupported).
    pub fn is_format(&self) -> bool {
        matches!(self.kind, Kind::Format | Kind::Unsupported)
    }

    /// The content may be whole, but is of a format, or a variant of one, that is not decoded.
    pub fn is_unsupported(&self) -> bool {
        self.kind == Kind::Unsupported
    }

    /// The content exceeds one of the [`Limits`](crate::Limits).
    pub fn is_limit(&self) -> bool {
        self.kind == Kind::Limit
    }

    /// The pixels cannot be used: NaN, infinite, or too small.
    pub fn is_pixels(&self) -> bool {
        self.kind == Kind::Pixels
    }

    /// A preprocessing setting is out of its range.
    pub fn is_settings(&self) -> bool {
        self.kind == Kind::Settings
    }

    /// What was expected, what was found and what to do, without the path.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The file, when there is one.
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
