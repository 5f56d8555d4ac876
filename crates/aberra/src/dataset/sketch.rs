//! What a detector keeps of the images it learned from, to recognise them and their near-duplicates later: identity, a hash of
//! the pixels, and a random projection that is no picture.

use std::sync::LazyLock;

use aberra_image::ImageId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Fingerprint;
use super::fingerprint::THUMBNAIL_PX;
use super::near::orientations;

/// Numbers that a thumbnail is projected to. The squared distance of two projections estimates that of the thumbnails
/// with a relative standard error of sqrt(2 / 96) = 14 % (Johnson and Lindenstrauss 1984; signs: Achlioptas 2003).
const NUMBERS: usize = 96;
/// Steps per unit; a projection's numbers have about unit variance.
const STEPS: f32 = 24.0;
const PIXELS: usize = THUMBNAIL_PX * THUMBNAIL_PX;
/// Bytes of a sketch as it is stored, without the frame.
const ROW_BYTES: usize = 64 + NUMBERS;

/// Identity of an image, a hash of its pixels and a projection of its foreground. As text, 160 bytes in hexadecimal, and for
/// every image but a file's first a colon and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// Which image of which content it is.
    pub id: ImageId,
    /// BLAKE3 hash of the decoded grey values and their shape.
    pub pixels: [u8; 32],
    projection: [i8; NUMBERS],
}

impl Sketch {
    /// The sketch of an image.
    pub fn of(fingerprint: &Fingerprint) -> Self {
        let upright = orientations(&fingerprint.stretched).swap_remove(0);
        let projection = project(&upright).map(|value| (value * STEPS).round().clamp(-127.0, 127.0) as i8);
        Self { id: fingerprint.id, pixels: fingerprint.pixels, projection }
    }

    /// The bytes that are stored, without the frame.
    fn to_row(&self) -> Vec<u8> {
        let projection = self.projection.iter().map(|value| value.to_le_bytes()[0]);
        self.id.hash.iter().chain(&self.pixels).copied().chain(projection).collect()
    }

    /// From storage; `None` if the length is wrong.
    fn from_row(row: &[u8], frame: u32) -> Option<Self> {
        let (hash, rest) = row.split_first_chunk::<32>()?;
        let (pixels, rest) = rest.split_first_chunk::<32>()?;
        let projection: [u8; NUMBERS] = rest.try_into().ok()?;
        Some(Self {
            id: ImageId { hash: *hash, frame },
            pixels: *pixels,
            projection: projection.map(|value| i8::from_le_bytes([value])),
        })
    }

    /// For each of `images`: the first of `sketches` that is the same image or a near-duplicate in any of the eight
    /// orientations, at the similarity above which images of the sketches' own set count as near-duplicates
    /// ([`Grouping::threshold`](super::Grouping::threshold)).
    pub fn find_copies(sketches: &[Self], images: &[&Fingerprint], threshold: f32) -> Vec<Option<usize>> {
        use rayon::prelude::*;
        let find = |image: &&Fingerprint| {
            let turned: Vec<[f32; NUMBERS]> =
                orientations(&image.stretched).iter().map(|values| project(values)).collect();
            let is_flat = turned.iter().flatten().all(|value| *value == 0.0);
            sketches.iter().position(|sketch| {
                sketch.id == image.id
                    || sketch.pixels == image.pixels
                    || (!is_flat && turned.iter().any(|turned| sketch.similarity(turned) > threshold))
            })
        };
        images.par_iter().map(find).collect()
    }

    /// 1 less half the squared distance, which is the correlation of two thumbnails of length 1.
    fn similarity(&self, other: &[f32; NUMBERS]) -> f32 {
        let squares = self.projection.iter().zip(other).map(|(&a, b)| (f32::from(a) / STEPS - b).powi(2));
        1.0 - squares.sum::<f32>() / (2.0 * NUMBERS as f32)
    }
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text: String = self.to_row().iter().map(|byte| format!("{byte:02x}")).collect();
        if self.id.frame > 0 {
            text += &format!(":{}", self.id.frame);
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (digits, frame) = match text.split_once(':') {
            None => (text.as_str(), Some(0)),
            Some((digits, frame)) => (digits, frame.parse().ok()),
        };
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let row: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
        let sketch = row.zip(frame).and_then(|(row, frame)| Self::from_row(&row, frame));
        sketch.ok_or_else(|| {
            D::Error::custom(format!(
                "expected a sketch of {ROW_BYTES} bytes in hexadecimal, and perhaps a colon and a page"
            ))
        })
    }
}

/// Sums with fixed random signs.
fn project(values: &[f32]) -> [f32; NUMBERS] {
    static SIGNS: LazyLock<Vec<f32>> = LazyLock::new(|| {
        let mut bits = vec![0u8; NUMBERS * PIXELS / 8];
        blake3::Hasher::new().update(b"aberra sketch 1").finalize_xof().fill(&mut bits);
        bits.iter()
            .flat_map(|byte| (0..8).map(move |bit| if byte >> bit & 1 == 1 { 1.0 } else { -1.0 }))
            .collect()
    });
    let mut numbers = [0.0; NUMBERS];
    for (number, signs) in numbers.iter_mut().zip(SIGNS.chunks_exact(PIXELS)) {
        *number = signs.iter().zip(values).map(|(sign, value)| sign * value).sum();
    }
    numbers
}
