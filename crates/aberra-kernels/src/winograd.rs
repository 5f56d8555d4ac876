//! Convolutions with 4 x 4 kernels and stride 2 by Winograd's minimal filtering F(2 x 2, 2 x 2), with nine products in
//! place of sixteen (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016,
//! <https://arxiv.org/abs/1509.09308>).
//!
//! Every other row and column of the padded large side, a *phase*, is related to the small side by a 2 x 2 kernel. In
//! one dimension, a tile of two small values reads three large ones:
//!
//! ```text
//! convolution                        transposed convolution
//! s0 = d0 g0 + d1 g1 = m0 + m1       d0 = s0 g0          = m0
//! s1 = d1 g0 + d2 g1 = m1 - m2       d1 = s0 g1 + s1 g0  = m1 - m0 - m2
//!                                    d2 = s1 g1          = m2
//! m0 = (d0 - d1) g0                  m0 = s0 g0
//! m1 = d1 (g0 + g1)                  m1 = (s0 + s1) (g0 + g1)
//! m2 = (d1 - d2) g1                  m2 = s1 g1
//! ```
//!
//! In two dimensions the same is done along both axes; the tiles of a transposed convolution overlap and are added.
//! Each of the nine products is a matrix product over all tiles. `lanes` holds the input, weight and output transforms.
//!
//! The weight gradient does not use this algorithm: a weight whose exact gradient is 0 would get the rounding errors of
//! its neighbours instead, and Adam, which normalises by the gradient's size, would follow them.

mod lanes;

use self::lanes::{PRODUCTS, Steps, combine_tile, expand_tile, expand_weights, overlap_tiles, split_tiles};
use crate::activation::ActivationFunction;
use crate::epilogue::Epilogue;
use crate::geometry::{ImageSize, Sizes};
use crate::operand::Single;
use crate::pool;
use crate::precision::OperandPrecision;
use crate::scratch::{Scratched, at_least};
use crate::signal::Signal;
use crate::tile::{DEPTH_BLOCK, LANES, Left, PANELS, Right, Runs, Sums, multiply};
use crate::window::{Region, fill_window};
use rayon::prelude::*;

/// Taps of a phase in one dimension; also the small pixels of a tile.
const TAPS: usize = 2;
/// Phases in one dimension.
const PHASES: usize = 2;
/// Tiles per task: enough to amortise loading a panel of weights into the cache.
const TILES: usize = 96;
/// Tiles per task of a transposed convolution, where each task recomputes one line of tiles.
const OVERLAPPING_TILES: usize = 256;

/// Whether the algorithm applies to a convolution and makes it faster.
pub(crate) fn fits(sizes: &Sizes, precision: OperandPrecision) -> bool {
    let channels = [sizes.large.channels, sizes.small.channels];
    // Transformed operands would be rounded to bfloat16, which the direct algorithm does not do.
    precision == OperandPrecision::F32
        && sizes.kernel == [TAPS * PHASES; 2]
        && sizes.geometry.stride == PHASES
        && sizes.geometry.padding < TAPS * PHASES
        && channels.iter().all(|channels| *channels > 0 && channels.is_multiple_of(LANES))
}

