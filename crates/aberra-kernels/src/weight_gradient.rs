//! Gradients of a convolution's weights and bias.
//!
//! The gradient of `weight[ky, kx, l, s]` is a product whose depth are all images and small pixels: the sum of large
//! value times small value. The depth is cut into shards that depend on the sizes alone, and the shards are added in
//! order, so the result is bit-identical for any number of threads.

use crate::epilogue::Epilogue;
use crate::geometry::{ImageSize, Sizes};
use crate::operand::{Operands, Single, with_operands};
use crate::pool;
use crate::precision::OperandPrecision;
use crate::scratch::{Scratched, at_least};
use crate::signal::Signal;
use crate::tile::{Begin, LANES, Left, PANELS, ROWS, Right, Runs, Sums, multiply};
use crate::window::{Region, fill_window};
use rayon::prelude::*;
use std::ops::Range;

/// Small pixels per depth block, so that a packed panel (16 KiB) stays in the L1 cache.
const PIXEL_BLOCK: usize = 256;
/// Parallel tasks to aim for.
const SHARDS: usize = 16;
/// Panels of weights per task, where there are many.
const PANELS_PER_SHARD: usize = 64;

/// Gradient with respect to the weights `[kernel height, kernel width, large channels, small channels]`, from both
/// sides of a convolution, one of which is a gradient.
pub(crate) fn weight_gradient(
    large: Signal<'_>,
    small: Signal<'_>,
    sizes: &Sizes,
    precision: OperandPrecision,
) -> Vec<f32> {
    // The depth are pixels, which are padded to what the operands need.
    with_operands!(precision, 0, O => sum_shards::<O>(large, small, sizes))
}

fn sum_shards<O: Operands>(large: Signal<'_>, small: Signal<'_>, sizes: &Sizes) -> Vec<f32> {
    let (depth, columns) = (sizes.depth(), sizes.small.channels);
    let panels = depth.div_ceil(LANES);
    let panel_shards = panels.div_ceil(PANELS_PER_SHARD).clamp(1, SHARDS / 2);
    let panels_each = panels.div_ceil(panel_shards);
    let image_shards = (SHARDS / panel_shards).clamp(1, sizes.batch.max(1));
    let images_each = sizes.batch.div_ceil(image_shards);
    // Result of each task, transposed: `[panel][small channel][lane]`.
    let shards: Vec<Vec<f32>> = (0..panel_shards * image_shards)
        .into_par_iter()
        .map(|shard| {
            let (panel_shard, image_shard) = (shard / image_shards, shard % image_shards);
            let first_panel = (panel_shard * panels_each).min(panels);
            let last_panel = (first_panel + panels_each).min(panels);
            let mut sums = pool::take((last_panel - first_panel) * columns * LANES);
            let first_image = (image_shard * images_each).min(sizes.batch);
            let last_image = (first_image + images_each).min(sizes.batch);
            if first_image == last_image {
                sums.fill(0.0);
            }
            for (number, block) in blocks(first_image..last_image, sizes).enumerate() {
                // The first block initialises the accumulators, the others add to them.
                let begin = (number == 0).then_some(&[[0.0; LANES]; PANELS]);
                add_block::<O>(large, small, sizes, block, first_panel, begin, &mut sums);
            }
            sums
        })
        .collect();
    let mut gradient = pool::take(depth * columns);
    gradient.par_chunks_mut(LANES * columns).enumerate().for_each(|(panel, gradient)| {
        let (panel_shard, panel) = (panel / panels_each, panel % panels_each);
        let block = panel * columns * LANES..(panel + 1) * columns * LANES;
        let mut sums = vec![0.0; columns * LANES];
        for shard in &shards[panel_shard * image_shards..(panel_shard + 1) * image_shards] {
            for (sum, &value) in sums.iter_mut().zip(&shard[block.clone()]) {
                *sum += value;
            }
        }
        for (lane, row) in gradient.chunks_exact_mut(columns).enumerate() {
            for (target, sums) in row.iter_mut().zip(sums.as_chunks::<LANES>().0) {
                *target = sums[lane];
            }
        }
    });
    shards.into_iter().for_each(pool::give);
    gradient
}

