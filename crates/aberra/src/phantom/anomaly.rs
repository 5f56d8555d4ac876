//! Generic anomalies, drawn into any network input: brains, parts, surfaces.

use rand::{Rng, RngExt};

use super::field::{Noise, between, box_blur, capsule, lerp, sample, smoothstep};
use super::{MASK_TOLERANCE, changed};
use crate::random::{Stream, generator};

/// Share of the image that an anomaly may visibly cover.
const AREA: std::ops::RangeInclusive<f32> = 0.003..=0.08;

/// Draws per anomaly; the first with an area in range is taken, else the one nearest to it.
const ATTEMPTS: u32 = 16;

/// A pixel of the smoothed image is foreground above this share of the brightest part.
const FOREGROUND_SHARE: f32 = 0.12;

/// An image has a dark background when at least this share of its border is dark.
const DARK_BORDER_SHARE: f32 = 0.5;

/// An anomaly that [`draw_anomaly`] can draw into any image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SyntheticKind {
    /// A smooth blob that is brighter than it should be.
    BrightBlob,
    /// A smooth blob that is darker than it should be.
    DarkBlob,
    /// A ring around an area that is a little off.
    Ring,
    /// An area whose detail is lost.
    Blur,
    /// An area with a foreign texture.
    Texture,
    /// An area copied from elsewhere in the image, its brightness fitted at the edge.
    PatchSwap,
    /// An area that is swollen, shrunk or twisted.
    Deformation,
    /// A thin line, bent and of varying width.
    Scratch,
    /// A cluster of small spots.
    Spots,
    /// An area with too much noise.
    Noise,
}

impl SyntheticKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::BrightBlob,
        Self::DarkBlob,
        Self::Ring,
        Self::Blur,
        Self::Texture,
        Self::PatchSwap,
        Self::Deformation,
        Self::Scratch,
        Self::Spots,
        Self::Noise,
    ];

    /// The name: small letters and underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrightBlob => "bright_blob",
            Self::DarkBlob => "dark_blob",
            Self::Ring => "ring",
            Self::Blur => "blur",
            Self::Texture => "texture",
            Self::PatchSwap => "patch_swap",
            Self::Deformation => "deformation",
            Self::Scratch => "scratch",
            Self::Spots => "spots",
            Self::Noise => "noise",
        }
    }
}

/// Draws an anomaly into a network input and returns its mask.
///
/// `pixels` is `[size_px, size_px, channels]`, 0 to 1 (values outside are clamped where drawn upon). The anomaly lies in
/// the foreground where the image has a dark background, anywhere else; its strength follows the contrast around it.
/// The mask `[size_px, size_px]` is true where a channel changed by more than [`MASK_TOLERANCE`]; every other pixel is
/// left bit for bit as it was. Where a kind would change nothing (blur on a flat image), a blob is drawn instead.
///
/// If the length of `pixels` does not fit, nothing is drawn and the mask is all false.
pub fn draw_anomaly(
    pixels: &mut [f32],
    size_px: usize,
    channels: usize,
    seed: u64,
    index: u64,
    kind: SyntheticKind,
) -> Vec<bool> {
    let Some(area) = size_px.checked_mul(size_px) else { return Vec::new() };
    if size_px < 8 || channels == 0 || area.checked_mul(channels) != Some(pixels.len()) {
        return vec![false; if pixels.is_empty() { 0 } else { area }];
    }
    let canvas = Canvas::new(pixels, size_px, channels);
    let mut random = generator(seed, Stream::Lesion, index);
    let mut best: Option<(f32, Vec<f32>, Vec<bool>)> = None;
    for attempt in 0..ATTEMPTS {
        // The last attempts are plain blobs, which show on any image.
        let (drawn, insistence) = match attempt {
            0..10 => (kind, attempt as f32 / 10.0),
            _ if canvas.mean > 0.5 => (SyntheticKind::DarkBlob, 1.0),
            _ => (SyntheticKind::BrightBlob, 1.0),
        };
        let after = canvas.anomaly(drawn, insistence, &mut random);
        let mask = changed(pixels, &after, channels);
        let share = mask.iter().filter(|&&m| m).count() as f32 / area as f32;
        let miss = if share < *AREA.start() {
            (*AREA.start() - share) / AREA.start()
        } else {
            (share - *AREA.end()).max(0.0) / AREA.end()
        };
        if best.as_ref().is_none_or(|(least, ..)| miss < *least) {
            best = Some((miss, after, mask));
        }
        if miss == 0.0 || (attempt >= 10 && best.as_ref().is_some_and(|(least, ..)| *least < 0.9)) {
            break;
        }
    }
    let Some((_, after, mask)) = best else { return vec![false; area] };
    for ((pixel, after), &masked) in
        pixels.chunks_exact_mut(channels).zip(after.chunks_exact(channels)).zip(&mask)
    {
        if masked {
            pixel.copy_from_slice(after);
        }
    }
    mask
}

