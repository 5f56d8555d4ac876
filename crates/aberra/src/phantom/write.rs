//! Phantoms as a data set on disk, in the layout of MVTec AD.

use std::fs;
use std::path::Path;

use super::{LesionKind, MAX_SIZE_PX, MIN_SIZE_PX, Phantom, lesion_slice, slice};
use crate::{Error, Result};

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
    let mut index = 0u64..;
    let mut next = || index.next().unwrap_or(u64::MAX);
    for (folder, count) in [("train/good", settings.train_normals), ("test/good", settings.test_normals)] {
        let folder = root.join(folder);
        create_folder(&folder)?;
        for name in 0..count {
            write_grey(&folder.join(format!("{name:03}.png")), &slice(seed, next(), size_px))?;
        }
    }
    if settings.anomalies_per_kind == 0 {
        return Ok(());
    }
    for &kind in LesionKind::ALL {
        let (images, masks) =
            (root.join("test").join(kind.name()), root.join("ground_truth").join(kind.name()));
        create_folder(&images)?;
        create_folder(&masks)?;
        for name in 0..settings.anomalies_per_kind {
            let phantom = lesion_slice(seed, next(), size_px, kind);
            write_grey(&images.join(format!("{name:03}.png")), &phantom)?;
            let mask = phantom.mask.iter().flatten().map(|&lesion| if lesion { 255 } else { 0 }).collect();
            write_png(&masks.join(format!("{name:03}_mask.png")), mask, size_px)?;
        }
    }
    Ok(())
}

fn create_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Error::io(folder, &error))
}

fn write_grey(path: &Path, phantom: &Phantom) -> Result<()> {
    let bytes = phantom.pixels.iter().map(|value| (value * 255.0).round() as u8).collect();
    write_png(path, bytes, phantom.size_px)
}

/// The one place that encodes; to be `aberra_image::encode_png` once that exists.
fn write_png(path: &Path, bytes: Vec<u8>, size_px: usize) -> Result<()> {
    let side = size_px as u32;
    let mut encoded = std::io::Cursor::new(Vec::new());
    ::image::write_buffer_with_format(
        &mut encoded,
        &bytes,
        side,
        side,
        ::image::ExtendedColorType::L8,
        ::image::ImageFormat::Png,
    )
    .map_err(|error| Error::data(format!("could not encode a slice as PNG: {error}")).with_path(path))?;
    fs::write(path, encoded.into_inner()).map_err(|error| Error::io(path, &error))
}
