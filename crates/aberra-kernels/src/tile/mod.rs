//! The register tile: the one inner loop under every kernel of this crate, with its SIMD versions.
//!
//! A tile multiplies some rows of a matrix by a panel of [`LANES`] columns and adds the product to an accumulator. The
//! rows need not lie in memory as a matrix: each starts at its own offset and consists of equally long runs, which is
//! what lets a convolution read its input in place. Every element of the accumulator is one chain of multiply-adds in
//! the order of the depth, whatever tile it falls in; so results depend neither on how work is cut into tiles nor on
//! the number of threads. Each instruction set has a file of its own here.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::instructions::InstructionSet;

/// Rows of a full tile.
pub(crate) const ROWS: usize = 6;
/// Columns of a tile, and the width of a packed panel.
pub(crate) const LANES: usize = 16;

/// Which elements a row consists of: `count` runs of `length` elements, `stride` apart from run to run and `step` apart
/// within a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) count: usize,
    pub(crate) length: usize,
    pub(crate) stride: usize,
    pub(crate) step: usize,
}

impl Runs {
    /// A row in one piece.
    pub(crate) fn one(length: usize) -> Self {
        Self { count: 1, length, stride: 0, step: 1 }
    }

    /// Elements in a row.
    pub(crate) fn depth(&self) -> usize {
        self.count * self.length
    }

    /// Distance from the first element to the one past the last.
    fn span(&self) -> usize {
        if self.depth() == 0 { 0 } else { (self.count - 1) * self.stride + (self.length - 1) * self.step + 1 }
    }
}

/// Adds to `accumulator[row][lane]` the products of the rows of `values` with `panel`.
///
/// `starts` holds the offset of each row, to which `offset` is added; `panel` is `[depth][LANES]`, `accumulator` is
/// `[starts.len()][LANES]`.
pub(crate) fn multiply_add(
    values: &[f32],
    starts: &[usize],
    offset: usize,
    runs: Runs,
    panel: &[f32],
    accumulator: &mut [f32],
) {
    let last = starts.iter().copied().max().unwrap_or(0) + offset;
    assert!(last + runs.span() <= values.len(), "a row reaches beyond its matrix");
    assert!(runs.depth() * LANES <= panel.len(), "a panel is shorter than the rows");
    assert!(starts.len() * LANES <= accumulator.len(), "more rows than accumulators");
    match InstructionSet::current() {
        // SAFETY: an instruction set is chosen only where the processor has it; the three assertions above are what
        // `rows` asks for.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Avx512 => unsafe { avx512::rows(values, starts, offset, runs, panel, accumulator) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Avx2 => unsafe { avx2::rows(values, starts, offset, runs, panel, accumulator) },
        _ => portable::rows(values, starts, offset, runs, panel, accumulator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_equals_the_portable_version() {
        let values: Vec<f32> = (0..700).map(|i| ((i * 37 % 101) as f32 - 50.0) / 16.0).collect();
        let panel: Vec<f32> = (0..21 * LANES).map(|i| ((i * 53 % 97) as f32 - 48.0) / 16.0).collect();
        for (rows, step) in (1..=2 * ROWS + 1).flat_map(|rows| [(rows, 1), (rows, 6)]) {
            let runs = Runs { count: 3, length: 7, stride: 60, step };
            let starts: Vec<usize> = (0..rows).map(|row| row * 11 + row * row).collect();
            let mut fast = vec![0.25; rows * LANES];
            let mut slow = fast.clone();
            multiply_add(&values, &starts, 2, runs, &panel, &mut fast);
            portable::rows(&values, &starts, 2, runs, &panel, &mut slow);
            // The operands have few bits, so that both are exact.
            assert_eq!(fast, slow, "{rows} rows");
        }
    }

    #[test]
    #[should_panic(expected = "beyond its matrix")]
    fn a_row_out_of_bounds_is_refused() {
        multiply_add(&[0.0; 10], &[3], 1, Runs::one(7), &[0.0; 7 * LANES], &mut [0.0; LANES]);
    }
}
