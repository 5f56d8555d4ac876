//! Phantom volumes as a data set of NIfTI files on disk, in the layout of MVTec AD.

use std::path::Path;

use rayon::prelude::*;

use super::{LesionKind, VolumeShape, volume};
use crate::image::encode_nifti;
use crate::{Result, of_image, output};

/// What [`write_volumes`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhantomVolumes {
    /// Decides every volume.
    pub seed: u64,
    /// Of each.
    pub shape: VolumeShape,
    /// Volumes in `train/good`.
    pub train_normals: usize,
    /// Volumes in `test/good`.
    pub test_normals: usize,
    /// Volumes in `test/<kind>`, for each [`LesionKind`].
    pub anomalies_per_kind: usize,
}

/// Side and height of a volume in millimetres.
const EXTENT_MM: [f64; 2] = [200.0, 120.0];

/// Writes NIfTI files of 8-bit grey levels, 0 to 1, under `root`: `train/good/000.nii.gz`, `test/good/000.nii.gz`,
/// `test/<kind>/000.nii.gz` and `ground_truth/<kind>/000_mask.nii.gz` (1 in the lesion). No head appears twice.
///
/// # Errors
/// A file or folder cannot be written.
pub fn write_volumes(root: &Path, settings: &PhantomVolumes) -> Result<()> {
    let PhantomVolumes { seed, shape, .. } = *settings;
    let mut volumes = Vec::new();
    for (folder, count) in [("train/good", settings.train_normals), ("test/good", settings.test_normals)] {
        output::make_folder(&root.join(folder))?;
        volumes.extend((0..count).map(|name| (folder.to_owned(), name, None)));
    }
    for &kind in LesionKind::ALL {
        let folder = format!("test/{}", kind.name());
        if settings.anomalies_per_kind > 0 {
            output::make_folder(&root.join(&folder))?;
            output::make_folder(&root.join("ground_truth").join(kind.name()))?;
        }
        volumes.extend((0..settings.anomalies_per_kind).map(|name| (folder.clone(), name, Some(kind))));
    }
    volumes.par_iter().enumerate().try_for_each(|(index, (folder, name, kind))| {
        let drawn = volume(seed, index as u64, shape, *kind);
        let grey: Vec<f32> = drawn.pixels.iter().map(|value| (value * 255.0).round() / 255.0).collect();
        write(&root.join(folder).join(format!("{name:03}.nii.gz")), &grey, drawn.shape)?;
        let (Some(kind), Some(mask)) = (kind, &drawn.mask) else { return Ok(()) };
        let mask: Vec<f32> = mask.iter().map(|&lesion| if lesion { 1.0 } else { 0.0 }).collect();
        let file = root.join("ground_truth").join(kind.name()).join(format!("{name:03}_mask.nii.gz"));
        write(&file, &mask, drawn.shape)
    })
}

/// Writes slices from bottom to top, whose rows run from front to back.
fn write(path: &Path, slices: &[f32], shape: VolumeShape) -> Result<()> {
    let VolumeShape { size_px: size, slices: count } = shape;
    // The second axis of the file runs forwards.
    let voxels: Vec<f32> = slices
        .chunks_exact(size * size)
        .flat_map(|slice| slice.chunks_exact(size).rev().flatten())
        .copied()
        .collect();
    let (pixel_mm, slice_mm) = (EXTENT_MM[0] / size as f64, EXTENT_MM[1] / count as f64);
    let affine = [
        [pixel_mm, 0.0, 0.0, (pixel_mm - EXTENT_MM[0]) / 2.0],
        [0.0, pixel_mm, 0.0, (pixel_mm - EXTENT_MM[0]) / 2.0],
        [0.0, 0.0, slice_mm, (slice_mm - EXTENT_MM[1]) / 2.0],
    ];
    let encoded = encode_nifti(&voxels, [size, size, count], affine).map_err(of_image)?;
    output::write_unsynchronised(path, &encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Limits, count_pages, read_page};

    #[test]
    fn volumes_are_read_as_they_were_drawn() {
        let root = tempfile::tempdir().unwrap();
        let shape = VolumeShape { size_px: 32, slices: 10 };
        let settings =
            PhantomVolumes { seed: 2, shape, train_normals: 1, test_normals: 1, anomalies_per_kind: 1 };
        write_volumes(root.path(), &settings).unwrap();
        let (file, limits) = (root.path().join("train/good/000.nii.gz"), Limits::default());
        assert_eq!(count_pages(&file, &limits).unwrap(), 10);
        let drawn = volume(2, 0, shape, None);
        for (page, slice) in (0..).zip(drawn.pixels.chunks_exact(32 * 32)) {
            let read = read_page(&file, page, &limits).unwrap();
            assert!(read.pixels.iter().zip(slice).all(|(a, b)| (a - b).abs() <= 0.5 / 255.0 + 1e-6));
            assert_eq!(read.source.spacing_mm, Some([6.25, 6.25]));
        }
        let kind = LesionKind::ALL[3];
        let mask = root.path().join("ground_truth").join(kind.name()).join("000_mask.nii.gz");
        let drawn = volume(2, 5, shape, Some(kind));
        let middle = drawn.lesion().start as u32;
        let read = read_page(&mask, middle, &limits).unwrap();
        let lesion = &drawn.mask.unwrap()[middle as usize * 32 * 32..][..32 * 32];
        assert!(read.pixels.iter().zip(lesion).all(|(&value, &lesion)| (value == 1.0) == lesion));
    }
}
