//! How fast one core multiplies: the register tile, on operands that stay in the first-level cache.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::epilogue::Epilogue;
use crate::operand::{Operands, with_operands};
use crate::precision::OperandPrecision;
use crate::tile::{DEPTH_BLOCK, LANES, Left, PANELS, Right, Runs, Sums, multiply};

/// Rows of the left operand: whole tiles on every instruction set, and small enough for the cache beside a panel.
const TILE_ROWS: usize = 12;
/// Products of a round.
const PRODUCTS: usize = 200;
/// Rounds, of which the fastest counts.
const ROUNDS: usize = 30;

/// Multiplications and additions of one core, 10^9 a second, in matrix products with operands of this precision: the most that
/// any layer can reach on one thread. It takes some milliseconds, and varies with the clock of the core.
///
/// ```
/// use aberra_kernels::{OperandPrecision, peak_gflops};
///
/// assert!(peak_gflops(OperandPrecision::F32) > 0.1);
/// ```
pub fn peak_gflops(precision: OperandPrecision) -> f64 {
    with_operands!(precision, DEPTH_BLOCK, O => measured::<O>())
}

fn measured<O: Operands>() -> f64 {
    let values = vec![O::Value::default(); TILE_ROWS * DEPTH_BLOCK];
    let panels = vec![O::Value::default(); PANELS * DEPTH_BLOCK * LANES];
    let mut sums = vec![0.0; TILE_ROWS * PANELS * LANES];
    let starts: [usize; TILE_ROWS] = std::array::from_fn(|row| row * DEPTH_BLOCK);
    let places: [usize; TILE_ROWS] = std::array::from_fn(|row| row * PANELS * LANES);
    let left = Left { values: &values, starts: &starts, offset: 0, runs: Runs::one(DEPTH_BLOCK) };
    let right = Right { values: &panels, count: PANELS, apart: DEPTH_BLOCK * LANES };
    let mut round = || {
        let begun = Instant::now();
        for _ in 0..PRODUCTS {
            let sums = Sums { values: &mut sums, places: &places, offset: 0, apart: LANES };
            multiply(black_box(left), right, None, Epilogue::Identity, sums);
        }
        begun.elapsed()
    };
    let fastest = (0..ROUNDS).map(|_| round()).min().unwrap_or_default().max(Duration::from_nanos(1));
    let operations = 2 * PRODUCTS * TILE_ROWS * DEPTH_BLOCK * O::DEPTH * PANELS * LANES;
    operations as f64 / fastest.as_secs_f64() / 1e9
}
