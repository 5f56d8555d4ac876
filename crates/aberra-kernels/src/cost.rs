//! Reconstruction cost, the negative log-likelihood -log p(x | z) computed from the decoder's logits, and its gradient.

use crate::exponential::{exp, log_1p, sigmoid};
use crate::pool;
use crate::wide::wide;
use rayon::prelude::*;

/// Likelihood p(x | z) of a pixel, independent between pixels. The expected pixel is the sigmoid of the decoder's
/// output, but for [`UnboundedGaussian`](Self::UnboundedGaussian). Additive constants such as log 2 pi are left out of the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PixelLikelihood {
    /// Gaussian of fixed variance: `(x - mean)^2 / (2 variance)`.
    Gaussian {
        /// The variance, above 0.
        variance: f32,
    },
    /// Gaussian whose log-variance the decoder predicts, in channels after the means, clamped to `low..=high`:
    /// `((x - mean)^2 / exp(log variance) + log variance) / 2`.
    PredictedGaussian {
        /// Smallest log-variance.
        low: f32,
        /// Largest log-variance.
        high: f32,
    },
    /// As `PredictedGaussian`, for values that are not bounded: the decoder's output is the mean itself.
    UnboundedGaussian {
        /// Smallest log-variance.
        low: f32,
        /// Largest log-variance.
        high: f32,
    },
    /// Laplace of fixed scale: `|x - mean| / scale`.
    Laplace {
        /// The scale, above 0.
        scale: f32,
    },
    /// Bernoulli: `-x log mean - (1 - x) log(1 - mean)`.
    Bernoulli,
}

impl PixelLikelihood {
    /// Whether the decoder predicts log-variances besides means.
    pub(crate) fn predicts_variance(self) -> bool {
        matches!(self, Self::PredictedGaussian { .. } | Self::UnboundedGaussian { .. })
    }
}

/// Values per block; a block's buffers stay in the L1 cache.
const BLOCK: usize = 256;
/// Blocks per parallel task.
const BLOCKS_PER_PIECE: usize = 32;

/// The decoder's output `[pixels, outputs]`, of which the first `channels` are the logits of the means and the next
/// `channels`, where predicted, the log-variances; and the target pixels, `[pixels, channels]`.
#[derive(Clone, Copy)]
pub(crate) struct DecoderOutput<'a> {
    pub(crate) output: &'a [f32],
    pub(crate) outputs: usize,
    pub(crate) target: &'a [f32],
    pub(crate) channels: usize,
}

impl DecoderOutput<'_> {
    /// Pixels per task: whole blocks, so that each value falls into the same block whatever the batch.
    fn pixels_per_piece(&self) -> usize {
        self.pixels_per_block() * BLOCKS_PER_PIECE
    }

    fn pixels_per_block(&self) -> usize {
        (BLOCK / self.channels.max(1)).max(1)
    }

    /// Chunk `number` of `pixels` pixels each.
    fn part(&self, number: usize, pixels: usize) -> Self {
        let range = |values: &[f32], each: usize| {
            let begin = (number * pixels * each).min(values.len());
            begin..(begin + pixels * each).min(values.len())
        };
        Self {
            output: &self.output[range(self.output, self.outputs)],
            target: &self.target[range(self.target, self.channels)],
            ..*self
        }
    }

    fn pieces(&self) -> usize {
        self.target.len().div_ceil((self.pixels_per_piece() * self.channels).max(1))
    }

    fn blocks(&self) -> impl Iterator<Item = Self> + '_ {
        let pixels = self.pixels_per_block();
        let count = self.target.len().div_ceil((pixels * self.channels).max(1));
        (0..count).map(move |number| self.part(number, pixels))
    }

    /// De-interleaves the output into logits of the means and, where `predicted`, log-variances.
    fn take_apart(&self, predicted: bool, logits: &mut [f32], log_variances: &mut [f32]) {
        for channel in 0..self.channels {
            place(logits, self.channels, channel, self.output, self.outputs, channel);
            if predicted {
                let from = self.channels + channel;
                place(log_variances, self.channels, channel, self.output, self.outputs, from);
            }
        }
    }
}

/// Strided copy: every `to_step`-th element of `to`, from `to_first` on, becomes that of `from`. One loop per channel:
/// there are few channels, and copying a few elements per pixel would be a `memcpy` call for each.
fn place(to: &mut [f32], to_step: usize, to_first: usize, from: &[f32], from_step: usize, from_first: usize) {
    let from = from.get(from_first..).unwrap_or_default().iter().step_by(from_step);
    for (to, from) in to[to_first..].iter_mut().step_by(to_step).zip(from) {
        *to = *from;
    }
}

/// The cost, summed over all pixels.
pub(crate) fn cost(decoded: DecoderOutput<'_>, likelihood: PixelLikelihood) -> f64 {
    let predicted = likelihood.predicts_variance();
    let pieces: Vec<f64> = (0..decoded.pieces())
        .into_par_iter()
        .map(|piece| {
            let decoded = decoded.part(piece, decoded.pixels_per_piece());
            let width = decoded.pixels_per_block() * decoded.channels;
            let mut buffers = [vec![0.0; width], vec![0.0; width]];
            let [logits, log_variances] = &mut buffers;
            let costs = decoded.blocks().map(|block| {
                block.take_apart(predicted, logits, log_variances);
                let count = block.target.len();
                costs(&mut logits[..count], &log_variances[..count], block.target, likelihood);
                logits[..count].iter().map(|&cost| f64::from(cost)).sum::<f64>()
            });
            costs.sum()
        })
        .collect();
    pieces.iter().sum()
}

