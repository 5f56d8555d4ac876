//! Convolution and its adjoint on `[batch, height, width, channels]`, as matrix products with implicit im2col.
//!
//! [`gather`] maps the large side to the small side: a convolution, or the input gradient of a transposed convolution.
//! [`spread`] maps the small side to the large side: a transposed convolution, or the input gradient of a convolution.
//! Neither materialises an im2col matrix: the rows of the left operand are runs in a zero-padded copy of the input, one
//! run for each row of the kernel. `spread` splits the large side into stride x stride phases, each an ordinary
//! convolution with stride 1 over the taps that reach it.
//!
//! Depths and offsets into a window are counted in operand values (a pair of bfloat16 counts once).

use crate::activation::ActivationFunction;
use crate::epilogue::Epilogue;
use crate::geometry::{ImageSize, Sizes};
use crate::operand::{Operands, with_operands};
use crate::pool;
use crate::precision::OperandPrecision;
use crate::product::{Panels, Product, ROW_BLOCK, RowBlocks};
use crate::scratch::{Scratched, at_least};
use crate::signal::Signal;
use crate::tile::{LANES, Runs};
use crate::window::{Region, copy_window};
use crate::winograd;
use rayon::prelude::*;

/// Elements of a padded copy that should stay in the L2 cache.
const WINDOW_ELEMENTS: usize = 48 * 1024;
/// Up to this many large channels, [`spread`] multiplies by all taps at once and scatters the results (col2im).
const FEW_CHANNELS: usize = 4;

