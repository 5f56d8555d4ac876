//! A brushed surface: lines along it, blotches and grain.

use std::f32::consts::TAU;

use rand::RngExt;

use super::super::field::{between, inside, lerp};
use super::{Defect, Scene, Stroke};
use crate::image::Color;
use crate::random::Generator;

pub(super) struct Surface {
    /// Waves down the surface.
    lines: [Wave; 3],
    /// Waves whose product are the blotches.
    blotches: [Wave; 2],
    /// A scratch and its tone.
    scratch: Option<(Stroke, f32)>,
}

struct Wave {
    rate: f32,
    phase: f32,
}

impl Wave {
    /// Of about this length.
    fn draw(length: f32, random: &mut Generator) -> Self {
        Self { rate: TAU / length / between(random, 0.8, 1.2), phase: between(random, 0.0, TAU) }
    }

    fn at(&self, place: f32) -> f32 {
        (self.rate * place + self.phase).sin()
    }
}

impl Scene for Surface {
    const COLOR: Color = Color::Grey;
    const NOISE: f32 = 0.06;

    fn draw(random: &mut Generator) -> Self {
        Self {
            lines: [0.01, 0.018, 0.034].map(|length| Wave::draw(length, random)),
            blotches: [0.28, 0.46].map(|length| Wave::draw(length, random)),
            scratch: None,
        }
    }

    fn damage(&mut self, defect: Defect, random: &mut Generator) {
        if defect == Defect::Scratch {
            let middle = [1.2, 0.46].map(|reach| between(random, -reach, reach));
            let stroke = Stroke::scratch(middle, [0.03, 0.06], [0.002, 0.004], random);
            let contrast = between(random, 0.08, 0.22);
            let tone = if random.random_bool(0.5) { 0.5 + contrast } else { 0.5 - contrast };
            self.scratch = Some((stroke, tone));
        }
    }

    fn tone(&self, point: [f32; 2], pixel: f32) -> [f32; 3] {
        let [x, y] = point;
        let lines: f32 = self.lines.iter().map(|line| line.at(y)).sum();
        let [across, down] = &self.blotches;
        let mut grey = 0.5 + 0.03 * lines + 0.05 * across.at(x) * down.at(y);
        if let Some((stroke, tone)) = &self.scratch {
            grey = lerp(grey, *tone, inside(stroke.distance(point), pixel));
        }
        [grey; 3]
    }
}