/// The image as it was, and what is known of it.
struct Canvas<'a> {
    pixels: &'a [f32],
    size: usize,
    channels: usize,
    /// `[size, size]` mean of the channels.
    grey: Vec<f32>,
    /// `[size, size]` 1 in the foreground, 0 outside, soft between.
    foreground: Vec<f32>,
    /// Standard deviation of the foreground's grey values.
    contrast: f32,
    /// Mean of the foreground's grey values.
    mean: f32,
}

/// A soft area: where, and how much of the pixel belongs to it.
struct Area {
    middle: [f32; 2],
    radius: f32,
    /// `[size, size]`, 0 to 1.
    weight: Vec<f32>,
}

impl<'a> Canvas<'a> {
    fn new(pixels: &'a [f32], size: usize, channels: usize) -> Self {
        let grey: Vec<f32> = pixels
            .chunks_exact(channels)
            .map(|pixel| {
                pixel.iter().map(|v| if v.is_finite() { v.clamp(0.0, 1.0) } else { 0.0 }).sum::<f32>()
                    / channels as f32
            })
            .collect();
        let foreground = foreground(&grey, size);
        let weight: f32 = foreground.iter().sum::<f32>().max(1.0);
        let weighted = |f: &dyn Fn(f32) -> f32| -> f32 {
            grey.iter().zip(&foreground).map(|(&g, w)| f(g) * w).sum::<f32>() / weight
        };
        let mean = weighted(&|g| g);
        let contrast = weighted(&|g| (g - mean) * (g - mean)).sqrt();
        Self { pixels, size, channels, grey, foreground, contrast, mean }
    }

