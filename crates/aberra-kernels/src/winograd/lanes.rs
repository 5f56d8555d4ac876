//! The Winograd transforms of inputs, weights and outputs, vectorised over channels.

#![allow(
    clippy::needless_range_loop,
    reason = "of closures and iterators over arrays the compiler makes calls"
)]

use crate::epilogue::Epilogue;
use crate::tile::LANES;
use crate::wide::wide;

/// Products per tile.
pub(super) const PRODUCTS: usize = 9;
/// Channels that are transformed at a time.
const WIDTH: usize = 8;

type Lanes = [f32; WIDTH];

/// Strides of the values that tiles are read from.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    /// From row to row.
    pub(super) row: usize,
    /// From column to column.
    pub(super) column: usize,
    /// From tile to tile.
    pub(super) tile: usize,
}

#[inline(always)]
fn plus(mut a: Lanes, b: Lanes) -> Lanes {
    for lane in 0..WIDTH {
        a[lane] += b[lane];
    }
    a
}

#[inline(always)]
fn minus(mut a: Lanes, b: Lanes) -> Lanes {
    for lane in 0..WIDTH {
        a[lane] -= b[lane];
    }
    a
}

#[inline(always)]
fn load(values: &[f32], at: usize) -> Lanes {
    let mut lanes = [0.0; WIDTH];
    lanes.copy_from_slice(&values[at..at + WIDTH]);
    lanes
}

#[inline(always)]
fn store(lanes: Lanes, target: &mut [f32], at: usize) {
    target[at..at + WIDTH].copy_from_slice(&lanes);
}

/// `(d0 - d1, d1, d1 - d2)`
#[inline(always)]
fn split([a, b, c]: [Lanes; 3]) -> [Lanes; 3] {
    [minus(a, b), b, minus(b, c)]
}

/// `(m0 + m1, m1 - m2)`
#[inline(always)]
fn combine([a, b, c]: [Lanes; 3]) -> [Lanes; 2] {
    [plus(a, b), minus(b, c)]
}

/// `(g0, g0 + g1, g1)`
#[inline(always)]
fn expand([a, b]: [Lanes; 2]) -> [Lanes; 3] {
    [a, plus(a, b), b]
}

#[inline(always)]
fn finish(mut lanes: Lanes, epilogue: Epilogue) -> Lanes {
    epilogue.apply(&mut lanes);
    lanes
}

/// Applies a one-dimensional transform along both axes of `N` x `N` values, loaded by row and column, to give `M` x
/// `M`.
macro_rules! both_axes {
    ($one:ident, $n:literal, $m:literal, $load:expr) => {{
        let mut down = [[[0.0; WIDTH]; $n]; $m];
        for column in 0..$n {
            let mut values = [[0.0; WIDTH]; $n];
            for (row, value) in values.iter_mut().enumerate() {
                *value = $load(row, column);
            }
            let values = $one(values);
            for row in 0..$m {
                down[row][column] = values[row];
            }
        }
        let mut both = [[[0.0; WIDTH]; $m]; $m];
        for row in 0..$m {
            both[row] = $one(down[row]);
        }
        both
    }};
}

/// Input transform of the 3 x 3 tile that begins at `from`: nine left operands.
#[inline(always)]
fn split_tile(source: &[f32], from: usize, steps: Steps) -> [[Lanes; 3]; 3] {
    both_axes!(split, 3, 3, |row, column| load(source, from + row * steps.row + column * steps.column))
}

