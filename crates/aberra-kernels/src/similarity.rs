//! One minus the structural similarity of two batches of images, at one scale or several, and its gradient.
//!
//! The local moments are differences of nearly equal sums, so everything is computed in `f64`. Images are independent of
//! each other: they are the pieces of parallel work, and their results are added in order.

use crate::geometry::Plane;
use crate::wide::wide;
use rayon::prelude::*;

/// How alike two images are in structure, as a loss: the options of `structural_dissimilarity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Similarity {
    /// SSIM: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    /// similarity", 2004.
    SingleScale,
    /// MS-SSIM: Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", 2003.
    MultiScale,
}

impl Similarity {
    /// Side of the Gaussian window, the least height and width of an image.
    pub const WINDOW_PX: usize = WINDOW;

    /// Number of scales at which images of this size are compared: of [`MultiScale`](Self::MultiScale) as many as leave
    /// both sides at least [`WINDOW_PX`](Self::WINDOW_PX) pixels after halving, five at most. 0 if not even one does.
    pub fn scales(self, height: usize, width: usize) -> usize {
        let most = match self {
            Self::SingleScale => 1,
            Self::MultiScale => SCALE_WEIGHTS.len(),
        };
        (0..most).take_while(|scale| height.min(width) >> scale >= WINDOW).count()
    }

    /// The exponent of each scale; together they are 1.
    pub(crate) fn exponents(self, height: usize, width: usize) -> Vec<f64> {
        let weights = &SCALE_WEIGHTS[..self.scales(height, width)];
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }
}

/// Side of the window, in pixels.
const WINDOW: usize = 11;
/// Standard deviation of the Gaussian window, in pixels.
const SIGMA_PX: f64 = 1.5;
/// Keeps the luminance term steady in dark regions: (K1 x data range)^2.
pub(crate) const LUMINANCE_CONSTANT: f64 = 0.01 * 0.01;
/// Keeps the contrast and structure term steady in flat regions: (K2 x data range)^2.
pub(crate) const CONTRAST_CONSTANT: f64 = 0.03 * 0.03;
/// Exponents of the five scales, finest first (table in section 3.2 of the paper of 2003).
const SCALE_WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// The least mean that is raised to an exponent below 1.
pub(crate) const LEAST_MEAN: f64 = 1e-3;

/// The taps of the window in one dimension, with sum 1.
pub(crate) fn window_taps() -> [f64; WINDOW] {
    let gaussian = |tap: usize| (-0.5 * ((tap as f64 - (WINDOW / 2) as f64) / SIGMA_PX).powi(2)).exp();
    let sum: f64 = (0..WINDOW).map(gaussian).sum();
    std::array::from_fn(|tap| gaussian(tap) / sum)
}

/// One minus the similarity of `[image, height, width, channels]`, the mean over images and channels.
pub(crate) fn dissimilarity(output: &[f32], target: &[f32], plane: Plane, similarity: Similarity) -> f64 {
    let exponents = similarity.exponents(plane.height, plane.width);
    let images = output.par_chunks(plane.len().max(1)).zip(target.par_chunks(plane.len().max(1)));
    let each: Vec<f64> = images
        .map_init(Buffers::new, |buffers, (output, target)| {
            let scales = compare(output, target, plane, exponents.len(), buffers);
            similarities(&scales, &exponents, plane.channels).iter().sum()
        })
        .collect();
    1.0 - each.iter().sum::<f64>() / (each.len() * plane.channels).max(1) as f64
}