/// Gradient of `factor` times the cost with respect to the decoder's output.
pub(crate) fn gradient(decoded: DecoderOutput<'_>, likelihood: PixelLikelihood, factor: f32) -> Vec<f32> {
    let predicted = likelihood.predicts_variance();
    let mut gradient = pool::take(decoded.output.len());
    let piece = (decoded.pixels_per_piece() * decoded.outputs).max(1);
    gradient.par_chunks_mut(piece).enumerate().for_each(|(number, gradient)| {
        let decoded = decoded.part(number, decoded.pixels_per_piece());
        let width = decoded.pixels_per_block() * decoded.channels;
        let mut buffers = [vec![0.0; width], vec![0.0; width]];
        let [logits, log_variances] = &mut buffers;
        let targets = gradient.chunks_mut(decoded.pixels_per_block() * decoded.outputs);
        for (block, gradient) in decoded.blocks().zip(targets) {
            block.take_apart(predicted, logits, log_variances);
            let count = block.target.len();
            gradients(&mut logits[..count], &mut log_variances[..count], block.target, likelihood, factor);
            gradient.fill(0.0);
            for channel in 0..decoded.channels {
                let count = block.target.len();
                place(gradient, decoded.outputs, channel, &logits[..count], decoded.channels, channel);
                if predicted {
                    let to = decoded.channels + channel;
                    place(gradient, decoded.outputs, to, &log_variances[..count], decoded.channels, channel);
                }
            }
        }
    });
    gradient
}

wide! {
    /// Replaces logits by costs.
    fn costs(logits: &mut [f32], log_variances: &[f32], target: &[f32], likelihood: PixelLikelihood) {
        let pixels = logits.iter_mut().zip(target);
        match likelihood {
            PixelLikelihood::Gaussian { variance } => {
                let factor = 0.5 / variance;
                for (value, x) in pixels {
                    let error = x - sigmoid(*value);
                    *value = error * error * factor;
                }
            }
            PixelLikelihood::PredictedGaussian { low, high } => {
                for ((value, x), log_variance) in pixels.zip(log_variances) {
                    let error = x - sigmoid(*value);
                    let log_variance = clamp(*log_variance, low, high);
                    *value = 0.5 * (exp(-log_variance) * error * error + log_variance);
                }
            }
            PixelLikelihood::UnboundedGaussian { low, high } => {
                for ((value, x), log_variance) in pixels.zip(log_variances) {
                    let error = x - *value;
                    let log_variance = clamp(*log_variance, low, high);
                    *value = 0.5 * (exp(-log_variance) * error * error + log_variance);
                }
            }
            PixelLikelihood::Laplace { scale } => {
                let factor = 1.0 / scale;
                for (value, x) in pixels {
                    *value = (x - sigmoid(*value)).abs() * factor;
                }
            }
            PixelLikelihood::Bernoulli => {
                for (value, x) in pixels {
                    // -x log sigmoid(l) - (1 - x) log sigmoid(-l), numerically stable for large |l|.
                    let logit = *value;
                    let positive = if logit < 0.0 { 0.0 } else { logit };
                    *value = positive - x * logit + log_1p(exp(-logit.abs()));
                }
            }
        }
    }

    /// Replaces logits and log-variances by `factor` times the cost's gradients with respect to them.
    fn gradients(
        logits: &mut [f32],
        log_variances: &mut [f32],
        target: &[f32],
        likelihood: PixelLikelihood,
        factor: f32,
    ) {
        let pixels = logits.iter_mut().zip(target);
        match likelihood {
            PixelLikelihood::Gaussian { variance } => {
                let factor = factor / variance;
                for (value, x) in pixels {
                    let mean = sigmoid(*value);
                    *value = factor * (mean - x) * (mean * (1.0 - mean));
                }
            }
            PixelLikelihood::PredictedGaussian { low, high } => {
                for ((value, x), log_variance) in pixels.zip(log_variances.iter_mut()) {
                    let mean = sigmoid(*value);
                    let error = x - mean;
                    let precision = exp(-clamp(*log_variance, low, high));
                    let inside = *log_variance >= low && *log_variance <= high;
                    let slope = 0.5 * factor * (1.0 - precision * error * error);
                    *value = -factor * precision * error * (mean * (1.0 - mean));
                    *log_variance = if inside { slope } else { 0.0 };
                }
            }
            PixelLikelihood::UnboundedGaussian { low, high } => {
                for ((value, x), log_variance) in pixels.zip(log_variances.iter_mut()) {
                    let error = x - *value;
                    let precision = exp(-clamp(*log_variance, low, high));
                    let inside = *log_variance >= low && *log_variance <= high;
                    let slope = 0.5 * factor * (1.0 - precision * error * error);
                    *value = -factor * precision * error;
                    *log_variance = if inside { slope } else { 0.0 };
                }
            }
            PixelLikelihood::Laplace { scale } => {
                let factor = factor / scale;
                for (value, x) in pixels {
                    let mean = sigmoid(*value);
                    let sign = f32::from(i8::from(mean > *x) - i8::from(mean < *x));
                    *value = factor * sign * (mean * (1.0 - mean));
                }
            }
            PixelLikelihood::Bernoulli => {
                for (value, x) in pixels {
                    *value = factor * (sigmoid(*value) - x);
                }
            }
        }
    }
}

/// As `f32::clamp`, in a form that vectorises; NaN stays NaN.
#[inline(always)]
fn clamp(value: f32, low: f32, high: f32) -> f32 {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}