    /// The pixels with one anomaly.
    fn anomaly(&self, kind: SyntheticKind, insistence: f32, random: &mut impl Rng) -> Vec<f32> {
        let side = self.size as f32;
        let insist = 1.0 + insistence;
        let noise = Noise::draw(random);
        match kind {
            SyntheticKind::BrightBlob | SyntheticKind::DarkBlob => {
                let softness = between(random, 0.1, 0.7);
                let area = self.area(between(random, 0.045, 0.14) * insist.sqrt(), softness, random);
                let sign = if kind == SyntheticKind::BrightBlob { 1.0 } else { -1.0 };
                let amount = sign * self.strength(&area, insistence, random);
                let flatten = between(random, 0.0, 0.6);
                let grain = between(random, 5.0, 14.0) / side;
                let level = self.mean_in(&area);
                self.change(&area.weight, |x, y, channel, value| {
                    let texture = 1.0 + 0.2 * noise.rough(x * grain, y * grain);
                    lerp(value, level[channel], flatten) + amount * texture
                })
            }
            SyntheticKind::Ring => {
                let area = self.area(between(random, 0.06, 0.13) * insist.sqrt(), 1.9, random);
                let amount = self.strength(&area, insistence, random)
                    * if random.random_bool(0.6) { 1.0 } else { -1.0 };
                let inside = -between(random, 0.0, 0.6) * amount;
                let ring: Vec<f32> = area
                    .weight
                    .iter()
                    .map(|&w| smoothstep(0.12, 0.3, w) * smoothstep(0.62, 0.42, w))
                    .collect();
                let core: Vec<f32> = area.weight.iter().map(|&w| smoothstep(0.42, 0.62, w)).collect();
                self.change_at(&|at, _, value| value + amount * ring[at] + inside * core[at])
            }
            SyntheticKind::Blur => {
                let area = self.area(between(random, 0.08, 0.17) * insist.sqrt(), 0.25, random);
                let radius = ((between(random, 0.012, 0.03) * insist * side) as usize).max(1);
                let mut smooth = self.finite();
                for channel in 0..self.channels {
                    let mut plane: Vec<f32> =
                        smooth.iter().skip(channel).step_by(self.channels).copied().collect();
                    box_blur(&mut plane, self.size, radius);
                    box_blur(&mut plane, self.size, radius);
                    for (value, plane) in smooth.iter_mut().skip(channel).step_by(self.channels).zip(plane) {
                        *value = plane;
                    }
                }
                self.change_at(&|at, channel, value| {
                    lerp(value, smooth[at * self.channels + channel], area.weight[at])
                })
            }
            SyntheticKind::Texture => {
                let area = self.area(between(random, 0.06, 0.15) * insist.sqrt(), 0.3, random);
                let amount = self.strength(&area, insistence, random);
                let (fine, tilt) =
                    (between(random, 14.0, 34.0) / side, between(random, 0.0, std::f32::consts::PI));
                let stripes = between(random, 1.0, 4.0);
                let (sine, cosine) = tilt.sin_cos();
                let level = self.mean_in(&area);
                let keep = between(random, 0.2, 0.7);
                self.change(&area.weight, |x, y, channel, value| {
                    let (a, b) = ((x * cosine + y * sine) * fine, (y * cosine - x * sine) * fine / stripes);
                    lerp(level[channel], value, keep) + amount * noise.rough(a, b)
                })
            }
            SyntheticKind::PatchSwap => {
                let area = self.area(between(random, 0.06, 0.14) * insist.sqrt(), 0.25, random);
                let from = self.far_from(&area, random);
                let turn = random.random_bool(0.5);
                // Shifting the copy's mean towards the brightness around it hides the seam, as Poisson blending does.
                let (here, there) = (self.mean_in(&area), self.mean_around(from, area.radius));
                let fit = between(random, 0.2, 0.8);
                self.change(&area.weight, |x, y, channel, _| {
                    let (dx, dy) = (x - area.middle[0], y - area.middle[1]);
                    let (dx, dy) = if turn { (-dx, dy) } else { (dx, dy) };
                    let copy =
                        sample(self.pixels, self.size, self.channels, channel, from[0] + dx, from[1] + dy);
                    copy + fit * (here[channel] - there[channel])
                })
            }
            SyntheticKind::Deformation => {
                let area = self.area(between(random, 0.09, 0.18) * insist.sqrt(), 2.0, random);
                let swelling = between(random, 0.35, 0.6)
                    * insist.sqrt()
                    * if random.random_bool(0.6) { 1.0 } else { -1.0 };
                let twist = between(random, -0.7, 0.7) * insist;
                self.change_at(&|at, channel, value| {
                    let weight = area.weight[at];
                    if weight <= 0.0 {
                        return value;
                    }
                    let (dx, dy) =
                        ((at % self.size) as f32 - area.middle[0], (at / self.size) as f32 - area.middle[1]);
                    let pull = 1.0 - swelling.clamp(-0.8, 0.8) * weight;
                    let (sine, cosine) = (twist * weight).sin_cos();
                    let (x, y) = (pull * (dx * cosine - dy * sine), pull * (dx * sine + dy * cosine));
                    sample(
                        self.pixels,
                        self.size,
                        self.channels,
                        channel,
                        area.middle[0] + x,
                        area.middle[1] + y,
                    )
                })
            }
            SyntheticKind::Scratch => {
                let start = self.place(random);
                let mut points = vec![[start[0], start[1], 0.0]];
                let mut heading = between(random, 0.0, std::f32::consts::TAU);
                let width = between(random, 0.004, 0.011) * side * insist;
                let step = between(random, 0.03, 0.065) * side * insist.sqrt();
                for _ in 0..random.random_range(5..9) {
                    let last = points[points.len() - 1];
                    heading += between(random, -0.45, 0.45);
                    points.push([
                        last[0] + step * heading.cos(),
                        last[1] + step * heading.sin(),
                        width * between(random, 0.5, 1.2),
                    ]);
                }
                let weight = self.weights(|x, y| {
                    let distance = points
                        .windows(2)
                        .map(|ends| capsule([x, y], ends[0], ends[1]))
                        .fold(f32::MAX, f32::min);
                    smoothstep(1.0, -0.3, distance)
                });
                let area = Area { middle: start, radius: 0.1 * side, weight };
                let amount = self.strength(&area, insistence, random)
                    * if random.random_bool(0.5) { 1.5 } else { -1.5 };
                self.change(&area.weight, |_, _, _, value| value + amount)
            }
            SyntheticKind::Spots => {
                let middle = self.place(random);
                let spread = between(random, 0.06, 0.15) * side;
                let spots: Vec<[f32; 3]> = (0..random.random_range(5..16))
                    .map(|_| {
                        let (sine, cosine) = between(random, 0.0, std::f32::consts::TAU).sin_cos();
                        let away = spread * random.random::<f32>().sqrt();
                        let radius = between(random, 0.008, 0.022) * side * insist.sqrt();
                        [middle[0] + away * cosine, middle[1] + away * sine, radius.max(0.8)]
                    })
                    .collect();
                let weight = self.weights(|x, y| {
                    spots
                        .iter()
                        .map(|[a, b, r]| smoothstep(1.3, 0.6, (x - a).hypot(y - b) / r))
                        .fold(0.0, f32::max)
                });
                let area = Area { middle, radius: spread, weight };
                let amount = self.strength(&area, insistence, random)
                    * if random.random_bool(0.6) { 1.3 } else { -1.3 };
                self.change(&area.weight, |_, _, _, value| value + amount)
            }
            SyntheticKind::Noise => {
                let area = self.area(between(random, 0.06, 0.14) * insist.sqrt(), 0.4, random);
                let amount = 0.7 * self.strength(&area, insistence, random);
                let grains: Vec<f32> = (0..self.pixels.len()).map(|_| between(random, -1.7, 1.7)).collect();
                self.change_at(&|at, channel, value| {
                    value + area.weight[at] * amount * grains[at * self.channels + channel]
                })
            }
        }
    }

