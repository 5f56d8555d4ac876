//! The loop of the register tile, generic over the registers of an instruction set.

#![allow(clippy::needless_range_loop, reason = "with iterators the accumulators would be spilled to memory")]

use super::shape::{Begin, LANES, Left, Right, Runs, Sums};
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
    /// Panels of a full tile, for which the registers suffice, too: 1 or 2.
    const PANELS: usize;

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
/// its values, every panel has at least depth x LANES values, LANES accumulators are in bounds at every place of every
/// panel, and there are as many places as starts.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[inline(always)]
pub(super) unsafe fn rows<R: Registers>(
    left: Left<'_, R::Value>,
    right: Right<'_, R::Value>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    let mut sums = sums;
    let mut done = 0;
    while done < right.count {
        // SAFETY: the caller's contract; the panels are those from `done` on.
        unsafe {
            let panels = right.values.as_ptr().add(done * right.apart);
            let begin = begin.map(|begin| begin.as_ptr().add(done));
            let (apart, sums) = ([right.apart, sums.apart], &mut sums);
            if R::PANELS >= 2 && right.count - done >= 2 {
                tiles::<R, 2>(&left, panels, begin, epilogue, sums, apart);
                done += 2;
            } else {
                tiles::<R, 1>(&left, panels, begin, epilogue, sums, apart);
                done += 1;
            }
            sums.offset += sums.apart;
        }
    }
}

/// # Safety
/// As [`rows`], for `P` panels, which begin at `panels`; `apart` is the distance between two panels and between their sums.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[inline(always)]
unsafe fn tiles<R: Registers, const P: usize>(
    left: &Left<'_, R::Value>,
    panels: *const R::Value,
    begin: Option<*const [f32; LANES]>,
    epilogue: Epilogue,
    sums: &mut Sums<'_>,
    apart: [usize; 2],
) {
    const { assert!(R::ROWS <= MOST_ROWS) };
    // The offset moves the beginning of a buffer. It is in bounds because rows and accumulators are.
    let values = left.values.get(left.offset..).unwrap_or_default();
    let runs = left.runs;
    let places = sums.places.chunks(R::ROWS);
    let sums = sums.values.get_mut(sums.offset..).unwrap_or_default();
    for (starts, places) in left.starts.chunks(R::ROWS).zip(places) {
        macro_rules! tile {
            ($rows:literal) => {
                tile::<R, $rows, P>(values, starts, runs, panels, begin, epilogue, sums, places, apart)
            };
        }
        // SAFETY: the caller's contract implies that of `tile`, and each arm has as many starts as rows.
        unsafe {
            match starts.len() {
                12 if R::ROWS >= 12 => tile!(12),
                11 if R::ROWS >= 11 => tile!(11),
                10 if R::ROWS >= 10 => tile!(10),
                9 if R::ROWS >= 9 => tile!(9),
                8 if R::ROWS >= 8 => tile!(8),
                7 if R::ROWS >= 7 => tile!(7),
                6 => tile!(6),
                5 => tile!(5),
                4 => tile!(4),
                3 => tile!(3),
                2 => tile!(2),
                _ => tile!(1),
            }
        }
    }
}

/// # Safety
/// As [`tiles`], with exactly `N` starts and places, and no offsets.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[allow(clippy::too_many_arguments, reason = "kept apart so that they stay in registers")]
#[inline(always)]
unsafe fn tile<R: Registers, const N: usize, const P: usize>(
    values: &[R::Value],
    starts: &[usize],
    runs: Runs,
    panels: *const R::Value,
    begin: Option<*const [f32; LANES]>,
    epilogue: Epilogue,
    sums: &mut [f32],
    places: &[usize],
    [panels_apart, sums_apart]: [usize; 2],
) {
    // SAFETY: all addresses are in bounds by the caller's contract: rows of `values` up to start + span, the panels up
    // to depth x LANES, the accumulators up to place + LANES, `begin` one array a panel.
    unsafe {
        let mut rows = [values.as_ptr(); N];
        for r in 0..N {
            rows[r] = rows[r].add(*starts.get_unchecked(r));
        }
        // Loops rather than closures throughout: a closure is a function of its own, without the target features.
        let mut c = [[R::load(begin.map_or(sums.as_ptr(), |begin| begin.cast())); P]; N];
        for p in 0..P {
            for r in 0..N {
                c[r][p] = match begin {
                    Some(begin) => R::load(begin.add(p).cast()),
                    None => R::load(sums.as_ptr().add(*places.get_unchecked(r) + p * sums_apart)),
                };
            }
        }
        let mut columns = panels;
        for run in 0..runs.count {
            let mut index = run * runs.stride;
            for _ in 0..runs.length {
                let mut weights = [R::columns(columns); P];
                for p in 1..P {
                    weights[p] = R::columns(columns.add(p * panels_apart));
                }
                columns = columns.add(LANES);
                for r in 0..N {
                    for p in 0..P {
                        c[r][p] = R::multiply_add(c[r][p], rows[r].add(index), weights[p]);
                    }
                }
                index += runs.step;
            }
        }
        for r in 0..N {
            for p in 0..P {
                R::store(c[r][p], sums.as_mut_ptr().add(*places.get_unchecked(r) + p * sums_apart));
            }
        }
        // Apart from the loops over accumulators, which are unrolled only as long as they are short.
        if epilogue != Epilogue::Identity {
            for place in places {
                for p in 0..P {
                    let target = sums.as_mut_ptr().add(place + p * sums_apart);
                    R::store(R::finish(R::load(target), epilogue), target);
                }
            }
        }
    }
}
