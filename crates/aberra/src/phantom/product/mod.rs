//! Photographs of what is inspected, drawn by a program: screws at any angle, printed pills in colour, and long brushed surfaces,
//! without and with a defect. They stand for parts as [`slice()`](super::slice) stands for brains: for the demo, tests and the
//! choice of recipes.

mod pill;
mod screw;
mod surface;

use std::f32::consts::PI;

use self::pill::Pill;
use self::screw::Screw;
use self::surface::Surface;
use super::changed;
use super::field::{between, capsule};
use crate::image::Color;
use crate::random::{Generator, Stream, generator};

/// What is photographed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// One kind of screw on a bright table, at any angle, in grey.
    Screw,
    /// One kind of pill, speckled and printed, nearly in the same place, in colour.
    Pill,
    /// A long brushed surface, of which each photograph shows another place, in grey.
    Surface,
}

/// What is wrong with a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The end of a screw is bent.
    BentTip,
    /// A screw's head is scratched.
    ScratchedHead,
    /// A screw's shank is scratched.
    ScratchedShank,
    /// Three turns of a screw's thread are worn off.
    WornThread,
    /// A piece of a pill is broken off.
    Chip,
    /// The letters on a pill are displaced, and some strokes are missing.
    Misprint,
    /// A spot of a pill has another hue of the same brightness.
    WrongHue,
    /// A pill or a surface is scratched.
    Scratch,
    /// A spot of a pill is darker.
    Stain,
}

/// A photograph of a product.
#[derive(Clone, Debug, PartialEq)]
pub struct Photograph {
    /// `[height, width, channels]`, 0 to 1.
    pub pixels: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether it has 3 channels (red, green and blue) or 1.
    pub color: Color,
    /// `[height, width]`, true where the defect changed a channel by more than [`MASK_TOLERANCE`](super::MASK_TOLERANCE);
    /// `None` without a defect.
    pub mask: Option<Vec<bool>>,
}

impl Product {
    /// Every product.
    pub const ALL: &[Self] = &[Self::Screw, Self::Pill, Self::Surface];

    /// Its name, as `aberra demo --of` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Screw => "screws",
            Self::Pill => "pills",
            Self::Surface => "surfaces",
        }
    }

    /// What can be wrong with it.
    pub fn defects(self) -> &'static [Defect] {
        match self {
            Self::Screw => {
                &[Defect::BentTip, Defect::ScratchedHead, Defect::ScratchedShank, Defect::WornThread]
            }
            Self::Pill => &[Defect::Chip, Defect::Misprint, Defect::WrongHue, Defect::Scratch, Defect::Stain],
            Self::Surface => &[Defect::Scratch],
        }
    }

    /// Height and width of its photographs in pixels.
    pub fn size(self) -> (usize, usize) {
        match self {
            Self::Screw | Self::Pill => (512, 512),
            Self::Surface => (500, 1250),
        }
    }

    /// The photograph that `(seed, index)` decides. A defect is drawn into what the photograph would show without it: light and
    /// noise are the same. One that the product [cannot have](Self::defects) changes nothing.
    ///
    /// ```
    /// use aberra::phantom::{Defect, Product};
    ///
    /// let screw = Product::Screw.photograph(7, 0, Some(Defect::BentTip));
    /// assert_eq!(screw.pixels.len(), screw.height * screw.width);
    /// assert!(screw.mask.unwrap().contains(&true));
    /// ```
    pub fn photograph(self, seed: u64, index: u64, defect: Option<Defect>) -> Photograph {
        match self {
            Self::Screw => take::<Screw>(self.size(), seed, index, defect),
            Self::Pill => take::<Pill>(self.size(), seed, index, defect),
            Self::Surface => take::<Surface>(self.size(), seed, index, defect),
        }
    }
}

impl Defect {
    /// The name: small letters and underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::BentTip => "bent_tip",
            Self::ScratchedHead => "scratched_head",
            Self::ScratchedShank => "scratched_shank",
            Self::WornThread => "worn_thread",
            Self::Chip => "chip",
            Self::Misprint => "misprint",
            Self::WrongHue => "wrong_hue",
            Self::Scratch => "scratch",
            Self::Stain => "stain",
        }
    }
}

/// What a camera sees. Lengths are heights of the photograph; the origin is its middle, x to the right and y down.
trait Scene: Sized + Sync {
    /// Whether tones have a hue.
    const COLOR: Color;
    /// Largest change of a pixel by the sensor's noise.
    const NOISE: f32;

    fn draw(random: &mut Generator) -> Self;

    /// Draws a defect in, if the product can have it.
    fn damage(&mut self, defect: Defect, random: &mut Generator);

    /// Red, green and blue at a point; grey photographs show the first.
    fn tone(&self, point: [f32; 2], pixel: f32) -> [f32; 3];
}

