//! Phantoms and photographs of products as data sets on disk, in the layout of MVTec AD.

use std::path::Path;

use rayon::prelude::*;

use super::{LesionKind, MAX_SIZE_PX, MIN_SIZE_PX, Phantom, Photograph, Product, lesion_slice, slice};
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

/// What [`write_products`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProductDataset {
    /// What is photographed.
    pub product: Product,
    /// Decides every photograph.
    pub seed: u64,
    /// Photographs in `train/good`.
    pub train_normals: usize,
    /// Photographs in `test/good`.
    pub test_normals: usize,
    /// Photographs in `test/<defect>`, for each defect that the product can have.
    pub anomalies_per_defect: usize,
}

/// Writes 8-bit grey PNG files under `root`: `train/good/000.png`, `test/good/000.png`, `test/<kind>/000.png` and
/// `ground_truth/<kind>/000_mask.png` (255 in the lesion).
///
/// No head appears twice: every image, normal or not, has its own anatomy.
///
/// # Errors
/// `size_px` is out of range, or a file or folder cannot be written.
pub fn write_dataset(root: &Path, settings: &PhantomDataset) -> Result<()> {
    let PhantomDataset { seed, size_px, train_normals, test_normals, anomalies_per_kind } = *settings;
    if !(MIN_SIZE_PX..=MAX_SIZE_PX).contains(&size_px) {
        return Err(Error::settings(format!(
            "expected a side of {MIN_SIZE_PX} to {MAX_SIZE_PX} pixels, found {size_px}"
        ))
        .with_hint("128 suits most uses"));
    }
    let layout = Layout { train_normals, test_normals, anomalies: anomalies_per_kind };
    let kinds: Vec<_> = LesionKind::ALL.iter().map(|&kind| (kind.name(), kind)).collect();
    layout.write(root, &kinds, |index, kind| {
        let phantom = match kind {
            Some(kind) => lesion_slice(seed, index, size_px, kind),
            None => slice(seed, index, size_px),
        };
        let Phantom { pixels, mask, .. } = phantom;
        Photograph { pixels, height: size_px, width: size_px, color: Color::Grey, mask }
    })
}

/// Writes 8-bit PNG files under `root`, named as by [`write_dataset`]; masks are 255 in the defect.
///
/// # Errors
/// A file or folder cannot be written.
pub fn write_products(root: &Path, settings: &ProductDataset) -> Result<()> {
    let ProductDataset { product, seed, train_normals, test_normals, anomalies_per_defect } = *settings;
    let layout = Layout { train_normals, test_normals, anomalies: anomalies_per_defect };
    let kinds: Vec<_> = product.defects().iter().map(|&defect| (defect.name(), defect)).collect();
    layout.write(root, &kinds, |index, defect| product.photograph(seed, index, defect))
}

/// Numbers of images in the folders of MVTec AD.
struct Layout {
    train_normals: usize,
    test_normals: usize,
    /// Of each kind.
    anomalies: usize,
}

impl Layout {
    /// Writes the images that `draw` returns for a number and a kind, `None` for a normal. Numbers run on from folder to folder.
    fn write<K: Copy + Send + Sync>(
        &self,
        root: &Path,
        kinds: &[(&str, K)],
        draw: impl Fn(u64, Option<K>) -> Photograph + Sync,
    ) -> Result<()> {
        let mut images = Vec::new();
        for (folder, count) in [("train", self.train_normals), ("test", self.test_normals)] {
            let folder = root.join(folder).join("good");
            output::make_folder(&folder)?;
            images.extend((0..count).map(|name| (folder.clone(), None, name)));
        }
        for &(name, kind) in kinds.iter().filter(|_| self.anomalies > 0) {
            let folder = root.join("test").join(name);
            let masks = root.join("ground_truth").join(name);
            output::make_folder(&folder)?;
            output::make_folder(&masks)?;
            let kind = Some((kind, masks));
            images.extend((0..self.anomalies).map(|name| (folder.clone(), kind.clone(), name)));
        }
        images.par_iter().enumerate().try_for_each(|(index, (folder, kind, name))| {
            let drawn = draw(index as u64, kind.as_ref().map(|(kind, _)| *kind));
            let bytes: Vec<u8> = drawn.pixels.iter().map(|value| (value * 255.0).round() as u8).collect();
            let write = |path: &Path, bytes: &[u8], color| {
                let encoded = encode_png(bytes, drawn.height, drawn.width, color).map_err(of_image)?;
                output::write_unsynchronised(path, &encoded)
            };
            write(&folder.join(format!("{name:03}.png")), &bytes, drawn.color)?;
            let Some(((_, masks), mask)) = kind.as_ref().zip(drawn.mask.as_ref()) else { return Ok(()) };
            let mask: Vec<u8> = mask.iter().map(|&masked| if masked { 255 } else { 0 }).collect();
            write(&masks.join(format!("{name:03}_mask.png")), &mask, Color::Grey)
        })
    }
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
    fn products_have_it_too() {
        let root = tempfile::tempdir().unwrap();
        let product = Product::Pill;
        let settings =
            ProductDataset { product, seed: 2, train_normals: 1, test_normals: 1, anomalies_per_defect: 1 };
        write_products(root.path(), &settings).unwrap();
        // Numbered on: two normals, then each defect.
        for (defect, index) in product.defects().iter().zip(2..) {
            let drawn = product.photograph(2, index, Some(*defect));
            let path = root.path().join("test").join(defect.name()).join("000.png");
            let written = read(&path, &Limits::default()).unwrap();
            assert_eq!((written.height, written.width, written.channels), (512, 512, 3));
            assert!(
                written.pixels.iter().zip(&drawn.pixels).all(|(a, b)| (a - b).abs() < 0.5 / 255.0 + 1e-6)
            );
            let path = root.path().join("ground_truth").join(defect.name()).join("000_mask.png");
            let mask = read(&path, &Limits::default()).unwrap().pixels;
            assert!(mask.iter().zip(drawn.mask.unwrap()).all(|(&value, masked)| (value == 1.0) == masked));
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
