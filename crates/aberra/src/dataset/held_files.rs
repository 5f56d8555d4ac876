//! Volumes among files that are held in memory, such as those of a request: nothing is written for them, and nothing read.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use aberra_image::{Error as ImageError, Format, Image, Images, Limits, PagedFile, Remark};
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
    most_bytes: u64,
}

impl HeldFiles {
    /// Takes files in, each under a name of its own: the slices of the cases among them have it as their path. Those that are no image
    /// files, or are beyond the limits, are returned with the reason. `limits` are those of each file; together, and inflated, they
    /// take at most `most_bytes`: one that would take them further is refused before it is inflated.
    pub fn open(
        files: Vec<(String, Vec<u8>)>,
        limits: Limits,
        most_bytes: u64,
    ) -> (Self, Vec<(String, crate::Error)>) {
        let (mut held, mut refused, mut taken) = (Vec::new(), Vec::new(), 0_u64);
        for (name, bytes) in files {
            let opened = bytes_held(&name, &bytes, &limits).and_then(|wanted| {
                let left = most_bytes.saturating_sub(taken);
                if wanted > left {
                    return Err(too_many_bytes(&name, wanted, left, most_bytes));
                }
                PagedFile::of_bytes(Path::new(&name), bytes, &limits).map_err(of_image)
            });
            match opened {
                Ok(file) => {
                    taken += file.held_bytes() as u64;
                    held.push(file);
                }
                Err(error) => refused.push((name, error)),
            }
        }
        (Self { files: held, limits, most_bytes }, refused)
    }

    /// The cases among them, as [`find_cases`](super::find_cases) finds them.
    pub fn cases(&self) -> Cases {
        let names: Vec<String> =
            self.files.iter().map(|file| file.path().to_string_lossy().into_owned()).collect();
        let paths: Vec<_> = self.files.iter().map(|file| file.path().to_owned()).collect();
        // One after another: to open a deflated DICOM file is to inflate it. What cannot be read says so when it is.
        let contents = self.files.iter().enumerate();
        let contents = contents
            .map(|(at, file)| content(at, file, &self.limits).unwrap_or(Content::UNREADABLE))
            .collect();
        cases_of(&paths, found_in(&names, &paths, contents))
    }

    /// The image of a slice.
    ///
    /// # Errors
    /// A slice of another volume, or one that cannot be decoded.
    pub fn read(&self, slice: &Slice) -> Result<Image> {
        let file = self.file(slice).ok_or_else(|| {
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
        let mut spreads: Vec<Option<f32>> = Vec::with_capacity(volume.slices.len());
        for run in self.runs(&volume.slices, usize::MAX) {
            spreads.par_extend(volume.slices[run].par_iter().with_max_len(1).map(spread));
        }
        are_empty(&spreads)
    }

    /// Takes slices apart, in their order, into runs whose images may be in memory at a time: at most `most` images, and decoding them
    /// takes at most as many bytes as all files may. A slice that takes more is a run of its own.
    pub fn runs(&self, slices: &[Slice], most: usize) -> Vec<Range<usize>> {
        let (mut runs, mut start, mut bytes) = (Vec::new(), 0, 0_u64);
        for (at, slice) in slices.iter().enumerate() {
            let more = self.decoding_bytes(slice);
            if at > start && (at - start == most || bytes.saturating_add(more) > self.most_bytes) {
                runs.push(start..at);
                (start, bytes) = (at, 0);
            }
            bytes = bytes.saturating_add(more);
        }
        if start < slices.len() {
            runs.push(start..slices.len());
        }
        runs
    }

    /// Bytes that decoding a slice takes, with what its file is inflated to for it; 0 if it cannot be decoded.
    fn decoding_bytes(&self, slice: &Slice) -> u64 {
        let images = self.file(slice).and_then(|file| file.images(&self.limits).ok());
        images.map_or(0, |images| {
            let pixels = images.decoding_bytes(slice.page.unwrap_or(0)).unwrap_or(0);
            pixels.saturating_add(images.inflated_bytes())
        })
    }

    fn file(&self, slice: &Slice) -> Option<&PagedFile> {
        self.files.iter().find(|file| file.path() == slice.path)
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

/// Bytes that a file takes in memory, inflated where it is compressed as a whole.
fn bytes_held(name: &str, bytes: &[u8], limits: &Limits) -> Result<u64> {
    let images = Images::open(bytes, limits).map_err(|error| of_image(error.with_path(Path::new(name))))?;
    Ok(images.inflated_bytes().max(bytes.len() as u64))
}

fn too_many_bytes(name: &str, wanted: u64, left: u64, most: u64) -> crate::Error {
    crate::Error::input(format!(
        "expected files that take at most {most} bytes of memory together, inflated, found one of {wanted} where {left} are left; \
         give fewer at a time"
    ))
    .with_path(Path::new(name))
}

fn content(at: usize, file: &PagedFile, limits: &Limits) -> std::result::Result<Content, ImageError> {
    let images = file.images(limits)?;
    if images.format() == Format::Dicom {
        return placed_in(at, &images).map(Content::Dicom);
    }
    Ok(match images.count()? {
        count @ 2.. => {
            let slice_spacing_mm = images.header(0).ok().and_then(|header| header.slice_spacing_mm);
            Content::Pages { count, slice_spacing_mm }
        }
        _ => Content::one(&images.header(0)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_decoded_slices_are_held_within_the_memory_for_them() {
        const SIDE: usize = 64;
        const SLICES: usize = 10;
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let voxels: Vec<f32> = (0..SIDE * SIDE * SLICES).map(|voxel| voxel as f32).collect();
        let bytes = aberra_image::encode_nifti(&voxels, [SIDE, SIDE, SLICES], affine).unwrap();
        let files = || vec![("a.nii.gz".to_owned(), bytes.clone()), ("b.nii.gz".to_owned(), bytes.clone())];
        let limits = Limits::default();
        let (mut held, refused) = HeldFiles::open(files(), limits, u64::MAX);
        assert!(refused.is_empty());
        let (volumes, _) = HeldFiles::volumes(held.cases().cases);
        let slices = &volumes[0].slices;
        assert_eq!(held.runs(slices, usize::MAX), std::slice::from_ref(&(0..SLICES)));
        assert_eq!(held.runs(slices, 4), [0..4, 4..8, 8..10]);
        let one = held.decoding_bytes(&slices[0]);
        assert!(one >= (4 * SIDE * SIDE) as u64);
        held.most_bytes = 3 * one;
        assert_eq!(held.runs(slices, usize::MAX), [0..3, 3..6, 6..9, 9..10]);
        assert_eq!(held.empty_slices(&volumes[0]), [false; SLICES]);
        // One that takes more than there is alone.
        held.most_bytes = one / 2;
        assert_eq!(held.runs(slices, usize::MAX).len(), SLICES);
        // The second file is beyond the memory for both, though it is small as it is sent.
        let inflated = held.files[0].held_bytes() as u64;
        let (held, refused) = HeldFiles::open(files(), limits, 2 * inflated - 1);
        assert_eq!((held.files.len(), refused[0].0.as_str()), (1, "b.nii.gz"));
        let error = refused[0].1.to_string();
        assert!(
            error.contains(&format!("found one of {inflated} where {} are left", inflated - 1)),
            "{error}"
        );
        assert_eq!(HeldFiles::open(files(), limits, 2 * inflated).1.len(), 0);
    }
}
