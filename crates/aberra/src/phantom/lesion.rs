//! Lesions that follow the tissue of a phantom, with exact masks.

use rand::{Rng, RngExt};

use super::anatomy::Sequence;
use super::changed;
use super::field::{Noise, between, lerp, sample, smoothstep};
use super::tissue::Scene;
use crate::random::{Stream, generator};

/// Share of the slice that a lesion may cover.
const AREA: std::ops::RangeInclusive<f32> = 0.003..=0.08;

/// Least mean change of a lesion's pixels, of values from 0 to 1: about twice the strongest noise.
const LEAST_CHANGE: f32 = 0.05;

/// Draws per lesion; the first that is seen and has an area in range is taken, else the one nearest to it.
const ATTEMPTS: u64 = 24;

/// A lesion that [`lesion_slice`](super::lesion_slice) can draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LesionKind {
    /// A tumour with an enhancing ring, a dark core and oedema that spreads through white matter.
    EnhancingTumour,
    /// A round hole filled with fluid.
    Cyst,
    /// A diffuse, low-contrast growth without an edge.
    DiffuseGlioma,
    /// A plaque with a broad base on the skull, growing inwards.
    Meningioma,
    /// Several small bright or dark spots.
    Metastases,
    /// Missing tissue at the surface, filled with fluid.
    Resection,
    /// A patch whose texture is wrong, at nearly the same brightness.
    TexturePatch,
    /// Tissue pushed aside, with no change of its own signal.
    MassEffect,
}

impl LesionKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::EnhancingTumour,
        Self::Cyst,
        Self::DiffuseGlioma,
        Self::Meningioma,
        Self::Metastases,
        Self::Resection,
        Self::TexturePatch,
        Self::MassEffect,
    ];

    /// The name, as used for folders: small letters and underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::EnhancingTumour => "enhancing_tumour",
            Self::Cyst => "cyst",
            Self::DiffuseGlioma => "diffuse_glioma",
            Self::Meningioma => "meningioma",
            Self::Metastases => "metastases",
            Self::Resection => "resection",
            Self::TexturePatch => "texture_patch",
            Self::MassEffect => "mass_effect",
        }
    }
}

/// A slice with a lesion.
pub(super) struct Drawn {
    /// Before acquisition.
    pub(super) signal: Vec<f32>,
    pub(super) pixels: Vec<f32>,
    /// What the lesion changed.
    pub(super) mask: Vec<bool>,
}

/// The acquired slice with a lesion, and the mask of what changed from `normal`.
pub(super) fn draw(
    scene: &Scene,
    kind: LesionKind,
    seed: u64,
    index: u64,
    normal: &[f32],
    acquire: impl Fn(Vec<f32>) -> Vec<f32>,
) -> Drawn {
    let mut random = generator(seed, Stream::Lesion, index);
    let mut best: Option<(f32, Drawn)> = None;
    for attempt in 0..ATTEMPTS {
        // Later attempts are stronger, so that one of them shows.
        let insistence = attempt as f32 / ATTEMPTS as f32;
        let signal = lesion(scene, kind, insistence, &mut random);
        let pixels = acquire(signal.clone());
        let mask = changed(normal, &pixels, 1);
        let area = mask.iter().filter(|&&m| m).count() as f32 / mask.len() as f32;
        let excess = if area < *AREA.start() {
            (*AREA.start() - area) / AREA.start()
        } else {
            (area - *AREA.end()).max(0.0) / AREA.end()
        };
        let miss = excess + (1.0 - mean_change(normal, &pixels, &mask) / LEAST_CHANGE).max(0.0);
        if best.as_ref().is_none_or(|(least, _)| miss < *least) {
            best = Some((miss, Drawn { signal, pixels, mask }));
        }
        if miss == 0.0 {
            break;
        }
    }
    let without =
        || Drawn { signal: scene.signal.clone(), pixels: normal.to_vec(), mask: vec![false; normal.len()] };
    best.map_or_else(without, |(_, drawn)| drawn)
}

/// Mean absolute change of the pixels in the mask; 0 without any.
fn mean_change(before: &[f32], after: &[f32], mask: &[bool]) -> f32 {
    let inside = || mask.iter().enumerate().filter(|(_, inside)| **inside).map(|(at, _)| at);
    inside().map(|at| (after[at] - before[at]).abs()).sum::<f32>() / inside().count().max(1) as f32
}

