//! Detector files: what is damaged is refused, and what has the right hash loads soundly or gives a reason.

use std::sync::OnceLock;

use aberra::Detector;
use aberra::image::Image;
use rand::RngExt;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;

use self::detector_file::{hash, parts, with_right_hash};
use crate::fixture::{SIZE_PX, fixture, png};
use crate::mutate::{bytes, values};

#[path = "../../../../crates/aberra/tests/detector_file/mod.rs"]
mod detector_file;

const TOKENS: &[&str] = &[
    "aberra",
    "detector",
    "document",
    "version",
    "hash",
    "__metadata__",
    "dtype",
    "F32",
    "F16",
    "shape",
    "data_offsets",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "vae",
    "features",
    "normal",
    "nan",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    vec![fixture().detector_file()]
}

/// Half of the inputs are damaged; half have the hash that belongs to what was changed in them.
pub(super) fn mutate(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let known = parts(input).or_else(|| parts(other));
    let Some((mut envelope, mut tensors)) = known.filter(|_| rng.random_bool(0.6)) else {
        return bytes(rng, input, other, TOKENS);
    };
    if rng.random_bool(0.3) {
        let name = tensors.keys().choose(rng).cloned();
        let Some((_, shape, data)) = name.as_ref().and_then(|name| tensors.get_mut(name)) else {
            return input.to_vec();
        };
        match rng.random_range(0..4) {
            0 => {
                let odd = [f32::NAN, f32::INFINITY, 0.0, -1.0, 1e30, 1e-40, f32::MAX][rng.random_range(0..7)];
                let places = data.len() / 4;
                let all = rng.random_bool(0.3);
                for at in 0..places {
                    if all || at == places / 2 {
                        data[4 * at..4 * at + 4].copy_from_slice(&odd.to_le_bytes());
                    }
                }
            }
            1 => {
                *shape = vec![data.len() / 4 + 1];
                data.extend([0; 4]);
            }
            2 => shape.reverse(),
            _ => drop(name.and_then(|name| tensors.remove(&name))),
        }
    } else if let Some(document) = envelope.get_mut("document") {
        values(rng, document, TOKENS);
    }
    with_right_hash((envelope, tensors)).unwrap_or_else(|| input.to_vec())
}

pub(super) fn run(input: &[u8]) -> String {
    let path = fixture().written("variant.aberra", input);
    let detector = match Detector::load(&path) {
        Ok(detector) => detector,
        Err(error) => {
            assert_eq!(error.path(), Some(&*path), "{error}");
            return error.to_string().replace(&*path.to_string_lossy(), "");
        }
    };
    let parts = parts(input).expect("what loads has parts");
    let stated = parts.0["hash"].as_str().map(str::to_owned);
    assert_eq!(stated, hash(&parts), "a damaged file was accepted");
    assert_eq!(stated.as_deref(), detector.hash());
    for score in detector.score(picture()) {
        match score {
            Ok(verdict) => assert!(!verdict.score.is_nan() && !verdict.threshold.is_nan()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let again = fixture().folder.join("again.aberra");
    let saved = detector.save(&again).expect("what loads can be saved");
    let loaded =
        Detector::load(&again).unwrap_or_else(|error| panic!("saved, but not to be loaded: {error}"));
    assert_eq!(loaded.hash(), Some(&*saved));
    assert_eq!(loaded.save(&again).unwrap(), saved, "another detector when saved and loaded");
    "loaded".to_owned()
}

fn picture() -> &'static [Image] {
    static PICTURE: OnceLock<[Image; 1]> = OnceLock::new();
    PICTURE.get_or_init(|| {
        let limits = &fixture().detector.config().limits;
        [aberra::image::decode(&png(3, SIZE_PX), limits).unwrap()]
    })
}