    /// How much a drawing should change the values there: neither invisible nor glaring.
    fn strength(&self, area: &Area, insistence: f32, random: &mut impl Rng) -> f32 {
        let (mut sum, mut squares, mut count) = (0.0f32, 0.0f32, 0.0f32);
        let reach = 1.6 * area.radius;
        for (at, (&grey, &foreground)) in self.grey.iter().zip(&self.foreground).enumerate() {
            let (x, y) = ((at % self.size) as f32 - area.middle[0], (at / self.size) as f32 - area.middle[1]);
            if x.hypot(y) <= reach {
                sum += foreground * grey;
                squares += foreground * grey * grey;
                count += foreground;
            }
        }
        let mean = sum / count.max(1.0);
        let local = (squares / count.max(1.0) - mean * mean).max(0.0).sqrt();
        let contrast = (0.7 * local + 0.3 * self.contrast).clamp(0.05, 0.22);
        between(random, 0.9, 2.4) * contrast * (1.0 + 0.8 * insistence)
    }

    /// A blob of about `radius` (a share of the side) in the foreground; `softness` 0 is a hard edge, 1 fades from the
    /// middle, 2 is a smooth hill.
    fn area(&self, radius: f32, softness: f32, random: &mut impl Rng) -> Area {
        let middle = self.place(random);
        let radius = (radius * self.size as f32).max(2.0);
        let (stretch, tilt) = (between(random, 0.7, 1.4), between(random, 0.0, std::f32::consts::PI));
        let waves: [[f32; 2]; 4] =
            std::array::from_fn(|k| [0, 1].map(|_| between(random, -0.16, 0.16) / (k as f32 + 1.0).sqrt()));
        let (sine, cosine) = tilt.sin_cos();
        let weight = self.weights(|x, y| {
            let (x, y) = (x - middle[0], y - middle[1]);
            let (x, y) = ((x * cosine + y * sine) * stretch, (y * cosine - x * sine) / stretch);
            let angle = y.atan2(x);
            let wave: f32 = waves
                .iter()
                .zip(1..)
                .map(|([a, b], k)| a * (k as f32 * angle).cos() + b * (k as f32 * angle).sin())
                .sum();
            let reach = x.hypot(y) / (radius * (1.0 + wave).max(0.4));
            if softness >= 1.5 {
                (1.0 - (reach / 1.15).powi(2)).max(0.0).powi(2)
            } else {
                smoothstep(1.0 + 0.5 * softness, 1.0 - softness, reach)
            }
        });
        Area { middle, radius, weight }
    }

    /// `weight(x, y)` of every pixel, times the foreground.
    fn weights(&self, weight: impl Fn(f32, f32) -> f32) -> Vec<f32> {
        self.foreground
            .iter()
            .enumerate()
            .map(|(at, &foreground)| {
                if foreground > 0.0 {
                    foreground * weight((at % self.size) as f32, (at / self.size) as f32)
                } else {
                    0.0
                }
            })
            .collect()
    }