/// Gradient with respect to a bias: the sum of each channel over all pixels.
pub(crate) fn bias_gradient(gradient: Signal<'_>, channels: usize) -> Vec<f32> {
    let pixels = gradient.len() / channels.max(1);
    let pixels_each = pixels.div_ceil(SHARDS).max(1);
    let shards: Vec<Vec<f32>> = (0..pixels.div_ceil(pixels_each))
        .into_par_iter()
        .map(|shard| {
            let first = shard * pixels_each;
            let count = pixels_each.min(pixels - first);
            column_sums(gradient.part(first * channels, count * channels), channels)
        })
        .collect();
    let mut sums = vec![0.0; channels];
    for shard in shards {
        for (sum, value) in sums.iter_mut().zip(shard) {
            *sum += value;
        }
    }
    sums
}

/// Column sums of `[pixels, channels]`; several pixels at a time where there are few channels.
fn column_sums(values: Signal<'_>, channels: usize) -> Vec<f32> {
    let width = channels * 64_usize.div_ceil(channels);
    f32::with_scratch(|scratch| {
        let (buffer, sums) = (&mut scratch.packed, &mut scratch.sums);
        buffer.resize(width.max(buffer.len()), 0.0);
        sums.clear();
        sums.resize(width, 0.0);
        let mut start = 0;
        while start < values.len() {
            let length = width.min(values.len() - start);
            let row = &mut buffer[..length];
            values.part(start, length).write_to(row);
            for (sum, &value) in sums.iter_mut().zip(&*row) {
                *sum += value;
            }
            start += length;
        }
        let mut folded = vec![0.0; channels];
        for part in sums.chunks_exact(channels) {
            for (sum, &value) in folded.iter_mut().zip(part) {
                *sum += value;
            }
        }
        folded
    })
}

/// Small pixels that are packed together: some lines of one image, or several whole images.
#[derive(Clone, Copy)]
struct PixelBlock {
    image: usize,
    images: usize,
    top: usize,
    height: usize,
}

/// Cuts images into blocks of about [`PIXEL_BLOCK`] pixels each.
fn blocks(images: Range<usize>, sizes: &Sizes) -> impl Iterator<Item = PixelBlock> {
    let ImageSize { height, width, .. } = sizes.small;
    let strip = (PIXEL_BLOCK / width.max(1)).clamp(1, height.max(1));
    let together = if strip == height { (PIXEL_BLOCK / sizes.small.pixels().max(1)).max(1) } else { 1 };
    images.clone().step_by(together).flat_map(move |image| {
        (0..height).step_by(strip).map(move |top| PixelBlock {
            image,
            images: together.min(images.end - image),
            top,
            height: strip.min(height - top),
        })
    })
}

/// Adds a block's contribution to some panels of the weight gradient, `[panel][small channel][lane]`, or to the initial
/// value `begin` where it is given.
fn add_block<O: Operands>(
    large: Signal<'_>,
    small: Signal<'_>,
    sizes: &Sizes,
    block: PixelBlock,
    first_panel: usize,
    begin: Begin<'_>,
    sums: &mut [f32],
) {
    let (stride, padding) = (sizes.geometry.stride, sizes.geometry.padding as isize);
    let columns = sizes.small.channels;
    let region = Region {
        top: (block.top * stride) as isize - padding,
        left: -padding,
        height: (block.height - 1) * stride + sizes.kernel[0],
        width: (sizes.small.width - 1) * stride + sizes.kernel[1],
    };
    let window = region.height * region.width * sizes.large.channels;
    let pixels = block.images * block.height * sizes.small.width;
    // The last value is padded with zeros in both operands.
    let depth = pixels.div_ceil(O::DEPTH);
    O::Value::with_scratch(|scratch| {
        let windows = at_least(&mut scratch.line, block.images * window);
        for (number, window) in windows.chunks_exact_mut(window).enumerate() {
            let image = large.part((block.image + number) * sizes.large.len(), sizes.large.len());
            fill_window::<Single>(image, sizes.large, region, window);
        }
        let first = (block.image * sizes.small.height + block.top) * sizes.small.width;
        let rows = small.part(first * columns, pixels * columns);
        let packed = at_least(&mut scratch.packed, columns.div_ceil(ROWS) * depth * ROWS);
        O::pack(packed, ROWS, &mut scratch.plain, |packed| {
            pack_by_rows(rows, columns, depth * O::DEPTH, &mut scratch.sums, packed);
        });
        scratch.starts.clear();
        scratch.starts.extend((0..columns).map(|column| column / ROWS * depth * ROWS + column % ROWS));
        scratch.places.clear();
        scratch.places.extend((0..columns).map(|column| column * LANES));
        let panels = at_least(&mut scratch.panel, PANELS * depth * LANES);
        for (group, sums) in sums.chunks_mut(PANELS * columns * LANES).enumerate() {
            let count = sums.len() / (columns * LANES);
            for (number, panel) in panels.chunks_exact_mut(depth * LANES).take(count).enumerate() {
                let first = (first_panel + group * PANELS + number) * LANES;
                O::pack(panel, LANES, &mut scratch.plain, |panel| {
                    let (panel, rest) = panel.split_at_mut(pixels * LANES);
                    pack_taps(windows, sizes, region, block.height, first, panel);
                    rest.fill(0.0);
                });
            }
            let runs = Runs { step: ROWS, ..Runs::one(depth) };
            let left = Left { values: &*packed, starts: &scratch.starts, offset: 0, runs };
            let right = Right { values: &*panels, count, apart: depth * LANES };
            let sums = Sums { values: sums, places: &scratch.places, offset: 0, apart: columns * LANES };
            multiply(left, right, begin, Epilogue::Identity, sums);
        }
    });
}

