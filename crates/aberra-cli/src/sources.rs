//! Iterates over the image files that arguments name: files, folders, manifests, or a list on standard input.

use std::ffi::OsString;
use std::io::{BufRead, stdin};
use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::dataset::{ChannelFile, ImageFiles, PassedOver, image_files, is_manifest, listed_path};

use crate::data::{self, Listed};

/// An image file, or an error.
pub(crate) type ListedPath = Result<Listed, String>;

/// Maximum length of a path in a list, in bytes.
const MAX_PATH_BYTES: u64 = 1 << 16;

/// Iterator over the image files that the arguments name, in order.
pub(crate) struct Sources<'a> {
    arguments: std::slice::Iter<'a, PathBuf>,
    separator: u8,
    /// Whether the list on standard input is being read.
    is_listing: bool,
    within: Option<ImageFiles>,
    /// What a manifest names and was not given yet.
    named: std::vec::IntoIter<Listed>,
    /// Names of the detector's channels, where they are no colours.
    channels: &'a [String],
    passed_over: PassedOver,
}

impl<'a> Sources<'a> {
    /// Those for a detector: of a case of several files the first, which stands for all.
    pub(crate) fn new(arguments: &'a [PathBuf], null: bool, detector: &'a Detector) -> Self {
        let separator = if null { 0 } else { b'\n' };
        Self {
            arguments: arguments.iter(),
            separator,
            is_listing: false,
            within: None,
            named: Vec::new().into_iter(),
            channels: &detector.config().preprocessing.channels,
            passed_over: PassedOver::default(),
        }
    }

    /// What was passed over.
    pub(crate) fn passed_over(mut self) -> PassedOver {
        self.leave();
        self.passed_over
    }

    fn enter(&mut self, path: &Path) -> Result<(), String> {
        self.leave();
        if !is_manifest(path) {
            self.within = Some(image_files(path));
            return Ok(());
        }
        let named = data::named_in(path).map_err(|error| match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })?;
        self.named = named.into_iter();
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(left) = self.within.take() {
            self.passed_over.extend(left.passed_over());
        }
    }
}

impl Iterator for Sources<'_> {
    type Item = ListedPath;

    fn next(&mut self) -> Option<ListedPath> {
        loop {
            if let Some(source) = self.within.as_mut().and_then(Iterator::next) {
                if source.as_ref().is_ok_and(|path| ChannelFile::is_further(path, self.channels)) {
                    self.passed_over.further += 1;
                    continue;
                }
                let listed = source.map(Listed::file);
                return Some(listed.map_err(|error| error.to_string()));
            }
            if let Some(named) = self.named.next() {
                return Some(Ok(named));
            }
            let entered = if self.is_listing {
                match listed(self.separator) {
                    Some(Ok(path)) => self.enter(&path),
                    Some(Err(reason)) => Err(reason),
                    None => {
                        self.is_listing = false;
                        Ok(())
                    }
                }
            } else {
                let path = self.arguments.next()?;
                self.is_listing = path.as_os_str() == "-";
                if self.is_listing { Ok(()) } else { self.enter(path) }
            };
            if let Err(reason) = entered {
                return Some(Err(reason));
            }
        }
    }
}

/// Reads the next path of the list, skipping empty ones.
fn listed(separator: u8) -> Option<Result<PathBuf, String>> {
    let mut input = stdin().lock();
    loop {
        let mut bytes = Vec::new();
        let mut limited = std::io::Read::take(&mut input, MAX_PATH_BYTES);
        match limited.read_until(separator, &mut bytes) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(format!("standard input: {error}"))),
        }
        if bytes.last() == Some(&separator) {
            bytes.pop();
        }
        if separator == b'\n' && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if separator == b'\n' {
            // What editors and spreadsheets add to a list of lines is no part of a name.
            let line = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            if !line.trim_ascii().is_empty() {
                return Some(Ok(listed_path(Path::new(""), line)));
            }
        } else if !bytes.is_empty() {
            return Some(path_of(bytes));
        }
    }
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, String> {
    use std::os::unix::ffi::OsStringExt;
    Ok(OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, String> {
    let text = String::from_utf8(bytes).map_err(|error| format!("standard input: {error}"))?;
    Ok(OsString::from(text).into())
}
