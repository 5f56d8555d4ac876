//! The micro-kernel for NEON: four 4-lane registers of columns times six rows, with twenty-four accumulator registers.

use super::lines::{self, ChannelRegisters, Taps};
use super::registers::{self, Registers};
use super::shape::{Begin, LANES, Left, Right, Sums};
use crate::epilogue::Epilogue;
use std::arch::aarch64::{
    float32x4_t, vbicq_u32, vbslq_f32, vcgtq_f32, vcltq_f32, vdupq_n_f32, vfmaq_f32, vld1q_dup_f32,
    vld1q_f32, vmaxq_f32, vminq_f32, vmulq_f32, vreinterpretq_f32_u32, vreinterpretq_u32_f32, vst1q_f32,
};

struct Neon;

/// # Safety
/// As [`registers::rows`]; every aarch64 processor has NEON.
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "neon")]
pub(super) unsafe fn rows(
    left: Left<'_, f32>,
    right: Right<'_, f32>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    // SAFETY: the caller's contract.
    unsafe { registers::rows::<Neon>(left, right, begin, epilogue, sums) }
}

/// # Safety
/// NEON present; otherwise as [`lines::line`].
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[target_feature(enable = "neon")]
pub(super) unsafe fn filter_line(plane: &[[f32; LANES]], taps: Taps<'_>, output: &mut [[f32; LANES]]) {
    // SAFETY: the caller's contract.
    unsafe { lines::line::<Neon>(plane, taps, output) }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Registers for Neon {
    type Value = f32;
    type Columns = [float32x4_t; 4];
    type Sums = [float32x4_t; 4];
    const ROWS: usize = 6;
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn columns(panel: *const f32) -> [float32x4_t; 4] {
        // SAFETY: the caller's contract.
        unsafe { Self::load(panel) }
    }

    #[inline(always)]
    unsafe fn load(sums: *const f32) -> [float32x4_t; 4] {
        // SAFETY: the caller's contract.
        unsafe { [vld1q_f32(sums), vld1q_f32(sums.add(4)), vld1q_f32(sums.add(8)), vld1q_f32(sums.add(12))] }
    }

    #[inline(always)]
    unsafe fn store(sums: [float32x4_t; 4], target: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            vst1q_f32(target, sums[0]);
            vst1q_f32(target.add(4), sums[1]);
            vst1q_f32(target.add(8), sums[2]);
            vst1q_f32(target.add(12), sums[3]);
        }
    }

    #[inline(always)]
    unsafe fn multiply_add(
        sums: [float32x4_t; 4],
        value: *const f32,
        columns: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        // SAFETY: the caller's contract.
        unsafe {
            let value = vld1q_dup_f32(value);
            [
                vfmaq_f32(sums[0], value, columns[0]),
                vfmaq_f32(sums[1], value, columns[1]),
                vfmaq_f32(sums[2], value, columns[2]),
                vfmaq_f32(sums[3], value, columns[3]),
            ]
        }
    }

    #[inline(always)]
    unsafe fn finish(mut sums: [float32x4_t; 4], epilogue: Epilogue) -> [float32x4_t; 4] {
        // SAFETY: the caller's contract.
        unsafe {
            let zero = vdupq_n_f32(0.0);
            match epilogue {
                Epilogue::Identity => {}
                Epilogue::Relu => {
                    for c in &mut sums {
                        let bits = vbicq_u32(vreinterpretq_u32_f32(*c), vcltq_f32(*c, zero));
                        *c = vreinterpretq_f32_u32(bits);
                    }
                }
                Epilogue::LeakyRelu(slope) => {
                    let slope = vdupq_n_f32(slope);
                    for c in &mut sums {
                        *c = vbslq_f32(vcgtq_f32(*c, zero), *c, vmulq_f32(*c, slope));
                    }
                }
                Epilogue::Relu6 => {
                    let six = vdupq_n_f32(6.0);
                    for c in &mut sums {
                        *c = vminq_f32(six, vmaxq_f32(zero, *c));
                    }
                }
            }
            sums
        }
    }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl ChannelRegisters for Neon {
    const PIXELS: usize = 4;

    #[inline(always)]
    unsafe fn multiply_add_each(
        sums: [float32x4_t; 4],
        values: *const f32,
        weights: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        // SAFETY: the caller's contract.
        unsafe {
            let values = Self::load(values);
            [
                vfmaq_f32(sums[0], values[0], weights[0]),
                vfmaq_f32(sums[1], values[1], weights[1]),
                vfmaq_f32(sums[2], values[2], weights[2]),
                vfmaq_f32(sums[3], values[3], weights[3]),
            ]
        }
    }
}
