//! Hashes that near-copies share most bits of, so that a detector can recognise copies of its images without keeping
//! pictures of them: signs of random projections of the thumbnail (Charikar, 2002), the mean image taken off first.

use std::sync::OnceLock;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Inspection;
use super::near::{PIXELS, normalized, oriented};
use crate::random::{Stream, generator};

/// Bits of a hash.
const BITS: usize = 512;

/// Bits in which near-copies differ at most: those of two thumbnails that correlate at 0.9 differ in 14 % on average.
const MAX_DIFFERING_BITS: u32 = 72;

/// Makes and compares hashes; holds the mean image of the normals, which shows none of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearHasher {
    mean: Vec<f32>,
}

/// Hashes of an image in its eight orientations.
pub struct Orientations([[u64; BITS / 64]; 8]);

impl NearHasher {
    /// A hasher for a set whose normals are `normals`; `None` if no image of them could be read.
    pub fn new(inspection: &Inspection, normals: &[usize]) -> Option<Self> {
        let thumbnails =
            normals.iter().filter_map(|&index| Some(&inspection.get(index)?.fingerprint.thumbnail));
        let mut mean = vec![0.0_f64; PIXELS];
        let mut count = 0;
        for thumbnail in thumbnails {
            let values = normalized(thumbnail.iter().map(|&value| f32::from(value)).collect());
            mean.iter_mut().zip(&values).for_each(|(sum, &value)| *sum += f64::from(value));
            count += 1;
        }
        let mean = mean.into_iter().map(|sum| (sum / f64::from(count.max(1))) as f32).collect();
        (count > 0).then_some(Self { mean })
    }

    /// The hash of an image's thumbnail, hexadecimal.
    pub fn hash(&self, thumbnail: &[u8]) -> String {
        let values = normalized(thumbnail.iter().map(|&value| f32::from(value)).collect());
        self.bits(&values, planes()).iter().map(|word| format!("{word:016x}")).collect()
    }

    /// The hashes of an image in all orientations.
    pub fn orientations(&self, thumbnail: &[u8]) -> Orientations {
        let values = normalized(thumbnail.iter().map(|&value| f32::from(value)).collect());
        let planes = planes();
        Orientations(std::array::from_fn(|orientation| self.bits(&oriented(&values, orientation), planes)))
    }

    fn bits(&self, values: &[f32], planes: &[f32]) -> [u64; BITS / 64] {
        let centered: Vec<f32> = values.iter().zip(&self.mean).map(|(value, mean)| value - mean).collect();
        let mut words = [0; BITS / 64];
        for (bit, plane) in planes.chunks_exact(PIXELS).enumerate() {
            let projection: f64 =
                centered.iter().zip(plane).map(|(value, sign)| f64::from(value * sign)).sum();
            words[bit / 64] |= u64::from(projection >= 0.0) << (bit % 64);
        }
        words
    }
}

impl Orientations {
    /// Whether the image, in some orientation, is a near-copy of the one with this hash.
    pub fn is_near(&self, hash: &str) -> bool {
        let words: Option<Vec<u64>> = hash
            .as_bytes()
            .chunks(16)
            .map(|digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
            .collect();
        let Some(words) = words.filter(|words| words.len() == BITS / 64) else { return false };
        let differing = |own: &[u64; BITS / 64]| -> u32 {
            own.iter().zip(&words).map(|(own, other)| (own ^ other).count_ones()).sum()
        };
        self.0.iter().any(|own| differing(own) <= MAX_DIFFERING_BITS)
    }
}

/// The planes' normals, +1 or -1 in each direction: always the same.
fn planes() -> &'static [f32] {
    static PLANES: OnceLock<Vec<f32>> = OnceLock::new();
    PLANES.get_or_init(|| {
        let mut random = generator(0, Stream::Hash, 0);
        (0..BITS * PIXELS).map(|_| if random.random::<bool>() { 1.0 } else { -1.0 }).collect()
    })
}