/// `small[y, x, s] = activation(bias[s] + sum over kernel and l of large[y stride + ky - padding, ..., l] weight[ky, kx, l, s])`.
pub(crate) fn gather(
    large: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Vec<f32> {
    if winograd::fits(sizes, precision) {
        return winograd::gather(large, weight, bias, sizes, activation);
    }
    with_operands!(precision, sizes.large.channels, O => gather_operands::<O>(large, weight, bias, sizes, activation))
}

fn gather_operands<O: Operands>(
    large: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
) -> Vec<f32> {
    let panels = Panels::from_rows::<O>(weight, sizes.small.channels);
    let (stride, padding) = (sizes.geometry.stride, sizes.geometry.padding);
    let [kernel_height, kernel_width] = sizes.kernel;
    let channels = sizes.large.channels / O::DEPTH;
    let width = (sizes.small.width.max(1) - 1) * stride + kernel_width;
    let length = kernel_width * channels;
    let rows = RowBlocks::new(Runs { count: kernel_height, stride: width * channels, ..Runs::one(length) });
    let strip = strip_height(sizes.small, stride * width * channels);
    let (epilogue, after) = Epilogue::split(activation);
    let mut output = pool::take(sizes.batch * sizes.small.len());
    for_each_strip(&mut output, sizes.small, strip, |image, top, output| {
        O::Value::with_scratch(|scratch| {
            let height = output.len() / (sizes.small.width * sizes.small.channels);
            let region = Region {
                top: (top * stride) as isize - padding as isize,
                left: -(padding as isize),
                height: (height - 1) * stride + kernel_height,
                width,
            };
            let source = large.part(image * sizes.large.len(), sizes.large.len());
            let window = copy_window::<O>(source, sizes.large, region, &mut scratch.window);
            scratch.starts.clear();
            for y in 0..height {
                let line = y * stride * width;
                scratch.starts.extend((0..sizes.small.width).map(|x| (line + x * stride) * channels));
            }
            scratch.places.clear();
            scratch.places.extend((0..scratch.starts.len()).map(|row| row * sizes.small.channels));
            let product = Product {
                values: window,
                starts: &scratch.starts,
                rows: &rows,
                panels: panels.view(),
                bias,
                epilogue,
            };
            product.write_to(output, &scratch.places, &mut scratch.sums);
            after.apply_all(output);
        });
    });
    output
}

/// The adjoint of [`gather`]: `large[...] = activation(bias + sum of small[...] weight[...])` over the same index
/// pairs.
pub(crate) fn spread(
    small: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> Vec<f32> {
    if winograd::fits(sizes, precision) {
        return winograd::spread(small, weight, bias, sizes, activation);
    }
    with_operands!(precision, sizes.small.channels, O => if sizes.large.channels <= FEW_CHANNELS {
        spread_few_channels::<O>(small, weight, bias, sizes, activation)
    } else {
        spread_phases::<O>(small, weight, bias, sizes, activation)
    })
}

fn spread_phases<O: Operands>(
    small: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
) -> Vec<f32> {
    let stride = sizes.geometry.stride;
    let channels = sizes.small.channels / O::DEPTH;
    let columns = sizes.large.channels;
    let down: Vec<Phase> = (0..stride).map(|phase| Phase::new(phase, sizes, sizes.kernel[0])).collect();
    let across: Vec<Phase> = (0..stride).map(|phase| Phase::new(phase, sizes, sizes.kernel[1])).collect();
    // The region of the small side that the phases of one strip, with `strip` rows per phase, read.
    let (before_y, after_y) = reach(&down);
    let (before_x, after_x) = reach(&across);
    let width = sizes.large.width.div_ceil(stride) + (before_x + after_x) as usize;
    let phases: Vec<(Panels<O::Value>, RowBlocks)> = down
        .iter()
        .flat_map(|y| across.iter().map(move |x| (y, x)))
        .map(|(y, x)| {
            let runs = Runs { count: y.taps, stride: width * channels, ..Runs::one(x.taps * channels) };
            (pack_phase::<O>(weight, sizes, y, x), RowBlocks::new(runs))
        })
        .collect();
    let strip = strip_height(
        ImageSize { height: sizes.large.height.div_ceil(stride), width: width * stride, channels },
        width * channels,
    );
    let (epilogue, after) = Epilogue::split(activation);
    let mut output = pool::take(sizes.batch * sizes.large.len());
    for_each_strip(&mut output, sizes.large, strip * stride, |image, top, output| {
        O::Value::with_scratch(|scratch| {
            let height = output.len() / (sizes.large.width * columns);
            let region = Region {
                top: (top / stride) as isize - before_y,
                left: -before_x,
                height: height.div_ceil(stride) + (before_y + after_y) as usize,
                width,
            };
            let source = small.part(image * sizes.small.len(), sizes.small.len());
            let window = copy_window::<O>(source, sizes.small, region, &mut scratch.window);
            for (index, (panels, rows)) in phases.iter().enumerate() {
                let (phase_y, phase_x) = (index / stride, index % stride);
                let lines = height.saturating_sub(phase_y).div_ceil(stride);
                let pixels = sizes.large.width.saturating_sub(phase_x).div_ceil(stride);
                let from_y = (before_y + down[phase_y].first) as usize;
                let from_x = (before_x + across[phase_x].first) as usize;
                scratch.starts.clear();
                scratch.places.clear();
                for y in 0..lines {
                    let line = (y + from_y) * width + from_x;
                    scratch.starts.extend((0..pixels).map(|x| (line + x) * channels));
                    let line = (y * stride + phase_y) * sizes.large.width + phase_x;
                    scratch.places.extend((0..pixels).map(|x| (line + x * stride) * columns));
                }
                let product = Product {
                    values: window,
                    starts: &scratch.starts,
                    rows,
                    panels: panels.view(),
                    bias,
                    epilogue,
                };
                product.write_to(output, &scratch.places, &mut scratch.sums);
            }
            after.apply_all(output);
        });
    });
    output
}

/// [`spread`] for few large channels: small pixels times all taps, then a col2im that sums what reaches each large
/// pixel.
fn spread_few_channels<O: Operands>(
    small: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
) -> Vec<f32> {
    let (stride, padding) = (sizes.geometry.stride, sizes.geometry.padding);
    let [kernel_height, kernel_width] = sizes.kernel;
    let channels = sizes.large.channels;
    let taps = kernel_height * kernel_width * channels;
    // weight[tap, large channel][small channel], transposed: one column per tap and large channel.
    let panels = Panels::pack::<O>(sizes.small.channels, taps, |first, panel| {
        let depth = sizes.small.channels;
        for lane in 0..LANES.min(taps - first) {
            let row = &weight[(first + lane) * depth..(first + lane + 1) * depth];
            for (target, &value) in panel.iter_mut().skip(lane).step_by(LANES).zip(row) {
                *target = value;
            }
        }
    });
    let depth = sizes.small.channels / O::DEPTH;
    let rows = RowBlocks::new(Runs::one(depth));
    // A padded line of the large side, in which the taps of each small pixel are contiguous.
    let covered = (sizes.small.width.max(1) - 1) * stride + kernel_width;
    let length = (padding + sizes.large.width).max(covered) * channels;
    let empty: Vec<f32> = match bias {
        Some(bias) => bias.iter().copied().cycle().take(length).collect(),
        None => vec![0.0; length],
    };
    let strip = (ROW_BLOCK * 4).div_ceil(sizes.small.width.max(1)) * stride;
    let mut output = pool::take(sizes.batch * sizes.large.len());
    for_each_strip(&mut output, sizes.large, strip, |image, top, output| {
        O::Value::with_scratch(|scratch| {
            let height = output.len() / (sizes.large.width * channels);
            // Small rows that reach this strip: y stride + ky = large y + padding for some ky < kernel height.
            let first = (top + padding + 1).saturating_sub(kernel_height).div_ceil(stride);
            let last = ((top + height - 1 + padding) / stride + 1).min(sizes.small.height);
            let first = first.min(last);
            let source = small.part(image * sizes.small.len(), sizes.small.len());
            let line = sizes.small.width * sizes.small.channels;
            let source = source.part(first * line, (last - first) * line);
            let source = O::read(source, &mut scratch.window);
            scratch.starts.clear();
            scratch.starts.extend((0..(last - first) * sizes.small.width).map(|pixel| pixel * depth));
            scratch.places.clear();
            scratch.places.extend((0..scratch.starts.len()).map(|pixel| pixel * taps));
            let products = at_least(&mut scratch.plain, scratch.starts.len() * taps);
            let product = Product {
                values: source,
                starts: &scratch.starts,
                rows: &rows,
                panels: panels.view(),
                bias: None,
                epilogue: Epilogue::Identity,
            };
            product.write_to(products, &scratch.places, &mut scratch.sums);
            let line = at_least(&mut scratch.line, empty.len());
            for (y, output) in output.chunks_exact_mut(sizes.large.width * channels).enumerate() {
                line.copy_from_slice(&empty);
                for small_y in first..last {
                    let ky = (top + y + padding).checked_sub(small_y * stride);
                    if let Some(ky) = ky.filter(|&ky| ky < kernel_height) {
                        let begin =
                            (small_y - first) * sizes.small.width * taps + ky * kernel_width * channels;
                        let end = (small_y - first + 1) * sizes.small.width * taps;
                        add_taps(line, &products[begin..end], taps, sizes);
                    }
                }
                output.copy_from_slice(&line[padding * channels..][..output.len()]);
            }
            activation.apply_all(output);
        });
    });
    output
}

/// Adds one kernel row of each pixel of a small line, `taps` apart in `products`, to the large line that it reaches.
fn add_taps(line: &mut [f32], products: &[f32], taps: usize, sizes: &Sizes) {
    let (length, step) =
        (sizes.kernel[1] * sizes.large.channels, sizes.geometry.stride * sizes.large.channels);
    // Neighbours overlap; pixels this far apart do not, so their additions are independent.
    let apart = sizes.kernel[1].div_ceil(sizes.geometry.stride);
    for first in 0..apart.min(sizes.small.width) {
        let pixels = (first..sizes.small.width).step_by(apart);
        // Constant lengths compile to vector loads, additions and stores.
        match length {
            4 => pixels.for_each(|x| add::<4>(&mut line[x * step..], &products[x * taps..])),
            8 => pixels.for_each(|x| add::<8>(&mut line[x * step..], &products[x * taps..])),
            _ => pixels.for_each(|x| {
                let target = line[x * step..x * step + length].iter_mut();
                target.zip(&products[x * taps..]).for_each(|(sum, &value)| *sum += value);
            }),
        }
    }
}

#[inline(always)]
fn add<const N: usize>(target: &mut [f32], values: &[f32]) {
    if let (Some(target), Some(values)) = (target.first_chunk_mut::<N>(), values.first_chunk::<N>()) {
        target.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
    }
}

/// The taps of one dimension that reach the large pixels `phase, phase + stride, ...`.
struct Phase {
    /// The tap of the last small pixel that is read; the others are `stride` apart.
    tap: usize,
    /// Number of taps, which is the number of small pixels read.
    taps: usize,
    /// Pixel `t` of the phase reads small pixels from `t + first` on.
    first: isize,
}

impl Phase {
    fn new(phase: usize, sizes: &Sizes, kernel: usize) -> Self {
        let (stride, padding) = (sizes.geometry.stride, sizes.geometry.padding);
        let tap = (phase + padding) % stride;
        let taps = kernel.saturating_sub(tap).div_ceil(stride);
        // Tap m of large pixel `t stride + phase` reads small pixel t + (phase + padding - tap) / stride - m.
        let first = ((phase + padding - tap) / stride) as isize + 1 - taps as isize;
        Self { tap, taps, first }
    }
}

/// How far the phases read before and after their own position.
fn reach(phases: &[Phase]) -> (isize, isize) {
    let before = phases.iter().map(|phase| -phase.first).max().unwrap_or(0).max(0);
    let after = phases.iter().map(|phase| phase.first + phase.taps as isize - 1).max().unwrap_or(0).max(0);
    (before, after)
}

/// The weights of one phase as a matrix `[taps down, taps across, small channels] x [large channels]`.
fn pack_phase<O: Operands>(weight: &[f32], sizes: &Sizes, down: &Phase, across: &Phase) -> Panels<O::Value> {
    let (large, small) = (sizes.large.channels, sizes.small.channels);
    let stride = sizes.geometry.stride;
    Panels::pack::<O>(down.taps * across.taps * small, large, |first, panel| {
        for (position, block) in panel.chunks_exact_mut(small * LANES).enumerate() {
            let (y, x) = (position / across.taps, position % across.taps);
            let ky = down.tap + (down.taps - 1 - y) * stride;
            let kx = across.tap + (across.taps - 1 - x) * stride;
            let tap = (ky * sizes.kernel[1] + kx) * large;
            for lane in 0..LANES.min(large - first) {
                let row = &weight[(tap + first + lane) * small..(tap + first + lane + 1) * small];
                for (target, &value) in block.iter_mut().skip(lane).step_by(LANES).zip(row) {
                    *target = value;
                }
            }
        }
    })
}

/// Output lines per task: enough for a full block of rows, and no more than fit into the cache with their input.
fn strip_height(output: ImageSize, input_per_row: usize) -> usize {
    let by_cache = WINDOW_ELEMENTS / input_per_row.max(1);
    let by_block = ROW_BLOCK.div_ceil(output.width.max(1));
    by_cache.max(by_block).clamp(1, output.height.max(1))
}

/// Runs `work(image, first line, output lines)` over strips of every image's output, in parallel.
fn for_each_strip(
    output: &mut [f32],
    size: ImageSize,
    strip: usize,
    work: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    let line = size.width * size.channels;
    if size.len() == 0 {
        return;
    }
    output.par_chunks_mut(size.len()).enumerate().for_each(|(image, output)| {
        output
            .par_chunks_mut(strip * line)
            .enumerate()
            .for_each(|(number, output)| work(image, number * strip, output));
    });
}
