//! Reads samples; takes the pages of a file as samples of their own, where that is asked for.

use std::path::Path;

use aberra_image::{Image, Input, Limits, Preprocessing, Remark, count_pages, read_page};
use rayon::prelude::*;

use super::remarks::counted;
use super::{Dataset, Sample};
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

/// Reads the image of a file, or that of a page of it, from 0.
///
/// # Errors
/// As [`aberra_image::read_page`].
pub fn read_image(path: &Path, page: Option<u32>, limits: &Limits) -> Result<Image> {
    let mut image = read_page(path, page.unwrap_or(0), limits).map_err(of_image)?;
    if page.is_some() {
        // The other pages are images of their own.
        image.source.remarks.retain(|remark| !matches!(remark, Remark::Page { .. }));
    }
    Ok(image)
}

impl Dataset {
    /// The same data with a sample for every page of full resolution of every file. The pages of a file are a group, where it
    /// has none; a mask counts if it has as many pages. A file that cannot be read stays as it is.
    pub fn by_page(mut self, limits: &Limits) -> Self {
        let pages = |sample: &Sample| count_pages(&sample.path, limits).unwrap_or(1);
        let counts: Vec<u32> = self.samples.par_iter().map(pages).collect();
        let (mut samples, mut several, mut without_masks) = (Vec::new(), Vec::new(), Vec::new());
        for (sample, count) in self.samples.into_iter().zip(counts) {
            if count < 2 {
                samples.push(sample);
                continue;
            }
            let mask = sample
                .mask
                .clone()
                .filter(|mask| count_pages(mask, limits).is_ok_and(|pages| pages == count));
            if sample.mask.is_some() && mask.is_none() {
                without_masks.push(sample.name.clone());
            }
            samples.extend((0..count).map(|page| Sample {
                name: format!("{}, page {}", sample.name, page + 1),
                page: Some(page),
                mask: mask.clone(),
                group: sample.group.clone().or_else(|| Some(sample.name.clone())),
                ..sample.clone()
            }));
            several.push(sample.name);
        }
        self.samples = samples;
        for (names, one, many) in [
            (
                several,
                "file of several pages, each an image of its own",
                "files of several pages, each an image of its own",
            ),
            (
                without_masks,
                "file of several pages has a mask of another number of pages, which is not used",
                "files of several pages have masks of another number of pages, which are not used",
            ),
        ] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if !names.is_empty() {
                self.notes.push(counted(&names, one, many));
            }
        }
        self
    }
}
