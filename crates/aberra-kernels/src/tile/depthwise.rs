//! The micro-kernel of depthwise convolutions: one line of output pixels, [`LANES`] channels at a time. Each output is
//! one chain of multiply-adds in the order of the kernel's taps.

#![allow(clippy::needless_range_loop, reason = "with iterators the accumulators would be spilled to memory")]

#[cfg(target_arch = "x86_64")]
use super::avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::lines::Taps;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::shape::LANES;
use crate::instructions::InstructionSet;

/// Writes one line of output pixels. The first pixel's taps begin with the first pixel of `plane`.
pub(crate) fn filter_line(plane: &[[f32; LANES]], taps: Taps<'_>, output: &mut [[f32; LANES]]) {
    let [height, width] = taps.kernel;
    assert_eq!(taps.weight.len(), height * width, "every tap has a weight");
    if output.is_empty() || taps.weight.is_empty() {
        output.fill(*taps.bias);
        return;
    }
    let reach = (height - 1) * taps.line + (output.len() - 1) * taps.stride + width;
    assert!(reach <= plane.len(), "taps reach beyond their plane");
    match InstructionSet::chosen() {
        // SAFETY: only an instruction set that the processor supports is chosen, and the assertions above are the other
        // requirements.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Avx512 | InstructionSet::Avx512Bf16 => unsafe {
            avx512::filter_line(plane, taps, output);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Avx2 => unsafe { avx2::filter_line(plane, taps, output) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Neon => unsafe { neon::filter_line(plane, taps, output) },
        _ => portable(plane, taps, output),
    }
}

/// Without fused multiply-add: rounds both the product and the sum.
fn portable(plane: &[[f32; LANES]], taps: Taps<'_>, output: &mut [[f32; LANES]]) {
    for (x, output) in output.iter_mut().enumerate() {
        let mut sums = *taps.bias;
        for (tap, weight) in taps.weight.iter().enumerate() {
            let [y, at] = [tap / taps.kernel[1], tap % taps.kernel[1]];
            let pixel = &plane[y * taps.line + x * taps.stride + at];
            for lane in 0..LANES {
                sums[lane] += pixel[lane] * weight[lane];
            }
        }
        taps.epilogue.apply(&mut sums);
        *output = sums;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epilogue::Epilogue;

    fn numbers(count: usize, factor: usize) -> Vec<[f32; LANES]> {
        let number = |i: usize| ((i * factor % 101) as f32 - 50.0) / 16.0;
        (0..count).map(|pixel| std::array::from_fn(|lane| number(pixel * LANES + lane))).collect()
    }

    #[test]
    fn any_line_equals_the_portable_version() {
        let plane = numbers(5 * 64, 37);
        for (kernel, stride, pixels) in [3, 5]
            .into_iter()
            .flat_map(|k| [1, 2].into_iter().flat_map(move |s| (1..20).map(move |p| (k, s, p))))
        {
            let weight = numbers(kernel * kernel, 53);
            for epilogue in [Epilogue::Identity, Epilogue::Relu6] {
                let bias = &numbers(1, 29)[0];
                let taps = Taps { kernel: [kernel; 2], stride, line: 64, weight: &weight, bias, epilogue };
                let mut fast = vec![[0.0; LANES]; pixels];
                let mut slow = fast.clone();
                filter_line(&plane, taps, &mut fast);
                portable(&plane, taps, &mut slow);
                // The operands have few significant bits, so both results are exact.
                assert_eq!(fast, slow, "kernel {kernel}, stride {stride}, {pixels} pixels");
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond their plane")]
    fn a_tap_out_of_bounds_is_refused() {
        let (weight, bias) = ([[1.0; LANES]; 9], [0.0; LANES]);
        let taps = Taps {
            kernel: [3, 3],
            stride: 1,
            line: 5,
            weight: &weight,
            bias: &bias,
            epilogue: Epilogue::Identity,
        };
        filter_line(&[[0.0; LANES]; 14], taps, &mut [[0.0; LANES]; 3]);
    }
}