/// A blob in head coordinates: radius varies with the angle, edge moved by noise.
struct Blob {
    centre: [f32; 2],
    radius: f32,
    waves: [[f32; 2]; 4],
    stretch: f32,
    tilt: f32,
    noise: Noise,
}

impl Blob {
    fn draw(random: &mut impl Rng, centre: [f32; 2], radius: f32, rough: f32) -> Self {
        let waves = std::array::from_fn(|k| [0, 1].map(|_| between(random, -rough, rough) / (k + 1) as f32));
        Self {
            centre,
            radius,
            waves,
            stretch: between(random, 0.75, 1.3),
            tilt: between(random, 0.0, std::f32::consts::PI),
            noise: Noise::draw(random),
        }
    }

    /// Distance from the centre as a share of the blob's radius there: below 1 inside.
    fn reach(&self, [u, v]: [f32; 2]) -> f32 {
        let (sine, cosine) = self.tilt.sin_cos();
        let (x, y) = (u - self.centre[0], v - self.centre[1]);
        let (x, y) = ((x * cosine + y * sine) * self.stretch, (y * cosine - x * sine) / self.stretch);
        let angle = y.atan2(x);
        let waves: f32 = self
            .waves
            .iter()
            .zip(1..)
            .map(|([a, b], k)| a * (k as f32 * angle).cos() + b * (k as f32 * angle).sin())
            .sum();
        x.hypot(y) / (self.radius * (1.0 + waves).max(0.4))
    }
}

