//! Batch normalisation (Ioffe and Szegedy, 2015, <https://arxiv.org/abs/1502.03167>) of `[rows, channels]` with a fused
//! activation, and its gradients.
//!
//! Mean and variance are computed in two passes over blocks that stay in the L1 cache: the block's mean, then the
//! squared deviations from it. Blocks are merged in double precision (Chan, Golub and LeVeque, 1983), in the order of
//! the rows.

use crate::activation::ActivationFunction;
use crate::pool;
use crate::scratch::Scratched;
use crate::signal::Signal;
use crate::wide::wide;
use rayon::prelude::*;

/// Settings of a batch normalisation besides scale and shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance, above 0.
    pub epsilon: f32,
    /// Applied to the output.
    pub activation: ActivationFunction,
}

/// Elements per block: 16 KiB.
const BLOCK: usize = 4096;
/// Elements per parallel task, a whole number of blocks.
const PIECE: usize = 8 * BLOCK;
/// Least number of elements of a line: see [`line_length`].
const LINE: usize = 64;

/// Output, and the batch's mean and biased variance of each channel.
pub(crate) struct Normalized {
    pub(crate) output: Vec<f32>,
    pub(crate) mean: Vec<f32>,
    pub(crate) variance: Vec<f32>,
}

/// `activation((input - mean) / sqrt(variance + epsilon) * scale + shift)`.
pub(crate) fn forward(
    input: &[f32],
    scale: &[f32],
    shift: &[f32],
    BatchNormalization { epsilon, activation }: BatchNormalization,
) -> Normalized {
    let channels = scale.len();
    let (mean, variance) = statistics(input, channels);
    let factor: Vec<f32> =
        scale.iter().zip(&variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
    let (means, factors, shifts) = (line(&mean), line(&factor), line(shift));
    let (block, piece) = (in_lines(BLOCK, channels), in_lines(PIECE, channels));
    let mut output = pool::take(input.len());
    output.par_chunks_mut(piece).zip(input.par_chunks(piece)).for_each(|(output, input)| {
        for (output, input) in output.chunks_mut(block).zip(input.chunks(block)) {
            normalize(input, &means, &factors, &shifts, output);
            activation.apply_all(output);
        }
    });
    Normalized { output, mean, variance }
}

/// Gradients with respect to input, scale and shift, from the gradient with respect to the pre-activation.
pub(crate) fn gradients(
    gradient: Signal<'_>,
    input: &[f32],
    scale: &[f32],
    [mean, variance]: [&[f32]; 2],
    epsilon: f32,
) -> [Vec<f32>; 3] {
    let channels = scale.len();
    let rows = (input.len() / channels.max(1)).max(1) as f64;
    let inverse: Vec<f32> = variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
    let means = line(mean);
    let (block, piece) = (in_lines(BLOCK, channels), in_lines(PIECE, channels));

    // Sums of the gradient and of the gradient times (input - mean).
    let pieces: Vec<[Vec<f64>; 2]> = input
        .par_chunks(piece)
        .enumerate()
        .map(|(number, input)| {
            let gradient = gradient.part(number * piece, input.len());
            let mut sums = [vec![0.0; channels], vec![0.0; channels]];
            f32::with_scratch(|scratch| {
                for (number, input) in input.chunks(block).enumerate() {
                    let gradient = gradient.part(number * block, input.len());
                    scratch.window.resize(input.len(), 0.0);
                    gradient.write_to(&mut scratch.window);
                    lend_sums(&mut scratch.sums, means.len(), |first, second| {
                        add_products(input, &means, &scratch.window, first, second);
                        fold(first, &mut sums[0]);
                        fold(second, &mut sums[1]);
                    });
                }
            });
            sums
        })
        .collect();
    let total = |which: usize| -> Vec<f64> {
        (0..channels).map(|channel| pieces.iter().map(|sums| sums[which][channel]).sum()).collect()
    };
    let (plain, products) = (total(0), total(1));
    let scale_gradient: Vec<f32> =
        products.iter().zip(&inverse).map(|(sum, inverse)| (sum * f64::from(*inverse)) as f32).collect();
    let shift_gradient: Vec<f32> = plain.iter().map(|sum| *sum as f32).collect();

    let factor: Vec<f32> = scale.iter().zip(&inverse).map(|(scale, inverse)| scale * inverse).collect();
    let share: Vec<f32> = plain.iter().map(|sum| (sum / rows) as f32).collect();
    let slope: Vec<f32> = products
        .iter()
        .zip(&inverse)
        .map(|(sum, inverse)| (sum * f64::from(*inverse).powi(2) / rows) as f32)
        .collect();
    let (factors, shares, slopes) = (line(&factor), line(&share), line(&slope));
    let mut result = pool::take(input.len());
    result.par_chunks_mut(piece).zip(input.par_chunks(piece)).enumerate().for_each(
        |(number, (result, input))| {
            let gradient = gradient.part(number * piece, input.len());
            let blocks = result.chunks_mut(block).zip(input.chunks(block));
            for (number, (result, input)) in blocks.enumerate() {
                gradient.part(number * block, input.len()).write_to(result);
                go_back(input, &means, &factors, &shares, &slopes, result);
            }
        },
    );
    [result, scale_gradient, shift_gradient]
}

/// Mean and biased variance of each channel.
fn statistics(input: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let piece = in_lines(PIECE, channels);
    let pieces: Vec<Moments> = input.par_chunks(piece).map(|input| Moments::of(input, channels)).collect();
    let mut all = Moments::none(channels);
    pieces.iter().for_each(|piece| all.merge(piece));
    let rows = all.rows.max(1.0);
    (
        all.mean.iter().map(|&mean| mean as f32).collect(),
        all.squares.iter().map(|squares| (squares / rows) as f32).collect(),
    )
}

/// Number of rows, and for each channel their mean and the sum of the squared differences from it.
struct Moments {
    rows: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn none(channels: usize) -> Self {
        Self { rows: 0.0, mean: vec![0.0; channels], squares: vec![0.0; channels] }
    }

    fn of(input: &[f32], channels: usize) -> Self {
        let mut all = Self::none(channels);
        let width = line_length(channels);
        for input in input.chunks(in_lines(BLOCK, channels)) {
            let rows = (input.len() / channels) as f64;
            let mut block = Self { rows, ..Self::none(channels) };
            f32::with_scratch(|scratch| {
                lend_sums(&mut scratch.sums, width, |first, second| {
                    add_values(input, first);
                    fold(first, &mut block.mean);
                    block.mean.iter_mut().for_each(|mean| *mean /= rows);
                    // The mean rounded to single precision; the mean deviation corrects the rounding.
                    let center: Vec<f32> = block.mean.iter().map(|&mean| mean as f32).collect();
                    first.fill(0.0);
                    add_squares(input, &line(&center), first, second);
                    let mut differences = vec![0.0; channels];
                    fold(first, &mut differences);
                    fold(second, &mut block.squares);
                    for channel in 0..channels {
                        let off = differences[channel] / rows;
                        block.mean[channel] = f64::from(center[channel]) + off;
                        block.squares[channel] -= off * differences[channel];
                    }
                });
            });
            all.merge(&block);
        }
        all
    }

    fn merge(&mut self, other: &Self) {
        let rows = self.rows + other.rows;
        let share = other.rows / rows.max(1.0);
        let theirs = other.mean.iter().zip(&other.squares);
        for ((mean, squares), (other_mean, other_squares)) in
            self.mean.iter_mut().zip(&mut self.squares).zip(theirs)
        {
            let between = other_mean - *mean;
            *mean += between * share;
            *squares += other_squares + between * between * self.rows * share;
        }
        self.rows = rows;
    }
}

/// Elements of a line: whole rows, at least [`LINE`] elements, so that inner loops are long enough to vectorise.
fn line_length(channels: usize) -> usize {
    channels * LINE.div_ceil(channels.max(1))
}

/// `elements` rounded down to whole lines, at least one.
fn in_lines(elements: usize, channels: usize) -> usize {
    let line = line_length(channels).max(1);
    (elements / line).max(1) * line
}

/// The values of each channel, repeated for every row of a line.
fn line(values: &[f32]) -> Vec<f32> {
    values.iter().copied().cycle().take(line_length(values.len())).collect()
}

/// Lends two lines of zeros from a buffer.
fn lend_sums(buffer: &mut Vec<f32>, width: usize, work: impl FnOnce(&mut [f32], &mut [f32])) {
    buffer.clear();
    buffer.resize(2 * width, 0.0);
    let (first, second) = buffer.split_at_mut(width);
    work(first, second);
}

/// Adds a line's sums to those of its channels.
fn fold(line: &[f32], sums: &mut [f64]) {
    for row in line.chunks_exact(sums.len().max(1)) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
}

wide! {
    fn add_values(values: &[f32], sums: &mut [f32]) {
        for line in values.chunks(sums.len().max(1)) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += value;
            }
        }
    }

    /// Sums of the deviations from the means, and of their squares.
    fn add_squares(values: &[f32], means: &[f32], sums: &mut [f32], squares: &mut [f32]) {
        for line in values.chunks(means.len().max(1)) {
            let all = line.iter().zip(means).zip(sums.iter_mut().zip(squares.iter_mut()));
            for ((value, mean), (sum, square)) in all {
                let difference = value - mean;
                *sum += difference;
                *square += difference * difference;
            }
        }
    }

    fn normalize(input: &[f32], means: &[f32], factors: &[f32], shifts: &[f32], output: &mut [f32]) {
        let width = means.len().max(1);
        for (output, input) in output.chunks_mut(width).zip(input.chunks(width)) {
            let constants = means.iter().zip(factors).zip(shifts);
            for ((output, input), ((mean, factor), shift)) in output.iter_mut().zip(input).zip(constants) {
                *output = (input - mean) * factor + shift;
            }
        }
    }

    /// Sums of the gradient, and of the gradient times (input - mean).
    fn add_products(input: &[f32], means: &[f32], gradient: &[f32], sums: &mut [f32], products: &mut [f32]) {
        let width = means.len().max(1);
        for (input, gradient) in input.chunks(width).zip(gradient.chunks(width)) {
            let all = input.iter().zip(gradient).zip(means).zip(sums.iter_mut().zip(products.iter_mut()));
            for (((input, gradient), mean), (sum, product)) in all {
                *sum += gradient;
                *product += gradient * (input - mean);
            }
        }
    }

    /// `(gradient - share - (input - mean) slope) factor`, in place.
    fn go_back(
        input: &[f32],
        means: &[f32],
        factors: &[f32],
        shares: &[f32],
        slopes: &[f32],
        gradient: &mut [f32],
    ) {
        let width = means.len().max(1);
        for (gradient, input) in gradient.chunks_mut(width).zip(input.chunks(width)) {
            let constants = means.iter().zip(factors).zip(shares.iter().zip(slopes));
            for ((gradient, input), ((mean, factor), (share, slope))) in
                gradient.iter_mut().zip(input).zip(constants)
            {
                *gradient = (*gradient - share - (input - mean) * slope) * factor;
            }
        }
    }
}
