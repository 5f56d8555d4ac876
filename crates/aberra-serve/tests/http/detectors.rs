//! The detectors and images that unit tests (`src/testing.rs`) and integration tests (`fixture.rs`) share: two small
//! detectors trained on phantoms, and phantoms to score.

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
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    [train]
    epochs = 3
    batch_size = 8
    beta_warmup_epochs = 1
    variance_warmup_epochs = 1
    check_every_epochs = 1
    [split]
    test_share = 0.0
    policy = \"layout\"
    [promise]
    false_alarm_rate = 0.1
";

/// Writes phantoms to `data/` below `folder`, and trains the detectors `first` and `second` on them, which differ in
/// their seed.
pub(crate) fn write(folder: &Path) {
    let phantoms = PhantomDataset {
        seed: 5,
        size_px: SIZE_PX,
        train_normals: 60,
        test_normals: 8,
        anomalies_per_kind: 1,
    };
    write_dataset(&folder.join("data"), &phantoms).unwrap();
    let dataset = Dataset::open(&folder.join("data"), &OpenOptions::default()).unwrap();
    for (name, seed) in [("first", 1), ("second", 2)] {
        let seed = TrainConfig::parse_layer(&format!("seed = {seed}")).unwrap();
        let layers = [TrainConfig::parse_layer(SETTINGS).unwrap(), seed];
        let config = TrainConfig::from_layers(&layers).unwrap();
        let file = folder.join(format!("{name}.aberra"));
        Detector::train(&dataset, &config).unwrap().save(&file).unwrap();
    }
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
