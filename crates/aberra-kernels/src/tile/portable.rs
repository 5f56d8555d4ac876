//! The register tile in plain Rust, for processors without a version of their own. It multiplies and adds in two
//! roundings.

use super::{LANES, Runs};

/// As [`multiply_add`](super::multiply_add).
pub(super) fn rows(
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
