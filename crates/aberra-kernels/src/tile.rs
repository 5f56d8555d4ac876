//! The register tile: the one inner loop under every kernel of this crate, with its SIMD versions.
//!
//! A tile multiplies [`ROWS`] rows of a matrix by a panel of [`LANES`] columns and adds the product to an accumulator. The rows need not lie in memory as a matrix: each starts at its own offset and consists of equally
//! long runs, which is what lets a convolution read its input in place. Every element of the accumulator is one chain
//! of multiply-adds in the order of the depth, whatever tile it falls in; so results depend neither on how work is
//! cut into tiles nor on the number of threads.

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
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has AVX2 and FMA; the three assertions above are what `avx2::rows` asks for.
        #[allow(unsafe_code, reason = "SIMD intrinsics")]
        unsafe {
            avx2::rows(values, starts, offset, runs, panel, accumulator)
        };
        return;
    }
    portable(values, starts, offset, runs, panel, accumulator);
}

/// The same in plain Rust, for processors without a version of their own. Multiplies and adds in two roundings.
fn portable(
    values: &[f32],
    starts: &[usize],
    offset: usize,
    runs: Runs,
    panel: &[f32],
    accumulator: &mut [f32],
) {
    for (&start, sums) in starts.iter().zip(accumulator.chunks_exact_mut(LANES)) {
        let mut weights = panel.chunks_exact(LANES);
        for run in 0..runs.count {
            let begin = start + offset + run * runs.stride;
            for (&value, weights) in
                values[begin..].iter().step_by(runs.step).take(runs.length).zip(&mut weights)
            {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    //! Two 8-lane registers of columns times six broadcast rows: twelve accumulators in registers.
    use super::{LANES, ROWS, Runs};
    use std::arch::x86_64::{
        __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };

    /// # Safety
    /// AVX2 and FMA present; every row in bounds of `values`; `panel` at least depth x LANES long; `accumulator` at least
    /// LANES long for each of `starts`.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn rows(
        values: &[f32],
        starts: &[usize],
        offset: usize,
        runs: Runs,
        panel: &[f32],
        accumulator: &mut [f32],
    ) {
        // The offset moves the beginning of the matrix; that it lies within follows from the rows being in bounds.
        let values = values.get(offset..).unwrap_or_default();
        for (starts, accumulator) in starts.chunks(ROWS).zip(accumulator.chunks_mut(ROWS * LANES)) {
            // SAFETY: the caller's promises are `tile`'s, and each arm has as many starts as rows.
            unsafe {
                match starts.len() {
                    6 => tile::<6>(values, starts, runs, panel, accumulator),
                    5 => tile::<5>(values, starts, runs, panel, accumulator),
                    4 => tile::<4>(values, starts, runs, panel, accumulator),
                    3 => tile::<3>(values, starts, runs, panel, accumulator),
                    2 => tile::<2>(values, starts, runs, panel, accumulator),
                    _ => tile::<1>(values, starts, runs, panel, accumulator),
                }
            }
        }
    }

    /// # Safety
    /// As [`rows`], with exactly `R` starts and no offset.
    #[allow(unsafe_code, reason = "SIMD intrinsics")]
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile<const R: usize>(
        values: &[f32],
        starts: &[usize],
        runs: Runs,
        panel: &[f32],
        accumulator: &mut [f32],
    ) {
        // SAFETY: all addresses are in bounds by the caller's promise: rows of `values` up to start + span, the panel
        // up to depth x LANES, the accumulator up to R x LANES.
        unsafe {
            let mut rows = [values.as_ptr(); R];
            for (row, &start) in rows.iter_mut().zip(starts) {
                *row = row.add(start);
            }
            let sums = accumulator.as_mut_ptr();
            let mut c: [[__m256; 2]; R] = [[_mm256_setzero_ps(); 2]; R];
            for (r, c) in c.iter_mut().enumerate() {
                *c = [_mm256_loadu_ps(sums.add(r * LANES)), _mm256_loadu_ps(sums.add(r * LANES + 8))];
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
            for (r, c) in c.iter().enumerate() {
                _mm256_storeu_ps(sums.add(r * LANES), c[0]);
                _mm256_storeu_ps(sums.add(r * LANES + 8), c[1]);
            }
        }
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
            portable(&values, &starts, 2, runs, &panel, &mut slow);
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
