//! Heads as volumes: the slices of one anatomy from the basal ganglia to the top, with air below and above.

use std::ops::Range;

use rand::RngExt;
use rayon::prelude::*;

use super::acquisition::{Acquisition, acquire};
use super::anatomy::Anatomy;
use super::field::{between, lerp, smoothstep};
use super::lesion::{self, LesionKind};
use super::tissue::{Scene, render};
use super::{MAX_SIZE_PX, MIN_SIZE_PX, changed};
use crate::random::{Stream, generator};

/// The lowest and the highest level of a head's slices.
const LEVELS: [f32; 2] = [0.2, 1.0];

/// The share of slices at either end that show air.
const AIR_SHARE: f32 = 0.08;

/// Half of the height of a lesion, as a share of that of the head, from and to.
const LESION_REACH: [f32; 2] = [0.08, 0.16];

/// Fewest slices of a volume.
const FEWEST_SLICES: usize = 8;

/// The size of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeShape {
    /// Side of the slices.
    pub size_px: usize,
    /// Slices, those of air among them.
    pub slices: usize,
}

/// A drawn volume.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PhantomVolume {
    /// Its size.
    pub shape: VolumeShape,
    /// `[slices, size_px, size_px]` grey values, 0 to 1, from bottom to top.
    pub pixels: Vec<f32>,
    /// The same shape, true where the lesion changed the volume by more than [`MASK_TOLERANCE`](super::MASK_TOLERANCE); `None`
    /// for a normal.
    pub mask: Option<Vec<bool>>,
    /// Slices that show more than air.
    pub head: Range<usize>,
}

impl PhantomVolume {
    /// The slices that the lesion changed; empty for a normal.
    pub fn lesion(&self) -> Range<usize> {
        let area = self.shape.size_px * self.shape.size_px;
        let is_changed = |slice: &[bool]| slice.contains(&true);
        let slices: Vec<bool> =
            self.mask.iter().flat_map(|mask| mask.chunks_exact(area).map(is_changed)).collect();
        let (first, last) = (slices.iter().position(|&slice| slice), slices.iter().rposition(|&slice| slice));
        first.zip(last).map_or(0..0, |(first, last)| first..last + 1)
    }
}

/// A volume, with a lesion of `kind` or normal, decided by `(seed, index)`: the normal one is the same but for the lesion. Sides are
/// limited as those of a [`slice()`](super::slice()), and there are at least 8 slices.
pub fn volume(seed: u64, index: u64, shape: VolumeShape, kind: Option<LesionKind>) -> PhantomVolume {
    let shape = VolumeShape {
        size_px: shape.size_px.clamp(MIN_SIZE_PX, MAX_SIZE_PX),
        slices: shape.slices.max(FEWEST_SLICES),
    };
    let air = ((shape.slices as f32 * AIR_SHARE).round() as usize).max(1);
    let head = air..shape.slices - air;
    let slices: Vec<Slice> = (0..shape.slices)
        .into_par_iter()
        .map(|number| Slice::draw(seed, index, shape, &head, number))
        .collect();
    let Some(kind) = kind else {
        let pixels = slices.into_iter().flat_map(|slice| slice.pixels).collect();
        return PhantomVolume { shape, pixels, mask: None, head };
    };
    let lesion = Lesion::draw(seed, index, kind, &slices, &head);
    let with_lesion: Vec<Vec<f32>> =
        slices.par_iter().enumerate().map(|(number, slice)| lesion.drawn_into(slice, number)).collect();
    let mask = slices.iter().zip(&with_lesion).flat_map(|(slice, pixels)| changed(&slice.pixels, pixels, 1));
    let mask = Some(mask.collect());
    PhantomVolume { shape, pixels: with_lesion.concat(), mask, head }
}

/// A normal slice.
struct Slice {
    scene: Scene,
    acquisition: Acquisition,
    pixels: Vec<f32>,
}

impl Slice {
    fn draw(seed: u64, index: u64, shape: VolumeShape, head: &Range<usize>, number: usize) -> Self {
        let height = (head.len() - 1) as f32;
        let level = lerp(LEVELS[0], LEVELS[1], (number as f32 - head.start as f32) / height);
        let mut random = generator(seed, Stream::Phantom, index);
        let anatomy = Anatomy::draw_at(&mut random, Some(level.clamp(LEVELS[0], LEVELS[1])));
        let acquisition = Acquisition { seed: random.random(), slice: number as u64 + 1 };
        let mut scene = render(anatomy, shape.size_px);
        if !head.contains(&number) {
            scene.signal.fill(0.0);
        }
        let pixels = acquire(&scene, scene.signal.clone(), acquisition);
        Self { scene, acquisition, pixels }
    }
}

