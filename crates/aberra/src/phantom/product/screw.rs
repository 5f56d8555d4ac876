//! A countersunk screw on a bright table, at any angle.

use std::f32::consts::TAU;

use rand::RngExt;

use super::super::field::{between, inside, lerp};
use super::{Defect, Light, Scene, Stroke};
use crate::image::Color;
use crate::random::Generator;

/// Along the screw: its upper end, the lower end of its head, the beginning of its thread, and its tip.
const TOP: f32 = -0.32;
const NECK: f32 = -0.22;
const THREAD: f32 = -0.046;
const TIP: f32 = 0.36;
/// Half widths of the head at its upper end, and of the shank.
const HEAD_WIDTH: f32 = 0.085;
const SHANK_WIDTH: f32 = 0.035;
/// Number of turns of the thread, and how deep they are.
const TURNS: f32 = 16.0;
const DEPTH: f32 = 0.45 * SHANK_WIDTH;
/// How far from the tip the thread begins to taper, and a bend begins.
const TAPER: f32 = 0.06;
const BEND: f32 = 0.22;

pub(super) struct Screw {
    table: Light,
    /// Of light on the screw.
    gain: f32,
    middle: [f32; 2],
    /// Sine and cosine of its angle.
    direction: [f32; 2],
    scale: f32,
    /// Where the thread begins within a turn.
    phase: f32,
    /// How far the tip is bent aside.
    bend: f32,
    /// The first of three turns that are worn off.
    worn: Option<f32>,
    /// A scratch and its tone.
    scratch: Option<(Stroke, f32)>,
}

impl Scene for Screw {
    const COLOR: Color = Color::Grey;
    const NOISE: f32 = 0.02;

    fn draw(random: &mut Generator) -> Self {
        Self {
            table: Light::draw([0.70, 0.74], random),
            gain: between(random, 0.95, 1.05),
            middle: [between(random, -0.04, 0.04), between(random, -0.04, 0.04)],
            direction: between(random, 0.0, TAU).sin_cos().into(),
            scale: between(random, 0.97, 1.03),
            phase: random.random(),
            bend: 0.0,
            worn: None,
            scratch: None,
        }
    }

    fn damage(&mut self, defect: Defect, random: &mut Generator) {
        let side = if random.random_bool(0.5) { 1.0 } else { -1.0 };
        let mut scratch = |along: f32, across: f32| {
            let middle = [along + between(random, -0.02, 0.02), between(random, -0.6 * across, 0.6 * across)];
            let tone = if random.random_bool(0.5) { 0.92 } else { 0.08 };
            Some((Stroke::scratch(middle, [0.02, 0.04], [0.002, 0.004], random), tone))
        };
        match defect {
            Defect::BentTip => self.bend = side * between(random, 0.10, 0.22),
            Defect::WornThread => self.worn = Some(random.random_range(3..11) as f32),
            Defect::ScratchedHead => self.scratch = scratch(TOP + 0.04, 0.5 * HEAD_WIDTH),
            Defect::ScratchedShank => self.scratch = scratch(0.5 * (NECK + THREAD), 0.6 * SHANK_WIDTH),
            _ => {}
        }
    }

    fn tone(&self, [x, y]: [f32; 2], pixel: f32) -> [f32; 3] {
        /// Where the shadow lies, and how wide its edge is.
        const SHADOW: [f32; 2] = [0.008, 0.012];
        const SOFT: f32 = 0.03;
        let shadow = inside(self.distance(self.on_screw([x - SHADOW[0], y - SHADOW[1]])), SOFT);
        let table = self.table.at([x, y]) * (1.0 - 0.25 * shadow);
        let point = self.on_screw([x, y]);
        let covered = inside(self.distance(point), pixel);
        let metal = if covered > 0.0 { self.gain * self.metal(point, pixel) } else { 0.0 };
        [lerp(table, metal, covered); 3]
    }
}

impl Screw {
    /// A point of the photograph along and across the screw, as if it were straight.
    fn on_screw(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sine, cosine] = self.direction;
        let (x, y) = ((x - self.middle[0]) / self.scale, (y - self.middle[1]) / self.scale);
        let (along, across) = (x * cosine + y * sine, y * cosine - x * sine);
        let bent = (along - (TIP - BEND)).max(0.0);
        [along, across - self.bend * bent * bent / (0.5 * BEND)]
    }

    /// How far the thread stands out there, from 0 to 1, and how much of it is left.
    fn thread(&self, along: f32) -> [f32; 2] {
        let turn = (along - THREAD) / (TIP - THREAD) * TURNS + self.phase;
        let is_worn = self.worn.is_some_and(|first| (first..first + 3.0).contains(&turn));
        [2.0 * (turn.rem_euclid(1.0) - 0.5).abs(), if is_worn { 0.25 } else { 1.0 }]
    }

    fn half_width(&self, along: f32) -> f32 {
        if along < NECK {
            let share = ((along - TOP) / (NECK - TOP)).max(0.0);
            return lerp(HEAD_WIDTH, SHANK_WIDTH, share.powf(1.5));
        }
        if along < THREAD {
            return SHANK_WIDTH;
        }
        let [height, left] = self.thread(along);
        let taper = ((TIP - along) / TAPER).clamp(0.05, 1.0);
        (0.8 * SHANK_WIDTH + DEPTH * height * left) * taper
    }

    /// Approximate signed distance to the outline.
    fn distance(&self, [along, across]: [f32; 2]) -> f32 {
        (across.abs() - self.half_width(along)).max(TOP - along).max(along - TIP)
    }

    /// Brightness of the metal: a line of light along it.
    fn metal(&self, point: [f32; 2], pixel: f32) -> f32 {
        let [along, across] = point;
        let shine = |width: f32| (-((across / self.half_width(along) + 0.2) / width).powi(2)).exp();
        let metal = match along {
            ..NECK => 0.27 + 0.51 * shine(0.36),
            NECK..THREAD => 0.24 + 0.51 * shine(0.36),
            _ => 0.24 + 0.51 * shine(0.4) * (0.55 + 0.45 * self.thread(along)[0]),
        };
        match &self.scratch {
            Some((stroke, tone)) => lerp(metal, *tone, inside(stroke.distance(point), pixel)),
            None => metal,
        }
    }
}
