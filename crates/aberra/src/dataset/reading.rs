//! Reads samples.

use std::path::Path;

use aberra_image::{Image, Input, Limits, Preprocessing, Remark, read_grey, read_page};

use super::kept_files::{count, decode};
use super::{ChannelFile, Sample};
use crate::{Error, Result, of_image};

impl Sample {
    /// Reads and decodes its image.
    ///
    /// # Errors
    /// As [`aberra_image::read_page`]; channels that do not lie over each other.
    pub fn read(&self, limits: &Limits) -> Result<Image> {
        match &self.channels[..] {
            [] => read_image(&self.path, self.page, limits),
            channels => read_channels(channels, self.page, limits),
        }
    }

    /// Its image, read and preprocessed.
    ///
    /// # Errors
    /// As [`read`](Self::read); an image that cannot be preprocessed.
    pub(crate) fn preprocessed(&self, preprocessing: &Preprocessing, limits: &Limits) -> Result<Input> {
        let image = match &self.channels[..] {
            [] => read_for(preprocessing, &self.path, self.page, limits)?,
            _ => self.read(limits)?,
        };
        preprocessing.apply(&image).map_err(|error| of_image(error.with_path(&self.path)))
    }
}

/// As [`read_image`], for preprocessing: in grey where that needs no colours.
///
/// # Errors
/// As [`read_image`].
pub(crate) fn read_for(
    preprocessing: &Preprocessing,
    path: &Path,
    page: Option<u32>,
    limits: &Limits,
) -> Result<Image> {
    match page {
        None if preprocessing.sees_grey_alone() => read_grey(path, limits).map_err(of_image),
        _ => read_image(path, page, limits),
    }
}

/// Reads one image from the files of its channels, or from the same page of each.
///
/// # Errors
/// As [`read_image`]; files of different size, spacing or number of images.
pub fn read_channels(channels: &[ChannelFile], page: Option<u32>, limits: &Limits) -> Result<Image> {
    if page.is_some() {
        same_count(channels, limits)?;
    }
    let part = |file: &ChannelFile| Ok((file.name.clone(), read_image(&file.path, page, limits)?));
    let parts = channels.iter().map(part).collect::<Result<Vec<_>>>()?;
    Image::of_channels(parts).map_err(|error| match channels.first() {
        Some(first) => of_image(error.with_path(&first.path)),
        None => of_image(error),
    })
}

/// Checks that files have as many images each: else the same page of them is not the same place.
fn same_count(channels: &[ChannelFile], limits: &Limits) -> Result<()> {
    let mut first: Option<(&ChannelFile, u32)> = None;
    for file in channels {
        let count = count(&file.path, limits).map_err(of_image)?;
        match first {
            Some((other, expected)) if count != expected => {
                let text = format!(
                    "expected channels of the same number of slices, found {expected} in {} and {count} in {}",
                    other.name, file.name
                );
                return Err(Error::data(text).with_path(&other.path).with_hint("resample one to the other"));
            }
            Some(_) => {}
            None => first = Some((file, count)),
        }
    }
    Ok(())
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