/// Gradient of `factor` times the dissimilarity with respect to the output.
pub(crate) fn gradient(
    output: &[f32],
    target: &[f32],
    plane: Plane,
    similarity: Similarity,
    factor: f64,
) -> Vec<f32> {
    let exponents = similarity.exponents(plane.height, plane.width);
    let length = plane.len().max(1);
    let share = -factor / (output.len() / length * plane.channels).max(1) as f64;
    let mut gradient = vec![0.0; output.len()];
    let images =
        gradient.par_chunks_mut(length).zip(output.par_chunks(length).zip(target.par_chunks(length)));
    images.for_each_init(Buffers::new, |buffers, (gradient, (output, target))| {
        let scales = compare(output, target, plane, exponents.len(), buffers);
        let similarities = similarities(&scales, &exponents, plane.channels);
        // From the coarsest scale to the finest: what reaches a scale's output reaches the pixels that it was pooled from.
        let mut sums = Vec::new();
        for (number, scale) in scales.iter().enumerate().rev() {
            sums = unpool(&sums, scale.plane);
            let slopes: Vec<f64> = (0..plane.channels)
                .map(|channel| share * slope(similarities[channel], scale.means[channel], &exponents, number))
                .collect();
            scale.add_gradient(&slopes, number + 1 == scales.len(), buffers, &mut sums);
        }
        gradient.iter_mut().zip(sums).for_each(|(target, value)| *target = value as f32);
    });
    gradient
}

/// The similarity of each channel: the product of its scales' means raised to their exponents.
fn similarities(scales: &[Scale], exponents: &[f64], channels: usize) -> Vec<f64> {
    let of = |channel: usize| match scales {
        // A power of 1, also of a mean below 0.
        [scale] => scale.means[channel],
        _ => {
            let terms = scales.iter().zip(exponents);
            terms.map(|(scale, exponent)| floored(scale.means[channel]).powf(*exponent)).product()
        }
    };
    (0..channels).map(of).collect()
}

/// Derivative of a similarity with respect to the mean of scale `number`.
fn slope(similarity: f64, mean: f64, exponents: &[f64], number: usize) -> f64 {
    match exponents {
        [_] => 1.0,
        _ if mean < LEAST_MEAN => 0.0,
        _ => exponents[number] * similarity / mean,
    }
}

fn floored(mean: f64) -> f64 {
    // Not `max`, which would hide a NaN.
    if mean < LEAST_MEAN { LEAST_MEAN } else { mean }
}

/// Compares two images at so many scales, finest first.
fn compare(output: &[f32], target: &[f32], plane: Plane, scales: usize, buffers: &mut Buffers) -> Vec<Scale> {
    let mut images = [output, target].map(|values| values.iter().map(|&value| f64::from(value)).collect());
    let mut plane = plane;
    let mut compared = Vec::with_capacity(scales);
    for number in 1..=scales {
        let scale = Scale::new(images, plane, number == scales, buffers);
        images = [&scale.output, &scale.target].map(|values| pool(values, plane));
        plane = halved(plane);
        compared.push(scale);
    }
    compared
}

/// Output and target at one scale, with their local moments at every position where the window fits.
struct Scale {
    plane: Plane,
    output: Vec<f64>,
    target: Vec<f64>,
    /// Windowed means of output, target, the sum of their squares, and their product:
    /// `[height - WINDOW + 1, width - WINDOW + 1, channels]`.
    moments: [Vec<f64>; 4],
    /// Mean over positions of each channel's similarity, or of its contrast and structure term alone.
    means: Vec<f64>,
}

impl Scale {
    fn new(
        [output, target]: [Vec<f64>; 2],
        plane: Plane,
        has_luminance: bool,
        buffers: &mut Buffers,
    ) -> Self {
        let mut squares = vec![0.0; plane.len()];
        let mut products = vec![0.0; plane.len()];
        multiply(&output, &target, &mut squares, &mut products);
        let moments = [&output, &target, &squares, &products].map(|values| {
            let mut windowed = vec![0.0; inside(plane).len()];
            buffers.filter(values, plane, &mut windowed);
            windowed
        });
        let mut local = vec![0.0; moments[0].len()];
        let [mean_x, mean_y, squares, products] = &moments;
        local_similarities([mean_x, mean_y, squares, products], has_luminance, &mut local);
        let mut means = vec![0.0; plane.channels];
        for pixel in local.chunks_exact(plane.channels) {
            means.iter_mut().zip(pixel).for_each(|(mean, value)| *mean += value);
        }
        means.iter_mut().for_each(|mean| *mean /= inside(plane).pixels() as f64);
        Self { plane, output, target, moments, means }
    }

