//! Gradients of a convolution's weights and bias.
//!
//! `weight[ky, kx, l, s]` collects, over all images and small pixels, large value times small value. The sums are cut
//! into shards that depend on the sizes alone, and the shards are added in order: the result has the same bits for any
//! number of threads.

use crate::activation::Signal;
use crate::geometry::Sizes;
use crate::tile::{LANES, ROWS, Runs, multiply_add};
use crate::window::{Part, copy_window, with_scratch};
use rayon::prelude::*;

/// Small pixels that are summed over at a time, so that a packed panel (16 KiB) stays in the first-level cache.
const PIXEL_BLOCK: usize = 256;
/// Pieces of work to aim for.
const SHARDS: usize = 16;
/// Panels of weights per piece of work when there are many.
const PANELS_PER_SHARD: usize = 16;

/// Gradient of the weights `[kernel height, kernel width, large, small channels]` from both sides of a convolution,
/// one of which is a gradient.
pub(crate) fn weight_gradient(large: Signal<'_>, small: Signal<'_>, sizes: &Sizes) -> Vec<f32> {
    let (depth, columns) = (sizes.depth(), sizes.small.channels);
    let panels = depth.div_ceil(LANES);
    let panel_shards = panels.div_ceil(PANELS_PER_SHARD).clamp(1, SHARDS / 2);
    let panels_each = panels.div_ceil(panel_shards);
    let image_shards = (SHARDS / panel_shards).clamp(1, sizes.batch.max(1));
    let images_each = sizes.batch.div_ceil(image_shards);
    // Each piece of work: transposed, `[panel][small channel][lane]`.
    let shards: Vec<Vec<f32>> = (0..panel_shards * image_shards)
        .into_par_iter()
        .map(|shard| {
            let (panel_shard, image_shard) = (shard / image_shards, shard % image_shards);
            let first_panel = (panel_shard * panels_each).min(panels);
            let last_panel = (first_panel + panels_each).min(panels);
            let mut sums = vec![0.0; (last_panel - first_panel) * columns * LANES];
            let first_image = (image_shard * images_each).min(sizes.batch);
            for image in first_image..(first_image + images_each).min(sizes.batch) {
                let large = large.part(image * sizes.large.len(), sizes.large.len());
                let small = small.part(image * sizes.small.len(), sizes.small.len());
                add_image(large, small, sizes, first_panel, &mut sums);
            }
            sums
        })
        .collect();
    let mut gradient = vec![0.0; depth * columns];
    gradient.par_chunks_mut(LANES * columns).enumerate().for_each(|(panel, gradient)| {
        let (panel_shard, panel) = (panel / panels_each, panel % panels_each);
        let block = panel * columns * LANES..(panel + 1) * columns * LANES;
        for shard in &shards[panel_shard * image_shards..(panel_shard + 1) * image_shards] {
            for (column, sums) in shard[block.clone()].chunks_exact(LANES).enumerate() {
                for (target, &sum) in gradient.iter_mut().skip(column).step_by(columns).zip(sums) {
                    *target += sum;
                }
            }
        }
    });
    gradient
}

/// Sum over all pixels of each channel: the gradient of a bias.
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

/// Column sums of `[pixels, channels]`, several pixels side by side where there are few channels.
fn column_sums(values: Signal<'_>, channels: usize) -> Vec<f32> {
    let width = channels * 64_usize.div_ceil(channels);
    with_scratch(|scratch| {
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

/// Adds one image's share to some panels of the weight gradient, `[panel][small channel][lane]`.
fn add_image(large: Signal<'_>, small: Signal<'_>, sizes: &Sizes, first_panel: usize, sums: &mut [f32]) {
    let (stride, padding) = (sizes.geometry.stride, sizes.geometry.padding as isize);
    let channels = sizes.large.channels;
    let columns = sizes.small.channels;
    let width = (sizes.small.width - 1) * stride + sizes.kernel[1];
    let strip = (PIXEL_BLOCK / sizes.small.width).clamp(1, sizes.small.height);
    let mut top = 0;
    while top < sizes.small.height {
        let height = strip.min(sizes.small.height - top);
        let pixels = height * sizes.small.width;
        with_scratch(|scratch| {
            let part = Part {
                top: (top * stride) as isize - padding,
                left: -padding,
                height: (height - 1) * stride + sizes.kernel[0],
                width,
            };
            copy_window(large, sizes.large, part, &mut scratch.window);
            pack_transposed(
                small.part(top * sizes.small.width * columns, pixels * columns),
                columns,
                &mut scratch.sums,
                &mut scratch.packed,
            );
            scratch.panel.resize(scratch.panel.len().max(pixels * LANES), 0.0);
            for (number, sums) in sums.chunks_exact_mut(columns * LANES).enumerate() {
                let panel = &mut scratch.panel[..pixels * LANES];
                let first = (first_panel + number) * LANES;
                pack_taps(&scratch.window, sizes, width, height, first, panel);
                for (tile, sums) in sums.chunks_mut(ROWS * LANES).enumerate() {
                    let mut starts = [0; ROWS];
                    for (row, start) in starts.iter_mut().enumerate() {
                        *start = (tile * ROWS + row) * pixels;
                    }
                    multiply_add(
                        &scratch.packed,
                        &starts[..sums.len() / LANES],
                        Runs::one(pixels),
                        panel,
                        sums,
                    );
                }
            }
        });
        top += height;
    }
    debug_assert!(channels > 0);
}

/// `[pixels, columns]` as `[columns, pixels]`.
fn pack_transposed(values: Signal<'_>, columns: usize, plain: &mut Vec<f32>, transposed: &mut Vec<f32>) {
    let pixels = values.len() / columns;
    plain.resize(plain.len().max(values.len()), 0.0);
    transposed.resize(transposed.len().max(values.len()), 0.0);
    let plain = &mut plain[..values.len()];
    values.write_to(plain);
    // In squares, so that both sides of the copy stay in the first-level cache.
    const SQUARE: usize = 16;
    for first in (0..columns).step_by(SQUARE) {
        let count = SQUARE.min(columns - first);
        for from in (0..pixels).step_by(SQUARE) {
            let until = (from + SQUARE).min(pixels);
            for column in first..first + count {
                let target = &mut transposed[column * pixels + from..column * pixels + until];
                let source = plain[from * columns + column..].iter().step_by(columns);
                for (target, &value) in target.iter_mut().zip(source) {
                    *target = value;
                }
            }
        }
    }
}

/// Packs [`LANES`] of the values under the kernel, from number `first` on, for every pixel: `[pixels][LANES]`.
fn pack_taps(window: &[f32], sizes: &Sizes, width: usize, height: usize, first: usize, panel: &mut [f32]) {
    let stride = sizes.geometry.stride;
    let channels = sizes.large.channels;
    let run = sizes.kernel[1] * channels;
    let last = (first + LANES).min(sizes.depth());
    // The lanes fall into pieces that lie in one row of the kernel each.
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
        let mut pixels = panel.chunks_exact_mut(LANES);
        for y in 0..height {
            let line = (y * stride + ky) * width * channels + offset;
            for (x, target) in (&mut pixels).take(sizes.small.width).enumerate() {
                let source = line + x * stride * channels;
                match length {
                    // Fixed lengths compile to plain loads and stores.
                    LANES => target.copy_from_slice(&window[source..source + LANES]),
                    4 => target[lane..lane + 4].copy_from_slice(&window[source..source + 4]),
                    _ => target[lane..lane + length].copy_from_slice(&window[source..source + length]),
                }
            }
        }
        lane += length;
    }
}
