//! How much of their fine structure two images share once one is laid over the other: near 1 for copies of one
//! photograph, less for photographs of like things, whose edges may coincide but whose noise does not.
//!
//! One image is moved and stretched along its axes until it fits (Lucas and Kanade 1981, in the inverse compositional
//! form of Baker and Matthews 2004, from coarse to fine), as a small crop needs. Then the correlation is taken in each
//! of 8 x 8 fields and averaged, so that all of the picture must be the same, not its strongest edges alone.

use super::fingerprint::{oriented, shrunk};

/// Pixels a side of the structure that is compared.
const SIDE_PX: usize = 128;
/// Standard deviation of the Gaussian whose mean is taken off.
const SURROUNDINGS_PX: f32 = 6.0;
/// Steps per 255th of the image's range.
const DIFFERENCE_STEPS: f32 = 2.0;
/// Steps per unit of the local contrast.
const CONTRAST_STEPS: f32 = 32.0;
/// Standard deviation of the Gaussian that weights the contrast around a pixel.
const CONTRAST_PX: f32 = 4.0;
/// Where the contrast is below this, in 255ths, there is little but noise.
const LEAST_CONTRAST: f32 = 2.0;
/// The finest band of an image of fewer pixels a side is an artefact of enlarging it.
const FINE_FROM_PX: usize = 96;

/// Sides of the levels on which images are fitted, and the steps on each.
const LEVELS: [(usize, usize); 3] = [(16, 8), (32, 4), (64, 6)];
/// From the level of this side on, images that correlate less than this are unlike.
const JUDGED_FROM_PX: usize = 32;
const HOPELESS: f32 = 0.65;
/// Standard deviation of the blur where interpolation needs one.
const BLUR_PX: f32 = 0.75;
/// How far a step moves an edge at most, in halves of the side.
const LONGEST_STEP: f64 = 0.05;
/// Bounds of the stretch.
const STRETCH: (f64, f64) = (0.88, 1.14);
/// Bound of the shift, in halves of the side.
const SHIFT: f64 = 0.15;

/// A sixteenth at each edge is not compared: it may be cropped.
const MARGIN: usize = 16;
/// Fields a side.
const FIELDS: usize = 8;
/// Mean square, in 255ths, below which a field says little.
const LEAST_POWER: f32 = 0.1;
/// With less weight in all fields there is no likeness.
const LEAST_WEIGHT: f32 = 3.0;
/// Bands that are compared: the finest that both images have.
const BANDS: usize = 2;
/// Standard deviation of the Gaussian that separates the bands.
const BAND_PX: f32 = 1.5;

/// The structure of an image without its coarse brightness, 21 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    /// `[SIDE_PX, SIDE_PX]` differences from the surroundings.
    differences: Box<[i8]>,
    /// The same in units of the local contrast, in which edges do not outweigh all else, for each of [`LEVELS`].
    contrasts: [Box<[i8]>; LEVELS.len()],
    is_fine: bool,
}

/// `[side, side]` values.
struct Level {
    side: usize,
    values: Vec<f32>,
}

/// `x' = stretch x + shift` along each axis, in halves of the side from the middle.
#[derive(Clone, Copy, Debug)]
struct Placement {
    x: (f64, f64),
    y: (f64, f64),
}

impl Detail {
    /// Of an image's grey values.
    pub(super) fn of(grey: &[f32], height: usize, width: usize) -> Self {
        let mut values = shrunk(grey, height, width, SIDE_PX);
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
        values.iter_mut().for_each(|value| *value = (*value - low) * scale);
        let mean = blurred(&values, SIDE_PX, SURROUNDINGS_PX);
        values.iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        let differences = in_steps(&values, DIFFERENCE_STEPS);
        let levels = levels(in_contrasts(values));
        let contrasts = levels.map(|level| in_steps(&level.values, CONTRAST_STEPS));
        Self { differences, contrasts, is_fine: height.min(width) >= FINE_FROM_PX }
    }

