//! The gradient of the weights, from the same nine products: here the tile of the small side plays the kernel's part, and
//! the sums over all tiles are taken before the products are put together.

use super::lanes::{Steps, expand_tile, split_panel};
use super::{Block, PHASES, PRODUCTS, TAPS, together};
use crate::activation::Signal;
use crate::geometry::Sizes;
use crate::operand::{Single, Value, at_least};
use crate::pool;
use crate::tile::{End, LANES, Left, ROWS, Runs, Sums, multiply};
use crate::window::{Part, fill_window};
use rayon::prelude::*;

/// Pieces of work to aim for.
const SHARDS: usize = 16;
/// Panels of large channels and phases per piece of work when there are many.
const PANELS_PER_SHARD: usize = 8;
/// Tiles that are summed over at a time, so that a packed panel (8 KiB) stays in the first-level cache.
const TILES: usize = 128;

/// How the two taps along one axis are made of the three products.
const TO_TAPS: [[f32; 3]; TAPS] = [[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]];

/// As [`weight_gradient`](crate::weight_gradient::weight_gradient), where it [`fits`](super::fits).
pub(crate) fn weight_gradient(large: Signal<'_>, small: Signal<'_>, sizes: &Sizes) -> Vec<f32> {
    let (channels, columns) = (sizes.large.channels, sizes.small.channels);
    let panels = PHASES * PHASES * channels / LANES;
    let panel_shards = panels.div_ceil(PANELS_PER_SHARD).clamp(1, SHARDS / 2);
    let panels_each = panels.div_ceil(panel_shards);
    let image_shards = (SHARDS / panel_shards).clamp(1, sizes.batch.max(1));
    let images_each = sizes.batch.div_ceil(image_shards);
    let tiles = super::tiles(sizes);
    let (images, height) = together(tiles, TILES);
    // Each piece of work: `[panel][product][small channel][lane]`.
    let shards: Vec<Vec<f32>> = (0..panel_shards * image_shards)
        .into_par_iter()
        .map(|shard| {
            let (panel_shard, image_shard) = (shard / image_shards, shard % image_shards);
            let first_panel = (panel_shard * panels_each).min(panels);
            let last_panel = (first_panel + panels_each).min(panels);
            let mut sums = pool::take((last_panel - first_panel) * PRODUCTS * columns * LANES);
            let first_image = (image_shard * images_each).min(sizes.batch);
            let last_image = (first_image + images_each).min(sizes.batch);
            if first_image == last_image || tiles.contains(&0) {
                sums.fill(0.0);
            }
            // The first block writes its share, the others add theirs.
            let mut begin = Some(&[0.0; LANES]);
            for image in (first_image..last_image).step_by(images) {
                for top in (0..tiles[0]).step_by(height) {
                    let block = Block {
                        image,
                        images: images.min(last_image - image),
                        top,
                        height: height.min(tiles[0] - top),
                    };
                    add_block(large, small, sizes, block, tiles[1], first_panel, begin.take(), &mut sums);
                }
            }
            sums
        })
        .collect();
    // The taps of each panel: `[tap of the phase][large channel][small channel]`.
    let taps: Vec<Vec<f32>> = (0..panels)
        .into_par_iter()
        .map(|panel| {
            let (panel_shard, panel) = (panel / panels_each, panel % panels_each);
            let range = panel * PRODUCTS * columns * LANES..(panel + 1) * PRODUCTS * columns * LANES;
            let shards = &shards[panel_shard * image_shards..(panel_shard + 1) * image_shards];
            let mut sums = shards[0][range.clone()].to_vec();
            for shard in &shards[1..] {
                for (sum, &value) in sums.iter_mut().zip(&shard[range.clone()]) {
                    *sum += value;
                }
            }
            put_together(&sums, columns)
        })
        .collect();
    shards.into_iter().for_each(pool::give);
    let mut gradient = pool::take(sizes.depth() * columns);
    gradient.par_chunks_mut(LANES * columns).enumerate().for_each(|(chunk, gradient)| {
        let (tap, channel) = (chunk * LANES / channels, chunk * LANES % channels);
        let [ky, kx] = [tap / sizes.kernel[1], tap % sizes.kernel[1]];
        let panel = ((ky % PHASES * PHASES + kx % PHASES) * channels + channel) / LANES;
        let tap = ky / PHASES * TAPS + kx / PHASES;
        gradient.copy_from_slice(&taps[panel][tap * LANES * columns..(tap + 1) * LANES * columns]);
    });
    gradient
}

