//! Trains a detector on the normal images of a folder and saves it as one file.
//!
//! `cargo run --release --example train_folder -- [FOLDER DETECTOR [SECTION.NAME=VALUE ...]]`; without arguments it draws a
//! few brain-like slices and trains for two epochs.

use std::path::{Path, PathBuf};

use aberra::dataset::{Dataset, OpenOptions};
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::{Detector, TrainConfig};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const DRAWN: [&str; 5] = [
    "preprocessing.size_px=32",
    "model.channels=[4, 8]",
    "train.epochs=2",
    "split.by=\"none\"",
    "promise.false_alarm_rate=0.1",
];

fn main() -> Result<()> {
    let mut arguments = std::env::args();
    let folder = tempfile::tempdir()?;
    let (data, file, settings) = match (arguments.nth(1), arguments.next()) {
        (Some(data), Some(file)) => (PathBuf::from(data), PathBuf::from(file), arguments.collect()),
        _ => (draw(folder.path())?, folder.path().join("detector.aberra"), DRAWN.map(str::to_owned).to_vec()),
    };
    let layers = settings
        .iter()
        .map(|text| TrainConfig::assignment_layer(text))
        .collect::<aberra::Result<Vec<_>>>()?;
    let config = TrainConfig::from_layers(&layers)?;
    let dataset =
        Dataset::open(&data, &OpenOptions { normal: vec!["*".to_owned()], ..OpenOptions::default() })?;

    let detector = Detector::train(&dataset, &config)?;
    detector.save(&file)?;

    // A saved detector scores as the one that was trained.
    let loaded = Detector::load(&file)?;
    let image = aberra::image::read(&dataset.samples[0].path, &config.limits)?;
    let scores = [&detector, &loaded].map(|detector| {
        let verdict = detector.score(std::slice::from_ref(&image)).remove(0);
        verdict.map(|verdict| verdict.score)
    });
    let [trained, loaded] = scores;
    assert_eq!(trained?, loaded?);
    Ok(())
}

/// Sixty slices without a lesion.
fn draw(folder: &Path) -> Result<PathBuf> {
    let data = folder.join("slices");
    let slices =
        PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 0, anomalies_per_kind: 0 };
    write_dataset(&data, &slices)?;
    Ok(data)
}