    /// Bytes of [`to_bytes`](Self::to_bytes).
    pub(super) const BYTES: usize = {
        let [(coarse, _), (middle, _), (fine, _)] = LEVELS;
        SIDE_PX * SIDE_PX + coarse * coarse + middle * middle + fine * fine + 1
    };

    /// All of it, one after the other.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let values = std::iter::once(&self.differences).chain(&self.contrasts);
        values
            .flat_map(|values| bytemuck::cast_slice(values))
            .copied()
            .chain([u8::from(self.is_fine)])
            .collect()
    }

    /// What [`to_bytes`](Self::to_bytes) made [`BYTES`](Self::BYTES) of.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut next = |side: usize| -> Box<[i8]> {
            let (values, after) = rest.split_at(side * side);
            rest = after;
            bytemuck::cast_slice(values).into()
        };
        let differences = next(SIDE_PX);
        let contrasts = LEVELS.map(|(side, _)| next(side));
        Self { differences, contrasts, is_fine: rest == [1] }
    }

    fn differences(&self, orientation: usize) -> Level {
        let values = from_steps(&self.differences, DIFFERENCE_STEPS);
        Level { side: SIDE_PX, values: blurred(&oriented(&values, SIDE_PX, orientation), SIDE_PX, BLUR_PX) }
    }

    fn levels(&self, orientation: usize) -> [Level; LEVELS.len()] {
        std::array::from_fn(|index| {
            let (side, values) = (LEVELS[index].0, from_steps(&self.contrasts[index], CONTRAST_STEPS));
            Level { side, values: oriented(&values, side, orientation) }
        })
    }
}

fn in_steps(values: &[f32], steps: f32) -> Box<[i8]> {
    // Rounds by adding a half: `round` is a function call on processors without an instruction for it.
    let step = |value: &f32| (((value * steps).clamp(-127.0, 127.0) + 127.5) as i16 - 127) as i8;
    values.iter().map(step).collect()
}

fn from_steps(values: &[i8], steps: f32) -> Vec<f32> {
    values.iter().map(|&value| f32::from(value) / steps).collect()
}

/// How much of the finer structure of two images is the same, from -1 to 1, where `first` in one of the eight
/// orientations fits `second` best; `None` if neither has any. 0 if they are unlike already when coarse.
pub(super) fn likeness(first: &Detail, orientation: usize, second: &Detail) -> Option<f32> {
    let Some(placement) = fit(&second.levels(0), &first.levels(orientation)) else { return Some(0.0) };
    let bands = usize::from(!(first.is_fine && second.is_fine));
    let mut a = first.differences(orientation).placed(placement);
    let mut b = second.differences(0);
    let (mut sum, mut weights) = (0.0, 0.0);
    for band in 0..bands + BANDS {
        if band >= bands {
            let (same, weight) = agreement(&a.fine(), &b.fine(), a.side);
            sum += same;
            weights += weight;
        }
        (a, b) = (a.half(), b.half());
    }
    (weights > LEAST_WEIGHT).then(|| sum / weights)
}

/// Where `moved` fits `still`; `None` if it is unlike before the finest level.
fn fit(still: &[Level], moved: &[Level]) -> Option<Placement> {
    let mut placement = Placement { x: (1.0, 0.0), y: (1.0, 0.0) };
    for ((still, moved), (side, steps)) in still.iter().zip(moved).zip(LEVELS) {
        placement = fitted(still, moved, placement, steps);
        if side >= JUDGED_FROM_PX && correlation(&still.values, &moved.placed(placement).values) < HOPELESS {
            return None;
        }
    }
    Some(placement)
}

/// Values in units of the local contrast.
fn in_contrasts(mut values: Vec<f32>) -> Vec<f32> {
    let squares: Vec<f32> = values.iter().map(|value| value * value).collect();
    let variance = blurred(&squares, SIDE_PX, CONTRAST_PX);
    let least = LEAST_CONTRAST * LEAST_CONTRAST;
    values.iter_mut().zip(&variance).for_each(|(value, variance)| *value /= (variance + least).sqrt());
    values
}

