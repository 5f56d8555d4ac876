//! The register tile in AVX-512F: one 16-lane register of columns times up to twelve broadcast rows, twelve accumulators
//! in registers. The loop is that of [`avx2`](super::avx2) with registers twice as wide, so every element is the same
//! chain of fused multiply-adds and has the same bits. The tests run it on processors that have AVX-512.

use super::{LANES, Runs};
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Rows of a full tile.
const ROWS: usize = 12;

/// # Safety
/// AVX-512F present; every row in bounds of `values`; `panel` at least depth x LANES long; `accumulator` at least LANES
/// long for each of `starts`.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn rows(
    values: &[f32],
    starts: &[usize],
    offset: usize,
    runs: Runs,
    panel: &[f32],
    accumulator: &mut [f32],
) {
    // The offset moves the beginning of the matrix; that it lies within follows from the rows being in bounds.
    let values = values.get(offset..).unwrap_or_default();
    for (starts, accumulator) in starts.chunks(ROWS).zip(accumulator.chunks_mut(ROWS * LANES)) {
        // SAFETY: the caller's promises are `tile`'s, and each arm has as many starts as rows.
        unsafe {
            match starts.len() {
                12 => tile::<12>(values, starts, runs, panel, accumulator),
                11 => tile::<11>(values, starts, runs, panel, accumulator),
                10 => tile::<10>(values, starts, runs, panel, accumulator),
                9 => tile::<9>(values, starts, runs, panel, accumulator),
                8 => tile::<8>(values, starts, runs, panel, accumulator),
                7 => tile::<7>(values, starts, runs, panel, accumulator),
                6 => tile::<6>(values, starts, runs, panel, accumulator),
                5 => tile::<5>(values, starts, runs, panel, accumulator),
                4 => tile::<4>(values, starts, runs, panel, accumulator),
                3 => tile::<3>(values, starts, runs, panel, accumulator),
                2 => tile::<2>(values, starts, runs, panel, accumulator),
                _ => tile::<1>(values, starts, runs, panel, accumulator),
            }
        }
    }
}

/// # Safety
/// As [`rows`], with exactly `R` starts and no offset.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn tile<const R: usize>(
    values: &[f32],
    starts: &[usize],
    runs: Runs,
    panel: &[f32],
    accumulator: &mut [f32],
) {
    // SAFETY: all addresses are in bounds by the caller's promise: rows of `values` up to start + span, the panel up to
    // depth x LANES, the accumulator up to R x LANES.
    unsafe {
        let mut rows = [values.as_ptr(); R];
        for (row, &start) in rows.iter_mut().zip(starts) {
            *row = row.add(start);
        }
        let sums = accumulator.as_mut_ptr();
        let mut c: [__m512; R] = [_mm512_setzero_ps(); R];
        for (r, c) in c.iter_mut().enumerate() {
            *c = _mm512_loadu_ps(sums.add(r * LANES));
        }
        let mut weights = panel.as_ptr();
        for run in 0..runs.count {
            let mut index = run * runs.stride;
            for _ in 0..runs.length {
                let columns = _mm512_loadu_ps(weights);
                weights = weights.add(LANES);
                for r in 0..R {
                    c[r] = _mm512_fmadd_ps(_mm512_set1_ps(*rows[r].add(index)), columns, c[r]);
                }
                index += runs.step;
            }
        }
        for (r, c) in c.iter().enumerate() {
            _mm512_storeu_ps(sums.add(r * LANES), *c);
        }
    }
}