    /// A pixel well inside the foreground.
    fn place(&self, random: &mut impl Rng) -> [f32; 2] {
        let margin = self.size / 12;
        let mut place = [0.5 * self.size as f32; 2];
        for _ in 0..400 {
            let (x, y) = (
                random.random_range(margin..self.size - margin),
                random.random_range(margin..self.size - margin),
            );
            if self.foreground[y * self.size + x] > 0.95 {
                place = [x as f32, y as f32];
                break;
            }
        }
        place
    }

    /// Another place in the foreground, far enough that a copy from there differs.
    fn far_from(&self, area: &Area, random: &mut impl Rng) -> [f32; 2] {
        let distance = |place: &[f32; 2]| (place[0] - area.middle[0]).hypot(place[1] - area.middle[1]);
        let mut far = self.place(random);
        for _ in 0..8 {
            let place = self.place(random);
            if distance(&far) < 1.5 * area.radius {
                far = place;
            }
        }
        far
    }

    /// Mean of each channel in an area.
    fn mean_in(&self, area: &Area) -> Vec<f32> {
        let total = area.weight.iter().sum::<f32>().max(1e-3);
        let pixels = self.finite();
        (0..self.channels)
            .map(|channel| {
                let values = pixels.iter().skip(channel).step_by(self.channels);
                values.zip(&area.weight).map(|(v, w)| v * w).sum::<f32>() / total
            })
            .collect()
    }

    /// Mean of each channel in the square around a place.
    fn mean_around(&self, [x, y]: [f32; 2], radius: f32) -> Vec<f32> {
        let weight = self.weights(|a, b| if (a - x).abs().max((b - y).abs()) <= radius { 1.0 } else { 0.0 });
        self.mean_in(&Area { middle: [x, y], radius, weight })
    }

    fn change(&self, weight: &[f32], to: impl Fn(f32, f32, usize, f32) -> f32) -> Vec<f32> {
        self.change_at(&|at, channel, value| {
            if weight[at] <= 0.0 {
                return value;
            }
            lerp(value, to((at % self.size) as f32, (at / self.size) as f32, channel, value), weight[at])
        })
    }

    fn change_at(&self, to: &dyn Fn(usize, usize, f32) -> f32) -> Vec<f32> {
        self.finite()
            .iter()
            .enumerate()
            .map(|(place, &value)| to(place / self.channels, place % self.channels, value).clamp(0.0, 1.0))
            .collect()
    }

    fn finite(&self) -> Vec<f32> {
        self.pixels.iter().map(|&value| if value.is_finite() { value } else { 0.0 }).collect()
    }
}

/// 1 where there is an object, 0 in a dark background; 1 everywhere when the image has none.
fn foreground(grey: &[f32], size: usize) -> Vec<f32> {
    let brightest = {
        let mut sorted = grey.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        sorted[(sorted.len() - 1) * 99 / 100]
    };
    let threshold = FOREGROUND_SHARE * brightest;
    let border = |at: usize| {
        let (row, column) = (at / size, at % size);
        row.min(column).min(size - 1 - row).min(size - 1 - column) == 0
    };
    let dark = (0..grey.len()).filter(|&at| border(at) && grey[at] <= threshold).count();
    if brightest <= MASK_TOLERANCE || (dark as f32) < DARK_BORDER_SHARE * 4.0 * (size - 1) as f32 {
        return vec![1.0; grey.len()];
    }
    // Smoothing closes small dark places inside the object; what is dark beyond that is filled if no way leads out.
    let mut object: Vec<f32> = grey.iter().map(|&g| if g > threshold { 1.0 } else { 0.0 }).collect();
    box_blur(&mut object, size, (size / 64).max(1));
    let mut outside = vec![false; grey.len()];
    let mut reached: Vec<usize> = (0..grey.len()).filter(|&at| border(at) && object[at] < 0.5).collect();
    while let Some(at) = reached.pop() {
        if outside[at] || object[at] >= 0.5 {
            continue;
        }
        outside[at] = true;
        let (row, column) = (at / size, at % size);
        if row > 0 {
            reached.push(at - size);
        }
        if row + 1 < size {
            reached.push(at + size);
        }
        if column > 0 {
            reached.push(at - 1);
        }
        if column + 1 < size {
            reached.push(at + 1);
        }
    }
    let mut inside: Vec<f32> = outside.iter().map(|&out| if out { 0.0 } else { 1.0 }).collect();
    // Draw inwards, so that nothing spills over the edge of the object.
    box_blur(&mut inside, size, (size / 64).max(1));
    inside.iter().map(|&share| smoothstep(0.55, 1.0, share)).collect()
}
