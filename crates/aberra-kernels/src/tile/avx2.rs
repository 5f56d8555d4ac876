//! The register tile in AVX2 and FMA: two 8-lane registers of columns times six broadcast rows, twelve accumulators in
//! registers.

use super::{End, LANES, Left, ROWS, Runs, Sums};
use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_LT_OQ, _mm256_andnot_ps, _mm256_blendv_ps, _mm256_broadcast_ss, _mm256_cmp_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

/// # Safety
/// AVX2 and FMA present; `multiply`'s assertions hold: every row in bounds of its values, `panel` at least depth x LANES long,
/// LANES sums in bounds at every place, as many places as starts.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx2,fma")]
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
#[target_feature(enable = "avx2,fma")]
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
        let mut c: [[__m256; 2]; R] = [[_mm256_setzero_ps(); 2]; R];
        match begin {
            Some(begin) => {
                c = [[_mm256_loadu_ps(begin.as_ptr()), _mm256_loadu_ps(begin.as_ptr().add(8))]; R];
            }
            None => {
                for (c, &place) in c.iter_mut().zip(places) {
                    let sums = sums.as_ptr().add(place);
                    *c = [_mm256_loadu_ps(sums), _mm256_loadu_ps(sums.add(8))];
                }
            }
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
        let zero = _mm256_setzero_ps();
        match end {
            End::Sum => {}
            End::Relu => {
                for c in c.as_flattened_mut() {
                    *c = _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(*c, zero), *c);
                }
            }
            End::LeakyRelu(slope) => {
                let slope = _mm256_set1_ps(slope);
                for c in c.as_flattened_mut() {
                    let is_positive = _mm256_cmp_ps::<_CMP_GT_OQ>(*c, zero);
                    *c = _mm256_blendv_ps(_mm256_mul_ps(*c, slope), *c, is_positive);
                }
            }
        }
        for (c, &place) in c.iter().zip(places) {
            let sums = sums.as_mut_ptr().add(place);
            _mm256_storeu_ps(sums, c[0]);
            _mm256_storeu_ps(sums.add(8), c[1]);
        }
    }
}
