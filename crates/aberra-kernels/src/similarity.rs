//! Structural dissimilarity, 1 - SSIM or 1 - MS-SSIM, and its gradient.
//!
//! Local variances are differences of nearly equal numbers, so everything is computed in `f64`. Each image is one
//! parallel task, and the results are added in order.

use crate::geometry::ImageSize;
use crate::wide::wide;
use rayon::prelude::*;

/// The similarity index of `structural_dissimilarity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Similarity {
    /// SSIM: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    /// similarity", 2004.
    SingleScale,
    /// MS-SSIM: Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment", 2003.
    MultiScale,
}

impl Similarity {
    /// Side of the Gaussian window, which is also the least height and width of an image.
    pub const WINDOW_PX: usize = WINDOW;

    /// Number of scales for images of this size: 1, or for [`MultiScale`](Self::MultiScale) up to five, as long as both
    /// sides have at least [`WINDOW_PX`](Self::WINDOW_PX) pixels after pooling. 0 if the image is smaller than the
    /// window.
    pub fn scales(self, height: usize, width: usize) -> usize {
        let most = match self {
            Self::SingleScale => 1,
            Self::MultiScale => SCALE_WEIGHTS.len(),
        };
        (0..most).take_while(|scale| height.min(width) >> scale >= WINDOW).count()
    }

    /// The exponent of each scale, finest first, with sum 1.
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
/// Stabilises the luminance term in dark regions: C1 = (K1 x data range)^2.
pub(crate) const LUMINANCE_CONSTANT: f64 = 0.01 * 0.01;
/// Stabilises the contrast-structure term in flat regions: C2 = (K2 x data range)^2.
pub(crate) const CONTRAST_CONSTANT: f64 = 0.03 * 0.03;
/// Exponents of the five scales, finest first (Wang, Simoncelli and Bovik 2003, section 3.2).
const SCALE_WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];
/// Smaller means are replaced by this before they are raised to a fractional power.
pub(crate) const LEAST_MEAN: f64 = 1e-3;

/// The taps of the window in one dimension, with sum 1.
pub(crate) fn window_taps() -> [f64; WINDOW] {
    let gaussian = |tap: usize| (-0.5 * ((tap as f64 - (WINDOW / 2) as f64) / SIGMA_PX).powi(2)).exp();
    let sum: f64 = (0..WINDOW).map(gaussian).sum();
    std::array::from_fn(|tap| gaussian(tap) / sum)
}

/// The dissimilarity of `[batch, height, width, channels]`, averaged over images and channels.
pub(crate) fn dissimilarity(output: &[f32], target: &[f32], size: ImageSize, similarity: Similarity) -> f64 {
    let exponents = similarity.exponents(size.height, size.width);
    let images = output.par_chunks(size.len().max(1)).zip(target.par_chunks(size.len().max(1)));
    let each: Vec<f64> = images
        .map_init(Buffers::new, |buffers, (output, target)| {
            let scales = compare(output, target, size, exponents.len(), buffers);
            similarities(&scales, &exponents, size.channels).iter().sum()
        })
        .collect();
    1.0 - each.iter().sum::<f64>() / (each.len() * size.channels).max(1) as f64
}

/// Gradient of `factor` times the dissimilarity with respect to the output.
pub(crate) fn gradient(
    output: &[f32],
    target: &[f32],
    size: ImageSize,
    similarity: Similarity,
    factor: f64,
) -> Vec<f32> {
    let exponents = similarity.exponents(size.height, size.width);
    let length = size.len().max(1);
    let share = -factor / (output.len() / length * size.channels).max(1) as f64;
    let mut gradient = vec![0.0; output.len()];
    let images =
        gradient.par_chunks_mut(length).zip(output.par_chunks(length).zip(target.par_chunks(length)));
    images.for_each_init(Buffers::new, |buffers, (gradient, (output, target))| {
        let scales = compare(output, target, size, exponents.len(), buffers);
        let similarities = similarities(&scales, &exponents, size.channels);
        // From the coarsest scale to the finest: the gradient of a scale's pixels is passed to those they were pooled
        // from.
        let mut sums = Vec::new();
        for (number, scale) in scales.iter().enumerate().rev() {
            sums = unpool(&sums, scale.size);
            let slopes: Vec<f64> = (0..size.channels)
                .map(|channel| share * slope(similarities[channel], scale.means[channel], &exponents, number))
                .collect();
            scale.add_gradient(&slopes, number + 1 == scales.len(), buffers, &mut sums);
        }
        gradient.iter_mut().zip(sums).for_each(|(target, value)| *target = value as f32);
    });
    gradient
}

