//! Reads samples.

use std::path::Path;

use aberra_image::{Image, Input, Limits, Preprocessing, Remark, read_page};

use super::Sample;
use super::kept_files::decode;
use crate::{Result, of_image};

impl Sample {
    /// Reads and decodes its image.
    ///
    /// # Errors
    /// As [`aberra_image::read_page`].
    pub fn read(&self, limits: &Limits) -> Result<Image> {
        read_image(&self.path, self.page, limits)
    }

    /// Its image, read and preprocessed.
    ///
    /// # Errors
    /// As [`read`](Self::read); an image that cannot be preprocessed.
    pub(crate) fn preprocessed(&self, preprocessing: &Preprocessing, limits: &Limits) -> Result<Input> {
        let image = self.read(limits)?;
        preprocessing.apply(&image).map_err(|error| of_image(error.with_path(&self.path)))
    }
}

/// Reads the image of a file, or that of a page of it, from 0. A file of several images is held in memory for the next page of it.
///
/// # Errors
/// As [`aberra_image::read_page`].
pub fn read_image(path: &Path, page: Option<u32>, limits: &Limits) -> Result<Image> {
    let Some(page) = page else { return read_page(path, 0, limits).map_err(of_image) };
    let mut image = decode(path, page, limits).map_err(of_image)?;
    // The other pages are images of their own.
    image.source.remarks.retain(|remark| !matches!(remark, Remark::Page { .. }));
    Ok(image)
}
