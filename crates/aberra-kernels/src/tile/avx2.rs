//! The register tile in AVX2 and FMA: two 8-lane registers of columns times six broadcast rows, twelve accumulators in
//! registers.

use super::{LANES, ROWS, Runs};
use std::arch::x86_64::{
    __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// # Safety
/// AVX2 and FMA present; every row in bounds of `values`; `panel` at least depth x LANES long; `accumulator` at least
/// LANES long for each of `starts`.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx2,fma")]
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
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const R: usize>(
    values: &[f32],
    starts: &[usize],
    runs: Runs,
    panel: &[f32],
    accumulator: &mut [f32],
) {
    // SAFETY: all addresses are in bounds by the caller's promise: rows of `values` up to start + span, the panel
    // up to depth x LANES, the accumulator up to R x LANES.
    unsafe {
        let mut rows = [values.as_ptr(); R];
        for (row, &start) in rows.iter_mut().zip(starts) {
            *row = row.add(start);
        }
        let sums = accumulator.as_mut_ptr();
        let mut c: [[__m256; 2]; R] = [[_mm256_setzero_ps(); 2]; R];
        for (r, c) in c.iter_mut().enumerate() {
            *c = [_mm256_loadu_ps(sums.add(r * LANES)), _mm256_loadu_ps(sums.add(r * LANES + 8))];
        }
        let mut weights = panel.as_ptr();
        for run in 0..runs.count {
            let mut index = run * runs.stride;
            for _ in 0..runs.length {
                let low = _mm256_loadu_ps(weights);
                let high = _mm256_loadu_ps(weights.add(8));
                weights = weights.add(LANES);
                for r in 0..R {
                    let value = _mm256_broadcast_ss(&*rows[r].add(index));
                    c[r][0] = _mm256_fmadd_ps(value, low, c[r][0]);
                    c[r][1] = _mm256_fmadd_ps(value, high, c[r][1]);
                }
                index += runs.step;
            }
        }
        for (r, c) in c.iter().enumerate() {
            _mm256_storeu_ps(sums.add(r * LANES), c[0]);
            _mm256_storeu_ps(sums.add(r * LANES + 8), c[1]);
        }
    }
}
