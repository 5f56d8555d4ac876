//! The detectors and images that unit tests (`src/testing.rs`) and integration tests (`fixture.rs`) share: small detectors
//! trained on phantoms, and phantoms to score.

use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::{Color, encode_png};
use aberra::phantom::{PhantomDataset, slice, write_dataset};
use aberra::{Detector, TrainConfig};

/// Width and height of the detectors' network input.
pub(crate) const SIZE_PX: usize = 32;
/// Number of latent dimensions.
pub(crate) const LATENT: usize = 4;

const SETTINGS: &str = "
    [preprocessing]
    size_px = 32
    [train]
    epochs = 3
    batch_size = 8
    check_every_epochs = 1
    [split]
    test_share = 0.0
    policy = \"layout\"
    [promise]
    false_alarm_rate = 0.1
";

/// Settings of a variational autoencoder.
const VAE: &str = "
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    beta_warmup_epochs = 1
    variance_warmup_epochs = 1
";

/// Names and settings of two variational autoencoders, which differ in their seed.
pub(crate) fn two() -> [(&'static str, String); 2] {
    [("first", 1), ("second", 2)].map(|(name, seed)| (name, format!("seed = {seed}{VAE}")))
}

/// Writes phantoms to `data/` below `folder`, and trains detectors on them, each with a name and settings of its own.
pub(crate) fn write<'a>(folder: &Path, detectors: impl IntoIterator<Item = (&'a str, String)>) {
    let phantoms = PhantomDataset {
        seed: 5,
        size_px: SIZE_PX,
        train_normals: 60,
        test_normals: 8,
        anomalies_per_kind: 1,
    };
    write_dataset(&folder.join("data"), &phantoms).unwrap();
    let dataset = Dataset::open(&folder.join("data"), &OpenOptions::default()).unwrap();
    for (name, settings) in detectors {
        train(&dataset, &settings, &folder.join(format!("{name}.aberra")));
    }
}

/// Trains a detector with these settings, and saves it.
pub(crate) fn train(dataset: &Dataset, settings: &str, file: &Path) {
    let layers = [SETTINGS, settings].map(|text| TrainConfig::parse_layer(text).unwrap());
    let config = TrainConfig::from_layers(&layers).unwrap();
    Detector::train(dataset, &config).unwrap().save(file).unwrap();
}

/// Loads one of the detectors, so that it has a hash.
pub(crate) fn load(folder: &Path, name: &str) -> Detector {
    Detector::load(&folder.join(format!("{name}.aberra"))).unwrap()
}

/// A phantom as 8-bit grey values, `[size_px, size_px]`.
pub(crate) fn grey(index: u64, size_px: usize) -> Vec<u8> {
    let phantom = slice(77, index, size_px);
    phantom.pixels.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

/// The same phantom as a PNG.
pub(crate) fn png(index: u64, size_px: usize) -> Vec<u8> {
    encode_png(&grey(index, size_px), size_px, size_px, Color::Grey).unwrap()
}
