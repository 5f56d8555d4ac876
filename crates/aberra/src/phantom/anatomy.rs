//! One head: the numbers that make it differ from every other.

use rand::{Rng, RngExt};

use super::field::{Noise, between, lerp};

/// Angles in the table of the outline.
const OUTLINE: usize = 720;

/// What the scanner was set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    T1,
    /// After a contrast agent: vessels and some lesions light up.
    T1Contrast,
    T2,
    Flair,
}

/// Signal of each tissue, 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    pub(super) scalp: f32,
    pub(super) muscle: f32,
    pub(super) bone: f32,
    pub(super) marrow: f32,
    pub(super) fluid: f32,
    pub(super) grey: f32,
    pub(super) white: f32,
    pub(super) deep_grey: f32,
    pub(super) vessel: f32,
}

/// Everything that decides a slice, in head units: half of the head's length is 1, `u` to the right, `v` towards the
/// back.
#[derive(Clone, Debug)]
pub(super) struct Anatomy {
    pub(super) sequence: Sequence,
    pub(super) signals: Signals,
    /// 0: at the eyes; 0.2 to 0.55: basal ganglia; 0.8: above the ventricles; 1: near the top.
    pub(super) level: f32,
    /// Half of the head's length, as a share of the frame.
    pub(super) scale: f32,
    /// Centre, as a share of the frame.
    pub(super) centre: [f32; 2],
    pub(super) rotation: f32,
    outline: Vec<[f32; 2]>,
    pub(super) scalp_thickness: f32,
    pub(super) skull_thickness: f32,
    pub(super) gap_thickness: f32,
    pub(super) ribbon: f32,
    pub(super) sulcus_width: f32,
    pub(super) sulcus_depth: f32,
    pub(super) folds: f32,
    /// How dark or bright folds get: thick slices show them faintly.
    pub(super) clarity: f32,
    pub(super) ventricle: f32,
    /// Factor on the left and right ventricle.
    pub(super) sides: [f32; 2],
    pub(super) fissure_width: f32,
    /// Periventricular brightening of age, 0 to 1.
    pub(super) caps: f32,
    pub(super) texture: f32,
    pub(super) noise: Noise,
    pub(super) folding: Noise,
    pub(super) warp: Noise,
}

impl Anatomy {
    pub(super) fn draw(random: &mut impl Rng) -> Self {
        Self::draw_at(random, None)
    }

    /// The same head at any level, or at a given one.
    pub(super) fn draw_at(random: &mut impl Rng, level: Option<f32>) -> Self {
        let sequence = match random.random_range(0..10) {
            0..3 => Sequence::T1,
            3..5 => Sequence::T1Contrast,
            5..8 => Sequence::T2,
            _ => Sequence::Flair,
        };
        let drawn_level = match random.random_range(0..16) {
            0..2 => between(random, 0.0, 0.13),
            2..8 => between(random, 0.2, 0.55),
            8..12 => between(random, 0.55, 0.8),
            _ => between(random, 0.8, 1.0),
        };
        let level = level.unwrap_or(drawn_level);
        let top = ((level - 0.7) / 0.3).max(0.0);
        let age = random.random::<f32>().powi(2);
        Self {
            sequence,
            signals: Signals::draw(sequence, random),
            level,
            scale: between(random, 0.38, 0.485) * lerp(1.0, 0.88, top),
            centre: [between(random, 0.475, 0.525), between(random, 0.475, 0.525)],
            rotation: between(random, -0.12, 0.12) * random.random::<f32>(),
            outline: outline(level, random),
            scalp_thickness: between(random, 0.022, 0.07),
            skull_thickness: between(random, 0.04, 0.075),
            gap_thickness: between(random, 0.006, 0.018) + 0.03 * age * random.random::<f32>(),
            ribbon: between(random, 0.040, 0.054),
            sulcus_width: between(random, 0.005, 0.011) + 0.016 * age,
            sulcus_depth: between(random, 0.16, 0.26) * lerp(1.0, 1.25, top),
            folds: between(random, 9.5, 13.0),
            clarity: between(random, 0.45, 1.0),
            ventricle: between(random, 0.6, 1.15) + 0.75 * age,
            sides: [between(random, 0.82, 1.18), between(random, 0.82, 1.18)],
            fissure_width: between(random, 0.006, 0.013) + 0.014 * age,
            caps: random.random::<f32>().powi(2) * (0.3 + age).min(1.0),
            texture: between(random, 0.02, 0.05),
            noise: Noise::draw(random),
            folding: Noise::draw(random),
            warp: Noise::draw(random),
        }
    }