/// The [`LEVELS`] of `[SIDE_PX, SIDE_PX]` values.
fn levels(values: Vec<f32>) -> [Level; LEVELS.len()] {
    let fine = Level { side: SIDE_PX, values }.half();
    let middle = fine.half();
    let coarse = middle.half();
    let blur = |level: Level| Level { values: blurred(&level.values, level.side, BLUR_PX), ..level };
    [blur(coarse), middle, blur(fine)]
}

impl Level {
    /// What is finer than its surroundings.
    fn fine(&self) -> Vec<f32> {
        let mean = blurred(&self.values, self.side, BAND_PX);
        self.values.iter().zip(&mean).map(|(value, mean)| value - mean).collect()
    }

    /// Means of squares of four.
    fn half(&self) -> Self {
        let (side, half) = (self.side, self.side / 2);
        let at = |y: usize, x: usize| self.values[y * side + x];
        let values = (0..half * half)
            .map(|index| (2 * (index / half), 2 * (index % half)))
            .map(|(y, x)| (at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1)) / 4.0)
            .collect();
        Self { side: half, values }
    }

    /// At a placement, interpolated linearly; beyond the edge, its values go on.
    fn placed(&self, placement: Placement) -> Self {
        let side = self.side;
        let taps = |(stretch, shift): (f64, f64)| -> Vec<(usize, usize, f32)> {
            let half = side as f64 / 2.0;
            (0..side)
                .map(|at| {
                    let from = (stretch * ((at as f64 + 0.5) / half - 1.0) + shift + 1.0) * half - 0.5;
                    let from = from.clamp(0.0, (side - 1) as f64);
                    let first = from as usize;
                    (first, (first + 1).min(side - 1), (from - first as f64) as f32)
                })
                .collect()
        };
        let columns = taps(placement.x);
        let mut values = Vec::with_capacity(side * side);
        let mut line = vec![0.0f32; side];
        for (first, second, share) in taps(placement.y) {
            let (first, second) =
                (&self.values[first * side..][..side], &self.values[second * side..][..side]);
            for ((out, a), b) in line.iter_mut().zip(first).zip(second) {
                *out = a + (b - a) * share;
            }
            values.extend(columns.iter().map(|&(a, b, share)| line[a] + (line[b] - line[a]) * share));
        }
        Self { side, values }
    }
}

/// The sum over the fields of the correlations within them, each weighted, and the sum of the weights. A field weighs
/// less if one image has less structure in it than the other: recoding and resizing take noise away, but another
/// photograph has as much of its own.
fn agreement(a: &[f32], b: &[f32], side: usize) -> (f32, f32) {
    let margin = side / MARGIN;
    let field = (side - 2 * margin) / FIELDS;
    let (mut sum, mut weights) = (0.0, 0.0);
    for (top, left) in
        (0..FIELDS * FIELDS).map(|at| (margin + at / FIELDS * field, margin + at % FIELDS * field))
    {
        let (mut aa, mut bb, mut ab) = (0.0f32, 0.0f32, 0.0f32);
        for start in (top..top + field).map(|y| y * side + left) {
            for (a, b) in a[start..][..field].iter().zip(&b[start..][..field]) {
                aa += a * a;
                bb += b * b;
                ab += a * b;
            }
        }
        let weight = aa.min(bb) / (aa.max(bb) + LEAST_POWER * (field * field) as f32);
        sum += weight * ab / (aa * bb).sqrt().max(1e-9);
        weights += weight;
    }
    (sum, weights)
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt().max(1e-9)
}

