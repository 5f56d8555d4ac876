//! A network input to draw anomalies into: places and areas in its foreground, how strong a change there should be, and the
//! change itself. It knows no kind of anomaly.

use rand::{Rng, RngExt};

use super::field::{between, lerp, smoothstep};
use super::foreground::foreground;

/// The image as it was, and what is known of it.
pub(super) struct Canvas<'a> {
    pub(super) pixels: &'a [f32],
    pub(super) size: usize,
    pub(super) channels: usize,
    /// `[size, size]` mean of the channels.
    pub(super) grey: Vec<f32>,
    /// `[size, size]` 1 in the foreground, 0 outside, soft between.
    pub(super) foreground: Vec<f32>,
    /// Standard deviation of the foreground's grey values.
    pub(super) contrast: f32,
    /// Mean of the foreground's grey values.
    pub(super) mean: f32,
}

/// A soft area: where, and how much of the pixel belongs to it.
pub(super) struct Area {
    pub(super) middle: [f32; 2],
    pub(super) radius: f32,
    /// `[size, size]`, 0 to 1.
    pub(super) weight: Vec<f32>,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(pixels: &'a [f32], size: usize, channels: usize) -> Self {
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

    /// How much a drawing should change the values there: neither invisible nor glaring.
    pub(super) fn strength(&self, area: &Area, insistence: f32, random: &mut impl Rng) -> f32 {
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
    pub(super) fn area(&self, radius: f32, softness: f32, random: &mut impl Rng) -> Area {
        let middle = self.place(random);
        let radius = (radius * self.size as f32).max(2.0);
        let (stretch, tilt) = (between(random, 0.7, 1.4), between(random, 0.0, std::f32::consts::PI));
        let waves: [[f32; 2]; 4] =
            std::array::from_fn(|k| [0, 1].map(|_| between(random, -0.16, 0.16) / (k as f32 + 1.0).sqrt()));
        let (sine, cosine) = tilt.sin_cos();
        // Beyond it the weight is 0 in every direction.
        let edge = if softness >= 1.5 { 1.15 } else { 1.0 + 0.5 * softness };
        let widest = 1.0 + waves.iter().flatten().map(|wave| wave.abs()).sum::<f32>();
        let beyond = radius * edge * widest.max(0.4) * stretch.max(1.0 / stretch) + 1.0;
        let weight = self.weights(|x, y| {
            let (x, y) = (x - middle[0], y - middle[1]);
            if x.abs() > beyond || y.abs() > beyond {
                return 0.0;
            }
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
    pub(super) fn weights(&self, weight: impl Fn(f32, f32) -> f32) -> Vec<f32> {
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
    pub(super) fn place(&self, random: &mut impl Rng) -> [f32; 2] {
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
    pub(super) fn far_from(&self, area: &Area, random: &mut impl Rng) -> [f32; 2] {
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

    /// The share of a change that each channel takes: all of it, or, every second time where there are several, another in each, as
    /// a change of colour has.
    pub(super) fn tint(&self, random: &mut impl Rng) -> Vec<f32> {
        if self.channels == 1 || random.random_bool(0.5) {
            return vec![1.0; self.channels];
        }
        let shares: Vec<f32> = (0..self.channels).map(|_| between(random, -1.0, 1.0)).collect();
        let largest = shares.iter().fold(0.1, |largest: f32, share| largest.max(share.abs()));
        shares.into_iter().map(|share| share / largest).collect()
    }

    /// Mean of each channel in an area.
    pub(super) fn mean_in(&self, area: &Area) -> Vec<f32> {
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
    pub(super) fn mean_around(&self, [x, y]: [f32; 2], radius: f32) -> Vec<f32> {
        let weight = self.weights(|a, b| if (a - x).abs().max((b - y).abs()) <= radius { 1.0 } else { 0.0 });
        self.mean_in(&Area { middle: [x, y], radius, weight })
    }

    pub(super) fn change(&self, weight: &[f32], to: impl Fn(f32, f32, usize, f32) -> f32) -> Vec<f32> {
        self.change_at(&|at, channel, value| {
            if weight[at] <= 0.0 {
                return value;
            }
            lerp(value, to((at % self.size) as f32, (at / self.size) as f32, channel, value), weight[at])
        })
    }

    pub(super) fn change_at(&self, to: &dyn Fn(usize, usize, f32) -> f32) -> Vec<f32> {
        self.finite()
            .iter()
            .enumerate()
            .map(|(place, &value)| to(place / self.channels, place % self.channels, value).clamp(0.0, 1.0))
            .collect()
    }

    pub(super) fn finite(&self) -> Vec<f32> {
        self.pixels.iter().map(|&value| if value.is_finite() { value } else { 0.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, generator};

    #[test]
    fn every_second_change_of_several_channels_is_one_of_colour() {
        let pixels = [0.5; 8 * 8 * 3];
        let mut random = generator(1, Stream::Lesion, 0);
        let colored = Canvas::new(&pixels, 8, 3);
        let tints: Vec<Vec<f32>> = (0..400).map(|_| colored.tint(&mut random)).collect();
        let even = tints.iter().filter(|tint| tint.iter().all(|&share| share == 1.0)).count();
        assert!((160..240).contains(&even), "{even} of 400");
        assert!(tints.iter().flatten().all(|share| share.abs() <= 1.0));
        assert!(
            tints.iter().any(|tint| tint[0] > 0.5 && tint[1] < -0.5),
            "a channel rises while another falls"
        );

        // One channel takes nothing from the generator: its anomalies stay as they are.
        let (grey, before) = (Canvas::new(&pixels[..64], 8, 1), random.clone());
        assert_eq!(grey.tint(&mut random), [1.0]);
        assert_eq!(random.random::<u64>(), before.clone().random::<u64>());
    }
}