    /// Adds the gradient of `sum of slopes[channel] means[channel]` with respect to the output.
    fn add_gradient(&self, slopes: &[f64], has_luminance: bool, buffers: &mut Buffers, gradient: &mut [f64]) {
        let (plane, inside) = (self.plane, inside(self.plane));
        let (line, count) = (inside.width * plane.channels, inside.pixels() as f64);
        let slopes: Vec<f64> = slopes.iter().map(|slope| slope / count).cycle().take(line).collect();
        // The adjoint of a filter without padding, whose window is symmetric, is the filter of a padded plane.
        let padded = Plane { height: plane.height + WINDOW - 1, width: plane.width + WINDOW - 1, ..plane };
        let padded_line = padded.width * plane.channels;
        let margin = (WINDOW - 1) * plane.channels;
        let [mut by_mean, mut by_square, mut by_product] = [(); 3].map(|()| vec![0.0; padded.len()]);
        for row in 0..inside.height {
            let from = row * line..(row + 1) * line;
            let begin = (row + WINDOW - 1) * padded_line + margin;
            let to = begin..begin + line;
            local_slopes(
                [0, 1, 2, 3].map(|which| &self.moments[which][from.clone()]),
                &slopes,
                has_luminance,
                [&mut by_mean[to.clone()], &mut by_square[to.clone()], &mut by_product[to]],
            );
        }
        let filtered = [by_mean, by_square, by_product].map(|slopes| {
            let mut filtered = vec![0.0; plane.len()];
            buffers.filter(&slopes, padded, &mut filtered);
            filtered
        });
        let [by_mean, by_square, by_product] = &filtered;
        add_slopes(&self.output, &self.target, [by_mean, by_square, by_product], gradient);
    }
}

/// Working space of one thread, and the window.
struct Buffers {
    taps: [f64; WINDOW],
    rows: Vec<f64>,
}

impl Buffers {
    fn new() -> Self {
        Self { taps: window_taps(), rows: Vec::new() }
    }

    /// The windowed means of a plane at every position where the window fits, the plane [`inside`] of it.
    fn filter(&mut self, values: &[f64], plane: Plane, target: &mut [f64]) {
        let (line, kept) = (plane.width * plane.channels, inside(plane).width * plane.channels);
        self.rows.resize(inside(plane).height * line, 0.0);
        filter_line(values, &self.taps, line, &mut self.rows);
        for (row, target) in self.rows.chunks_exact(line).zip(target.chunks_exact_mut(kept)) {
            filter_line(row, &self.taps, plane.channels, target);
        }
    }
}

/// The positions at which the window fits.
fn inside(plane: Plane) -> Plane {
    Plane { height: plane.height - (WINDOW - 1), width: plane.width - (WINDOW - 1), ..plane }
}

fn halved(plane: Plane) -> Plane {
    Plane { height: plane.height / 2, width: plane.width / 2, ..plane }
}

/// Means of 2 x 2 pixels; an odd last row or column is left out.
fn pool(values: &[f64], plane: Plane) -> Vec<f64> {
    let half = halved(plane);
    let mut pooled = vec![0.0; half.len()];
    for_each_pooled(plane, |to, from| {
        pooled[to] = 0.25 * from.iter().map(|&from| values[from]).sum::<f64>();
    });
    pooled
}

/// The gradient of a plane from that of its pooled one; zero where there is none.
fn unpool(values: &[f64], plane: Plane) -> Vec<f64> {
    let mut gradient = vec![0.0; plane.len()];
    if !values.is_empty() {
        for_each_pooled(plane, |from, to| to.iter().for_each(|&to| gradient[to] = 0.25 * values[from]));
    }
    gradient
}

/// Calls `work` with the place of every pooled value, and the places of the four that it is the mean of.
fn for_each_pooled(plane: Plane, mut work: impl FnMut(usize, [usize; 4])) {
    let (half, channels, line) = (halved(plane), plane.channels, plane.width * plane.channels);
    for y in 0..half.height {
        for x in 0..half.width {
            for channel in 0..channels {
                let from = 2 * (y * line + x * channels) + channel;
                let pixels = [from, from + channels, from + line, from + line + channels];
                work((y * half.width + x) * channels + channel, pixels);
            }
        }
    }
}