/// Improves a placement of `moved` so that it fits `still`.
fn fitted(still: &Level, moved: &Level, mut placement: Placement, steps: usize) -> Placement {
    let side = still.side;
    let margin = (side / MARGIN).max(2);
    let inner = margin..side - margin;
    let middle = |at: usize| ((2 * at + 1) as f32 / side as f32) - 1.0;
    let at = |y: usize, x: usize| still.values[y * side + x];
    // Slopes by x stretch, x shift, y stretch and y shift.
    let slopes: Vec<[f32; 4]> = inner
        .clone()
        .flat_map(|y| inner.clone().map(move |x| (y, x)))
        .map(|(y, x)| {
            let per_pixel = side as f32 / 4.0;
            let (by_x, by_y) =
                ((at(y, x + 1) - at(y, x - 1)) * per_pixel, (at(y + 1, x) - at(y - 1, x)) * per_pixel);
            [by_x * middle(x), by_x, by_y * middle(y), by_y]
        })
        .collect();
    let mut normal = [[0.0f64; 4]; 4];
    for slope in &slopes {
        for (row, &a) in normal.iter_mut().zip(slope) {
            row.iter_mut().zip(slope).for_each(|(sum, &b)| *sum += f64::from(a * b));
        }
    }
    (0..4).for_each(|index| normal[index][index] = normal[index][index] * 1.001 + 1e-3);
    for _ in 0..steps {
        let warped = moved.placed(placement).values;
        let mut right = [0.0f64; 4];
        for (y, slopes) in inner.clone().zip(slopes.chunks_exact(inner.len())) {
            let mut sums = [0.0f32; 4];
            let line = y * side + margin..y * side + side - margin;
            for ((slope, warped), still) in slopes.iter().zip(&warped[line.clone()]).zip(&still.values[line])
            {
                let error = warped - still;
                sums.iter_mut().zip(slope).for_each(|(sum, slope)| *sum += slope * error);
            }
            right.iter_mut().zip(sums).for_each(|(right, sum)| *right += f64::from(sum));
        }
        let step = solved(normal, right).map(|value| value.clamp(-LONGEST_STEP, LONGEST_STEP));
        placement = Placement {
            x: composed(placement.x, step[0], step[1]),
            y: composed(placement.y, step[2], step[3]),
        };
    }
    placement
}

/// An axis's placement after the inverse of a step.
fn composed((stretch, shift): (f64, f64), by_stretch: f64, by_shift: f64) -> (f64, f64) {
    let stretch = stretch / (1.0 + by_stretch);
    (stretch.clamp(STRETCH.0, STRETCH.1), (shift - stretch * by_shift).clamp(-SHIFT, SHIFT))
}

