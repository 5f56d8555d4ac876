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

/// Rows of a matrix: each begins at its own of `starts`, to which `offset` is added.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) starts: &'a [usize],
    pub(crate) offset: usize,
    pub(crate) runs: Runs,
}

/// Where the [`LANES`] sums of each row lie: at its own of `places`, to which `offset` is added.
pub(crate) struct Sums<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) places: &'a [usize],
    pub(crate) offset: usize,
}

/// What becomes of a sum before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// Nothing.
    Sum,
    /// 0 where it is negative.
    Relu,
    /// Multiplied by the slope where it is not positive.
    LeakyRelu(f32),
}

/// Adds the products of the rows with `panel`, `[depth][LANES]`, to the sums, or to `begin` where it is given, in place
/// of what the sums were.
pub(crate) fn multiply(
    left: Left<'_>,
    panel: &[f32],
    begin: Option<&[f32; LANES]>,
    end: End,
    sums: Sums<'_>,
) {
    let largest = |numbers: &[usize]| numbers.iter().copied().max().unwrap_or(0);
    assert_eq!(left.starts.len(), sums.places.len(), "every row has sums");
    assert!(left.runs.depth() * LANES <= panel.len(), "a panel is shorter than the rows");
    assert!(largest(sums.places) + sums.offset + LANES <= sums.values.len(), "sums beyond their buffer");
    if left.runs.depth() == 0 {
        portable::rows(left, panel, begin, end, sums);
        return;
    }
    let last = largest(left.starts) + left.offset;
    assert!(last + left.runs.span() <= left.values.len(), "a row reaches beyond its matrix");
    match InstructionSet::current() {
        // SAFETY: an instruction set is chosen only where the processor has it; the assertions above are what `rows`
        // asks for.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Avx512 => unsafe { avx512::rows(left, panel, begin, end, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        InstructionSet::Avx2 => unsafe { avx2::rows(left, panel, begin, end, sums) },
        _ => portable::rows(left, panel, begin, end, sums),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_equals_the_portable_version() {
        let values: Vec<f32> = (0..800).map(|i| ((i * 37 % 101) as f32 - 50.0) / 16.0).collect();
        let panel: Vec<f32> = (0..21 * LANES).map(|i| ((i * 53 % 97) as f32 - 48.0) / 16.0).collect();
        let begin: [f32; LANES] = std::array::from_fn(|lane| lane as f32);
        let ends = [End::Sum, End::Relu, End::LeakyRelu(0.25)];
        for (rows, step) in (1..=2 * ROWS + 1).flat_map(|rows| [(rows, 1), (rows, 6)]) {
            let runs = Runs { count: 3, length: 7, stride: 60, step };
            let starts: Vec<usize> = (0..rows).map(|row| row * 11 + row * row).collect();
            let places: Vec<usize> = (0..rows).rev().map(|row| row * (LANES + 3)).collect();
            let left = Left { values: &values, starts: &starts, offset: 2, runs };
            for (begin, end) in
                [None, Some(&begin)].into_iter().flat_map(|begin| ends.map(|end| (begin, end)))
            {
                let mut fast = vec![0.25; rows * (LANES + 3) + 1];
                let mut slow = fast.clone();
                multiply(left, &panel, begin, end, Sums { values: &mut fast, places: &places, offset: 1 });
                let sums = Sums { values: &mut slow, places: &places, offset: 1 };
                portable::rows(left, &panel, begin, end, sums);
                // The operands have few bits, so that both are exact.
                assert_eq!(fast, slow, "{rows} rows, {end:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "beyond its matrix")]
    fn a_row_out_of_bounds_is_refused() {
        let left = Left { values: &[0.0; 10], starts: &[3], offset: 1, runs: Runs::one(7) };
        let sums = Sums { values: &mut [0.0; LANES], places: &[0], offset: 0 };
        multiply(left, &[0.0; 7 * LANES], None, End::Sum, sums);
    }

    #[test]
    #[should_panic(expected = "beyond their buffer")]
    fn sums_out_of_bounds_are_refused() {
        let left = Left { values: &[0.0; 10], starts: &[3], offset: 0, runs: Runs::one(7) };
        let sums = Sums { values: &mut [0.0; LANES], places: &[0], offset: 1 };
        multiply(left, &[0.0; 7 * LANES], None, End::Sum, sums);
    }
}
