//! Disturbances of a whole image: what another device, sequence or operator does to it. Together with the anomalies that
//! are drawn into a small area they are what recipes are chosen on.

use rand::{Rng, RngExt};

/// A disturbance of the whole image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// Another tone curve, not even a rising one: another sequence.
    Tones,
    /// Much darker or much brighter middle tones.
    Gamma,
    /// Detail lost everywhere.
    Blur,
    /// Noise everywhere.
    Noise,
    /// Bent out of shape.
    Warp,
    /// Turned by a quarter.
    Turn,
}

/// Knots of a tone curve.
const TONES: usize = 6;
/// Blur and noise: standard deviations, in sixty-fourths of the side and in intensities.
const BLUR: f32 = 1.3;
const NOISE: f32 = 0.07;
/// Bends: their number along a side, and their standard deviation in sides.
const BENDS: usize = 6;
const BEND: f32 = 0.045;

impl Disturbance {
    /// Every disturbance.
    pub(crate) const ALL: [Self; 6] =
        [Self::Tones, Self::Gamma, Self::Blur, Self::Noise, Self::Warp, Self::Turn];

    /// The name: small letters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tones => "tones",
            Self::Gamma => "gamma",
            Self::Blur => "blur_all",
            Self::Noise => "noise_all",
            Self::Warp => "warp",
            Self::Turn => "turn",
        }
    }

    /// A disturbed copy of `pixels`, `[size_px, size_px, channels]`, 0 to 1.
    pub(crate) fn apply(
        self,
        pixels: &[f32],
        size_px: usize,
        channels: usize,
        random: &mut impl Rng,
    ) -> Vec<f32> {
        match self {
            Self::Tones => {
                let knots: [f32; TONES] =
                    std::array::from_fn(|knot| if knot == 0 { 0.0 } else { random.random::<f32>() });
                pixels.iter().map(|&value| tone(&knots, value)).collect()
            }
            Self::Gamma => {
                let exponent = match random.random_bool(0.5) {
                    true => 0.4 + 0.15 * random.random::<f32>(),
                    false => 1.9 + 0.7 * random.random::<f32>(),
                };
                pixels.iter().map(|value| value.max(0.0).powf(exponent)).collect()
            }
            Self::Blur => blurred(pixels, size_px, channels, BLUR * size_px as f32 / 64.0),
            Self::Noise => {
                pixels.iter().map(|value| (value + NOISE * gaussian(random)).clamp(0.0, 1.0)).collect()
            }
            Self::Warp => {
                let side = size_px as f32;
                let bends: Vec<[f32; 2]> = (0..BENDS * BENDS)
                    .map(|_| [gaussian(random), gaussian(random)].map(|bend| bend * BEND * side))
                    .collect();
                moved(pixels, size_px, channels, |x, y| {
                    let [dx, dy] = bend_at(&bends, x / side, y / side);
                    [x + dx, y + dy]
                })
            }
            Self::Turn => moved(pixels, size_px, channels, |x, y| [y, (size_px - 1) as f32 - x]),
        }
    }
}

/// A standard normal number: the sum of twelve uniform ones.
fn gaussian(random: &mut impl Rng) -> f32 {
    (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0
}

fn tone(knots: &[f32; TONES], value: f32) -> f32 {
    let at = value.clamp(0.0, 1.0) * (TONES - 1) as f32;
    let below = (at as usize).min(TONES - 2);
    let share = at - below as f32;
    knots[below] * (1.0 - share) + knots[below + 1] * share
}

fn blurred(pixels: &[f32], size_px: usize, channels: usize, sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as isize;
    let mut taps: Vec<f32> =
        (-radius..=radius).map(|at| (-(at as f32).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f32 = taps.iter().sum();
    taps.iter_mut().for_each(|tap| *tap /= sum);
    let filter = |source: &[f32], step: [isize; 2]| -> Vec<f32> {
        let value = |index: usize| {
            let (pixel, channel) = (index / channels, index % channels);
            let (y, x) = ((pixel / size_px) as isize, (pixel % size_px) as isize);
            let tap = |(tap, offset): (&f32, isize)| {
                let inside = |at: isize| at.clamp(0, size_px as isize - 1) as usize;
                let (y, x) = (inside(y + step[0] * offset), inside(x + step[1] * offset));
                tap * source[(y * size_px + x) * channels + channel]
            };
            taps.iter().zip(-radius..=radius).map(tap).sum()
        };
        (0..source.len()).map(value).collect()
    };
    filter(&filter(pixels, [0, 1]), [1, 0])
}

/// The bend at a place, both in shares of the side: between the four nearest knots.
fn bend_at(bends: &[[f32; 2]], x: f32, y: f32) -> [f32; 2] {
    let at = |share: f32| share.clamp(0.0, 1.0) * (BENDS - 1) as f32;
    let (x, y) = (at(x), at(y));
    let (left, top) = ((x as usize).min(BENDS - 2), (y as usize).min(BENDS - 2));
    let (right, below) = (x - left as f32, y - top as f32);
    std::array::from_fn(|axis| {
        let knot = |down: usize, across: usize| bends[(top + down) * BENDS + left + across][axis];
        let row = |down: usize| knot(down, 0) * (1.0 - right) + knot(down, 1) * right;
        row(0) * (1.0 - below) + row(1) * below
    })
}

/// Each pixel from where `from` says, the nearest inside of the image.
fn moved(pixels: &[f32], size_px: usize, channels: usize, from: impl Fn(f32, f32) -> [f32; 2]) -> Vec<f32> {
    let mut result = Vec::with_capacity(pixels.len());
    let inside = |at: f32| (at.round().max(0.0) as usize).min(size_px - 1);
    for pixel in 0..size_px * size_px {
        let [x, y] = from((pixel % size_px) as f32, (pixel / size_px) as f32);
        let begin = (inside(y) * size_px + inside(x)) * channels;
        result.extend_from_slice(&pixels[begin..begin + channels]);
    }
    result
}
