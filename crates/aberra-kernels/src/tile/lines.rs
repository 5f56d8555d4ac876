//! The loop of depthwise convolutions, generic over the registers of an instruction set.

#![allow(clippy::needless_range_loop, reason = "with iterators the accumulators would be spilled to memory")]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::registers::Registers;
use super::shape::LANES;
use crate::epilogue::Epilogue;

/// The taps of a depthwise kernel in a plane of [`LANES`] channels.
#[derive(Clone, Copy)]
pub(crate) struct Taps<'a> {
    /// Kernel height and width.
    pub(crate) kernel: [usize; 2],
    /// Pixels of the plane from one output pixel to the next.
    pub(crate) stride: usize,
    /// Pixels of the plane from one line to the next.
    pub(crate) line: usize,
    /// One weight for each tap and channel.
    pub(crate) weight: &'a [[f32; LANES]],
    /// Initial value of each channel's accumulators.
    pub(crate) bias: &'a [f32; LANES],
    pub(crate) epilogue: Epilogue,
}

/// Registers that multiply channel by channel.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) trait ChannelRegisters: Registers<Value = f32> {
    /// Output pixels whose accumulators fit into the registers, at most 8.
    const PIXELS: usize;

    /// Adds the products of [`LANES`] values and as many weights.
    ///
    /// # Safety
    /// The processor supports the instructions; [`LANES`] values can be read.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn multiply_add_each(sums: Self::Sums, values: *const f32, weights: Self::Columns) -> Self::Sums;
}

/// As `filter_line`, without its checks.
///
/// # Safety
/// The processor supports the registers' instructions, and the assertions of `filter_line` hold.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[inline(always)]
pub(super) unsafe fn line<R: ChannelRegisters>(
    plane: &[[f32; LANES]],
    taps: Taps<'_>,
    output: &mut [[f32; LANES]],
) {
    let mut x = 0;
    while x < output.len() {
        let rest = output.len() - x;
        // SAFETY: `pixels` finds the contract's conditions at every pixel of the line.
        unsafe {
            if rest >= 8 && R::PIXELS >= 8 {
                pixels::<R, 8>(plane, taps, output, x);
                x += 8;
            } else if rest >= 4 {
                pixels::<R, 4>(plane, taps, output, x);
                x += 4;
            } else if rest >= 2 {
                pixels::<R, 2>(plane, taps, output, x);
                x += 2;
            } else {
                pixels::<R, 1>(plane, taps, output, x);
                x += 1;
            }
        }
    }
}

/// `N` output pixels from pixel `x` on.
///
/// # Safety
/// As [`line`], with at least `N` pixels left.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code, reason = "SIMD intrinsics")]
#[inline(always)]
unsafe fn pixels<R: ChannelRegisters, const N: usize>(
    plane: &[[f32; LANES]],
    taps: Taps<'_>,
    output: &mut [[f32; LANES]],
    x: usize,
) {
    // SAFETY: the last tap of the line's last pixel is in bounds by the caller's contract, and so are all before it;
    // there are as many weights as taps.
    unsafe {
        let mut c = [R::load(taps.bias.as_ptr()); N];
        let mut weight = taps.weight.as_ptr();
        for y in 0..taps.kernel[0] {
            let mut pixel = plane.as_ptr().add(y * taps.line + x * taps.stride);
            for _ in 0..taps.kernel[1] {
                let weights = R::columns(weight.cast());
                for n in 0..N {
                    c[n] = R::multiply_add_each(c[n], pixel.add(n * taps.stride).cast(), weights);
                }
                weight = weight.add(1);
                pixel = pixel.add(1);
            }
        }
        for n in 0..N {
            R::store(R::finish(c[n], taps.epilogue), output.as_mut_ptr().add(x + n).cast());
        }
    }
}
