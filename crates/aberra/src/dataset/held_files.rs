//! Volumes among files that are held in memory, such as those of a request: nothing is written for them, and nothing read.

use std::collections::HashMap;
use std::path::Path;

use aberra_image::{Error as ImageError, Format, Image, Limits, PagedFile, Remark};
use rayon::prelude::*;

use super::empty::{are_empty, spread};
use super::series::placed_in;
use super::volumes::{Case, Cases, Content, Slice, Volume, cases_of, found_in};
use crate::{Result, of_image};

/// Files held in memory, inflated where they are compressed as a whole.
#[derive(Debug)]
pub struct HeldFiles {
    files: Vec<PagedFile>,
    limits: Limits,
}

impl HeldFiles {
    /// Takes files in, each under a name of its own: the slices of the cases among them have it as their path. Those that are no image
    /// files, or are beyond the limits, are returned with the reason.
    pub fn open(files: Vec<(String, Vec<u8>)>, limits: Limits) -> (Self, Vec<(String, crate::Error)>) {
        let (mut held, mut refused) = (Vec::new(), Vec::new());
        for (name, bytes) in files {
            match PagedFile::of_bytes(Path::new(&name), bytes, &limits) {
                Ok(file) => held.push(file),
                Err(error) => refused.push((name, of_image(error))),
            }
        }
        (Self { files: held, limits }, refused)
    }

    /// The cases among them, as [`find_cases`](super::find_cases) finds them.
    pub fn cases(&self) -> Cases {
        let names: Vec<String> =
            self.files.iter().map(|file| file.path().to_string_lossy().into_owned()).collect();
        let paths: Vec<_> = self.files.iter().map(|file| file.path().to_owned()).collect();
        let contents = self.files.par_iter().enumerate().with_max_len(1);
        // What cannot be read says so when it is.
        let contents =
            contents.map(|(at, file)| content(at, file, &self.limits).unwrap_or(Content::One)).collect();
        cases_of(&paths, found_in(&names, &paths, contents))
    }

    /// The image of a slice.
    ///
    /// # Errors
    /// A slice of another volume, or one that cannot be decoded.
    pub fn read(&self, slice: &Slice) -> Result<Image> {
        let file = self.files.iter().find(|file| file.path() == slice.path).ok_or_else(|| {
            crate::Error::input("expected a slice of these files, found another one").with_path(&slice.path)
        })?;
        let mut image = file.decode(slice.page.unwrap_or(0), &self.limits).map_err(of_image)?;
        // The other pages are slices of their own.
        image.source.remarks.retain(|remark| !matches!(remark, Remark::Page { .. }));
        Ok(image)
    }

    /// For each slice of a volume whether it shows nothing but air, as [`Volume::empty_slices`].
    pub fn empty_slices(&self, volume: &Volume) -> Vec<bool> {
        let spread = |slice: &Slice| self.read(slice).ok().map(|image| spread(&image));
        let spreads: Vec<Option<f32>> = volume.slices.par_iter().with_max_len(1).map(spread).collect();
        are_empty(&spreads)
    }

    /// The volumes among the cases, and the names of the files that hold none.
    pub fn volumes(cases: Vec<Case>) -> (Vec<Volume>, Vec<String>) {
        let (mut volumes, mut others) = (Vec::new(), HashMap::new());
        for (place, case) in cases.into_iter().enumerate() {
            match case {
                Case::Volume(volume) => volumes.push(volume),
                Case::Image { path, .. } => {
                    others.entry(path.to_string_lossy().into_owned()).or_insert(place);
                }
            }
        }
        let mut others: Vec<(String, usize)> = others.into_iter().collect();
        others.sort_by_key(|(_, place)| *place);
        (volumes, others.into_iter().map(|(name, _)| name).collect())
    }
}

fn content(at: usize, file: &PagedFile, limits: &Limits) -> std::result::Result<Content, ImageError> {
    let images = file.images(limits)?;
    if images.format() == Format::Dicom {
        return placed_in(at, &images).map(Content::Dicom);
    }
    Ok(match images.count()? {
        count @ 2.. => Content::Pages(count),
        _ => Content::One,
    })
}
