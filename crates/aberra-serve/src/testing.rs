//! The fixture of unit tests: a server state for each test, with the detectors of the integration tests.

use std::sync::OnceLock;

use aberra::Detector;
use bytes::Bytes;

use crate::announce::Announcements;
use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::options::{Batching, ServeLimits};
use crate::state::ServerState;

#[path = "../tests/http/detectors.rs"]
mod trained;

pub(crate) use self::trained::{LATENT, SIZE_PX};

/// A state of its own for each test, with the detectors `first` and `second`.
pub(crate) fn shared() -> ServerState {
    shared_with(ServeLimits::default())
}

/// [`shared`] with limits of its own, and without batching.
pub(crate) fn shared_with(limits: ServeLimits) -> ServerState {
    let metrics = Metrics::new();
    let batching = Batching { most: 1, ..Batching::default() };
    let engine = Engine::start(limits, batching, metrics.clone()).unwrap();
    let given = ["first", "second"].map(|name| (name.to_owned(), detector(name).clone()));
    let (announcements, _) = Announcements::new(false, metrics.clone());
    ServerState::new(Detectors::new(given.into()).unwrap(), engine, limits, metrics, announcements)
}

/// One of the two detectors.
pub(crate) fn detector(name: &str) -> &'static Detector {
    static TRAINED: OnceLock<[Detector; 2]> = OnceLock::new();
    let [first, second] = TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        trained::write(folder.path(), trained::two());
        ["first", "second"].map(|name| trained::load(folder.path(), name))
    });
    if name == "first" { first } else { second }
}

/// A phantom of the size of the network input, as 8-bit grey values, `[SIZE_PX, SIZE_PX]`.
pub(crate) fn grey(index: u64) -> Vec<u8> {
    trained::grey(index, SIZE_PX)
}

/// The same phantom as a PNG.
pub(crate) fn png(index: u64) -> Bytes {
    trained::png(index, SIZE_PX).into()
}

#[test]
fn the_detectors_have_a_hash_and_take_the_pictures() {
    for name in ["first", "second"] {
        let detector = detector(name);
        let image = aberra::image::decode(&png(0), &detector.config().limits).unwrap();
        assert!(detector.hash().is_some());
        assert!(detector.score(&[image])[0].is_ok());
        assert_eq!(detector.reference().unwrap().dimensions(), LATENT);
    }
}