/// Values that are filtered at a time, in registers.
const LANES: usize = 16;

wide! {
    /// `target[i] = sum over k of taps[k] source[i + k step]`.
    fn filter_line(source: &[f64], taps: &[f64; WINDOW], step: usize, target: &mut [f64]) {
        let (blocks, rest) = target.as_chunks_mut::<LANES>();
        let done = blocks.len() * LANES;
        for (number, block) in blocks.iter_mut().enumerate() {
            let mut sums = [0.0; LANES];
            for (tap, weight) in taps.iter().enumerate() {
                let values = &source[number * LANES + tap * step..][..LANES];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
            *block = sums;
        }
        rest.fill(0.0);
        for (tap, weight) in taps.iter().enumerate() {
            for (sum, value) in rest.iter_mut().zip(&source[done + tap * step..]) {
                *sum += weight * value;
            }
        }
    }

    fn multiply(output: &[f64], target: &[f64], squares: &mut [f64], products: &mut [f64]) {
        for ((x, y), (squares, product)) in output.iter().zip(target).zip(squares.iter_mut().zip(products)) {
            *squares = x * x + y * y;
            *product = x * y;
        }
    }

    /// The similarity at each position, or its contrast and structure term.
    fn local_similarities(moments: [&[f64]; 4], has_luminance: bool, target: &mut [f64]) {
        let [mean_x, mean_y, squares, products] = moments;
        let positions = mean_x.iter().zip(mean_y).zip(squares.iter().zip(products)).zip(target);
        for (((x, y), (squares, product)), target) in positions {
            let (mean_squares, mean_product) = (x * x + y * y, x * y);
            let contrast = (2.0 * (product - mean_product) + CONTRAST_CONSTANT)
                / (squares - mean_squares + CONTRAST_CONSTANT);
            let luminance = (2.0 * mean_product + LUMINANCE_CONSTANT) / (mean_squares + LUMINANCE_CONSTANT);
            *target = if has_luminance { contrast * luminance } else { contrast };
        }
    }

    /// Derivatives of `slope` times the same with respect to the output's mean, the sum of squares and the product.
    fn local_slopes(moments: [&[f64]; 4], slopes: &[f64], has_luminance: bool, targets: [&mut [f64]; 3]) {
        let [mean_x, mean_y, squares, products] = moments;
        let [by_mean, by_square, by_product] = targets;
        let positions = mean_x.iter().zip(mean_y).zip(squares.iter().zip(products)).zip(slopes);
        let targets = by_mean.iter_mut().zip(by_square).zip(by_product);
        for ((((x, y), (squares, product)), slope), ((by_mean, by_square), by_product)) in positions.zip(targets) {
            let (mean_squares, mean_product) = (x * x + y * y, x * y);
            let spread = squares - mean_squares + CONTRAST_CONSTANT;
            let contrast = (2.0 * (product - mean_product) + CONTRAST_CONSTANT) / spread;
            let brightness = mean_squares + LUMINANCE_CONSTANT;
            let luminance = (2.0 * mean_product + LUMINANCE_CONSTANT) / brightness;
            let by_contrast = if has_luminance { slope * luminance } else { *slope };
            let by_luminance = if has_luminance { slope * contrast } else { 0.0 };
            *by_mean = by_contrast * 2.0 * (x * contrast - y) / spread
                + by_luminance * 2.0 * (y - x * luminance) / brightness;
            *by_square = -by_contrast * contrast / spread;
            *by_product = 2.0 * by_contrast / spread;
        }
    }

    /// Adds the derivatives with respect to each value of the output, which is part of mean, squares and product.
    fn add_slopes(output: &[f64], target: &[f64], slopes: [&[f64]; 3], gradient: &mut [f64]) {
        let [by_mean, by_square, by_product] = slopes;
        let slopes = by_mean.iter().zip(by_square).zip(by_product);
        for ((gradient, (x, y)), ((by_mean, by_square), by_product)) in
            gradient.iter_mut().zip(output.iter().zip(target)).zip(slopes)
        {
            *gradient += by_mean + 2.0 * x * by_square + y * by_product;
        }
    }
}