/// A lesion that is strongest on one slice and fades into its neighbours.
struct Lesion {
    middle: usize,
    /// Half of its height, in slices.
    reach: f32,
    /// The middle slice's signal with it.
    signal: Vec<f32>,
    /// How far each pixel of the middle slice is changed, 0 to 1.
    strength: Vec<f32>,
}

impl Lesion {
    fn draw(seed: u64, index: u64, kind: LesionKind, slices: &[Slice], head: &Range<usize>) -> Self {
        // Signals that differ by this much are wholly the lesion's.
        const WHOLLY: f32 = 0.02;
        // Drawn from another index than the lesion within its slice.
        let mut random = generator(seed, Stream::Lesion, u64::MAX - index);
        let height = head.len() as f32;
        let reach = (between(&mut random, LESION_REACH[0], LESION_REACH[1]) * height).max(1.5);
        let place = between(&mut random, LESION_REACH[1], 1.0 - LESION_REACH[1]);
        let middle = (head.start + (place * height) as usize).min(head.end - 1);
        let slice = &slices[middle];
        let drawn = lesion::draw(&slice.scene, kind, seed, index, &slice.pixels, |signal| {
            acquire(&slice.scene, signal, slice.acquisition)
        });
        let change =
            drawn.signal.iter().zip(&slice.scene.signal).map(|(with, without)| (with - without).abs());
        let strength = change.map(|change| smoothstep(0.0, WHOLLY, change)).collect();
        Self { middle, reach, signal: drawn.signal, strength }
    }

    /// The pixels of a slice with the lesion.
    fn drawn_into(&self, slice: &Slice, number: usize) -> Vec<f32> {
        let distance = (number as f32 - self.middle as f32).abs() / self.reach;
        let share = smoothstep(1.0, 0.3, distance);
        if share == 0.0 {
            return slice.pixels.clone();
        }
        let mixed = slice.scene.signal.iter().zip(&self.signal).zip(&self.strength);
        let signal =
            mixed.map(|((&without, &with), &strength)| lerp(without, with, share * strength)).collect();
        acquire(&slice.scene, signal, slice.acquisition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::MASK_TOLERANCE;

    const SHAPE: VolumeShape = VolumeShape { size_px: 48, slices: 20 };

    #[test]
    fn a_volume_is_one_head_between_air_decided_by_seed_and_index() {
        let drawn = volume(3, 1, SHAPE, None);
        assert_eq!(drawn, volume(3, 1, SHAPE, None));
        assert_ne!(drawn.pixels, volume(3, 2, SHAPE, None).pixels);
        assert_eq!((drawn.head.clone(), drawn.lesion()), (2..18, 0..0));
        let slices: Vec<&[f32]> = drawn.pixels.chunks_exact(48 * 48).collect();
        let mean = |slice: &[f32]| slice.iter().sum::<f32>() / slice.len() as f32;
        for (number, slice) in slices.iter().enumerate() {
            assert_eq!(mean(slice) > 0.06, drawn.head.contains(&number), "slice {number}: {}", mean(slice));
        }
        // Neighbours are alike, and never the same.
        let difference = |a: usize, b: usize| {
            slices[a].iter().zip(slices[b]).map(|(a, b)| (a - b).abs()).sum::<f32>() / slices[a].len() as f32
        };
        assert!(difference(5, 6) > 0.0 && difference(5, 6) < 0.5 * difference(2, 17));
        assert_ne!(slices[0], slices[1]);
    }

    #[test]
    fn a_lesion_changes_slices_that_lie_together_and_nothing_else() {
        for (index, &kind) in (0..).zip(LesionKind::ALL) {
            let (normal, drawn) = (volume(7, index, SHAPE, None), volume(7, index, SHAPE, Some(kind)));
            let mask = drawn.mask.as_ref().unwrap();
            let lesion = drawn.lesion();
            assert!((1..=9).contains(&lesion.len()), "{kind:?}: {lesion:?}");
            assert!(lesion.start >= drawn.head.start && lesion.end <= drawn.head.end, "{kind:?}: {lesion:?}");
            for (at, &is_changed) in mask.iter().enumerate() {
                assert_eq!(is_changed, (drawn.pixels[at] - normal.pixels[at]).abs() > MASK_TOLERANCE);
            }
        }
    }
}
