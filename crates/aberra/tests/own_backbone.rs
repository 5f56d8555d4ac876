//! A detector on a backbone of one's own: it holds the weights, so that their file is not needed to score.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::fs;
use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::{Image, Limits, read};
use aberra::models::Backbone;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::score::Evidence;
use aberra::{CheckedConfig, Detector, TrainConfig, compute};

/// The weights in the repository as another file: each number a little smaller.
fn write_own(path: &Path) {
    let embedded =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../aberra-models/backbone/efficientnet-lite0-10.safetensors");
    let bytes = fs::read(embedded).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
    let (header, values) = bytes.split_at(header);
    // The lowest bit of each half-precision number cleared.
    let cleared = values.chunks_exact(2).flat_map(|half| [half[0] & 0xFE, half[1]]);
    fs::write(path, header.iter().copied().chain(cleared).collect::<Vec<u8>>()).unwrap();
}

fn config(backbone: &str) -> CheckedConfig {
    let settings = format!(
        "backbone = {backbone:?}
        [preprocessing]
        size_px = 64
        [[model]]
        family = \"features\"
        bank = 128
        directions = 16
        [[model]]
        family = \"feature-vae\"
        directions = 16
        widths = [8, 8, 8]
        images = 64
        [promise]
        false_alarm_rate = 0.2"
    );
    TrainConfig::from_layers(&[TrainConfig::parse_layer(&settings).unwrap()]).unwrap()
}

fn evidence(detector: &Detector, image: &[Image]) -> Evidence {
    detector.score(image).remove(0).unwrap().evidence
}

#[test]
fn a_detector_holds_the_weights_of_a_backbone_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let phantoms =
        PhantomDataset { seed: 3, size_px: 64, train_normals: 40, test_normals: 2, anomalies_per_kind: 0 };
    write_dataset(&data, &phantoms).unwrap();
    let dataset = Dataset::open(&data, &OpenOptions::default()).unwrap();
    let weights = folder.path().join("own.safetensors");
    write_own(&weights);
    let image = [read(&dataset.samples[0].path, &Limits::default()).unwrap()];

    let trained = Detector::train(&dataset, &config(weights.to_str().unwrap())).unwrap();
    assert_eq!(trained.config().backbone, "own.safetensors");
    let own = Backbone::from_safetensors(&fs::read(&weights).unwrap(), &compute::cpu()).unwrap();
    assert_eq!(trained.provenance().backbone.as_deref(), Some(own.hash()));
    let file = folder.path().join("own.aberra");
    trained.save(&file).unwrap();
    fs::remove_file(&weights).unwrap();
    let loaded = Detector::load(&file).unwrap();
    assert_eq!(evidence(&loaded, &image), evidence(&trained, &image));

    let weightless = Detector::train(&dataset, &config("none")).unwrap();
    let generated = Backbone::generated(&compute::cpu()).unwrap();
    assert_eq!(weightless.provenance().backbone.as_deref(), Some(generated.hash()));
    weightless.save(&file).unwrap();
    let loaded = Detector::load(&file).unwrap();
    assert_eq!(evidence(&loaded, &image), evidence(&weightless, &image));

    let error = Detector::train(&dataset, &config(weights.to_str().unwrap())).unwrap_err();
    assert!(error.path() == Some(&weights) && error.hint().unwrap().contains("none"), "{error}");
    fs::write(&weights, "no weights").unwrap();
    let error = Detector::train(&dataset, &config(weights.to_str().unwrap())).unwrap_err();
    assert!(error.to_string().contains("expected a safetensors file"), "{error}");
}
