//! Kinds of images drawn by a program: surfaces, parts, layered bodies and arrangements of many materials. A [`World`] is one
//! kind, as a data set is, and draws any number of normal images of it.
//!
//! They show a network what anomalies have in common before it sees a user's normals, and stand for data sets that nobody
//! tuned for. Brain-like slices are not among them: those stay unseen.

use std::f32::consts::{PI, TAU};

use rand::{Rng, RngExt};

use super::field::{Noise, between, box_blur, lerp, smoothstep};
use super::{MAX_SIZE_PX, MIN_SIZE_PX};
use crate::random::{Stream, generator};

/// Channels of an image: red, green and blue.
const CHANNELS: usize = 3;

type Tone = [f32; CHANNELS];

/// A kind of images: what all of them have in common, and how they vary.
#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
    background: Material,
    parts: Vec<Part>,
    pose: Pose,
    camera: Camera,
}

/// What a surface looks like.
#[derive(Clone, Debug)]
struct Material {
    noise: Noise,
    tone: Tone,
    /// Where the texture goes from `tone`.
    other: Tone,
    texture: Texture,
    /// Features of the texture from edge to edge of the image.
    features: f32,
    /// Their length over their width.
    stretch: f32,
    tilt: f32,
    /// Whether each image shows another place of it.
    wanders: bool,
}

#[derive(Clone, Copy, Debug)]
enum Texture {
    Flat,
    Clouds,
    Ridges,
    Stripes,
    Weave,
    Dots,
    Cells,
    Rings,
}

/// A shape of one material. Lengths are half sides of the image where not said otherwise.
#[derive(Clone, Debug)]
struct Part {
    material: Material,
    middle: [f32; 2],
    radius: f32,
    aspect: f32,
    /// Exponent of the superellipse: 1 is a rhombus, 2 an ellipse, a large one a rectangle.
    exponent: f32,
    tilt: f32,
    /// Harmonics of the outline: amplitudes and phases.
    waves: Vec<[f32; 2]>,
    /// Inner radius of a ring as a share of the radius; 0 fills it.
    hole: f32,
    /// Width of the edge as a share of the radius.
    edge: f32,
    /// Change of brightness towards the edge, and how far it reaches.
    bevel: [f32; 2],
    opacity: f32,
    /// Whether it is there on the left and on the right.
    mirrored: bool,
    /// How much place, size and outline vary, as a share of the radius.
    varies: f32,
    /// Whether it lies somewhere else in each image.
    scattered: bool,
    /// Share of the images that show it.
    present: f64,
}

/// How the body lies in the images.
#[derive(Clone, Copy, Debug)]
struct Pose {
    turn: f32,
    shift: f32,
    scale: f32,
    flips: bool,
    bend: f32,
}

/// How the images are taken.
#[derive(Clone, Copy, Debug)]
struct Camera {
    light: f32,
    gain: f32,
    gamma: f32,
    noise: f32,
    blur: f32,
}

impl World {
    /// The kind of images that `(seed, index)` decides.
    pub fn draw(seed: u64, index: u64) -> Self {
        let seed = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let random = &mut generator(seed, Stream::World, 0);
        let grey = random.random_bool(0.6);
        let layout = random.random_range(0..4);
        let mut background = Material::draw(grey, random);
        if layout > 0 && random.random_bool(0.6) {
            let tone = if random.random_bool(0.7) { 0.0 } else { between(random, 0.8, 1.0) };
            background = Material { tone: [tone; CHANNELS], other: [tone; CHANNELS], ..background };
        }
        let parts = match layout {
            0 => (0..random.random_range(0..3)).map(|_| Part::draw(grey, [0.05, 0.4], random)).collect(),
            1 => part_with_details(grey, random),
            2 => layered_body(grey, random),
            _ => arrangement(grey, random),
        };
        let turn = match random.random_range(0..3) {
            0 => 0.0,
            1 => between(random, 0.02, 0.3),
            _ => PI,
        };
        let pose = Pose {
            turn,
            shift: between(random, 0.0, 0.08),
            scale: between(random, 0.0, 0.12),
            flips: random.random_bool(0.3),
            bend: sometimes(random, 0.05),
        };
        let camera = Camera {
            light: sometimes(random, 0.35),
            gain: between(random, 0.0, 0.15),
            gamma: between(random, 0.0, 0.2),
            noise: sometimes(random, 0.06),
            blur: sometimes(random, 0.008),
        };
        Self { seed, background, parts, pose, camera }
    }

