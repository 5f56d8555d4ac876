//! The micro-kernel for AVX2 and FMA: two 8-lane registers of columns times six broadcast rows, with twelve accumulator
//! registers.

use super::lines::{self, ChannelRegisters, Taps};
use super::registers::{self, Registers};
use super::shape::{Begin, LANES, Left, Right, Sums};
use crate::epilogue::Epilogue;
use std::arch::x86_64::{
    __m256, _CMP_GT_OQ, _CMP_LT_OQ, _mm256_andnot_ps, _mm256_blendv_ps, _mm256_broadcast_ss, _mm256_cmp_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_storeu_ps,
};

struct Avx2;

/// # Safety
/// AVX2 and FMA present; otherwise as [`registers::rows`].
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn rows(
    left: Left<'_, f32>,
    right: Right<'_, f32>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    // SAFETY: the caller's contract.
    unsafe { registers::rows::<Avx2>(left, right, begin, epilogue, sums) }
}

/// # Safety
/// AVX2 and FMA present; otherwise as [`lines::line`].
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn filter_line(plane: &[[f32; LANES]], taps: Taps<'_>, output: &mut [[f32; LANES]]) {
    // SAFETY: the caller's contract.
    unsafe { lines::line::<Avx2>(plane, taps, output) }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Registers for Avx2 {
    type Value = f32;
    type Columns = [__m256; 2];
    type Sums = [__m256; 2];
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn columns(panel: *const f32) -> [__m256; 2] {
        // SAFETY: the caller's contract.
        unsafe { Self::load(panel) }
    }

    #[inline(always)]
    unsafe fn load(sums: *const f32) -> [__m256; 2] {
        // SAFETY: the caller's contract.
        unsafe { [_mm256_loadu_ps(sums), _mm256_loadu_ps(sums.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(sums: [__m256; 2], target: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            _mm256_storeu_ps(target, sums[0]);
            _mm256_storeu_ps(target.add(8), sums[1]);
        }
    }

    #[inline(always)]
    unsafe fn multiply_add(sums: [__m256; 2], value: *const f32, columns: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: the caller's contract.
        unsafe {
            let value = _mm256_broadcast_ss(&*value);
            [_mm256_fmadd_ps(value, columns[0], sums[0]), _mm256_fmadd_ps(value, columns[1], sums[1])]
        }
    }

    #[inline(always)]
    unsafe fn finish(mut sums: [__m256; 2], epilogue: Epilogue) -> [__m256; 2] {
        // SAFETY: the caller's contract.
        unsafe {
            let zero = _mm256_setzero_ps();
            match epilogue {
                Epilogue::Identity => {}
                Epilogue::Relu => {
                    for c in &mut sums {
                        *c = _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(*c, zero), *c);
                    }
                }
                Epilogue::LeakyRelu(slope) => {
                    let slope = _mm256_set1_ps(slope);
                    for c in &mut sums {
                        let is_positive = _mm256_cmp_ps::<_CMP_GT_OQ>(*c, zero);
                        *c = _mm256_blendv_ps(_mm256_mul_ps(*c, slope), *c, is_positive);
                    }
                }
                Epilogue::Relu6 => {
                    let six = _mm256_set1_ps(6.0);
                    for c in &mut sums {
                        // Of a NaN and a number both give the second operand.
                        *c = _mm256_min_ps(six, _mm256_max_ps(zero, *c));
                    }
                }
            }
            sums
        }
    }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl ChannelRegisters for Avx2 {
    const PIXELS: usize = 4;

    #[inline(always)]
    unsafe fn multiply_add_each(sums: [__m256; 2], values: *const f32, weights: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: the caller's contract.
        unsafe {
            let values = Self::load(values);
            [_mm256_fmadd_ps(values[0], weights[0], sums[0]), _mm256_fmadd_ps(values[1], weights[1], sums[1])]
        }
    }
}
