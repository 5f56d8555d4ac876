//! The register tile in AVX-512F: one 16-lane register of columns times up to twelve broadcast rows, twelve accumulators
//! in registers. The loop is that of the AVX2 version with registers twice as wide, so every element is the same chain of
//! fused multiply-adds and has the same bits. The tests run it on processors that have AVX-512.

use super::{End, LANES, Left, Runs, Sums};
use std::arch::x86_64::{
    __m512, _CMP_LE_OQ, _CMP_LT_OQ, _mm512_cmp_ps_mask, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_mov_ps,
    _mm512_mask_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Rows of a full tile.
const ROWS: usize = 12;

/// # Safety
/// AVX-512F present; `multiply`'s assertions hold: every row in bounds of its values, `panel` at least depth x LANES long,
/// LANES sums in bounds at every place, as many places as starts.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn rows(
    left: Left<'_>,
    panel: &[f32],
    begin: Option<&[f32; LANES]>,
    end: End,
    sums: Sums<'_>,
) {
    // An offset moves the beginning of a buffer; that it lies within follows from rows and sums being in bounds.
    let values = left.values.get(left.offset..).unwrap_or_default();
    let runs = left.runs;
    let places = sums.places.chunks(ROWS);
    let sums = sums.values.get_mut(sums.offset..).unwrap_or_default();
    for (starts, places) in left.starts.chunks(ROWS).zip(places) {
        // SAFETY: the caller's promises are `tile`'s, and each arm has as many starts as rows.
        unsafe {
            match starts.len() {
                12 => tile::<12>(values, starts, runs, panel, begin, end, sums, places),
                11 => tile::<11>(values, starts, runs, panel, begin, end, sums, places),
                10 => tile::<10>(values, starts, runs, panel, begin, end, sums, places),
                9 => tile::<9>(values, starts, runs, panel, begin, end, sums, places),
                8 => tile::<8>(values, starts, runs, panel, begin, end, sums, places),
                7 => tile::<7>(values, starts, runs, panel, begin, end, sums, places),
                6 => tile::<6>(values, starts, runs, panel, begin, end, sums, places),
                5 => tile::<5>(values, starts, runs, panel, begin, end, sums, places),
                4 => tile::<4>(values, starts, runs, panel, begin, end, sums, places),
                3 => tile::<3>(values, starts, runs, panel, begin, end, sums, places),
                2 => tile::<2>(values, starts, runs, panel, begin, end, sums, places),
                _ => tile::<1>(values, starts, runs, panel, begin, end, sums, places),
            }
        }
    }
}

/// # Safety
/// As [`rows`], with exactly `R` starts and places, and no offsets.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[allow(clippy::too_many_arguments, reason = "kept apart so that they stay in registers")]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn tile<const R: usize>(
    values: &[f32],
    starts: &[usize],
    runs: Runs,
    panel: &[f32],
    begin: Option<&[f32; LANES]>,
    end: End,
    sums: &mut [f32],
    places: &[usize],
) {
    // SAFETY: all addresses are in bounds by the caller's promise: rows of `values` up to start + span, the panel up to
    // depth x LANES, the sums up to place + LANES, `begin` by its type.
    unsafe {
        let mut rows = [values.as_ptr(); R];
        for (row, &start) in rows.iter_mut().zip(starts) {
            *row = row.add(start);
        }
        let mut c: [__m512; R] = [_mm512_setzero_ps(); R];
        match begin {
            Some(begin) => c = [_mm512_loadu_ps(begin.as_ptr()); R],
            None => {
                for (c, &place) in c.iter_mut().zip(places) {
                    *c = _mm512_loadu_ps(sums.as_ptr().add(place));
                }
            }
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
        let zero = _mm512_setzero_ps();
        match end {
            End::Sum => {}
            End::Relu => {
                for c in &mut c {
                    *c = _mm512_mask_mov_ps(*c, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(*c, zero), zero);
                }
            }
            End::LeakyRelu(slope) => {
                let slope = _mm512_set1_ps(slope);
                for c in &mut c {
                    // A NaN is on neither side and stays what it is.
                    let is_scaled = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(*c, zero);
                    *c = _mm512_mask_mul_ps(*c, is_scaled, *c, slope);
                }
            }
        }
        for (c, &place) in c.iter().zip(places) {
            _mm512_storeu_ps(sums.as_mut_ptr().add(place), *c);
        }
    }
}