/// The four taps from the nine sums, `[product][small channel][lane]`.
fn put_together(sums: &[f32], columns: usize) -> Vec<f32> {
    let mut taps = vec![0.0; TAPS * TAPS * LANES * columns];
    for (tap, rows) in taps.chunks_exact_mut(LANES * columns).enumerate() {
        let [down, across] = [TO_TAPS[tap / TAPS], TO_TAPS[tap % TAPS]];
        for (product, sums) in sums.chunks_exact(LANES * columns).enumerate() {
            let factor = down[product / 3] * across[product % 3];
            if factor != 0.0 {
                for (column, sums) in sums.as_chunks::<LANES>().0.iter().enumerate() {
                    for (lane, &sum) in sums.iter().enumerate() {
                        rows[lane * columns + column] += sum * factor;
                    }
                }
            }
        }
    }
    taps
}

/// Adds a block's share to some panels' sums, `[panel][product][small channel][lane]`, or to `begin` where it is given.
#[allow(clippy::too_many_arguments, reason = "one block of one piece of work")]
fn add_block(
    large: Signal<'_>,
    small: Signal<'_>,
    sizes: &Sizes,
    block: Block,
    across: usize,
    first_panel: usize,
    begin: Option<&[f32; LANES]>,
    sums: &mut [f32],
) {
    let (channels, columns) = (sizes.large.channels, sizes.small.channels);
    let padding = sizes.geometry.padding as isize;
    let tiles = block.images * block.height * across;
    let of_large = Part {
        top: (block.top * TAPS * PHASES) as isize - padding,
        left: -padding,
        height: (TAPS * block.height + 1) * PHASES,
        width: (TAPS * across + 1) * PHASES,
    };
    let of_small =
        Part { top: (block.top * TAPS) as isize, left: 0, height: TAPS * block.height, width: TAPS * across };
    f32::with_scratch(|scratch| {
        let rows = at_least(&mut scratch.packed, PRODUCTS * columns.div_ceil(ROWS) * ROWS * tiles);
        let pixels = at_least(&mut scratch.line, of_small.height * of_small.width * columns);
        let expanded = at_least(&mut scratch.plain, PRODUCTS * columns);
        let steps = Steps { row: of_small.width * columns, column: columns, tile: 0 };
        for image in 0..block.images {
            let signal = small.part((block.image + image) * sizes.small.len(), sizes.small.len());
            fill_window::<Single>(signal, sizes.small, of_small, pixels);
            for tile in 0..block.height * across {
                let (y, x) = (tile / across * TAPS, tile % across * TAPS);
                expand_tile(&pixels[(y * of_small.width + x) * columns..], steps, columns, expanded);
                pack_rows(expanded, columns, image * block.height * across + tile, tiles, rows);
            }
        }
        let window = of_large.height * of_large.width * channels;
        let windows = at_least(&mut scratch.window, block.images * window);
        block.fill_windows(large, sizes.large, of_large, windows);
        let steps = Steps {
            row: PHASES * of_large.width * channels,
            column: PHASES * channels,
            tile: TAPS * PHASES * channels,
        };
        scratch.starts.clear();
        scratch.starts.extend((0..columns).map(|column| column / ROWS * tiles * ROWS + column % ROWS));
        scratch.places.clear();
        scratch.places.extend((0..columns).map(|column| column * LANES));
        let split = at_least(&mut scratch.panel, PRODUCTS * tiles * LANES);
        for (number, sums) in sums.chunks_exact_mut(PRODUCTS * columns * LANES).enumerate() {
            let first = (first_panel + number) * LANES;
            let (phase, channel) = (first / channels, first % channels);
            for line in 0..block.images * block.height {
                let (image, y) = (line / block.height, line % block.height);
                let row = y * TAPS * PHASES + phase / PHASES;
                let from = image * window + (row * of_large.width + phase % PHASES) * channels + channel;
                split_panel(&windows[from..], steps, across, split, tiles, line * across);
            }
            let products = sums.chunks_exact_mut(columns * LANES).zip(split.chunks_exact(tiles * LANES));
            for (product, (sums, panel)) in products.enumerate() {
                let left = Left {
                    values: &*rows,
                    starts: &scratch.starts,
                    offset: product * columns.div_ceil(ROWS) * ROWS * tiles,
                    runs: Runs { step: ROWS, ..Runs::one(tiles) },
                };
                let sums = Sums { values: sums, places: &scratch.places, offset: 0 };
                multiply(left, panel, begin, End::Sum, sums);
            }
        }
    });
}

/// `[product][columns]` of one tile to its place in `[product][group of columns][tile][ROWS]`.
fn pack_rows(expanded: &[f32], columns: usize, tile: usize, tiles: usize, rows: &mut [f32]) {
    let groups = columns.div_ceil(ROWS);
    for (product, values) in expanded.chunks_exact(columns).enumerate() {
        let mut place = (product * groups * tiles + tile) * ROWS;
        let (full, rest) = values.as_chunks::<ROWS>();
        for values in full {
            rows[place..place + ROWS].copy_from_slice(values);
            place += tiles * ROWS;
        }
        if !rest.is_empty() {
            rows[place..place + rest.len()].copy_from_slice(rest);
        }
    }
}
