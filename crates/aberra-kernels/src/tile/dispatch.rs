//! Dispatch of the register tile to the instruction set in use, after bounds checks.

#[cfg(target_arch = "x86_64")]
use super::avx2;
#[cfg(target_arch = "x86_64")]
use super::avx512;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::portable;
use super::shape::{LANES, Left, Sums};
use crate::bfloat16::Pair;
use crate::epilogue::Epilogue;
use crate::instructions::InstructionSet;

/// Adds the products of the rows with `panel`, `[depth][LANES]`, to the accumulators and applies the epilogue. Where
/// `begin` is given, it is the initial value of each row's accumulators, whose previous values are ignored.
pub(crate) fn multiply<V: Multiply>(
    left: Left<'_, V>,
    panel: &[V],
    begin: Option<&[f32; LANES]>,
    epilogue: Epilogue,
    sums: Sums<'_>,
) {
    let largest = |numbers: &[usize]| numbers.iter().copied().max().unwrap_or(0);
    assert_eq!(left.starts.len(), sums.places.len(), "every row has sums");
    assert!(left.runs.depth() * LANES <= panel.len(), "a panel is shorter than the rows");
    assert!(largest(sums.places) + sums.offset + LANES <= sums.values.len(), "sums beyond their buffer");
    if left.runs.depth() > 0 {
        let last = largest(left.starts) + left.offset;
        assert!(last + left.runs.span() <= left.values.len(), "a row reaches beyond its matrix");
    }
    // SAFETY: the assertions above are the requirements of `rows`.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    unsafe {
        V::rows(left, panel, begin, epilogue, sums);
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
        panel: &[Self],
        begin: Option<&[f32; LANES]>,
        epilogue: Epilogue,
        sums: Sums<'_>,
    );
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Multiply for f32 {
    unsafe fn rows(
        left: Left<'_, f32>,
        panel: &[f32],
        begin: Option<&[f32; LANES]>,
        epilogue: Epilogue,
        sums: Sums<'_>,
    ) {
        match InstructionSet::chosen() {
            // Rows without depth need not be in bounds.
            _ if left.runs.depth() == 0 => portable::rows(left, panel, begin, epilogue, sums, add),
            // SAFETY: only an instruction set that the processor supports is chosen; the rest is the caller's contract.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 | InstructionSet::Avx512Bf16 => unsafe {
                avx512::rows(left, panel, begin, epilogue, sums);
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { avx2::rows(left, panel, begin, epilogue, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => unsafe { neon::rows(left, panel, begin, epilogue, sums) },
            _ => portable::rows(left, panel, begin, epilogue, sums, add),
        }
    }
}

#[allow(unsafe_code, reason = "SIMD intrinsics")]
impl Multiply for Pair {
    unsafe fn rows(
        left: Left<'_, Pair>,
        panel: &[Pair],
        begin: Option<&[f32; LANES]>,
        epilogue: Epilogue,
        sums: Sums<'_>,
    ) {
        match InstructionSet::chosen() {
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Bf16 if left.runs.depth() > 0 => unsafe {
                avx512::pairs(left, panel, begin, epilogue, sums);
            },
            _ => portable::rows(left, panel, begin, epilogue, sums, add_pair),
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
        let panel: Vec<f32> = (0..21 * LANES).map(|i| ((i * 53 % 97) as f32 - 48.0) / 16.0).collect();
        let begin: [f32; LANES] = std::array::from_fn(|lane| lane as f32);
        let ends = [Epilogue::Identity, Epilogue::Relu, Epilogue::LeakyRelu(0.25), Epilogue::Relu6];
        for (rows, step) in (1..=2 * ROWS + 1).flat_map(|rows| [(rows, 1), (rows, 6)]) {
            let runs = Runs { count: 3, length: 7, stride: 60, step };
            let starts: Vec<usize> = (0..rows).map(|row| row * 11 + row * row).collect();
            let places: Vec<usize> = (0..rows).rev().map(|row| row * (LANES + 3)).collect();
            let left = Left { values: &values, starts: &starts, offset: 2, runs };
            for (begin, epilogue) in
                [None, Some(&begin)].into_iter().flat_map(|begin| ends.map(|epilogue| (begin, epilogue)))
            {
                let mut fast = vec![0.25; rows * (LANES + 3) + 1];
                let mut slow = fast.clone();
                multiply(
                    left,
                    &panel,
                    begin,
                    epilogue,
                    Sums { values: &mut fast, places: &places, offset: 1 },
                );
                let sums = Sums { values: &mut slow, places: &places, offset: 1 };
                portable::rows(left, &panel, begin, epilogue, sums, add);
                // The operands have few significant bits, so both results are exact.
                assert_eq!(fast, slow, "{rows} rows, {epilogue:?}");
            }
        }
    }

    #[test]
    fn pairs_equal_their_parts_one_by_one() {
        let numbers = |count: usize, factor: usize| -> Vec<f32> {
            (0..count).map(|i| ((i * factor % 101) as f32 - 50.0) / 16.0).collect()
        };
        let (values, panel) = (numbers(1600, 37), numbers(2 * 21 * LANES, 53));
        let pairs = |values: &[f32], apart: usize| -> Vec<Pair> {
            let of = |group: &[f32]| -> Vec<Pair> {
                (0..apart).map(|i| Pair::new([group[i], group[i + apart]])).collect()
            };
            values.chunks_exact(2 * apart).flat_map(of).collect()
        };
        let (pairs_of_values, pairs_of_panel) = (pairs(&values, 1), pairs(&panel, LANES));
        for rows in 1..=2 * ROWS + 1 {
            let starts: Vec<usize> = (0..rows).map(|row| row * 11 + row * row).collect();
            let doubled: Vec<usize> = starts.iter().map(|start| 2 * start).collect();
            let places: Vec<usize> = (0..rows).map(|row| row * LANES).collect();
            let mut fast = vec![0.25; rows * LANES];
            let mut slow = fast.clone();
            let runs = Runs { count: 3, length: 7, stride: 60, step: 1 };
            let left = Left { values: &pairs_of_values, starts: &starts, offset: 2, runs };
            let sums = Sums { values: &mut fast, places: &places, offset: 0 };
            multiply(left, &pairs_of_panel, None, Epilogue::LeakyRelu(0.5), sums);
            let runs = Runs { count: 3, length: 14, stride: 120, step: 1 };
            let left = Left { values: &values, starts: &doubled, offset: 4, runs };
            let sums = Sums { values: &mut slow, places: &places, offset: 0 };
            multiply(left, &panel, None, Epilogue::LeakyRelu(0.5), sums);
            // The operands have few significant bits, so bfloat16 represents them and all sums are exact.
            assert_eq!(fast, slow, "{rows} rows");
        }
    }

    #[test]
    #[should_panic(expected = "beyond its matrix")]
    fn a_row_out_of_bounds_is_refused() {
        let left = Left { values: &[0.0; 10], starts: &[3], offset: 1, runs: Runs::one(7) };
        let sums = Sums { values: &mut [0.0; LANES], places: &[0], offset: 0 };
        multiply(left, &[0.0; 7 * LANES], None, Epilogue::Identity, sums);
    }

    #[test]
    #[should_panic(expected = "beyond their buffer")]
    fn sums_out_of_bounds_are_refused() {
        let left = Left { values: &[0.0; 10], starts: &[3], offset: 0, runs: Runs::one(7) };
        let sums = Sums { values: &mut [0.0; LANES], places: &[0], offset: 1 };
        multiply(left, &[0.0; 7 * LANES], None, Epilogue::Identity, sums);
    }
}