    /// The normal image `number` of the kind: `[size_px, size_px, 3]`, 0 to 1. `size_px` is limited to
    /// [`MIN_SIZE_PX`]..=[`MAX_SIZE_PX`].
    pub fn image(&self, number: u64, size_px: usize) -> Vec<f32> {
        let size = size_px.clamp(MIN_SIZE_PX, MAX_SIZE_PX);
        let random = &mut generator(self.seed, Stream::World, number.wrapping_add(1));
        let view = View::draw(self.pose, random);
        let background = Placed::new(&self.background, random);
        let mut parts = Vec::new();
        for part in &self.parts {
            if random.random_bool(part.present) {
                parts.extend(Seen::of(part, random));
            }
        }
        let mut pixels = Vec::with_capacity(size * size * CHANNELS);
        for at in 0..size * size {
            let side = size as f32 / 2.0;
            let point = [(at % size) as f32 + 0.5, (at / size) as f32 + 0.5].map(|x| x / side - 1.0);
            let point = view.body(point);
            let mut tone = background.tone(point);
            for part in &parts {
                part.cover(point, &mut tone);
            }
            pixels.extend(tone);
        }
        self.camera.take(&mut pixels, size, random);
        pixels
    }
}

impl Material {
    fn draw(grey: bool, random: &mut impl Rng) -> Self {
        const TEXTURES: [Texture; 10] = [
            Texture::Flat,
            Texture::Flat,
            Texture::Clouds,
            Texture::Clouds,
            Texture::Ridges,
            Texture::Stripes,
            Texture::Weave,
            Texture::Dots,
            Texture::Cells,
            Texture::Rings,
        ];
        let tone = tone(grey, random);
        let towards = Material::another(tone, grey, random);
        let strength = between(random, 0.05, 0.6);
        Self {
            noise: Noise::draw(random),
            tone,
            other: std::array::from_fn(|channel| lerp(tone[channel], towards[channel], strength)),
            texture: TEXTURES[random.random_range(0..TEXTURES.len())],
            features: 3.0 * 15_f32.powf(random.random()),
            stretch: if random.random_bool(0.6) { 1.0 } else { between(random, 1.5, 8.0) },
            tilt: if random.random_bool(0.5) { 0.0 } else { between(random, 0.0, PI) },
            wanders: random.random_bool(0.8),
        }
    }

    fn another(tone: Tone, grey: bool, random: &mut impl Rng) -> Tone {
        let drawn = self::tone(grey, random);
        let far = drawn.iter().zip(tone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) > 0.2;
        if far { drawn } else { tone.map(|value| if value > 0.5 { value - 0.4 } else { value + 0.4 }) }
    }
}

impl Part {
    /// A part of a radius in `radii`, anywhere.
    fn draw(grey: bool, radii: [f32; 2], random: &mut impl Rng) -> Self {
        let radius = radii[0] * (radii[1] / radii[0]).powf(random.random());
        let free = (1.0 - radius).max(0.0);
        let rough = sometimes(random, 0.15);
        Self {
            material: Material::draw(grey, random),
            middle: [between(random, -free, free), between(random, -free, free)],
            radius,
            aspect: if random.random_bool(0.4) { 1.0 } else { between(random, 1.0, 3.0) },
            exponent: [1.0, 2.0, 2.0, 3.0, 8.0][random.random_range(0..5)],
            tilt: if random.random_bool(0.4) { 0.0 } else { between(random, 0.0, PI) },
            waves: (1..random.random_range(2..9))
                .map(|order| [rough / (order as f32).sqrt(), between(random, 0.0, TAU)])
                .collect(),
            hole: if random.random_bool(0.2) { between(random, 0.4, 0.9) } else { 0.0 },
            edge: 0.01 * 20_f32.powf(random.random()),
            bevel: [sometimes(random, 0.5) * sign(random), between(random, 0.05, 0.6)],
            opacity: if random.random_bool(0.8) { 1.0 } else { between(random, 0.3, 0.8) },
            mirrored: false,
            varies: between(random, 0.0, 0.12),
            scattered: random.random_bool(0.3),
            present: 1.0,
        }
    }
}

/// A part in the middle, and what is on it.
fn part_with_details(grey: bool, random: &mut impl Rng) -> Vec<Part> {
    let drawn = Part::draw(grey, [0.35, 0.8], random);
    let body = Part { middle: [0.0; 2], scattered: false, hole: 0.5 * drawn.hole, opacity: 1.0, ..drawn };
    let reach = body.radius;
    let mut parts = vec![body];
    for _ in 0..random.random_range(0..7) {
        let detail = Part::draw(grey, [0.04, 0.35], random);
        let middle = detail.middle.map(|value| value * reach);
        let (mirrored, radius) = (random.random_bool(0.3), detail.radius * reach);
        parts.push(Part { middle, radius, mirrored, scattered: false, ..detail });
    }
    parts
}

