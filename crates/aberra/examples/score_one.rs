//! Scores one image with a detector file: by its path, and decoded.
//!
//! `cargo run --release --example score_one -- [DETECTOR IMAGE]`; without arguments it trains on drawn slices and scores one
//! with a lesion.

use std::path::{Path, PathBuf};

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::Image;
use aberra::phantom::{LesionKind, PhantomDataset, lesion_slice, write_dataset};
use aberra::{Detector, TrainConfig};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[allow(clippy::print_stdout)] // An example prints.
fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    if let (Some(file), Some(image)) = (arguments.next(), arguments.next()) {
        let verdict = Detector::load(&file)?.score_one(&image)?;
        println!("{} {}", verdict.score, if verdict.anomalous { "anomalous" } else { "normal" });
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let detector = trained(folder.path())?;

    // The path of a file.
    let normal = detector.score_one(&folder.path().join("slices/train/good/000.png"))?;
    assert!(normal.p_value.is_some_and(|p_value| p_value > 0.0));

    // Grey values from 0 to 1, [height, width], as a camera gives them.
    let lesion = lesion_slice(7, 0, 32, LesionKind::ALL[0]);
    let image = Image::from_pixels(lesion.pixels, 32, 32, 1).ok_or("expected 32 x 32 values")?;
    let verdict = detector.score_one(&image)?;
    let among_others = detector.score(std::slice::from_ref(&image)).remove(0)?;
    assert_eq!(verdict.score, among_others.score);
    assert_eq!((verdict.map()?.len(), verdict.evidence.0.len()), (32 * 32, detector.descriptors().len()));

    // What is no image is an error, and no verdict.
    assert!(detector.score_one("nowhere.png").is_err());
    Ok(())
}

/// A small detector, trained on sixty slices without a lesion.
fn trained(folder: &Path) -> Result<Detector> {
    let slices =
        PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 0, anomalies_per_kind: 0 };
    let data = folder.join("slices");
    write_dataset(&data, &slices)?;
    let settings = "preprocessing.size_px = 32\ntrain.epochs = 2\nsplit.by = 'none'\n\
                    promise.false_alarm_rate = 0.1\nmodel.channels = [4, 8]";
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(settings)?])?;
    Ok(Detector::train(&Dataset::open(&data, &OpenOptions::default())?, &config)?)
}