/// The scene's signal with one lesion drawn into it.
fn lesion(scene: &Scene, kind: LesionKind, insistence: f32, random: &mut impl Rng) -> Vec<f32> {
    let signals = scene.anatomy.signals;
    let sequence = scene.anatomy.sequence;
    let strength = between(random, lerp(0.45, 0.9, insistence), 1.0);
    let mut signal = scene.signal.clone();
    let soft = scene.pixel;
    match kind {
        LesionKind::EnhancingTumour => {
            let radius = between(random, 0.10, 0.26);
            let centre = place(scene, radius * 0.8, random);
            let blob = Blob::draw(random, centre, radius, 0.16);
            let core = between(random, 0.5, 0.85);
            let spread = between(random, 1.2, 1.9);
            let (rim, centre, oedema) = match sequence {
                Sequence::T1 => {
                    (1.1 * signals.white, lerp(signals.fluid, signals.grey, 0.4), 0.85 * signals.grey)
                }
                Sequence::T1Contrast => (between(random, 0.75, 1.0), 0.6 * signals.grey, 0.82 * signals.grey),
                Sequence::T2 => (1.1 * signals.grey, 0.85 * signals.fluid, 0.72 * signals.fluid),
                Sequence::Flair => (1.35 * signals.grey, 0.8 * signals.grey, 1.6 * signals.grey),
            };
            paint(scene, &mut signal, |point, depth, value| {
                let reach = blob.reach(point);
                let wander = 0.3 * blob.noise.rough(point[0] * 6.0, point[1] * 6.0);
                let swelling =
                    smoothstep(spread + 0.15, spread - 0.35, reach + wander) * smoothstep(0.0, 0.05, depth);
                let tumour = smoothstep(1.0 + soft / radius, 1.0 - 1.5 * soft / radius, reach);
                let necrosis = smoothstep(core + 0.14, core - 0.06, reach + 0.8 * wander);
                let grain = 1.0 + 0.14 * blob.noise.rough(point[0] * 16.0, point[1] * 16.0);
                let value = lerp(value, oedema, 0.7 * swelling * strength);
                lerp(value, lerp(rim, centre, necrosis) * grain, tumour * strength)
            });
        }
        LesionKind::Cyst => {
            let radius = between(random, 0.09, 0.25);
            let centre = place(scene, radius, random);
            let blob = Blob::draw(random, centre, radius, 0.05);
            // A cyst's fluid differs a little from the brain's.
            let content = signals.fluid * between(random, 0.85, 1.15);
            paint(scene, &mut signal, |point, _, value| {
                let reach = blob.reach(point);
                let wall = smoothstep(0.12, 0.0, (reach - 1.0).abs());
                let value = lerp(value, 1.12 * value, 0.5 * wall);
                lerp(value, content, smoothstep(1.0 + soft / radius, 1.0 - soft / radius, reach) * strength)
            });
        }
        LesionKind::DiffuseGlioma => {
            let radius = between(random, 0.16, 0.34);
            let centre = place(scene, radius * 0.6, random);
            let blob = Blob::draw(random, centre, radius, 0.22);
            let lift = between(random, 0.09, 0.22) * lerp(0.8, 1.5, insistence);
            let change = match sequence {
                Sequence::T1 | Sequence::T1Contrast => -lift,
                Sequence::T2 => 1.5 * lift,
                Sequence::Flair => 1.3 * lift,
            } * signals.white.max(signals.grey)
                / 0.6;
            paint(scene, &mut signal, |point, depth, value| {
                let wander = 0.28 * blob.noise.rough(point[0] * 5.0, point[1] * 5.0);
                let weight =
                    smoothstep(1.15, 0.35, blob.reach(point) + wander) * smoothstep(0.0, 0.04, depth);
                // Folds and the border of grey and white fade inside the growth.
                let flat = lerp(value, 0.5 * (signals.grey + signals.white), 0.45 * weight);
                flat + change * weight
            });
        }
        LesionKind::Meningioma => {
            let radius = between(random, 0.10, 0.25);
            let centre = at_surface(scene, between(random, 0.15, 0.6) * radius, random);
            let blob = Blob::draw(random, centre, radius, 0.07);
            let content = match sequence {
                Sequence::T1 => 0.95 * signals.grey,
                Sequence::T1Contrast => between(random, 0.7, 1.0),
                Sequence::T2 => 1.25 * signals.grey,
                Sequence::Flair => 1.3 * signals.grey,
            };
            paint(scene, &mut signal, |point, depth, value| {
                let reach = blob.reach(point);
                let grain = 1.0 + 0.08 * blob.noise.rough(point[0] * 11.0, point[1] * 11.0);
                // A thin cleft of fluid separates it from the brain.
                let cleft = smoothstep(0.10, 0.03, (reach - 1.05).abs()) * smoothstep(0.01, 0.04, depth);
                let value = lerp(value, signals.fluid, 0.6 * cleft * strength);
                let edge = smoothstep(1.0 + soft / radius, 1.0 - soft / radius, reach);
                lerp(
                    value,
                    content * grain,
                    edge * smoothstep(-0.5 * soft, soft, depth) * lerp(strength, 1.0, 0.5),
                )
            });
        }
        LesionKind::Metastases => {
            for _ in 0..random.random_range(2..7) {
                let radius = between(random, 0.035, 0.085);
                let centre = place(scene, radius, random);
                let blob = Blob::draw(random, centre, radius, 0.08);
                let ring = random.random_bool(0.35) && radius > 0.05;
                let (bright, halo) = match sequence {
                    Sequence::T1 => (0.55 * signals.grey, 0.9 * signals.grey),
                    Sequence::T1Contrast => (between(random, 0.65, 1.0), 0.85 * signals.grey),
                    Sequence::T2 => (0.85 * signals.fluid, 0.65 * signals.fluid),
                    Sequence::Flair => (1.7 * signals.grey, 1.3 * signals.grey),
                };
                paint(scene, &mut signal, |point, depth, value| {
                    let reach = blob.reach(point);
                    let value = lerp(
                        value,
                        halo,
                        0.5 * strength * smoothstep(1.9, 0.9, reach) * smoothstep(0.0, 0.03, depth),
                    );
                    let hollow = if ring { 0.7 * smoothstep(0.65, 0.35, reach) } else { 0.0 };
                    let weight = smoothstep(1.0 + soft / radius, 1.0 - soft / radius, reach) * strength;
                    lerp(value, lerp(bright, 0.7 * signals.grey, hollow), weight)
                });
            }
        }
        LesionKind::Resection => {
            let radius = between(random, 0.13, 0.3);
            let centre = at_surface(scene, between(random, 0.2, 0.7) * radius, random);
            let blob = Blob::draw(random, centre, radius, 0.2);
            paint(scene, &mut signal, |point, _, value| {
                let wander = 0.12 * blob.noise.rough(point[0] * 9.0, point[1] * 9.0);
                let reach = blob.reach(point) + wander;
                // The wall of an old cavity is scarred.
                let scar = smoothstep(0.22, 0.0, (reach - 1.1).abs());
                let scarred =
                    if sequence == Sequence::Flair { 1.4 * signals.grey } else { 0.85 * signals.grey };
                let value = lerp(value, scarred, 0.4 * scar * strength);
                lerp(value, signals.fluid, smoothstep(1.0 + soft / radius, 1.0 - soft / radius, reach))
            });
        }
        LesionKind::TexturePatch => {
            let radius = between(random, 0.12, 0.28);
            let centre = place(scene, radius * 0.7, random);
            let blob = Blob::draw(random, centre, radius, 0.15);
            let grain = between(random, 9.0, 20.0);
            let depth_of_texture = between(random, 0.16, 0.4) * lerp(1.0, 1.5, insistence);
            let level = 0.5 * (signals.grey + signals.white);
            paint(scene, &mut signal, |point, _, value| {
                let weight = smoothstep(1.05, 0.8, blob.reach(point));
                let texture = blob.noise.rough(point[0] * grain, point[1] * grain);
                lerp(value, level * (1.0 + depth_of_texture * texture), 0.8 * weight)
            });
        }
        LesionKind::MassEffect => {
            let radius = between(random, 0.2, 0.38);
            let centre = place(scene, radius * 0.7, random);
            let swelling = between(random, 0.45, 0.75) * if random.random_bool(0.7) { 1.0 } else { -0.8 };
            let before = signal.clone();
            // Head units are rotated pixels, so the displacement can be made along pixels.
            let scale = scene.anatomy.scale * scene.size as f32;
            let (middle_x, middle_y) = pixel_of(scene, centre);
            for row in 0..scene.size {
                for column in 0..scene.size {
                    let at = row * scene.size + column;
                    let (x, y) = (column as f32 - middle_x, row as f32 - middle_y);
                    let reach = x.hypot(y) / (radius * scale);
                    let guard = smoothstep(0.0, 0.12, scene.brain_depth[at]);
                    if reach < 1.0 && guard > 0.0 {
                        let pull = 1.0 - swelling * (1.0 - reach * reach).powi(2) * guard;
                        signal[at] =
                            sample(&before, scene.size, 1, 0, middle_x + x * pull, middle_y + y * pull);
                    }
                }
            }
        }
    }
    signal
}