/// The convolution, under the conditions of [`fits`].
pub(crate) fn gather(
    large: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
) -> Vec<f32> {
    let (channels, columns) = (sizes.large.channels, sizes.small.channels);
    let padding = sizes.geometry.padding as isize;
    let depth = PHASES * PHASES * channels;
    // Order of the depth: phase in y, phase in x, large channel.
    let weights = Weights::new(depth, columns, |row, first| {
        let (phase, channel) = (row / channels, row % channels);
        let from = ((phase / PHASES * sizes.kernel[1] + phase % PHASES) * channels + channel) * columns;
        let column = PHASES * channels * columns;
        (&weight[from + first..], Steps { row: sizes.kernel[1] * column, column, tile: 0 })
    });
    let tiles = tiles(sizes);
    let width = (TAPS * tiles[1] + 1) * PHASES;
    let steps =
        Steps { row: PHASES * width * channels, column: PHASES * channels, tile: TAPS * PHASES * channels };
    let (epilogue, after) = Epilogue::split(activation);
    let mut output = pool::take(sizes.batch * sizes.small.len());
    for_each_block(&mut output, sizes.small, [TAPS, 0], tiles, TILES, |block, output| {
        f32::with_scratch(|scratch| {
            let region = Region {
                top: (block.top * TAPS * PHASES) as isize - padding,
                left: -padding,
                height: (TAPS * block.height + 1) * PHASES,
                width,
            };
            let window = region.height * width * channels;
            let windows = at_least(&mut scratch.window, block.images * window);
            block.fill_windows(large, sizes.large, region, windows);
            let split = at_least(&mut scratch.packed, block.tiles(tiles[1]) * PRODUCTS * depth);
            for (line, split) in split.chunks_exact_mut(tiles[1] * PRODUCTS * depth).enumerate() {
                let (image, y) = (line / block.height, line % block.height);
                for phase in 0..PHASES * PHASES {
                    let row = y * TAPS * PHASES + phase / PHASES;
                    let from = image * window + (row * width + phase % PHASES) * channels;
                    split_tiles(&windows[from..], steps, channels, split, depth, phase * channels);
                }
            }
            let products = at_least(&mut scratch.plain, block.tiles(tiles[1]) * PRODUCTS * columns);
            weights.multiply(split, products, &mut scratch.starts, &mut scratch.places);
            let results = at_least(&mut scratch.line, TAPS * TAPS * columns);
            let lines = output.len() / block.images / (sizes.small.width * columns);
            for (number, products) in products.chunks_exact(PRODUCTS * columns).enumerate() {
                let (line, x) = (number / tiles[1], number % tiles[1]);
                let (image, y) = (line / block.height, line % block.height);
                combine_tile(products, bias, epilogue, results);
                for (result, values) in results.chunks_exact(columns).enumerate() {
                    let (y, x) = (y * TAPS + result / TAPS, x * TAPS + result % TAPS);
                    if y < lines && x < sizes.small.width {
                        let place = ((image * lines + y) * sizes.small.width + x) * columns;
                        output[place..place + columns].copy_from_slice(values);
                    }
                }
            }
            after.apply_all(output);
        });
    });
    output
}

