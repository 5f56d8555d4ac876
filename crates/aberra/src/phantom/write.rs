//! Phantoms as a data set on disk, in the layout of MVTec AD.

use std::path::Path;

use rayon::prelude::*;

use super::{LesionKind, MAX_SIZE_PX, MIN_SIZE_PX, Phantom, lesion_slice, slice};
use crate::image::{Color, encode_png};
use crate::{Error, Result, of_image, output};

/// What [`write_dataset`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhantomDataset {
    /// Decides every image.
    pub seed: u64,
    /// Side of the images, [`MIN_SIZE_PX`] to [`MAX_SIZE_PX`].
    pub size_px: usize,
    /// Images in `train/good`.
    pub train_normals: usize,
    /// Images in `test/good`.
    pub test_normals: usize,
    /// Images in `test/<kind>`, for each [`LesionKind`].
    pub anomalies_per_kind: usize,
}

impl Default for PhantomDataset {
    fn default() -> Self {
        Self { seed: 0, size_px: 128, train_normals: 400, test_normals: 80, anomalies_per_kind: 10 }
    }
}

/// Writes 8-bit grey PNG files under `root`: `train/good/000.png`, `test/good/000.png`, `test/<kind>/000.png` and
/// `ground_truth/<kind>/000_mask.png` (255 in the lesion).
///
/// No head appears twice: every image, normal or not, has its own anatomy.
///
/// # Errors
/// `size_px` is out of range, or a file or folder cannot be written.
pub fn write_dataset(root: &Path, settings: &PhantomDataset) -> Result<()> {
    if !(MIN_SIZE_PX..=MAX_SIZE_PX).contains(&settings.size_px) {
        return Err(Error::settings(format!(
            "expected a side of {MIN_SIZE_PX} to {MAX_SIZE_PX} pixels, found {}",
            settings.size_px
        ))
        .with_hint("128 suits most uses"));
    }
    let PhantomDataset { seed, size_px, .. } = *settings;
    let mut pictures = Vec::new();
    for (folder, count) in [("train/good", settings.train_normals), ("test/good", settings.test_normals)] {
        create_folder(&root.join(folder))?;
        pictures.extend((0..count).map(|name| (folder.to_owned(), name, None)));
    }
    for &kind in LesionKind::ALL {
        let folder = format!("test/{}", kind.name());
        if settings.anomalies_per_kind > 0 {
            create_folder(&root.join(&folder))?;
            create_folder(&root.join("ground_truth").join(kind.name()))?;
        }
        pictures.extend((0..settings.anomalies_per_kind).map(|name| (folder.clone(), name, Some(kind))));
    }
    pictures.par_iter().enumerate().try_for_each(|(index, (folder, name, kind))| {
        let index = index as u64;
        let picture = root.join(folder).join(format!("{name:03}.png"));
        let Some(kind) = kind else { return write_grey(&picture, &slice(seed, index, size_px)) };
        let phantom = lesion_slice(seed, index, size_px, *kind);
        write_grey(&picture, &phantom)?;
        let mask: Vec<u8> =
            phantom.mask.iter().flatten().map(|&lesion| if lesion { 255 } else { 0 }).collect();
        let mask_file = root.join("ground_truth").join(kind.name()).join(format!("{name:03}_mask.png"));
        write_png(&mask_file, &mask, size_px)
    })
}

fn create_folder(folder: &Path) -> Result<()> {
    output::make_folder(folder)
}

fn write_grey(path: &Path, phantom: &Phantom) -> Result<()> {
    let bytes: Vec<u8> = phantom.pixels.iter().map(|value| (value * 255.0).round() as u8).collect();
    write_png(path, &bytes, phantom.size_px)
}

fn write_png(path: &Path, bytes: &[u8], size_px: usize) -> Result<()> {
    let encoded = encode_png(bytes, size_px, size_px, Color::Grey).map_err(of_image)?;
    output::write_unsynchronised(path, &encoded)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image::{Limits, read};

    #[test]
    fn a_data_set_has_the_layout_of_mvtec() {
        let root = tempfile::tempdir().unwrap();
        let settings =
            PhantomDataset { seed: 2, size_px: 32, train_normals: 3, test_normals: 2, anomalies_per_kind: 1 };
        write_dataset(root.path(), &settings).unwrap();
        let files = |folder: &str| fs::read_dir(root.path().join(folder)).unwrap().count();
        assert_eq!([files("train/good"), files("test/good")], [3, 2]);
        assert_eq!(
            [files("test"), files("ground_truth")],
            [LesionKind::ALL.len() + 1, LesionKind::ALL.len()]
        );
        let first = read(&root.path().join("train/good/000.png"), &Limits::default()).unwrap();
        assert_eq!((first.height, first.width, first.channels), (32, 32, 1));
        let drawn = slice(2, 0, 32).pixels;
        assert!(first.pixels.iter().zip(&drawn).all(|(a, b)| (a - b).abs() <= 0.5 / 255.0 + 1e-6));
        for kind in LesionKind::ALL {
            let path = root.path().join("ground_truth").join(kind.name()).join("000_mask.png");
            let mask = read(&path, &Limits::default()).unwrap();
            assert!(mask.pixels.contains(&1.0) && mask.pixels.iter().all(|&v| v == 0.0 || v == 1.0));
        }
    }

    #[test]
    fn impossible_settings_and_folders_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let settings = PhantomDataset { size_px: 8, ..PhantomDataset::default() };
        assert!(write_dataset(root.path(), &settings).unwrap_err().is_settings());
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(write_dataset(&file, &PhantomDataset::default()).unwrap_err().is_io());
    }
}