    /// Depth below the skin (negative outside) and angle from the front (-pi to pi, right positive).
    pub(super) fn depth(&self, u: f32, v: f32) -> (f32, f32) {
        let angle = u.atan2(-v);
        let place = (angle / std::f32::consts::TAU + 0.5) * OUTLINE as f32;
        let cell = place as usize;
        let [ra, ca] = self.outline[cell % OUTLINE];
        let [rb, cb] = self.outline[(cell + 1) % OUTLINE];
        let t = place - cell as f32;
        ((lerp(ra, rb, t) - u.hypot(v)) * lerp(ca, cb, t), angle)
    }
}

impl Signals {
    /// Typical signals of the sequence, each moved a little, the whole made darker or brighter.
    fn draw(sequence: Sequence, random: &mut impl Rng) -> Self {
        let mut near =
            |value: f32, spread: f32| (value * between(random, 1.0 - spread, 1.0 + spread)).min(1.0);
        let mut signals = match sequence {
            Sequence::T1 => Self {
                scalp: near(0.85, 0.25),
                muscle: near(0.36, 0.15),
                bone: near(0.06, 0.4),
                marrow: near(0.32, 0.7),
                fluid: near(0.13, 0.3),
                grey: near(0.44, 0.1),
                white: near(0.66, 0.1),
                deep_grey: near(0.54, 0.05),
                vessel: near(0.5, 0.2),
            },
            Sequence::T1Contrast => Self {
                scalp: near(0.85, 0.25),
                muscle: near(0.32, 0.15),
                bone: near(0.05, 0.4),
                marrow: near(0.35, 0.6),
                fluid: near(0.13, 0.3),
                grey: near(0.37, 0.06),
                white: near(0.46, 0.07),
                deep_grey: near(0.41, 0.04),
                vessel: near(0.9, 0.15),
            },
            Sequence::T2 => Self {
                scalp: near(0.55, 0.45),
                muscle: near(0.14, 0.3),
                bone: near(0.05, 0.4),
                marrow: near(0.2, 0.7),
                fluid: near(0.93, 0.1),
                grey: near(0.50, 0.08),
                white: near(0.33, 0.1),
                deep_grey: near(0.39, 0.08),
                vessel: near(0.05, 0.3),
            },
            Sequence::Flair => Self {
                scalp: near(0.75, 0.3),
                muscle: near(0.3, 0.2),
                bone: near(0.05, 0.4),
                marrow: near(0.25, 0.7),
                fluid: near(0.10, 0.4),
                grey: near(0.52, 0.06),
                white: near(0.41, 0.08),
                deep_grey: near(0.47, 0.05),
                vessel: near(0.3, 0.3),
            },
        };
        let brightness = between(random, 0.6, 1.08);
        let scalp_brightness = lerp(brightness, 1.0, 0.5);
        for value in [
            &mut signals.muscle,
            &mut signals.bone,
            &mut signals.marrow,
            &mut signals.fluid,
            &mut signals.grey,
            &mut signals.white,
            &mut signals.deep_grey,
            &mut signals.vessel,
        ] {
            *value *= brightness;
        }
        signals.scalp *= scalp_brightness;
        signals
    }
}

/// Radius and the cosine between radius and normal, per angle from the front.
fn outline(level: f32, random: &mut impl Rng) -> Vec<[f32; 2]> {
    let width = between(random, 0.74, 0.88);
    let egg = between(random, 0.01, 0.07);
    let square = between(random, -0.03, 0.02);
    let harmonics: Vec<[f32; 2]> = (1..=6)
        .map(|k| [between(random, -1.0, 1.0), between(random, -1.0, 1.0)].map(|x| x * 0.014 / k as f32))
        .collect();
    // Near the eyes the front narrows more.
    let narrow = (0.15 - level).max(0.0) * 0.6;
    let radius = |place: usize| {
        let angle = (place as f32 / OUTLINE as f32 - 0.5) * std::f32::consts::TAU;
        let (sine, cosine) = angle.sin_cos();
        let base = width / (width * cosine).hypot(sine);
        let waves: f32 = harmonics
            .iter()
            .zip(2..)
            .map(|([a, b], k)| a * (k as f32 * angle).cos() + 0.5 * b * (k as f32 * angle).sin())
            .sum();
        let front = narrow * sine * sine * (0.5 + 0.5 * cosine);
        base * (1.0 - egg * cosine * sine * sine + square * (4.0 * angle).cos() + waves - front)
    };
    let radii: Vec<f32> = (0..OUTLINE).map(radius).collect();
    let step = std::f32::consts::TAU / OUTLINE as f32;
    (0..OUTLINE)
        .map(|place| {
            let slope =
                (radii[(place + 1) % OUTLINE] - radii[(place + OUTLINE - 1) % OUTLINE]) / (2.0 * step);
            [radii[place], 1.0 / 1f32.hypot(slope / radii[place])]
        })
        .collect()
}