/// The transposed convolution, under the conditions of [`fits`].
pub(crate) fn spread(
    small: Signal<'_>,
    weight: &[f32],
    bias: Option<&[f32]>,
    sizes: &Sizes,
    activation: ActivationFunction,
) -> Vec<f32> {
    let (channels, depth) = (sizes.large.channels, sizes.small.channels);
    let padding = sizes.geometry.padding;
    let columns = PHASES * PHASES * channels;
    let turned = turned(weight, sizes);
    // Order of the columns: phase in y, phase in x, large channel.
    let weights = Weights::new(depth, columns, |row, first| {
        let (phase, channel) = (first / channels, first % channels);
        let from = ((phase / PHASES * sizes.kernel[1] + phase % PHASES) * depth + row) * channels;
        let column = PHASES * depth * channels;
        (&turned[from + channel..], Steps { row: sizes.kernel[1] * column, column, tile: 0 })
    });
    pool::give(turned);
    let tiles = tiles(sizes);
    // The large side extends to the third row and column of the last tiles.
    let blocks = [sizes.large.height, sizes.large.width].map(|size| (size + padding).div_ceil(TAPS * PHASES));
    let zeros = vec![0.0; PRODUCTS * columns];
    let (epilogue, after) = Epilogue::split(activation);
    let mut output = pool::take(sizes.batch * sizes.large.len());
    let lines = [TAPS * PHASES, padding];
    for_each_block(&mut output, sizes.large, lines, blocks, OVERLAPPING_TILES, |block, output| {
        f32::with_scratch(|scratch| {
            // The tiles of the block and the line before them, which overlaps it.
            let first = block.top.saturating_sub(1);
            let height = (block.top + block.height).min(tiles[0]) - first;
            let region = Region {
                top: (first * TAPS) as isize,
                left: 0,
                height: height * TAPS,
                width: tiles[1] * TAPS,
            };
            let window = region.height * region.width * depth;
            let windows = at_least(&mut scratch.window, block.images * window);
            block.fill_windows(small, sizes.small, region, windows);
            let count = block.images * height * tiles[1];
            let steps = Steps { row: region.width * depth, column: depth, tile: TAPS * depth };
            let split = at_least(&mut scratch.packed, count * PRODUCTS * depth);
            for (line, split) in split.chunks_exact_mut(tiles[1] * PRODUCTS * depth).enumerate() {
                for (x, split) in split.chunks_exact_mut(PRODUCTS * depth).enumerate() {
                    expand_tile(&windows[line * TAPS * steps.row + x * steps.tile..], steps, depth, split);
                }
            }
            let products = at_least(&mut scratch.plain, count * PRODUCTS * columns);
            weights.multiply(split, products, &mut scratch.starts, &mut scratch.places);
            // The products of the tile above and to the left of a corner; zero outside the image.
            let tile = |image: usize, y: usize, x: usize| {
                let is_inside = (first + 1..=first + height).contains(&y) && (1..=tiles[1]).contains(&x);
                let number = (image * height + y.wrapping_sub(first + 1)) * tiles[1] + x.wrapping_sub(1);
                match is_inside {
                    true => &products[number * PRODUCTS * columns..(number + 1) * PRODUCTS * columns],
                    false => &zeros[..],
                }
            };
            let results = at_least(&mut scratch.line, TAPS * TAPS * channels);
            let lines = output.len() / block.images / (sizes.large.width * channels);
            // First line of the padded large side that is written.
            let begin = padding.max(block.top * TAPS * PHASES);
            for number in 0..block.images * block.height * blocks[1] {
                let (line, x) = (number / blocks[1], number % blocks[1]);
                let (image, y) = (line / block.height, block.top + line % block.height);
                let near = [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)].map(|(y, x)| tile(image, y, x));
                for phase in 0..PHASES * PHASES {
                    overlap_tiles(near, columns, phase * channels, bias, epilogue, results);
                    for (result, values) in results.chunks_exact(channels).enumerate() {
                        let y = (y * TAPS + result / TAPS) * PHASES + phase / PHASES;
                        let x = (x * TAPS + result % TAPS) * PHASES + phase % PHASES;
                        let is_inside = (begin..begin + lines).contains(&y)
                            && (padding..padding + sizes.large.width).contains(&x);
                        if is_inside {
                            let line = (image * lines + y - begin) * sizes.large.width;
                            let place = (line + x - padding) * channels;
                            output[place..place + channels].copy_from_slice(values);
                        }
                    }
                }
            }
            after.apply_all(output);
        });
    });
    output
}

/// Number of tiles of the small side in y and x.
fn tiles(sizes: &Sizes) -> [usize; 2] {
    [sizes.small.height, sizes.small.width].map(|size| size.div_ceil(TAPS))
}

/// Transformed weights of each product, packed: `[panel of columns][product][depth][LANES]`.
struct Weights {
    values: Vec<f32>,
    depth: usize,
    columns: usize,
}

impl Weights {
    /// `taps(row, column)` returns the weights from the first of the four taps on, and the steps to the others.
    fn new<'a>(
        depth: usize,
        columns: usize,
        taps: impl Fn(usize, usize) -> (&'a [f32], Steps) + Sync,
    ) -> Self {
        let mut values = pool::take(columns * PRODUCTS * depth);
        values.par_chunks_mut(LANES * PRODUCTS * depth).enumerate().for_each(|(panel, values)| {
            for row in 0..depth {
                let (source, steps) = taps(row, panel * LANES);
                expand_weights(source, steps, values, depth, row);
            }
        });
        Self { values, depth, columns }
    }

