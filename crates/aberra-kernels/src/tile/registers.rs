//! The loop of the register tile, generic over the registers of an instruction set.

#![allow(clippy::needless_range_loop, reason = "with iterators the accumulators would be spilled to memory")]

use super::shape::{LANES, Left, Runs, Sums};
use crate::epilogue::Epilogue;

/// Vector registers of an instruction set. The functions are inlined into one whose target features include it.
pub(super) trait Registers {
    /// A stored operand value: one element along the depth, or two.
    type Value;
    /// Registers that hold [`LANES`] values of a panel.
    type Columns: Copy;
    /// Registers that hold [`LANES`] accumulators.
    type Sums: Copy;
    /// Rows of a full tile, at most [`MOST_ROWS`]: as many as the registers suffice for.
    const ROWS: usize;

    /// # Safety
    /// The processor supports the instructions; [`LANES`] values can be read.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn columns(panel: *const Self::Value) -> Self::Columns;

    /// # Safety
    /// The processor supports the instructions; [`LANES`] sums can be read.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn load(sums: *const f32) -> Self::Sums;

    /// # Safety
    /// The processor supports the instructions; [`LANES`] sums can be written.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn store(sums: Self::Sums, target: *mut f32);

    /// Adds the product of one value and each column.
    ///
    /// # Safety
    /// The processor supports the instructions; the value can be read.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn multiply_add(sums: Self::Sums, value: *const Self::Value, columns: Self::Columns)
    -> Self::Sums;

    /// Applies the epilogue. NaN stays NaN.
    ///
    /// # Safety
    /// The processor supports the instructions.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn finish(sums: Self::Sums, epilogue: Epilogue) -> Self::Sums;
}

/// The largest number of rows of any tile.
const MOST_ROWS: usize = 12;

/// As `multiply`, without its checks.
///
/// # Safety
/// The processor supports the registers' instructions, and the assertions of `multiply` hold: every row is in bounds of
/// its values, `panel` has at least depth x LANES values, LANES accumulators are in bounds at every place, and there
/// are as many places as starts.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[inline(always)]
pub(super) unsafe fn rows<R: Registers>(
    left: Left<'_, R::Value>,
    panel: &[R::Value],
    begin: Option<&[f32; LANES]>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    const { assert!(R::ROWS <= MOST_ROWS) };
    // The offset moves the beginning of a buffer. It is in bounds because rows and accumulators are.
    let values = left.values.get(left.offset..).unwrap_or_default();
    let runs = left.runs;
    let places = sums.places.chunks(R::ROWS);
    let sums = sums.values.get_mut(sums.offset..).unwrap_or_default();
    for (starts, places) in left.starts.chunks(R::ROWS).zip(places) {
        // SAFETY: the caller's contract implies that of `tile`, and each arm has as many starts as rows.
        unsafe {
            match starts.len() {
                12 if R::ROWS >= 12 => {
                    tile::<R, 12>(values, starts, runs, panel, begin, epilogue, sums, places)
                }
                11 if R::ROWS >= 11 => {
                    tile::<R, 11>(values, starts, runs, panel, begin, epilogue, sums, places)
                }
                10 if R::ROWS >= 10 => {
                    tile::<R, 10>(values, starts, runs, panel, begin, epilogue, sums, places)
                }
                9 if R::ROWS >= 9 => tile::<R, 9>(values, starts, runs, panel, begin, epilogue, sums, places),
                8 if R::ROWS >= 8 => tile::<R, 8>(values, starts, runs, panel, begin, epilogue, sums, places),
                7 if R::ROWS >= 7 => tile::<R, 7>(values, starts, runs, panel, begin, epilogue, sums, places),
                6 => tile::<R, 6>(values, starts, runs, panel, begin, epilogue, sums, places),
                5 => tile::<R, 5>(values, starts, runs, panel, begin, epilogue, sums, places),
                4 => tile::<R, 4>(values, starts, runs, panel, begin, epilogue, sums, places),
                3 => tile::<R, 3>(values, starts, runs, panel, begin, epilogue, sums, places),
                2 => tile::<R, 2>(values, starts, runs, panel, begin, epilogue, sums, places),
                _ => tile::<R, 1>(values, starts, runs, panel, begin, epilogue, sums, places),
            }
        }
    }
}

/// # Safety
/// As [`rows`], with exactly `N` starts and places, and no offsets.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[allow(clippy::too_many_arguments, reason = "kept apart so that they stay in registers")]
#[inline(always)]
unsafe fn tile<R: Registers, const N: usize>(
    values: &[R::Value],
    starts: &[usize],
    runs: Runs,
    panel: &[R::Value],
    begin: Option<&[f32; LANES]>,
    epilogue: Epilogue,
    sums: &mut [f32],
    places: &[usize],
) {
    // SAFETY: all addresses are in bounds by the caller's contract: rows of `values` up to start + span, the panel up
    // to depth x LANES, the accumulators up to place + LANES, `begin` by its type.
    unsafe {
        let mut rows = [values.as_ptr(); N];
        for r in 0..N {
            rows[r] = rows[r].add(*starts.get_unchecked(r));
        }
        // Loops rather than closures throughout: a closure is a function of its own, without the target features.
        let mut c = [R::load(begin.map_or(sums.as_ptr(), |begin| begin.as_ptr())); N];
        if begin.is_none() {
            for r in 0..N {
                c[r] = R::load(sums.as_ptr().add(*places.get_unchecked(r)));
            }
        }
        let mut columns = panel.as_ptr();
        for run in 0..runs.count {
            let mut index = run * runs.stride;
            for _ in 0..runs.length {
                let weights = R::columns(columns);
                columns = columns.add(LANES);
                for r in 0..N {
                    c[r] = R::multiply_add(c[r], rows[r].add(index), weights);
                }
                index += runs.step;
            }
        }
        for r in 0..N {
            R::store(R::finish(c[r], epilogue), sums.as_mut_ptr().add(*places.get_unchecked(r)));
        }
    }
}