fn take<S: Scene>(
    (height, width): (usize, usize),
    seed: u64,
    index: u64,
    defect: Option<Defect>,
) -> Photograph {
    let random = &mut generator(seed, Stream::Phantom, index);
    let mut scene = S::draw(random);
    let noise: Vec<f32> = (0..height * width).map(|_| between(random, -S::NOISE, S::NOISE)).collect();
    let channels = S::COLOR.channels();
    let expose = |scene: &S| -> Vec<f32> {
        let pixel = 1.0 / height as f32;
        let mut pixels = Vec::with_capacity(height * width * channels);
        for (at, grain) in noise.iter().enumerate() {
            let x = ((at % width) as f32 + 0.5 - 0.5 * width as f32) * pixel;
            let y = ((at / width) as f32 + 0.5 - 0.5 * height as f32) * pixel;
            let tone = scene.tone([x, y], pixel);
            pixels.extend(tone[..channels].iter().map(|value| (value + grain).clamp(0.0, 1.0)));
        }
        pixels
    };
    let pixels = expose(&scene);
    let mut photograph = Photograph { pixels, height, width, color: S::COLOR, mask: None };
    if let Some(defect) = defect {
        scene.damage(defect, &mut generator(seed, Stream::Lesion, index));
        let damaged = expose(&scene);
        photograph.mask = Some(changed(&photograph.pixels, &damaged, channels));
        photograph.pixels = damaged;
    }
    photograph
}

/// Light on a flat table: brightest at one point, and less towards the edges.
struct Light {
    level: f32,
    middle: [f32; 2],
    falls: f32,
}

impl Light {
    fn draw(level: [f32; 2], random: &mut Generator) -> Self {
        Self {
            level: between(random, level[0], level[1]),
            middle: [between(random, -0.2, 0.2), between(random, -0.2, 0.2)],
            falls: between(random, 0.06, 0.24),
        }
    }

    fn at(&self, [x, y]: [f32; 2]) -> f32 {
        let (x, y) = (x - self.middle[0], y - self.middle[1]);
        self.level * (1.0 - self.falls * (x * x + y * y))
    }
}

/// A crooked line.
struct Stroke {
    points: Vec<[f32; 2]>,
    half_width: f32,
}

impl Stroke {
    /// A scratch about `middle`, in any direction.
    fn scratch(middle: [f32; 2], length: [f32; 2], half_width: [f32; 2], random: &mut Generator) -> Self {
        const POINTS: usize = 8;
        /// How far its points lie off a straight line.
        const CROOKED: f32 = 0.003;
        let (sine, cosine) = between(random, 0.0, PI).sin_cos();
        let length = between(random, length[0], length[1]);
        let points = (0..POINTS).map(|at| {
            let along = (at as f32 / (POINTS - 1) as f32 - 0.5) * length;
            [cosine, sine].map(|direction| along * direction + between(random, -CROOKED, CROOKED))
        });
        let points = points.map(|[x, y]| [middle[0] + x, middle[1] + y]).collect();
        Self { points, half_width: between(random, half_width[0], half_width[1]) }
    }

    /// Signed distance to its edge.
    fn distance(&self, point: [f32; 2]) -> f32 {
        let end = |[x, y]: [f32; 2]| [x, y, self.half_width];
        let parts = self.points.windows(2).map(|pair| capsule(point, end(pair[0]), end(pair[1])));
        parts.fold(f32::INFINITY, f32::min)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MASK_TOLERANCE;
    use super::*;

    #[test]
    fn photographs_are_decided_by_seed_and_index_alone() {
        for &product in Product::ALL {
            let photograph = product.photograph(3, 1, None);
            let (height, width) = product.size();
            assert_eq!((photograph.height, photograph.width), (height, width));
            assert_eq!(photograph.pixels.len(), height * width * photograph.color.channels());
            assert!(photograph.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
            assert_eq!(photograph, product.photograph(3, 1, None));
            assert_ne!(photograph.pixels, product.photograph(3, 2, None).pixels);
            assert_ne!(photograph.pixels, product.photograph(4, 1, None).pixels);
        }
    }

    #[test]
    fn a_defect_changes_its_mask_alone_and_shows() {
        for &product in Product::ALL {
            for &defect in product.defects() {
                for index in 0..6 {
                    let without = product.photograph(5, index, None);
                    let with = product.photograph(5, index, Some(defect));
                    let mask = with.mask.unwrap();
                    let channels = with.color.channels();
                    let pairs = without.pixels.chunks_exact(channels).zip(with.pixels.chunks_exact(channels));
                    for (at, (before, after)) in pairs.enumerate() {
                        let change = before.iter().zip(after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                        assert_eq!(mask[at], change > MASK_TOLERANCE);
                    }
                    let share = mask.iter().filter(|&&masked| masked).count() as f32 / mask.len() as f32;
                    assert!((3e-5..0.05).contains(&share), "{} covers {share}", defect.name());
                }
            }
        }
    }

    #[test]
    fn another_products_defect_changes_nothing() {
        let photograph = Product::Surface.photograph(1, 0, Some(Defect::BentTip));
        assert!(!photograph.mask.unwrap().contains(&true));
        assert_eq!(photograph.pixels, Product::Surface.photograph(1, 0, None).pixels);
    }
}