/// Bodies within bodies, and organs on both sides.
fn layered_body(grey: bool, random: &mut impl Rng) -> Vec<Part> {
    let outer = Part::draw(grey, [0.6, 0.9], random);
    let aspect = between(random, 1.0, 1.5);
    let layers = random.random_range(2..5);
    let mut radius = outer.radius;
    let mut parts = Vec::new();
    for _ in 0..layers {
        let drawn = Part::draw(grey, [0.5, 0.9], random);
        let varies = 0.4 * drawn.varies;
        let exponent = outer.exponent.max(2.0);
        let layer = Part { middle: [0.0; 2], radius, aspect, exponent, tilt: outer.tilt, varies, ..drawn };
        parts.push(Part { hole: 0.0, scattered: false, opacity: 1.0, waves: outer.waves.clone(), ..layer });
        radius *= between(random, 0.6, 0.95);
    }
    for _ in 0..random.random_range(1..7) {
        let organ = Part::draw(grey, [0.06, 0.45], random);
        let middle = organ.middle.map(|value| value * radius);
        let present = if random.random_bool(0.7) { 1.0 } else { 0.6 };
        let mirrored = random.random_bool(0.6);
        parts.push(Part {
            middle,
            radius: organ.radius * radius,
            mirrored,
            present,
            scattered: false,
            ..organ
        });
    }
    parts
}

/// Like parts in rows or strewn about.
fn arrangement(grey: bool, random: &mut impl Rng) -> Vec<Part> {
    let kinds: Vec<Part> =
        (0..random.random_range(1..4)).map(|_| Part::draw(grey, [0.08, 0.3], random)).collect();
    let strewn = random.random_bool(0.5);
    let rows = random.random_range(2..5);
    let pitch = 2.0 / rows as f32;
    let of_place = |place: usize| {
        let kind = &kinds[place % kinds.len()];
        let middle = [place % rows, place / rows].map(|step| (step as f32 + 0.5) * pitch - 1.0);
        Part { middle, radius: kind.radius.min(0.45 * pitch), scattered: strewn, ..kind.clone() }
    };
    (0..rows * rows).map(of_place).collect()
}

/// A material as one image shows it.
struct Placed<'a> {
    material: &'a Material,
    offset: [f32; 2],
    direction: [f32; 2],
}

impl<'a> Placed<'a> {
    fn new(material: &'a Material, random: &mut impl Rng) -> Self {
        let offset = [between(random, 0.0, 32.0), between(random, 0.0, 32.0)];
        let (sine, cosine) = material.tilt.sin_cos();
        let offset = if material.wanders { offset } else { [0.0; 2] };
        Self { material, offset, direction: [cosine, sine] }
    }

    fn tone(&self, point: [f32; 2]) -> Tone {
        let material = self.material;
        if material.tone == material.other {
            return material.tone;
        }
        let [cosine, sine] = self.direction;
        let scale = 0.5 * material.features;
        let x = (point[0] * cosine + point[1] * sine) * scale + self.offset[0];
        let y = (point[1] * cosine - point[0] * sine) * scale / material.stretch + self.offset[1];
        let share = material.texture.at(&material.noise, x, y);
        std::array::from_fn(|channel| lerp(material.tone[channel], material.other[channel], share))
    }
}

impl Texture {
    /// 0 to 1, about.
    fn at(self, noise: &Noise, x: f32, y: f32) -> f32 {
        match self {
            Self::Flat => 0.15 * (1.0 + noise.at(0.2 * x, 0.2 * y)),
            Self::Clouds => 0.5 + 0.4 * noise.rough(x, y) + 0.15 * noise.at(4.1 * x, 4.1 * y),
            Self::Ridges => 1.0 - (2.0 * noise.rough(x, y)).abs().min(1.0),
            Self::Stripes => 0.5 + 0.5 * (TAU * (x + 0.15 * noise.at(0.5 * x, 0.5 * y))).sin(),
            Self::Weave => 0.5 + 0.5 * (TAU * x).sin() * (TAU * y).sin(),
            Self::Dots => smoothstep(0.45, 0.25, nearest_point(noise, x, y, 0.3)),
            Self::Cells => smoothstep(0.1, 0.8, nearest_point(noise, x, y, 1.0)),
            Self::Rings => {
                let away = x.hypot(0.2 * y) + 0.4 * noise.at(0.3 * x, 0.3 * y);
                0.5 + 0.5 * (TAU * away).sin()
            }
        }
    }
}

