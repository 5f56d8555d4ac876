//! Brain-like slices and lesions drawn by a program: for the demo, tests and the choice of checkpoints.
//!
//! [`slice`] draws a normal axial slice, [`lesion_slice`] the same anatomy with a lesion and its exact mask,
//! [`draw_anomaly`] a generic anomaly into any network input (real or phantom, brain or not), and [`write_dataset`] a
//! whole data set as files. Everything is decided by `(seed, index)` alone, through [`crate::random::generator`].
//!
//! The slices look like magnetic resonance images; they are not a simulation of one, and no clinical conclusion may
//! be drawn from them. Recipes and checkpoints are chosen on anomalies drawn here, never on real ones.

mod acquisition;
mod anatomy;
mod anomaly;
mod field;
mod lesion;
mod tissue;
mod write;

pub use anomaly::{SyntheticKind, draw_anomaly};
pub use lesion::LesionKind;
pub use write::{PhantomDataset, write_dataset};

use rand::RngExt;

use crate::random::{Stream, generator};

/// A pixel belongs to a mask exactly when a channel of it changed by more than this (values 0 to 1): five grey levels
/// of an 8-bit image.
pub const MASK_TOLERANCE: f32 = 0.02;

/// The smallest side drawn; smaller requests are raised to it.
pub const MIN_SIZE_PX: usize = 16;

/// The largest side drawn; larger requests are lowered to it.
pub const MAX_SIZE_PX: usize = 2048;

/// A drawn slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Phantom {
    /// `[size_px, size_px]` grey values, 0 to 1.
    pub pixels: Vec<f32>,
    /// Side.
    pub size_px: usize,
    /// `[size_px, size_px]`, true where the lesion changed the slice by more than [`MASK_TOLERANCE`]; `None` for a
    /// normal.
    pub mask: Option<Vec<bool>>,
    /// The lesion; `None` for a normal.
    pub kind: Option<LesionKind>,
}

/// A normal slice: `[size_px, size_px]`, decided by `(seed, index)`. `size_px` is limited to
/// [`MIN_SIZE_PX`]..=[`MAX_SIZE_PX`].
pub fn slice(seed: u64, index: u64, size_px: usize) -> Phantom {
    let size_px = size_px.clamp(MIN_SIZE_PX, MAX_SIZE_PX);
    let (scene, acquisition_seed) = scene(seed, index, size_px);
    let pixels = acquisition::acquire(&scene, scene.signal.clone(), acquisition_seed);
    Phantom { pixels, size_px, mask: None, kind: None }
}

/// The normal slice of `(seed, index)` with a lesion of `kind`, and the mask of the pixels that it changed.
///
/// Lesions lie in the head, cover about 0.3 % to 8 % of the slice and vary from subtle to obvious. Noise and bias
/// field are those of the normal slice, so outside the mask nothing differs from it by more than [`MASK_TOLERANCE`].
pub fn lesion_slice(seed: u64, index: u64, size_px: usize, kind: LesionKind) -> Phantom {
    let size_px = size_px.clamp(MIN_SIZE_PX, MAX_SIZE_PX);
    let (scene, acquisition_seed) = scene(seed, index, size_px);
    let normal = acquisition::acquire(&scene, scene.signal.clone(), acquisition_seed);
    let (pixels, mask) = lesion::draw(&scene, kind, seed, index, &normal, |signal| {
        acquisition::acquire(&scene, signal, acquisition_seed)
    });
    Phantom { pixels, size_px, mask: Some(mask), kind: Some(kind) }
}

/// The anatomy before acquisition, and the seed of its noise.
fn scene(seed: u64, index: u64, size_px: usize) -> (tissue::Scene, u64) {
    let mut random = generator(seed, Stream::Phantom, index);
    let anatomy = anatomy::Anatomy::draw(&mut random);
    let acquisition_seed = random.random();
    (tissue::render(anatomy, size_px), acquisition_seed)
}

/// True where a channel of `[pixels, channels]` changed by more than [`MASK_TOLERANCE`].
fn changed(before: &[f32], after: &[f32], channels: usize) -> Vec<bool> {
    before
        .chunks_exact(channels)
        .zip(after.chunks_exact(channels))
        .map(|(before, after)| before.iter().zip(after).any(|(a, b)| (a - b).abs() > MASK_TOLERANCE))
        .collect()
}