/// The solution of a symmetric, positive definite system, by elimination.
fn solved(mut matrix: [[f64; 4]; 4], mut right: [f64; 4]) -> [f64; 4] {
    for pivot in 0..4 {
        for row in pivot + 1..4 {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot];
            let values = matrix[row].iter_mut().zip(above).skip(pivot);
            values.for_each(|(value, above)| *value -= factor * above);
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..4).rev() {
        let known: f64 = (row + 1..4).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

/// `[side, side]` values, blurred by a Gaussian up to three standard deviations; beyond the edge, its values go on.
fn blurred(values: &[f32], side: usize, deviation: f32) -> Vec<f32> {
    let reach = (3.0 * deviation).round() as usize;
    let mut kernel: Vec<f32> = (0..=reach).map(|x| (-0.5 * (x as f32 / deviation).powi(2)).exp()).collect();
    // The middle is added once for each side.
    kernel[0] /= 2.0;
    let sum = 2.0 * kernel.iter().sum::<f32>();
    let mut rows = vec![0.0; side * side];
    let mut padded = vec![0.0; side + 2 * reach];
    for (line, out) in values.chunks_exact(side).zip(rows.chunks_exact_mut(side)) {
        padded[..reach].fill(line[0]);
        padded[reach..reach + side].copy_from_slice(line);
        padded[reach + side..].fill(line[side - 1]);
        for (offset, weight) in kernel.iter().enumerate() {
            let (before, after) = (&padded[reach - offset..], &padded[reach + offset..]);
            for ((out, before), after) in out.iter_mut().zip(before).zip(after) {
                *out += weight / sum * (before + after);
            }
        }
    }
    let mut both = vec![0.0; side * side];
    let row = |y: usize| &rows[y * side..][..side];
    for (y, out) in both.chunks_exact_mut(side).enumerate() {
        for (offset, weight) in kernel.iter().enumerate() {
            let (before, after) = (row(y.saturating_sub(offset)), row((y + offset).min(side - 1)));
            for ((out, before), after) in out.iter_mut().zip(before).zip(after) {
                *out += weight / sum * (before + after);
            }
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves of several directions, at a stretch and shift of the axes.
    fn waves(side: usize, stretch: f32, shift: f32, seed: f32) -> Vec<f32> {
        let at = |index: usize| stretch * ((2 * index + 1) as f32 / side as f32 - 1.0) + shift;
        let values = (0..side * side).map(|index| (at(index / side), at(index % side)));
        let value = |(y, x): (f32, f32)| {
            (9.0 * x + 4.0 * y + seed).sin()
                + (21.0 * y - 13.0 * x + 3.0 * seed).sin()
                + (38.0 * x * y + seed).sin()
        };
        values.map(value).collect()
    }

    #[test]
    fn a_small_stretch_and_shift_is_found() {
        let still = levels(waves(128, 1.0, 0.0, 0.0));
        for (stretch, shift) in [(1.0, 0.0), (0.94, 0.02), (1.05, -0.03)] {
            let placement = fit(&still, &levels(waves(128, stretch, shift, 0.0))).unwrap();
            // What was drawn with a stretch is taken back by its inverse.
            let (stretch, shift) = (f64::from(stretch), f64::from(shift));
            for (found, expected) in [(placement.x.0, 1.0 / stretch), (placement.y.1, -shift / stretch)] {
                assert!((found - expected).abs() < 5e-3, "{placement:?} for {stretch}, {shift}");
            }
        }
    }

    #[test]
    fn fields_that_one_image_has_lost_weigh_little() {
        let values = waves(128, 1.0, 0.0, 0.0);
        let (sum, weights) = agreement(&values, &values, 128);
        assert!((sum / weights - 1.0).abs() < 1e-4);
        let half_lost: Vec<f32> =
            values.iter().enumerate().map(|(at, value)| if at < 64 * 128 { *value } else { 0.0 }).collect();
        let (sum, lost) = agreement(&values, &half_lost, 128);
        assert!((sum / lost - 1.0).abs() < 1e-3 && lost < 0.6 * weights);
        let (sum, weights) = agreement(&values, &waves(128, 1.0, 0.0, 2.0), 128);
        assert!(sum / weights < 0.5);
    }

    #[test]
    fn a_system_is_solved() {
        let matrix = [[4.0, 1.0, 0.0, 0.5], [1.0, 3.0, 0.2, 0.0], [0.0, 0.2, 2.0, 0.1], [0.5, 0.0, 0.1, 1.0]];
        let solution = [1.0, -2.0, 3.0, 0.5];
        let right = matrix.map(|row| row.iter().zip(solution).map(|(a, b)| a * b).sum());
        for (found, expected) in solved(matrix, right).into_iter().zip(solution) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn blurring_keeps_flat_values_and_spreads_a_point_evenly() {
        assert!(blurred(&[7.0; 64], 8, 1.5).iter().all(|value| (value - 7.0).abs() < 1e-5));
        let mut point = vec![0.0; 21 * 21];
        point[10 * 21 + 10] = 1.0;
        let spread = blurred(&point, 21, 1.5);
        // A Gaussian density, by its formula.
        for (y, x) in [(10, 10), (10, 12), (8, 11)] {
            let square = (y as f32 - 10.0).powi(2) + (x as f32 - 10.0).powi(2);
            let expected = (-square / 4.5).exp() / (2.0 * std::f32::consts::PI * 2.25);
            assert!((spread[y * 21 + x] - expected).abs() < 2e-3, "{} {expected}", spread[y * 21 + x]);
        }
    }
}