/// Packs `[pixels, columns]` as `[tiles of columns][depth][ROWS]`, zero beyond the pixels; missing columns of the last
/// tile are not written.
fn pack_by_rows(values: Signal<'_>, columns: usize, depth: usize, plain: &mut Vec<f32>, packed: &mut [f32]) {
    for (pixel, source) in values.read(plain).chunks_exact(columns).enumerate() {
        let (full, rest) = source.as_chunks::<ROWS>();
        let mut begin = pixel * ROWS;
        for source in full {
            packed[begin..begin + ROWS].copy_from_slice(source);
            begin += depth * ROWS;
        }
        if !rest.is_empty() {
            copy_few(rest, &mut packed[begin..]);
        }
    }
    let pixels = values.len() / columns;
    for tile in packed.chunks_exact_mut(depth * ROWS) {
        tile[pixels * ROWS..].fill(0.0);
    }
}

/// Packs [`LANES`] columns of the im2col matrix, from column `first` on, for every small pixel of the windows:
/// `[pixels][LANES]`. Each window covers `height` lines of small pixels.
fn pack_taps(windows: &[f32], sizes: &Sizes, region: Region, height: usize, first: usize, panel: &mut [f32]) {
    let stride = sizes.geometry.stride;
    let channels = sizes.large.channels;
    let run = sizes.kernel[1] * channels;
    let last = (first + LANES).min(sizes.depth());
    // The lanes are split where a kernel row ends.
    let mut lane = 0;
    while lane < LANES {
        let position = first + lane;
        if position >= last {
            for target in panel.chunks_exact_mut(LANES) {
                target[lane..].fill(0.0);
            }
            break;
        }
        let (ky, offset) = (position / run, position % run);
        let length = (run - offset).min(last - position);
        let mut pixels = panel.as_chunks_mut::<LANES>().0.iter_mut();
        for window in windows.chunks_exact(region.height * region.width * channels) {
            for y in 0..height {
                let line = &window[(y * stride + ky) * region.width * channels + offset..];
                let targets = (&mut pixels).take(sizes.small.width);
                let step = stride * channels;
                // Constant lengths compile to vector loads and stores.
                match length {
                    LANES => copy_pieces::<LANES>(line, step, targets, 0),
                    8 => copy_pieces::<8>(line, step, targets, lane),
                    4 => copy_pieces::<4>(line, step, targets, lane),
                    _ => {
                        for (x, target) in targets.enumerate() {
                            copy_few(&line[x * step..x * step + length], &mut target[lane..]);
                        }
                    }
                }
            }
        }
        lane += length;
    }
}

/// Copies `N` values from every `step`-th offset of a line into each of the targets.
#[inline(always)]
fn copy_pieces<'a, const N: usize>(
    line: &[f32],
    step: usize,
    targets: impl Iterator<Item = &'a mut [f32; LANES]>,
    lane: usize,
) {
    for (x, target) in targets.enumerate() {
        target[lane..lane + N].copy_from_slice(&line[x * step..x * step + N]);
    }
}

/// Copies to the beginning of `target`. Constant lengths compile to loads and stores, others to a `memcpy` call.
#[inline(always)]
fn copy_few(source: &[f32], target: &mut [f32]) {
    match source.len() {
        1 => target[..1].copy_from_slice(&source[..1]),
        2 => target[..2].copy_from_slice(&source[..2]),
        3 => target[..3].copy_from_slice(&source[..3]),
        4 => target[..4].copy_from_slice(&source[..4]),
        5 => target[..5].copy_from_slice(&source[..5]),
        length => target[..length].copy_from_slice(source),
    }
}