    /// Multiplies `[tile][product][depth]` by the weights, product by product: `[tile][product][columns]`.
    fn multiply(
        &self,
        split: &[f32],
        products: &mut [f32],
        starts: &mut Vec<usize>,
        places: &mut Vec<usize>,
    ) {
        let Self { depth, columns, .. } = *self;
        let count = split.len() / (PRODUCTS * depth);
        starts.clear();
        starts.extend((0..count).map(|tile| tile * PRODUCTS * depth));
        places.clear();
        places.extend((0..count).map(|tile| tile * PRODUCTS * columns));
        let (panels, apart) = (columns / LANES, LANES * PRODUCTS * depth);
        for product in 0..PRODUCTS {
            for panel in (0..panels).step_by(PANELS) {
                for from in (0..depth).step_by(DEPTH_BLOCK) {
                    let begin = (from == 0).then_some(&[[0.0; LANES]; PANELS]);
                    let runs = Runs::one(DEPTH_BLOCK.min(depth - from));
                    let left = Left { values: split, starts, offset: product * depth + from, runs };
                    let values = &self.values[panel * apart + (product * depth + from) * LANES..];
                    let right = Right { values, count: PANELS.min(panels - panel), apart };
                    let offset = product * columns + panel * LANES;
                    let sums = Sums { values: products, places, offset, apart: LANES };
                    multiply(left, right, begin, Epilogue::Identity, sums);
                }
            }
        }
    }
}

impl Drop for Weights {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.values));
    }
}

/// The weights with large and small channels transposed.
fn turned(weight: &[f32], sizes: &Sizes) -> Vec<f32> {
    let (large, small) = (sizes.large.channels, sizes.small.channels);
    let mut turned = pool::take(weight.len());
    let taps = turned.par_chunks_mut(large * small).zip(weight.par_chunks(large * small));
    taps.for_each(|(turned, weight)| {
        // In square blocks, so that source and target stay in the cache.
        for (band, turned) in turned.chunks_exact_mut(LANES * large).enumerate() {
            for square in 0..large / LANES {
                for row in 0..LANES {
                    let from = (square * LANES + row) * small + band * LANES;
                    for (column, &value) in weight[from..from + LANES].iter().enumerate() {
                        turned[column * large + square * LANES + row] = value;
                    }
                }
            }
        }
    });
    turned
}

/// Tiles of one task: some lines of tiles of one image, or all tiles of several images.
#[derive(Clone, Copy)]
struct TileBlock {
    image: usize,
    images: usize,
    top: usize,
    height: usize,
}

impl TileBlock {
    /// Number of tiles, with `across` tiles per line.
    fn tiles(&self, across: usize) -> usize {
        self.images * self.height * across
    }

    /// Copies the same region of each image.
    fn fill_windows(&self, signal: Signal<'_>, size: ImageSize, region: Region, windows: &mut [f32]) {
        let window = (region.height * region.width * size.channels).max(1);
        for (number, window) in windows.chunks_exact_mut(window).enumerate() {
            let image = signal.part((self.image + number) * size.len(), size.len());
            fill_window::<Single>(image, size, region, window);
        }
    }
}

/// Images per task and lines of tiles per image, for about `most` tiles.
fn together([down, across]: [usize; 2], most: usize) -> (usize, usize) {
    let height = (most / across.max(1)).clamp(1, down.max(1));
    (if height == down { (most / (down * across).max(1)).max(1) } else { 1 }, height)
}

/// Runs `work` over the output in blocks of about `most` tiles, in parallel. A line of tiles covers `lines` lines of
/// the output, the first one `padding` lines fewer.
fn for_each_block(
    output: &mut [f32],
    size: ImageSize,
    [lines, padding]: [usize; 2],
    tiles: [usize; 2],
    most: usize,
    work: impl Fn(TileBlock, &mut [f32]) + Sync,
) {
    if size.len() == 0 {
        return;
    }
    let line = size.width * size.channels;
    let (images, height) = together(tiles, most);
    output.par_chunks_mut(images * size.len()).enumerate().for_each(|(number, output)| {
        let (image, count) = (number * images, output.len() / size.len());
        if count > 1 || height >= tiles[0] {
            work(TileBlock { image, images: count, top: 0, height: tiles[0] }, output);
            return;
        }
        let first = (height * lines - padding) * line;
        let (first, rest) = output.split_at_mut(first.min(output.len()));
        let strips = rest.par_chunks_mut(height * lines * line).enumerate();
        let strips = strips.map(|(strip, output)| (strip + 1, output));
        let work = |(strip, output): (usize, &mut [f32])| {
            let top = strip * height;
            work(TileBlock { image, images: 1, top, height: height.min(tiles[0] - top) }, output);
        };
        rayon::join(|| work((0, first)), || strips.for_each(work));
    });
}
