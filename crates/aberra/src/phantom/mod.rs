//! Images drawn by a program, with anomalies of known place: for the demo, tests and the choice of checkpoints.
//!
//! [`slice()`] draws a normal axial slice, [`lesion_slice`] the same anatomy with a lesion and its exact mask, [`volume()`] the
//! slices of a head from bottom to top; a [`Product`] is photographed without and with a defect; [`World`] draws images of any
//! number of other kinds, and [`draw_anomaly`] a generic anomaly into any network input. [`write_dataset`], [`write_products`] and
//! [`write_volumes`] write whole data sets as files. Everything is decided by `(seed, index)` alone, through
//! [`crate::random::generator`].
//!
//! The slices look like magnetic resonance images; they are not a simulation of one, and no clinical conclusion may
//! be drawn from them. Recipes and checkpoints are chosen on anomalies drawn here, never on real ones.

mod acquisition;
mod anatomy;
mod anomaly;
mod canvas;
mod field;
mod foreground;
mod lesion;
mod product;
mod skull_base;
mod tissue;
mod volume;
mod world;
mod write;
mod write_volumes;

pub use anomaly::{SyntheticKind, draw_anomaly};
pub use lesion::LesionKind;
pub use product::{Defect, Photograph, Product};
pub use volume::{PhantomVolume, VolumeShape, volume};
pub use world::World;
pub use write::{PhantomDataset, ProductDataset, write_dataset, write_products};
pub use write_volumes::{PhantomVolumes, write_volumes};

use rand::RngExt;

use self::acquisition::{Acquisition, acquire};
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
    let (scene, acquisition) = scene(seed, index, size_px);
    let pixels = acquire(&scene, scene.signal.clone(), acquisition);
    Phantom { pixels, size_px, mask: None, kind: None }
}

/// The normal slice of `(seed, index)` with a lesion of `kind`, and the mask of the pixels that it changed.
///
/// Lesions lie in the head, cover about 0.3 % to 8 % of the slice and vary from subtle (a mean change of 0.05) to obvious.
/// Noise and bias field are those of the normal slice, so outside the mask nothing differs from it by more than
/// [`MASK_TOLERANCE`].
pub fn lesion_slice(seed: u64, index: u64, size_px: usize, kind: LesionKind) -> Phantom {
    let size_px = size_px.clamp(MIN_SIZE_PX, MAX_SIZE_PX);
    let (scene, acquisition) = scene(seed, index, size_px);
    let normal = acquire(&scene, scene.signal.clone(), acquisition);
    let drawn =
        lesion::draw(&scene, kind, seed, index, &normal, |signal| acquire(&scene, signal, acquisition));
    Phantom { pixels: drawn.pixels, size_px, mask: Some(drawn.mask), kind: Some(kind) }
}

/// The anatomy before acquisition, and its bias field and noise.
fn scene(seed: u64, index: u64, size_px: usize) -> (tissue::Scene, Acquisition) {
    let mut random = generator(seed, Stream::Phantom, index);
    let anatomy = anatomy::Anatomy::draw(&mut random);
    let acquisition = Acquisition { seed: random.random(), slice: 0 };
    (tissue::render(anatomy, size_px), acquisition)
}