/// The similarity of each channel: the product of its scales' means raised to their exponents.
fn similarities(scales: &[ScaleComparison], exponents: &[f64], channels: usize) -> Vec<f64> {
    let of = |channel: usize| match scales {
        // The exponent is 1, so negative means need no floor.
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
    // Not `max`, which would discard a NaN.
    if mean < LEAST_MEAN { LEAST_MEAN } else { mean }
}

/// Compares two images at the given number of scales, finest first.
fn compare(
    output: &[f32],
    target: &[f32],
    size: ImageSize,
    scales: usize,
    buffers: &mut Buffers,
) -> Vec<ScaleComparison> {
    let mut images = [output, target].map(|values| values.iter().map(|&value| f64::from(value)).collect());
    let mut size = size;
    let mut compared = Vec::with_capacity(scales);
    for number in 1..=scales {
        let scale = ScaleComparison::new(images, size, number == scales, buffers);
        images = [&scale.output, &scale.target].map(|values| pool(values, size));
        size = halved(size);
        compared.push(scale);
    }
    compared
}

/// Output and target at one scale, with their local moments at every position of the window.
struct ScaleComparison {
    size: ImageSize,
    output: Vec<f64>,
    target: Vec<f64>,
    /// Windowed means of the output, the target, the sum of their squares, and their product:
    /// `[height - WINDOW + 1, width - WINDOW + 1, channels]`.
    moments: [Vec<f64>; 4],
    /// For each channel the mean over positions of the SSIM, or of the contrast-structure term alone.
    means: Vec<f64>,
}

impl ScaleComparison {
    fn new(
        [output, target]: [Vec<f64>; 2],
        size: ImageSize,
        has_luminance: bool,
        buffers: &mut Buffers,
    ) -> Self {
        let mut squares = vec![0.0; size.len()];
        let mut products = vec![0.0; size.len()];
        multiply(&output, &target, &mut squares, &mut products);
        let moments = [&output, &target, &squares, &products].map(|values| {
            let mut windowed = vec![0.0; inside(size).len()];
            buffers.filter(values, size, &mut windowed);
            windowed
        });
        let mut local = vec![0.0; moments[0].len()];
        let [mean_x, mean_y, squares, products] = &moments;
        local_similarities([mean_x, mean_y, squares, products], has_luminance, &mut local);
        let mut means = vec![0.0; size.channels];
        for pixel in local.chunks_exact(size.channels) {
            means.iter_mut().zip(pixel).for_each(|(mean, value)| *mean += value);
        }
        means.iter_mut().for_each(|mean| *mean /= inside(size).pixels() as f64);
        Self { size, output, target, moments, means }
    }

    /// Adds the gradient of `sum over channels of slopes[channel] means[channel]` with respect to the output.
    fn add_gradient(&self, slopes: &[f64], has_luminance: bool, buffers: &mut Buffers, gradient: &mut [f64]) {
        let (size, inside) = (self.size, inside(self.size));
        let (line, count) = (inside.width * size.channels, inside.pixels() as f64);
        let slopes: Vec<f64> = slopes.iter().map(|slope| slope / count).cycle().take(line).collect();
        // The adjoint of a valid filter with a symmetric window is the same filter on a zero-padded image.
        let padded = ImageSize { height: size.height + WINDOW - 1, width: size.width + WINDOW - 1, ..size };
        let padded_line = padded.width * size.channels;
        let margin = (WINDOW - 1) * size.channels;
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
            let mut filtered = vec![0.0; size.len()];
            buffers.filter(&slopes, padded, &mut filtered);
            filtered
        });
        let [by_mean, by_square, by_product] = &filtered;
        add_slopes(&self.output, &self.target, [by_mean, by_square, by_product], gradient);
    }
}

/// The window's taps and a scratch buffer.
struct Buffers {
    taps: [f64; WINDOW],
    rows: Vec<f64>,
}

impl Buffers {
    fn new() -> Self {
        Self { taps: window_taps(), rows: Vec::new() }
    }

    /// Windowed means at every position of the window; `target` has the size [`inside`] of `size`.
    fn filter(&mut self, values: &[f64], size: ImageSize, target: &mut [f64]) {
        let (line, kept) = (size.width * size.channels, inside(size).width * size.channels);
        self.rows.resize(inside(size).height * line, 0.0);
        filter_line(values, &self.taps, line, &mut self.rows);
        for (row, target) in self.rows.chunks_exact(line).zip(target.chunks_exact_mut(kept)) {
            filter_line(row, &self.taps, size.channels, target);
        }
    }
}

/// The number of window positions in height and width ("valid" convolution).
fn inside(size: ImageSize) -> ImageSize {
    ImageSize { height: size.height - (WINDOW - 1), width: size.width - (WINDOW - 1), ..size }
}

fn halved(size: ImageSize) -> ImageSize {
    ImageSize { height: size.height / 2, width: size.width / 2, ..size }
}

/// 2 x 2 average pooling; an odd last row or column is dropped.
fn pool(values: &[f64], size: ImageSize) -> Vec<f64> {
    let half = halved(size);
    let mut pooled = vec![0.0; half.len()];
    for_each_pooled(size, |to, from| {
        pooled[to] = 0.25 * from.iter().map(|&from| values[from]).sum::<f64>();
    });
    pooled
}

/// Backward pass of [`pool`]; zeros if there is no gradient yet.
fn unpool(values: &[f64], size: ImageSize) -> Vec<f64> {
    let mut gradient = vec![0.0; size.len()];
    if !values.is_empty() {
        for_each_pooled(size, |from, to| to.iter().for_each(|&to| gradient[to] = 0.25 * values[from]));
    }
    gradient
}

/// Calls `work` with the index of every pooled value and the indices of the four values that it averages.
fn for_each_pooled(size: ImageSize, mut work: impl FnMut(usize, [usize; 4])) {
    let (half, channels, line) = (halved(size), size.channels, size.width * size.channels);
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

/// Accumulators of the filter, kept in registers.
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

    /// The SSIM at each position, or the contrast-structure term alone.
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

    /// Derivatives of `slope` times the local similarity with respect to the output's mean, the squares and the
    /// product.
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

    /// Chain rule from mean, squares and product to the output.
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
