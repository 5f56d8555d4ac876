//! An oval pill on a white table: orange, speckled, and printed with two letters.

use std::f32::consts::TAU;

use rand::RngExt;

use super::super::field::{between, inside, lerp, smoothstep};
use super::{Defect, Light, Scene, Stroke};
use crate::image::Color;
use crate::random::Generator;

/// Half of its length and width.
const RADII: [f32; 2] = [0.37, 0.195];
/// Of its coating, and of a spot of another hue: as bright as each other.
const ORANGE: [f32; 3] = [0.941, 0.713, 0.446];
const GREEN: [f32; 3] = [0.481, 0.909, 0.642];
/// Half the width of a printed stroke, and of its soft edge.
const STROKE: f32 = 0.008;
const SOFT: f32 = 0.006;
/// The letters F and P, stroke by stroke, from end to end.
const LETTERS: [[[f32; 2]; 2]; 7] = [
    [[-0.14, -0.08], [-0.14, 0.08]],
    [[-0.14, -0.08], [-0.06, -0.08]],
    [[-0.14, 0.0], [-0.08, 0.0]],
    [[0.06, -0.08], [0.06, 0.08]],
    [[0.06, -0.08], [0.14, -0.08]],
    [[0.14, -0.08], [0.14, 0.0]],
    [[0.06, 0.0], [0.14, 0.0]],
];

pub(super) struct Pill {
    table: Light,
    middle: [f32; 2],
    /// Sine and cosine of its angle.
    direction: [f32; 2],
    speckles: Vec<Spot>,
    print: Vec<Stroke>,
    /// The direction in which a piece is missing, as sine and cosine, and how far from the middle it begins as a share of the
    /// radius.
    chip: Option<[f32; 3]>,
    /// A spot whose hue is wrong.
    hue: Option<Spot>,
    /// A scratch, and how much brighter it is.
    scratch: Option<(Stroke, f32)>,
    stain: Option<Spot>,
}

/// A round spot that fades outwards.
struct Spot {
    middle: [f32; 2],
    radius: f32,
    strength: f32,
}

impl Spot {
    fn draw(radius: [f32; 2], strength: [f32; 2], reach: [f32; 2], random: &mut Generator) -> Self {
        Self {
            middle: reach.map(|reach| between(random, -reach, reach)),
            radius: between(random, radius[0], radius[1]),
            strength: between(random, strength[0], strength[1]),
        }
    }

    fn at(&self, [x, y]: [f32; 2]) -> f32 {
        let (x, y) = ((x - self.middle[0]) / self.radius, (y - self.middle[1]) / self.radius);
        let squared = x * x + y * y;
        if squared > 16.0 { 0.0 } else { self.strength * (-0.5 * squared).exp() }
    }
}

impl Scene for Pill {
    const COLOR: Color = Color::Rgb;
    const NOISE: f32 = 0.02;

    fn draw(random: &mut Generator) -> Self {
        let speckles = random.random_range(15..25);
        Self {
            table: Light::draw([0.93, 0.97], random),
            middle: [between(random, -0.015, 0.015), between(random, -0.015, 0.015)],
            direction: between(random, -0.08, 0.08).sin_cos().into(),
            speckles: (0..speckles).map(|_| Spot::draw([0.003, 0.008], [0.1, 0.25], RADII, random)).collect(),
            print: LETTERS.iter().map(|ends| Stroke { points: ends.to_vec(), half_width: STROKE }).collect(),
            chip: None,
            hue: None,
            scratch: None,
            stain: None,
        }
    }

    fn damage(&mut self, defect: Defect, random: &mut Generator) {
        /// How far from the middle a spot or a scratch may lie.
        const REACH: [f32; 2] = [0.22, 0.09];
        match defect {
            Defect::Chip => {
                let (sine, cosine) = between(random, 0.0, TAU).sin_cos();
                self.chip = Some([sine, cosine, between(random, 0.86, 0.92)]);
            }
            Defect::Misprint => {
                let aside = between(random, 0.02, 0.03);
                self.print.remove(random.random_range(0..self.print.len()));
                self.print.retain(|_| random.random_bool(0.75));
                self.print.iter_mut().flat_map(|stroke| &mut stroke.points).for_each(|end| end[0] += aside);
            }
            Defect::WrongHue => self.hue = Some(Spot::draw([0.02, 0.03], [0.7, 0.9], REACH, random)),
            Defect::Scratch => {
                let middle = REACH.map(|reach| between(random, -reach, reach));
                let stroke = Stroke::scratch(middle, [0.05, 0.12], [0.002, 0.003], random);
                self.scratch = Some((stroke, if random.random_bool(0.5) { 0.15 } else { -0.2 }));
            }
            Defect::Stain => self.stain = Some(Spot::draw([0.01, 0.025], [0.1, 0.2], REACH, random)),
            _ => {}
        }
    }

    fn tone(&self, [x, y]: [f32; 2], pixel: f32) -> [f32; 3] {
        let table = self.table.at([x, y]);
        let [sine, cosine] = self.direction;
        let (x, y) = (x - self.middle[0], y - self.middle[1]);
        let point @ [x, y] = [x * cosine + y * sine, y * cosine - x * sine];
        let [u, v] = [x / RADII[0], y / RADII[1]];
        let from_middle = u.hypot(v);
        let is_broken = self.chip.is_some_and(|[sine, cosine, from]| u * cosine + v * sine > from);
        let covered = if is_broken { 0.0 } else { smoothstep(1.03, 0.97, from_middle) };
        if covered == 0.0 {
            return [table; 3];
        }
        let mut grey = 0.76 + 0.24 * (1.0 - from_middle * from_middle).max(0.0).sqrt();
        let printed = self.print.iter().map(|stroke| inside(stroke.distance(point), SOFT));
        grey -= 0.18 * printed.fold(0.0, f32::max);
        let marks = self.speckles.iter().chain(&self.stain);
        grey -= marks.map(|spot| spot.at(point)).fold(0.0, f32::max);
        if let Some((stroke, brighter)) = &self.scratch {
            grey += brighter * inside(stroke.distance(point), pixel);
        }
        let green = self.hue.as_ref().map_or(0.0, |spot| spot.at(point));
        std::array::from_fn(|channel| {
            let coating = lerp(ORANGE[channel], GREEN[channel], green);
            lerp(table, grey * coating, covered)
        })
    }
}