/// Distance to the nearest of the points that lie in the cells of a lattice, up to half of `jitter` from their middles
/// (Worley, 1996).
fn nearest_point(noise: &Noise, x: f32, y: f32, jitter: f32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let mut nearest = f32::MAX;
    for (dx, dy) in (0..9).map(|at| ((at % 3 - 1) as f32, (at / 3 - 1) as f32)) {
        let [a, b] = noise.gradient((column + dx) as i32, (row + dy) as i32);
        let point = [column + dx + 0.5 + 0.5 * jitter * a, row + dy + 0.5 + 0.5 * jitter * b];
        nearest = nearest.min((point[0] - x).hypot(point[1] - y));
    }
    nearest
}

/// A part as one image shows it.
struct Seen<'a> {
    part: &'a Part,
    material: Placed<'a>,
    middle: [f32; 2],
    radius: f32,
    direction: [f32; 2],
    phase: f32,
    gain: f32,
    left_for_right: bool,
}

impl<'a> Seen<'a> {
    fn of(part: &'a Part, random: &mut impl Rng) -> Vec<Self> {
        let sides: &[bool] = if part.mirrored { &[false, true] } else { &[false] };
        let radius = part.radius * (1.0 + part.varies * between(random, -1.0, 1.0));
        let free = (1.0 - radius).max(0.0);
        let elsewhere = [between(random, -free, free), between(random, -free, free)];
        let middle = if part.scattered {
            elsewhere
        } else {
            part.middle.map(|value| value + part.varies * part.radius * between(random, -1.0, 1.0))
        };
        let any = between(random, 0.0, TAU);
        let turn = part.tilt + if part.scattered { any } else { part.varies * between(random, -1.0, 1.0) };
        let (sine, cosine) = turn.sin_cos();
        let phase = 2.0 * part.varies * between(random, -1.0, 1.0);
        let gain = 1.0 + 0.5 * part.varies * between(random, -1.0, 1.0);
        sides
            .iter()
            .map(|&left_for_right| Self {
                part,
                material: Placed::new(&part.material, random),
                middle,
                radius,
                direction: [cosine, sine],
                phase,
                gain,
                left_for_right,
            })
            .collect()
    }

    /// Lays the part over `tone`.
    fn cover(&self, point: [f32; 2], tone: &mut Tone) {
        /// Beyond it no outline reaches.
        const REACH: f32 = 2.2;
        let part = self.part;
        let point = if self.left_for_right { [-point[0], point[1]] } else { point };
        let [dx, dy] = [point[0] - self.middle[0], point[1] - self.middle[1]].map(|x| x / self.radius);
        if dx.abs() > REACH || dy.abs() > REACH {
            return;
        }
        let [cosine, sine] = self.direction;
        let stretch = part.aspect.sqrt();
        let (x, y) = ((dx * cosine + dy * sine) / stretch, (dy * cosine - dx * sine) * stretch);
        let away = (x.abs().powf(part.exponent) + y.abs().powf(part.exponent)).powf(1.0 / part.exponent);
        let angle = y.atan2(x);
        let wave: f32 = part
            .waves
            .iter()
            .zip(2..)
            .map(|([amplitude, phase], order)| amplitude * (order as f32 * angle + phase + self.phase).cos())
            .sum();
        let inward = 1.0 - away / (1.0 + wave).max(0.4);
        let inward = if part.hole > 0.0 { inward.min(1.0 - inward - part.hole) } else { inward };
        let weight = part.opacity * smoothstep(-part.edge, part.edge, inward);
        if weight <= 0.0 {
            return;
        }
        let own = self.material.tone(point);
        let bevel = 1.0 + part.bevel[0] * (-inward.max(0.0) / part.bevel[1]).exp();
        for (tone, own) in tone.iter_mut().zip(own) {
            *tone = lerp(*tone, own * bevel * self.gain, weight);
        }
    }
}

/// The pose of one image.
struct View {
    direction: [f32; 2],
    shift: [f32; 2],
    scale: [f32; 2],
    bend: f32,
    noise: Noise,
}

impl View {
    fn draw(pose: Pose, random: &mut impl Rng) -> Self {
        let (sine, cosine) = (pose.turn * between(random, -1.0, 1.0)).sin_cos();
        let scale = 1.0 + pose.scale * between(random, -1.0, 1.0);
        let flip = if pose.flips { sign(random) } else { 1.0 };
        let shift = [between(random, -pose.shift, pose.shift), between(random, -pose.shift, pose.shift)];
        let noise = Noise::draw(random);
        Self { direction: [cosine, sine], shift, scale: [scale * flip, scale], bend: pose.bend, noise }
    }