wide! {
    /// Input transform of a line of tiles: `channels` of each are written to `[tile][product][depth]`, from depth `at`
    /// on.
    pub(super) fn split_tiles(
        source: &[f32],
        steps: Steps,
        channels: usize,
        target: &mut [f32],
        depth: usize,
        at: usize,
    ) {
        for (tile, target) in target.chunks_exact_mut(PRODUCTS * depth).enumerate() {
            for channel in (0..channels).step_by(WIDTH) {
                let tile = split_tile(source, tile * steps.tile + channel, steps);
                for (product, &lanes) in tile.as_flattened().iter().enumerate() {
                    store(lanes, target, product * depth + at + channel);
                }
            }
        }
    }

    /// Input transform of a transposed convolution: `[2 rows][2 columns]` small pixels to `[product][channels]`.
    pub(super) fn expand_tile(source: &[f32], steps: Steps, channels: usize, target: &mut [f32]) {
        for channel in (0..channels).step_by(WIDTH) {
            let expanded = both_axes!(expand, 2, 3, |row, column| {
                load(source, row * steps.row + column * steps.column + channel)
            });
            for (product, &lanes) in expanded.as_flattened().iter().enumerate() {
                store(lanes, target, product * channels + channel);
            }
        }
    }

    /// Weight transform: four taps to nine products, for [`LANES`] columns of row `row` of `[product][depth][LANES]`.
    pub(super) fn expand_weights(source: &[f32], steps: Steps, target: &mut [f32], depth: usize, row: usize) {
        for lane in (0..LANES).step_by(WIDTH) {
            let expanded = both_axes!(expand, 2, 3, |row, column| {
                load(source, row * steps.row + column * steps.column + lane)
            });
            for (product, &lanes) in expanded.as_flattened().iter().enumerate() {
                store(lanes, target, (product * depth + row) * LANES + lane);
            }
        }
    }

    /// Output transform of a transposed convolution: the first four pixels of a phase's tile, from the products of the
    /// tile itself (the last of `near`) and of its neighbours above and to the left, each `[product][columns]`. Reads
    /// the columns from `at` on; adds the bias and applies the epilogue.
    pub(super) fn overlap_tiles(
        near: [&[f32]; 4],
        columns: usize,
        at: usize,
        bias: Option<&[f32]>,
        epilogue: Epilogue,
        results: &mut [f32],
    ) {
        let channels = results.len() / 4;
        let [both, above, before, here] = near;
        for channel in (0..channels).step_by(WIDTH) {
            let from = at + channel;
            // Along the rows of this tile, and along the third row of the tiles above.
            let mut lines = [[[0.0; WIDTH]; 2]; 4];
            for row in 0..4 {
                let (left, tile, row_of_tile) = match row {
                    3 => (both, above, 2),
                    _ => (before, here, row),
                };
                let at = row_of_tile * 3 * columns + from;
                let first = load(tile, at);
                lines[row] = [
                    plus(first, load(left, at + 2 * columns)),
                    minus(minus(load(tile, at + columns), first), load(tile, at + 2 * columns)),
                ];
            }
            let [first, second, third, last] = lines;
            let bias = match bias {
                Some(bias) => load(bias, channel),
                None => [0.0; WIDTH],
            };
            for column in 0..2 {
                let upper = plus(first[column], last[column]);
                let lower = minus(minus(second[column], first[column]), third[column]);
                store(finish(plus(upper, bias), epilogue), results, column * channels + channel);
                store(finish(plus(lower, bias), epilogue), results, (2 + column) * channels + channel);
            }
        }
    }

    /// Output transform: four results of a tile from its nine products, `[product][columns]`, with bias and epilogue.
    pub(super) fn combine_tile(
        products: &[f32],
        bias: Option<&[f32]>,
        epilogue: Epilogue,
        results: &mut [f32],
    ) {
        let width = products.len() / PRODUCTS;
        for column in (0..width).step_by(WIDTH) {
            let combined = both_axes!(combine, 3, 2, |row, product| {
                load(products, (row * 3 + product) * width + column)
            });
            let bias = match bias {
                Some(bias) => load(bias, column),
                None => [0.0; WIDTH],
            };
            for (result, &lanes) in combined.as_flattened().iter().enumerate() {
                let lanes = finish(plus(lanes, bias), epilogue);
                store(lanes, results, result * width + column);
            }
        }
    }
}