/// True where a channel of `[pixels, channels]` changed by more than [`MASK_TOLERANCE`].
fn changed(before: &[f32], after: &[f32], channels: usize) -> Vec<bool> {
    before
        .chunks_exact(channels)
        .zip(after.chunks_exact(channels))
        .map(|(before, after)| before.iter().zip(after).any(|(a, b)| (a - b).abs() > MASK_TOLERANCE))
        .collect()
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn slices_are_decided_by_seed_and_index_alone() {
        let alone: Vec<Phantom> = (0..8).map(|index| slice(3, index, 64)).collect();
        let together: Vec<Phantom> = (0..8u64).into_par_iter().map(|index| slice(3, index, 64)).collect();
        assert_eq!(alone, together);
        assert_ne!(alone[0].pixels, alone[1].pixels);
        assert_ne!(alone[0].pixels, slice(4, 0, 64).pixels);
        for &kind in LesionKind::ALL {
            assert_eq!(lesion_slice(3, 1, 64, kind), lesion_slice(3, 1, 64, kind));
        }
    }

    #[test]
    fn slices_are_dark_around_a_head_and_within_range() {
        for index in 0..20 {
            for size in [16, 33, 128] {
                let phantom = slice(1, index, size);
                assert_eq!(phantom.pixels.len(), size * size);
                assert!(phantom.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
                let corner = phantom.pixels[0];
                let mean = phantom.pixels.iter().sum::<f32>() / phantom.pixels.len() as f32;
                assert!(corner < 0.1 && (0.06..0.45).contains(&mean), "corner {corner}, mean {mean}");
                assert!(phantom.mask.is_none() && phantom.kind.is_none());
            }
        }
        assert_eq!(slice(1, 0, 0).size_px, MIN_SIZE_PX);
    }

    #[test]
    fn slices_differ_from_each_other() {
        let slices: Vec<Vec<f32>> = (0..40).map(|index| standardised(slice(7, index, 64).pixels)).collect();
        let mut correlations = Vec::new();
        for (at, a) in slices.iter().enumerate() {
            for b in &slices[..at] {
                correlations.push(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
            }
        }
        let mean = correlations.iter().sum::<f32>() / correlations.len() as f32;
        let highest = correlations.iter().copied().fold(0.0, f32::max);
        println!("correlation of slices: mean {mean:.3}, highest {highest:.3}");
        assert!(mean < 0.75, "mean correlation {mean}");
        assert!(highest < 0.95, "highest correlation {highest}");
    }

    #[test]
    fn masks_are_exact_inside_the_brain_and_of_a_sensible_size() {
        for &kind in LesionKind::ALL {
            let (mut smallest, mut largest) = (1f32, 0f32);
            for index in 0..12 {
                let phantom = lesion_slice(11, index, 96, kind);
                let normal = slice(11, index, 96);
                let mask = phantom.mask.unwrap();
                let (scene, _) = scene(11, index, 96);
                for (at, &masked) in mask.iter().enumerate() {
                    let change = (phantom.pixels[at] - normal.pixels[at]).abs();
                    assert_eq!(masked, change > MASK_TOLERANCE);
                    // Blur may carry a lesion a pixel or two past the edge.
                    let outside = -scene.brain_depth[at] / scene.pixel;
                    assert!(!masked || outside < 3.0, "{kind:?} is {outside} pixels outside the brain");
                }
                let area = mask.iter().filter(|&&m| m).count() as f32 / mask.len() as f32;
                (smallest, largest) = (smallest.min(area), largest.max(area));
            }
            println!("{}: {:.2} % to {:.2} %", kind.name(), 100.0 * smallest, 100.0 * largest);
            assert!(smallest >= 0.003 && largest <= 0.08, "{kind:?}: {smallest} to {largest}");
            assert!(largest > 1.3 * smallest, "{kind:?} does not vary: {smallest} to {largest}");
        }
    }

    #[test]
    fn lesions_show() {
        let (mut shown, mut all) = (0, 0);
        for &kind in LesionKind::ALL {
            for index in 0..24 {
                let (normal, phantom) = (slice(13, index, 96), lesion_slice(13, index, 96, kind));
                let mask = phantom.mask.unwrap();
                let inside: Vec<usize> = (0..mask.len()).filter(|&at| mask[at]).collect();
                let change = |at: &usize| (phantom.pixels[*at] - normal.pixels[*at]).abs();
                let mean = inside.iter().map(change).sum::<f32>() / inside.len() as f32;
                shown += usize::from(mean >= 0.05);
                all += 1;
            }
        }
        assert!(shown * 20 >= all * 19, "{shown} of {all} show");
    }

    #[test]
    fn tiny_slices_get_lesions_too() {
        for &kind in LesionKind::ALL {
            for index in 0..6 {
                let mask = lesion_slice(2, index, 32, kind).mask.unwrap();
                assert!(mask.contains(&true), "{kind:?}");
            }
        }
    }

    #[test]
    fn names_are_folders() {
        let mut names: Vec<&str> = LesionKind::ALL.iter().map(|kind| kind.name()).collect();
        names.extend(SyntheticKind::ALL.iter().map(|kind| kind.name()));
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// Mean 0, length 1: the dot product of two is their correlation.
    fn standardised(mut pixels: Vec<f32>) -> Vec<f32> {
        let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
        pixels.iter_mut().for_each(|value| *value -= mean);
        let length = pixels.iter().map(|value| value * value).sum::<f32>().sqrt();
        pixels.iter_mut().for_each(|value| *value /= length);
        pixels
    }
}
