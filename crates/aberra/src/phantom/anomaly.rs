//! Generic anomalies, drawn into any network input: brains, parts, surfaces.

use rand::{Rng, RngExt};

use super::canvas::{Area, Canvas};
use super::field::{Noise, between, box_blur, capsule, lerp, sample, smoothstep};
use super::{MAX_SIZE_PX, changed};
use crate::random::{Stream, generator};

/// Share of the image that an anomaly may visibly cover.
const AREA: std::ops::RangeInclusive<f32> = 0.0006..=0.08;

/// Fewest pixels that it covers: fewer are noise.
const LEAST_AREA_PX: f32 = 12.0;

/// Draws per anomaly; the first with an area in range is taken, else the one nearest to it.
const ATTEMPTS: u32 = 16;

/// The first of them, drawn as the requested kind; the rest are plain blobs, which show on any image.
const KIND_ATTEMPTS: u32 = 10;

/// An anomaly that [`draw_anomaly`] can draw into any image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SyntheticKind {
    /// A smooth blob that is brighter than it should be.
    BrightBlob,
    /// A smooth blob that is darker than it should be.
    DarkBlob,
    /// An area filled with one tone: a hole, a drop, a foreign body.
    Fill,
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
        Self::Fill,
        Self::Ring,
        Self::Blur,
        Self::Texture,
        Self::PatchSwap,
        Self::Deformation,
        Self::Scratch,
        Self::Spots,
        Self::Noise,
    ];

    /// The kinds that families train on: about half of all, so that the others show what training did not see.
    pub const TRAINING: &[Self] =
        &[Self::BrightBlob, Self::DarkBlob, Self::Fill, Self::Texture, Self::PatchSwap, Self::Scratch];

    /// The name: small letters and underscores.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrightBlob => "bright_blob",
            Self::DarkBlob => "dark_blob",
            Self::Fill => "fill",
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
/// the foreground where the image has a dark or a flat bright background, anywhere else; its strength follows the contrast around it.
/// The mask `[size_px, size_px]` is true where a channel changed by more than
/// [`MASK_TOLERANCE`](super::MASK_TOLERANCE); every other pixel is left bit for bit as it was. Where a kind would change nothing (blur on a flat image), a blob is drawn instead.
///
/// If the length of `pixels` does not fit, or the side is below 8, nothing is drawn and the mask is all false (and
/// empty if the side is above [`MAX_SIZE_PX`](super::MAX_SIZE_PX) too).
pub fn draw_anomaly(
    pixels: &mut [f32],
    size_px: usize,
    channels: usize,
    seed: u64,
    index: u64,
    kind: SyntheticKind,
) -> Vec<bool> {
    let area = size_px.saturating_mul(size_px);
    if size_px < 8 || channels == 0 || area.checked_mul(channels) != Some(pixels.len()) {
        return vec![false; if area <= MAX_SIZE_PX * MAX_SIZE_PX { area } else { 0 }];
    }
    let canvas = Canvas::new(pixels, size_px, channels);
    let least = (LEAST_AREA_PX / area as f32).clamp(*AREA.start(), 0.25 * AREA.end());
    let mut random = generator(seed, Stream::Lesion, index);
    let mut best: Option<(f32, Vec<f32>, Vec<bool>)> = None;
    for attempt in 0..ATTEMPTS {
        let (drawn, insistence) = match attempt {
            0..KIND_ATTEMPTS => (kind, attempt as f32 / KIND_ATTEMPTS as f32),
            _ if canvas.mean > 0.5 => (SyntheticKind::DarkBlob, 1.0),
            _ => (SyntheticKind::BrightBlob, 1.0),
        };
        let after = canvas.anomaly(drawn, insistence, &mut random);
        let mask = changed(pixels, &after, channels);
        let share = mask.iter().filter(|&&m| m).count() as f32 / area as f32;
        let miss =
            if share < least { (least - share) / least } else { (share - *AREA.end()).max(0.0) / AREA.end() };
        if best.as_ref().is_none_or(|(least, ..)| miss < *least) {
            best = Some((miss, after, mask));
        }
        if miss == 0.0
            || (attempt + 1 >= KIND_ATTEMPTS && best.as_ref().is_some_and(|(least, ..)| *least < 0.9))
        {
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

/// A size between `low` and `high`, each doubling as likely as the next.
fn size(random: &mut impl Rng, low: f32, high: f32) -> f32 {
    low * (high / low).powf(random.random())
}

impl Canvas<'_> {
    /// The pixels with one anomaly.
    fn anomaly(&self, kind: SyntheticKind, insistence: f32, random: &mut impl Rng) -> Vec<f32> {
        let side = self.size as f32;
        let insist = 1.0 + insistence;
        let noise = Noise::draw(random);
        match kind {
            SyntheticKind::BrightBlob | SyntheticKind::DarkBlob => {
                let softness = between(random, 0.1, 0.7);
                let area = self.area(size(random, 0.018, 0.14) * insist.sqrt(), softness, random);
                let sign = if kind == SyntheticKind::BrightBlob { 1.0 } else { -1.0 };
                let amount = sign * self.strength(&area, insistence, random);
                let flatten = between(random, 0.0, 0.6);
                let grain = between(random, 5.0, 14.0) / side;
                let (level, tint) = (self.mean_in(&area), self.tint(random));
                self.change(&area.weight, |x, y, channel, value| {
                    let texture = 1.0 + 0.2 * noise.rough(x * grain, y * grain);
                    lerp(value, level[channel], flatten) + amount * tint[channel] * texture
                })
            }
            SyntheticKind::Fill => {
                let softness = between(random, 0.0, 0.3);
                let area = self.area(size(random, 0.018, 0.12) * insist.sqrt(), softness, random);
                let amount = self.strength(&area, insistence, random)
                    * between(random, 0.8, 2.0)
                    * if random.random_bool(0.5) { 1.0 } else { -1.0 };
                let tint: Vec<f32> = (0..self.channels).map(|_| between(random, 0.4, 1.0)).collect();
                let grain = between(random, 0.0, 0.12);
                let fine = between(random, 8.0, 24.0) / side;
                let level = self.mean_in(&area);
                self.change(&area.weight, |x, y, channel, _| {
                    (level[channel] + amount * tint[channel])
                        * (1.0 + grain * noise.rough(x * fine, y * fine))
                })
            }
            SyntheticKind::Ring => {
                let area = self.area(size(random, 0.04, 0.13) * insist.sqrt(), 1.9, random);
                let amount = self.strength(&area, insistence, random)
                    * if random.random_bool(0.6) { 1.0 } else { -1.0 };
                let inside = -between(random, 0.0, 0.6) * amount;
                let ring: Vec<f32> = area
                    .weight
                    .iter()
                    .map(|&w| smoothstep(0.12, 0.3, w) * smoothstep(0.62, 0.42, w))
                    .collect();
                let core: Vec<f32> = area.weight.iter().map(|&w| smoothstep(0.42, 0.62, w)).collect();
                let tint = self.tint(random);
                self.change_at(&|at, channel, value| {
                    value + tint[channel] * (amount * ring[at] + inside * core[at])
                })
            }
            SyntheticKind::Blur => {
                let area = self.area(size(random, 0.05, 0.17) * insist.sqrt(), 0.25, random);
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
                let area = self.area(size(random, 0.03, 0.15) * insist.sqrt(), 0.3, random);
                let amount = self.strength(&area, insistence, random);
                let (fine, tilt) =
                    (between(random, 14.0, 34.0) / side, between(random, 0.0, std::f32::consts::PI));
                let stripes = between(random, 1.0, 4.0);
                let (sine, cosine) = tilt.sin_cos();
                let level = self.mean_in(&area);
                let keep = between(random, 0.2, 0.7);
                let tint = self.tint(random);
                self.change(&area.weight, |x, y, channel, value| {
                    let (a, b) = ((x * cosine + y * sine) * fine, (y * cosine - x * sine) * fine / stripes);
                    lerp(level[channel], value, keep) + amount * tint[channel] * noise.rough(a, b)
                })
            }
            SyntheticKind::PatchSwap => {
                let area = self.area(size(random, 0.03, 0.14) * insist.sqrt(), 0.25, random);
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
                let area = self.area(size(random, 0.06, 0.18) * insist.sqrt(), 2.0, random);
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
                let tint = self.tint(random);
                self.change(&area.weight, |_, _, channel, value| value + amount * tint[channel])
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
                let tint = self.tint(random);
                self.change(&area.weight, |_, _, channel, value| value + amount * tint[channel])
            }
            SyntheticKind::Noise => {
                let area = self.area(size(random, 0.03, 0.14) * insist.sqrt(), 0.4, random);
                let amount = 0.7 * self.strength(&area, insistence, random);
                let grains: Vec<f32> = (0..self.pixels.len()).map(|_| between(random, -1.7, 1.7)).collect();
                self.change_at(&|at, channel, value| {
                    value + area.weight[at] * amount * grains[at * self.channels + channel]
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::phantom::{MASK_TOLERANCE, slice};

    fn share(mask: &[bool]) -> f32 {
        mask.iter().filter(|&&m| m).count() as f32 / mask.len() as f32
    }

    /// A brain, a disc on black, and a surface without background.
    fn scene(which: usize, size: usize, channels: usize, index: u64) -> Vec<f32> {
        let phantom = slice(5, index, size).pixels;
        let grey = |at: usize| {
            let (x, y) = ((at % size) as f32 / size as f32, (at / size) as f32 / size as f32);
            match which {
                0 => phantom[at],
                1 if (x - 0.5).hypot(y - 0.5) < 0.3 => 0.5 + 0.2 * (20.0 * x).sin(),
                1 => 0.0,
                _ => 0.55 + 0.12 * (40.0 * x).sin() * (31.0 * y).cos(),
            }
        };
        (0..size * size * channels)
            .map(|at| grey(at / channels) * (1.0 - 0.2 * (at % channels) as f32))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn every_anomaly_shows_and_nothing_else_changes(
            size in 32usize..=256,
            which in 0usize..3,
            grey: bool,
            kind in 0..SyntheticKind::ALL.len(),
            seed: u64,
            index in 0u64..50,
        ) {
            let channels = if grey { 1 } else { 3 };
            let before = scene(which, size, channels, index);
            let mut after = before.clone();
            let kind = SyntheticKind::ALL[kind];
            let mask = draw_anomaly(&mut after, size, channels, seed, index, kind);
            prop_assert_eq!(mask.len(), size * size);
            for (at, &masked) in mask.iter().enumerate() {
                let (a, b) = (&before[at * channels..][..channels], &after[at * channels..][..channels]);
                let change = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                prop_assert_eq!(masked, change > MASK_TOLERANCE);
                prop_assert!(masked || a == b);
                prop_assert!(b.iter().all(|v| (0.0..=1.0).contains(v)));
                let (x, y) = ((at % size) as f32 / size as f32, (at / size) as f32 / size as f32);
                prop_assert!(!masked || which != 1 || (x - 0.5).hypot(y - 0.5) < 0.3, "outside the disc");
            }
            let covered = share(&mask);
            prop_assert!(covered > 0.0004 && covered < 0.12, "{:?} covers {}", kind, covered);
            let mut again = before.clone();
            prop_assert_eq!(draw_anomaly(&mut again, size, channels, seed, index, kind), mask);
            prop_assert_eq!(again, after);
        }
    }

    #[test]
    fn anomalies_are_neither_invisible_nor_glaring() {
        for &kind in SyntheticKind::ALL {
            let (mut areas, mut changes) = (0.0, 0.0);
            for index in 0..12 {
                let before = scene(0, 96, 1, index);
                let mut after = before.clone();
                let mask = draw_anomaly(&mut after, 96, 1, 3, index, kind);
                let total: f32 = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum();
                areas += share(&mask) / 12.0;
                changes += total / mask.iter().filter(|&&m| m).count().max(1) as f32 / 12.0;
            }
            println!("{}: {:.2} % changed by {:.3}", kind.name(), 100.0 * areas, changes);
            assert!((0.005..=0.05).contains(&areas), "{kind:?} covers {areas} on average");
            assert!((0.03..=0.4).contains(&changes), "{kind:?} changes its pixels by {changes} on average");
        }
    }

    #[test]
    fn areas_are_small_as_often_as_large() {
        for kind in [SyntheticKind::BrightBlob, SyntheticKind::DarkBlob, SyntheticKind::Fill] {
            let shares: Vec<f32> = (0..60)
                .map(|index| share(&draw_anomaly(&mut scene(2, 128, 1, index), 128, 1, 4, index, kind)))
                .collect();
            let below = |most: f32| shares.iter().filter(|&&share| share < most).count();
            assert!((12..=48).contains(&below(0.005)), "{kind:?}: {shares:?}");
            assert!(below(0.0025) >= 3 && below(0.02) <= 57, "{kind:?}: {shares:?}");
        }
    }

    #[test]
    fn what_is_filled_has_lost_its_texture() {
        let deviation = |values: &[f32]| {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt()
        };
        let (mut before_all, mut after_all) = (0.0, 0.0);
        for index in 0..30 {
            let before = scene(2, 128, 1, index);
            let mut after = before.clone();
            let mask = draw_anomaly(&mut after, 128, 1, 6, index, SyntheticKind::Fill);
            let inside = |pixels: &[f32]| -> Vec<f32> {
                pixels.iter().zip(&mask).filter(|(_, masked)| **masked).map(|(value, _)| *value).collect()
            };
            before_all += deviation(&inside(&before));
            after_all += deviation(&inside(&after));
        }
        assert!(after_all < 0.75 * before_all, "{before_all} before, {after_all} after");
    }

    #[test]
    fn images_with_nothing_in_them_get_an_anomaly_all_the_same() {
        for value in [0.0, 0.5, 1.0] {
            for &kind in SyntheticKind::ALL {
                let mut pixels = vec![value; 48 * 48];
                assert!(share(&draw_anomaly(&mut pixels, 48, 1, 1, 1, kind)) > 0.001, "{kind:?} on {value}");
            }
        }
    }

    #[test]
    fn pixels_that_do_not_fit_are_left_alone() {
        let mut pixels = vec![0.5; 100];
        assert_eq!(draw_anomaly(&mut pixels, 16, 1, 0, 0, SyntheticKind::Blur), vec![false; 256]);
        assert_eq!(draw_anomaly(&mut pixels, usize::MAX, 1, 0, 0, SyntheticKind::Blur), Vec::<bool>::new());
        assert_eq!(draw_anomaly(&mut [], 0, 0, 0, 0, SyntheticKind::Blur), Vec::<bool>::new());
        assert_eq!(pixels, vec![0.5; 100]);
        let mut pixels = vec![f32::NAN; 32 * 32];
        assert_eq!(draw_anomaly(&mut pixels, 32, 1, 0, 0, SyntheticKind::Texture).len(), 1024);
    }
}
