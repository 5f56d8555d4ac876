//! Images as Python hands them over: the path of a file, a file's bytes or the paths of several channels, and the number of a page.

use std::path::PathBuf;

use aberra::dataset::{ChannelFile, read_channels};
use aberra::image::{Image, Images, Limits, decode_page};
use aberra::{Detector, Result, of_image};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::error::exception;

/// Where an image is.
#[derive(FromPyObject)]
pub(crate) enum Place {
    /// In a file held in memory.
    Bytes(PyBackedBytes),
    /// In a file.
    File(PathBuf),
    /// In several, each with the name of the channel that it holds.
    Channels(Vec<(String, PathBuf)>),
}

/// A file, and the number of its page, from 0.
pub(crate) type Picture = (Place, Option<u32>);

/// Decodes an image for a detector.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read((place, page): &Picture, detector: &Detector) -> Result<Image> {
    let limits = &detector.config().limits;
    match place {
        Place::Bytes(bytes) => decode_page(bytes, page.unwrap_or(0), limits).map_err(of_image),
        Place::File(path) => detector.read_image(path, &[], *page, limits),
        Place::Channels(files) => {
            let file =
                |(name, path): &(String, PathBuf)| ChannelFile { name: name.clone(), path: path.clone() };
            read_channels(&files.iter().map(file).collect::<Vec<_>>(), *page, limits)
        }
    }
}

/// Little-endian floats.
pub(crate) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The number of images in a file: pages, frames, slices, else 1.
#[pyfunction]
pub(crate) fn count_pages(py: Python<'_>, place: Place) -> PyResult<u32> {
    let limits = Limits::default();
    let count = || match &place {
        Place::Bytes(bytes) => Images::open(bytes, &limits).and_then(|images| images.count()),
        Place::File(path) => aberra::image::count_pages(path, &limits),
        Place::Channels(files) => {
            files.first().map_or(Ok(1), |(_, path)| aberra::image::count_pages(path, &limits))
        }
    };
    py.detach(count).map_err(|error| exception(py, &of_image(error)))
}
