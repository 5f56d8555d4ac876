//! What unit tests share: two small detectors, trained once, behind a state of their own for each test; and pictures.

use std::sync::OnceLock;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::{Color, encode_png};
use aberra::phantom::{Phantom, PhantomDataset, slice, write_dataset};
use aberra::{Detector, TrainConfig};
use bytes::Bytes;

use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::options::{Batching, Limits};
use crate::state::Shared;

/// Side of what the detectors see.
pub(crate) const SIZE_PX: usize = 32;
/// Length of their posterior means.
pub(crate) const LATENT: usize = 4;

const SETTINGS: &str = "
    seed = 11
    [preprocessing]
    size_px = 32
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    [train]
    epochs = 2
    batch_size = 8
    [split]
    test_share = 0.0
    [promise]
    false_alarm_rate = 0.1
";

/// A state with the detectors `first` and `second`, which are the same but for their names. Nothing that a test does to
/// it is seen by another test.
pub(crate) fn shared() -> Shared {
    shared_with(Limits::default())
}

/// [`shared`] with limits of its own. The model looks at one image at a time.
pub(crate) fn shared_with(limits: Limits) -> Shared {
    let metrics = Metrics::new();
    let batching = Batching { most: 1, ..Batching::default() };
    let engine = Engine::start(limits, batching, metrics.clone()).unwrap();
    let given = ["first", "second"].map(|name| (name.to_owned(), detector().clone()));
    Shared::new(Detectors::new(given.into()), engine, limits, metrics)
}

/// A detector that was saved and loaded, so that it has a hash.
pub(crate) fn detector() -> &'static Detector {
    static TRAINED: OnceLock<Detector> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let phantoms = PhantomDataset {
            seed: 5,
            size_px: SIZE_PX,
            train_normals: 60,
            test_normals: 0,
            anomalies_per_kind: 0,
        };
        write_dataset(&data, &phantoms).unwrap();
        let dataset = Dataset::open(&data, &OpenOptions::default()).unwrap();
        let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(SETTINGS).unwrap()]).unwrap();
        let file = folder.path().join("detector.aberra");
        Detector::train(&dataset, &config).unwrap().save(&file).unwrap();
        Detector::load(&file).unwrap()
    })
}

/// A drawn slice as 8-bit grey values, `[SIZE_PX, SIZE_PX]`.
pub(crate) fn grey(index: u64) -> Vec<u8> {
    let Phantom { pixels, .. } = slice(7, index, SIZE_PX);
    pixels.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

/// The same as a PNG.
pub(crate) fn png(index: u64) -> Bytes {
    encode_png(&grey(index), SIZE_PX, SIZE_PX, Color::Grey).unwrap().into()
}

#[test]
fn the_detectors_have_a_hash_and_take_the_pictures() {
    let image = aberra::image::decode(&png(0), &detector().config().limits).unwrap();
    assert!(detector().hash().is_some());
    assert!(detector().score(&[image])[0].is_ok());
    assert_eq!(detector().model().latent(), LATENT);
}
