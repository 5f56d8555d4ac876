//! The micro-kernels for AVX-512: two 16-lane registers of columns, of one panel each, times up to twelve broadcast rows, with
//! twenty-four accumulator registers: a load is shared by two multiply-adds, and their latency is hidden. In `f32` each accumulator is the same chain of fused multiply-adds as in the AVX2 version,
//! with identical bits. Pairs of bfloat16 use the dot-product instruction, which flushes subnormal numbers to 0.

use super::lines::{self, ChannelRegisters, Taps};
use super::registers::{self, Registers};
use super::shape::{Begin, LANES, Left, Right, Sums};
use crate::bfloat16::Pair;
use crate::epilogue::Epilogue;
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _CMP_LE_OQ, _CMP_LT_OQ, _mm512_cmp_ps_mask, _mm512_dpbf16_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_mov_ps, _mm512_mask_mul_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};
use std::mem::transmute;

struct Avx512;
struct Avx512Bf16;

/// # Safety
/// AVX-512F present; otherwise as [`registers::rows`].
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn rows(
    left: Left<'_, f32>,
    right: Right<'_, f32>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    // SAFETY: the caller's contract.
    unsafe { registers::rows::<Avx512>(left, right, begin, epilogue, sums) }
}

/// # Safety
/// AVX-512F and AVX512_BF16 present; otherwise as [`registers::rows`].
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn pairs(
    left: Left<'_, Pair>,
    right: Right<'_, Pair>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    // SAFETY: the caller's contract.
    unsafe { registers::rows::<Avx512Bf16>(left, right, begin, epilogue, sums) }
}

/// # Safety
/// AVX-512F present; otherwise as [`lines::line`].
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn filter_line(plane: &[[f32; LANES]], taps: Taps<'_>, output: &mut [[f32; LANES]]) {
    // SAFETY: the caller's contract.
    unsafe { lines::line::<Avx512>(plane, taps, output) }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Registers for Avx512 {
    type Value = f32;
    type Columns = __m512;
    type Sums = __m512;
    const ROWS: usize = 12;
    const PANELS: usize = 2;

    #[inline(always)]
    unsafe fn columns(panel: *const f32) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe { _mm512_loadu_ps(panel) }
    }

    #[inline(always)]
    unsafe fn load(sums: *const f32) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe { _mm512_loadu_ps(sums) }
    }

    #[inline(always)]
    unsafe fn store(sums: __m512, target: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe { _mm512_storeu_ps(target, sums) }
    }

    #[inline(always)]
    unsafe fn multiply_add(sums: __m512, value: *const f32, columns: __m512) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe { _mm512_fmadd_ps(_mm512_set1_ps(*value), columns, sums) }
    }

    #[inline(always)]
    unsafe fn finish(sums: __m512, epilogue: Epilogue) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe {
            let zero = _mm512_setzero_ps();
            match epilogue {
                Epilogue::Identity => sums,
                Epilogue::Relu => {
                    _mm512_mask_mov_ps(sums, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(sums, zero), zero)
                }
                Epilogue::LeakyRelu(slope) => {
                    // The comparison is false for NaN, which therefore propagates.
                    let is_scaled = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(sums, zero);
                    _mm512_mask_mul_ps(sums, is_scaled, sums, _mm512_set1_ps(slope))
                }
                // Of a NaN and a number both give the second operand.
                Epilogue::Relu6 => _mm512_min_ps(_mm512_set1_ps(6.0), _mm512_max_ps(zero, sums)),
            }
        }
    }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl ChannelRegisters for Avx512 {
    const PIXELS: usize = 8;

    #[inline(always)]
    unsafe fn multiply_add_each(sums: __m512, values: *const f32, weights: __m512) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe { _mm512_fmadd_ps(_mm512_loadu_ps(values), weights, sums) }
    }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Registers for Avx512Bf16 {
    type Value = Pair;
    type Columns = __m512i;
    type Sums = __m512;
    const ROWS: usize = 12;
    const PANELS: usize = 2;

    #[inline(always)]
    unsafe fn columns(panel: *const Pair) -> __m512i {
        // SAFETY: the caller's contract.
        unsafe { _mm512_loadu_si512(panel.cast()) }
    }

    #[inline(always)]
    unsafe fn load(sums: *const f32) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe { Avx512::load(sums) }
    }

    #[inline(always)]
    unsafe fn store(sums: __m512, target: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe { Avx512::store(sums, target) }
    }

    #[inline(always)]
    unsafe fn multiply_add(sums: __m512, value: *const Pair, columns: __m512i) -> __m512 {
        // SAFETY: the caller's contract; both types of register are 64 bytes of plain data.
        unsafe {
            let value = _mm512_set1_epi32((*value).bits().cast_signed());
            _mm512_dpbf16_ps(
                sums,
                transmute::<__m512i, __m512bh>(value),
                transmute::<__m512i, __m512bh>(columns),
            )
        }
    }

    #[inline(always)]
    unsafe fn finish(sums: __m512, epilogue: Epilogue) -> __m512 {
        // SAFETY: the caller's contract.
        unsafe { Avx512::finish(sums, epilogue) }
    }
}
