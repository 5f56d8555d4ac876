//! The files of a detector's normals, and thumbnails of them.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use aberra_image::{ImageId, Limits};
use rayon::prelude::*;

use super::NearNormal;
use crate::dataset::ChannelFile;
use crate::detector::Detector;
use crate::thumbnail::shrink;

/// A training normal near an image, found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoundNormal {
    /// Its number among the detector's [`normals`](Detector::normals).
    pub normal: usize,
    /// Distance in the embedding space, each dimension in standard deviations of the training normals.
    pub distance: f64,
    /// Its file, where it was among those looked at.
    pub path: Option<PathBuf>,
    /// A thumbnail, `[48, 48, channels]`, 0 to 1: from its file, or as the detector keeps it.
    pub thumbnail: Option<Vec<f32>>,
}

/// Looks for training normals among `files`, by their identity, of which a file shows its first image. Files that cannot be
/// read are passed over.
pub fn find_normals(detector: &Detector, wanted: &[NearNormal], files: &[PathBuf]) -> Vec<FoundNormal> {
    let limits = detector.config().limits;
    let found: HashMap<ImageId, &Path> = files
        .par_iter()
        .filter_map(|path| Some((identity(path, detector, &limits)?, path.as_path())))
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let normals = detector.normals();
    let kept = detector.thumbnails.as_deref();
    let find = |near: &NearNormal| {
        let path = found.get(&normals[near.normal].sketch.id).copied();
        let own = kept.and_then(|kept| kept.chunks_exact(kept.len() / normals.len()).nth(near.normal));
        let read = || detector.read_input(path?, &[], None, &limits).ok();
        let thumbnail = own
            .map(<[f32]>::to_vec)
            .or_else(|| read().map(|input| shrink(&input.pixels, detector.canvas_shape())));
        FoundNormal {
            normal: near.normal,
            distance: near.distance,
            path: path.map(Path::to_owned),
            thumbnail,
        }
    };
    wanted.par_iter().map(find).collect()
}

/// The identity of a file's first image, or of the case whose first file it is, without decoding it.
fn identity(path: &Path, detector: &Detector, limits: &Limits) -> Option<ImageId> {
    match &ChannelFile::beside(path, &detector.config().preprocessing.channels)[..] {
        [] => first_image(path, limits),
        channels => {
            let ids: Option<Vec<ImageId>> =
                channels.iter().map(|file| first_image(&file.path, limits)).collect();
            ids.map(ImageId::of_parts)
        }
    }
}

/// The identity of a file's first image, without decoding it.
fn first_image(path: &Path, limits: &Limits) -> Option<ImageId> {
    let file = File::open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    let within =
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= limits.max_bytes);
    (within && hasher.update_reader(file).is_ok())
        .then(|| ImageId { hash: *hasher.finalize().as_bytes(), frame: 0 })
}