    /// The place of the body that lies at a place of the image.
    fn body(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [cosine, sine] = self.direction;
        let (x, y) = (x + self.shift[0], y + self.shift[1]);
        let (x, y) = (x * cosine + y * sine, y * cosine - x * sine);
        let [x, y] = [x * self.scale[0], y * self.scale[1]];
        if self.bend == 0.0 {
            return [x, y];
        }
        [
            x + self.bend * self.noise.at(1.5 * x, 1.5 * y),
            y + self.bend * self.noise.at(1.5 * y + 9.0, 1.5 * x),
        ]
    }
}

impl Camera {
    fn take(self, pixels: &mut [f32], size: usize, random: &mut impl Rng) {
        let radius = (self.blur * size as f32).round() as usize;
        for channel in 0..if radius > 0 { CHANNELS } else { 0 } {
            let mut plane: Vec<f32> = pixels.iter().skip(channel).step_by(CHANNELS).copied().collect();
            box_blur(&mut plane, size, radius);
            pixels.iter_mut().skip(channel).step_by(CHANNELS).zip(plane).for_each(|(to, from)| *to = from);
        }
        let (sine, cosine) = between(random, 0.0, TAU).sin_cos();
        let (light, gain) =
            (self.light * random.random::<f32>(), 1.0 + self.gain * between(random, -1.0, 1.0));
        let exponent = 1.0 + self.gamma * between(random, -1.0, 1.0);
        let noise = self.noise * between(random, 0.5, 1.0);
        for (at, pixel) in pixels.chunks_exact_mut(CHANNELS).enumerate() {
            let (x, y) = ((at % size) as f32 / size as f32 - 0.5, (at / size) as f32 / size as f32 - 0.5);
            let lit = gain * (1.0 + light * (x * cosine + y * sine));
            let grain = noise * between(random, -1.0, 1.0);
            for value in pixel {
                *value = ((*value * lit).max(0.0).powf(exponent) + grain).clamp(0.0, 1.0);
            }
        }
    }
}

fn tone(grey: bool, random: &mut impl Rng) -> Tone {
    let brightness = between(random, 0.08, 0.95);
    let colour = if grey { 0.0 } else { between(random, 0.0, 0.6) };
    std::array::from_fn(|_| {
        let channel = between(random, -colour, colour);
        (brightness + 0.5 * channel).clamp(0.02, 0.98)
    })
}

/// 0 every second time, else between 0 and `high`.
fn sometimes(random: &mut impl Rng, high: f32) -> f32 {
    if random.random_bool(0.5) { 0.0 } else { between(random, 0.0, high) }
}

fn sign(random: &mut impl Rng) -> f32 {
    if random.random_bool(0.5) { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_difference(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / a.len() as f32
    }

    #[test]
    fn images_are_decided_by_seed_kind_and_number_and_lie_within_range() {
        for index in 0..60 {
            let world = World::draw(5, index);
            let image = world.image(3, 48);
            assert_eq!(image.len(), 48 * 48 * CHANNELS);
            assert!(image.iter().all(|value| (0.0..=1.0).contains(value)), "kind {index}");
            assert_eq!(image, World::draw(5, index).image(3, 48));
            assert_ne!(image, world.image(4, 48), "kind {index}");
        }
        assert_ne!(World::draw(5, 0).image(0, 48), World::draw(6, 0).image(0, 48));
        assert_eq!(World::draw(5, 0).image(0, 1).len(), MIN_SIZE_PX * MIN_SIZE_PX * CHANNELS);
    }

    #[test]
    fn images_of_a_kind_are_more_alike_than_those_of_two() {
        let kinds: Vec<[Vec<f32>; 2]> = (0..40)
            .map(|index| {
                let world = World::draw(9, index);
                [world.image(0, 32), world.image(1, 32)]
            })
            .collect();
        let within: f32 = kinds.iter().map(|[a, b]| mean_difference(a, b)).sum::<f32>() / 40.0;
        let others = kinds.iter().zip(kinds.iter().cycle().skip(1));
        let between: f32 = others.map(|([a, _], [_, b])| mean_difference(a, b)).sum::<f32>() / 40.0;
        assert!(within > 0.005 && between > 2.0 * within, "{within} within a kind, {between} between two");
    }
}
