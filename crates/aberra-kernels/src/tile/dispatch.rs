//! Dispatch of the register tile to the instruction set in use, after bounds checks.

#[cfg(target_arch = "x86_64")]
use super::avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::portable;
use super::shape::{Begin, LANES, Left, PANELS, Right, Sums};
use crate::bfloat16::Pair;
use crate::epilogue::Epilogue;
use crate::instructions::InstructionSet;

/// Adds the products of the rows with each panel to the accumulators and applies the epilogue. Where `begin` is given, it is
/// the initial value of each row's accumulators, whose previous values are ignored.
pub(crate) fn multiply<V: Multiply>(
    left: Left<'_, V>,
    right: Right<'_, V>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    let largest = |numbers: &[usize]| numbers.iter().copied().max().unwrap_or(0);
    assert_eq!(left.starts.len(), sums.places.len(), "every row has sums");
    assert!((1..=PANELS).contains(&right.count), "one panel or two");
    let last_panel = right.count - 1;
    let panels = last_panel * right.apart + left.runs.depth() * LANES;
    assert!(panels <= right.values.len(), "a panel is shorter than the rows");
    let last_sums = largest(sums.places) + sums.offset + last_panel * sums.apart + LANES;
    assert!(last_sums <= sums.values.len(), "sums beyond their buffer");
    if left.runs.depth() > 0 {
        let last = largest(left.starts) + left.offset;
        assert!(last + left.runs.span() <= left.values.len(), "a row reaches beyond its matrix");
    }
    // SAFETY: the assertions above are the requirements of `rows`.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe {
        V::rows(left, right, begin, epilogue, sums);
    }
}