/// Applies `change(head coordinates, depth in the brain, signal)` inside the brain.
fn paint(scene: &Scene, signal: &mut [f32], change: impl Fn([f32; 2], f32, f32) -> f32) {
    for (at, value) in signal.iter_mut().enumerate() {
        let depth = scene.brain_depth[at];
        if depth > -scene.pixel {
            let share = smoothstep(-scene.pixel, 0.0, depth);
            let point = scene.head(at % scene.size, at / scene.size);
            // Fluid may be brighter than 1 before acquisition: what the lesion leaves alone must stay so.
            *value = lerp(*value, change(point, depth, *value).max(0.0), share);
        }
    }
}

/// A place in the brain at least `depth` below its surface, where the slice allows it.
fn place(scene: &Scene, depth: f32, random: &mut impl Rng) -> [f32; 2] {
    let deepest = scene.brain_depth.iter().copied().fold(0.0, f32::max);
    let depth = (depth + 0.03).min(0.8 * deepest);
    for _ in 0..2000 {
        let at = random.random_range(0..scene.brain_depth.len());
        if scene.brain_depth[at] >= depth {
            return scene.head(at % scene.size, at / scene.size);
        }
    }
    [0.0, 0.0]
}

/// A place `depth` below the brain's surface.
fn at_surface(scene: &Scene, depth: f32, random: &mut impl Rng) -> [f32; 2] {
    for _ in 0..4000 {
        let at = random.random_range(0..scene.brain_depth.len());
        if (scene.brain_depth[at] - depth).abs() < scene.pixel {
            return scene.head(at % scene.size, at / scene.size);
        }
    }
    [0.0, 0.0]
}

/// Pixel coordinates of a place in the head.
fn pixel_of(scene: &Scene, [u, v]: [f32; 2]) -> (f32, f32) {
    let (sine, cosine) = scene.anatomy.rotation.sin_cos();
    let (x, y) = (u * cosine - v * sine, v * cosine + u * sine);
    let size = scene.size as f32;
    let to_pixel = |x: f32, centre: f32| (x * scene.anatomy.scale + centre) * size - 0.5;
    (to_pixel(x, scene.anatomy.centre[0]), to_pixel(y, scene.anatomy.centre[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lesion_leaves_alone_stays_also_where_it_is_brighter_than_an_image() {
        let mut brightest = 0.0_f32;
        for index in 0..40 {
            let (scene, _) = super::super::scene(17, index, 64);
            let mut signal = scene.signal.clone();
            paint(&scene, &mut signal, |_, _, value| value);
            brightest = scene.signal.iter().copied().fold(brightest, f32::max);
            assert!(signal.iter().zip(&scene.signal).all(|(after, before)| (after - before).abs() < 1e-6));
        }
        assert!(brightest > 1.0, "no signal is above 1: {brightest}");
    }
}
