//! A file of several images that is read, hashed and inflated once, however many of its images are decoded.

use std::path::{Path, PathBuf};

use crate::decode::{FileIdentity, refuse_raw};
use crate::file_bytes::read_bytes;
use crate::{Error, Image, Images, Limits};

/// A file held in memory, inflated where it is compressed as a whole (`.nii.gz`). Its images are those of
/// [`read_page`](crate::read_page), to the last bit and with the same identities.
#[derive(Debug)]
pub struct PagedFile {
    path: PathBuf,
    bytes: Vec<u8>,
    identity: FileIdentity,
}

impl PagedFile {
    /// Reads a file, and inflates it.
    ///
    /// # Errors
    /// As [`read_page`](crate::read_page), less the decoding.
    pub fn read(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let read = || {
            let bytes = read_bytes(path, limits)?;
            Self::of_bytes(path, bytes, limits)
        };
        read().map_err(|error: Error| error.with_path(path))
    }

    /// The same of bytes that were read elsewhere; `path` names them, and nothing is read there.
    ///
    /// # Errors
    /// As [`decode`](crate::decode), less the decoding.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>, limits: &Limits) -> Result<Self, Error> {
        let open = || {
            refuse_raw(path, &bytes)?;
            let identity = FileIdentity::of(&bytes);
            Ok((identity, Images::open(&bytes, limits)?.inflated()?))
        };
        let (identity, inflated) = open().map_err(|error: Error| error.with_path(path))?;
        Ok(Self { path: path.to_owned(), bytes: inflated.unwrap_or(bytes), identity })
    }

    /// Where it was read, or the name that it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of memory that it takes.
    pub fn held_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Its images.
    ///
    /// # Errors
    /// As [`Images::open`].
    pub fn images<'a>(&'a self, limits: &'a Limits) -> Result<Images<'a>, Error> {
        Images::open_as(&self.bytes, limits, Some(self.identity)).map_err(|error| error.with_path(&self.path))
    }

    /// Decodes one image, by its number from 0.
    ///
    /// # Errors
    /// As [`read_page`](crate::read_page).
    pub fn decode(&self, page: u32, limits: &Limits) -> Result<Image, Error> {
        let decoded = self.images(limits)?.decode(page);
        let mut image = decoded.map_err(|error| error.with_path(&self.path))?;
        image.source.path = Some(self.path.clone());
        Ok(image)
    }
}