/// Operand values that have micro-kernels.
pub(crate) trait Multiply: Sized {
    /// [`multiply`] without its checks.
    ///
    /// # Safety
    /// The assertions of `multiply` hold.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe fn rows(
        left: Left<'_, Self>,
        right: Right<'_, Self>,
        begin: Begin<'_>,
        epilogue: Epilogue,
        sums: Sums<'_>,
    );
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Multiply for f32 {
    unsafe fn rows(
        left: Left<'_, f32>,
        right: Right<'_, f32>,
        begin: Begin<'_>,
        epilogue: Epilogue,
        sums: Sums<'_>,
    ) {
        match InstructionSet::chosen() {
            // Rows without depth need not be in bounds.
            _ if left.runs.depth() == 0 => portable::rows(left, right, begin, epilogue, sums, add),
            // SAFETY: only an instruction set that the processor supports is chosen; the rest is the caller's contract.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 | InstructionSet::Avx512Bf16 => unsafe {
                avx512::rows(left, right, begin, epilogue, sums);
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { avx2::rows(left, right, begin, epilogue, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => unsafe { neon::rows(left, right, begin, epilogue, sums) },
            _ => portable::rows(left, right, begin, epilogue, sums, add),
        }
    }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Multiply for Pair {
    unsafe fn rows(
        left: Left<'_, Pair>,
        right: Right<'_, Pair>,
        begin: Begin<'_>,
        epilogue: Epilogue,
        sums: Sums<'_>,
    ) {
        match InstructionSet::chosen() {
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Bf16 if left.runs.depth() > 0 => unsafe {
                avx512::pairs(left, right, begin, epilogue, sums);
            },
            _ => portable::rows(left, right, begin, epilogue, sums, add_pair),
        }
    }
}

fn add(sums: &mut [f32; LANES], value: f32, columns: &[f32; LANES]) {
    for (sum, &column) in sums.iter_mut().zip(columns) {
        *sum += value * column;
    }
}

/// In the order of Intel's VDPBF16PS, which adds the second product of a pair first.
fn add_pair(sums: &mut [f32; LANES], value: Pair, columns: &[Pair; LANES]) {
    let [first, second] = value.parts();
    for (sum, column) in sums.iter_mut().zip(columns) {
        let [column_first, column_second] = column.parts();
        *sum += second * column_second;
        *sum += first * column_first;
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::{ROWS, Runs};
    use super::*;

    #[test]
    fn any_number_of_rows_equals_the_portable_version() {
        let values: Vec<f32> = (0..800).map(|i| ((i * 37 % 101) as f32 - 50.0) / 16.0).collect();
        let apart = 21 * LANES + 5;
        let panels: Vec<f32> = (0..2 * apart).map(|i| ((i * 53 % 97) as f32 - 48.0) / 16.0).collect();
        let begin = [0.0, 100.0].map(|first| std::array::from_fn(|lane| first + lane as f32));
        let ends = [Epilogue::Identity, Epilogue::Relu, Epilogue::LeakyRelu(0.25), Epilogue::Relu6];
        for (rows, step) in (1..=2 * ROWS + 1).flat_map(|rows| [(rows, 1), (rows, 6)]) {
            let runs = Runs { count: 3, length: 7, stride: 60, step };
            let starts: Vec<usize> = (0..rows).map(|row| row * 11 + row * row).collect();
            let (width, apart_sums) = (2 * LANES + 3, LANES + 2);
            let places: Vec<usize> = (0..rows).rev().map(|row| row * width).collect();
            let left = Left { values: &values, starts: &starts, offset: 2, runs };
            for (begin, epilogue) in
                [None, Some(&begin)].into_iter().flat_map(|begin| ends.map(|epilogue| (begin, epilogue)))
            {
                for count in 1..=PANELS {
                    let mut fast = vec![0.25; rows * width + 1];
                    let mut slow = fast.clone();
                    let sums = Sums { values: &mut fast, places: &places, offset: 1, apart: apart_sums };
                    multiply(left, Right { values: &panels, count, apart }, begin, epilogue, sums);
                    for number in 0..count {
                        let right = Right { values: &panels[number * apart..], count: 1, apart };
                        let begin = begin.map(|begin| [begin[number]; PANELS]);
                        let offset = 1 + number * apart_sums;
                        let sums = Sums { values: &mut slow, places: &places, offset, apart: 0 };
                        portable::rows(left, right, begin.as_ref(), epilogue, sums, add);
                    }
                    // The operands have few significant bits, so both results are exact.
                    assert_eq!(fast, slow, "{rows} rows, {count} panels, {epilogue:?}");
                }
            }
        }
    }

    #[test]
    fn pairs_equal_their_parts_one_by_one() {
        let numbers = |count: usize, factor: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * factor % 101) as f32 - 50.0) / 16.0).collect()
        };
        let (values, panels) = (numbers(1600, 37), numbers(2 * PANELS * 21 * LANES, 53));
        let pairs = |values: &[f32], apart: usize| -> Vec<Pair> {
            let of = |group: &[f32]| -> Vec<Pair> {
                (0..apart).map(|i| Pair::new([group[i], group[i + apart]])).collect()
            };
            values.chunks_exact(2 * apart).flat_map(of).collect()
        };
        let (pairs_of_values, pairs_of_panels) = (pairs(&values, 1), pairs(&panels, LANES));
        for rows in 1..=2 * ROWS + 1 {
            let starts: Vec<usize> = (0..rows).map(|row| row * 11 + row * row).collect();
            let doubled: Vec<usize> = starts.iter().map(|start| 2 * start).collect();
            let places: Vec<usize> = (0..rows).map(|row| row * 2 * LANES).collect();
            let mut fast = vec![0.25; rows * 2 * LANES];
            let mut slow = fast.clone();
            let epilogue = Epilogue::LeakyRelu(0.5);
            let runs = Runs { count: 3, length: 7, stride: 60, step: 1 };
            let left = Left { values: &pairs_of_values, starts: &starts, offset: 2, runs };
            let right = Right { values: &pairs_of_panels, count: PANELS, apart: 21 * LANES };
            let sums = Sums { values: &mut fast, places: &places, offset: 0, apart: LANES };
            multiply(left, right, None, epilogue, sums);
            let runs = Runs { count: 3, length: 14, stride: 120, step: 1 };
            let left = Left { values: &values, starts: &doubled, offset: 4, runs };
            let right = Right { values: &panels, count: PANELS, apart: 2 * 21 * LANES };
            let sums = Sums { values: &mut slow, places: &places, offset: 0, apart: LANES };
            multiply(left, right, None, epilogue, sums);
            // The operands have few significant bits, so bfloat16 represents them and all sums are exact.
            assert_eq!(fast, slow, "{rows} rows");
        }
    }

    /// Multiplies one row that begins at `start` in 10 values by `count` panels of depth 7.
    fn multiply_one(start: usize, count: usize, panels: &[f32], sums: &mut [f32], offset: usize) {
        let left = Left { values: &[0.0; 10], starts: &[start], offset: 0, runs: Runs::one(7) };
        let right = Right { values: panels, count, apart: 7 * LANES };
        let sums = Sums { values: sums, places: &[0], offset, apart: LANES };
        multiply(left, right, None, Epilogue::Identity, sums);
    }

    #[test]
    #[should_panic(expected = "beyond its matrix")]
    fn a_row_out_of_bounds_is_refused() {
        multiply_one(4, 1, &[0.0; 7 * LANES], &mut [0.0; LANES], 0);
    }

    #[test]
    #[should_panic(expected = "beyond their buffer")]
    fn sums_out_of_bounds_are_refused() {
        multiply_one(3, 1, &[0.0; 7 * LANES], &mut [0.0; LANES], 1);
    }

    #[test]
    #[should_panic(expected = "beyond their buffer")]
    fn sums_of_the_second_panel_out_of_bounds_are_refused() {
        multiply_one(3, 2, &[0.0; 2 * 7 * LANES], &mut [0.0; 2 * LANES], 1);
    }

    #[test]
    #[should_panic(expected = "shorter than the rows")]
    fn a_second_panel_out_of_bounds_is_refused() {
        multiply_one(3, 2, &[0.0; 2 * 7 * LANES - 1], &mut [0.0; 2 * LANES], 0);
    }
}
