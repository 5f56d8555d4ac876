//! The micro-kernel in plain Rust, for processors without a version of their own. Without fused multiply-add, it rounds
//! both the product and the sum.

use super::shape::{LANES, Left, Sums};
use crate::epilogue::Epilogue;

/// As `multiply`; `add` adds the product of one value and each of the columns to the accumulators.
pub(super) fn rows<V: Copy>(
    left: Left<'_, V>,
    panel: &[V],
    begin: Option<&[f32; LANES]>,
    epilogue: Epilogue,
    sums: Sums<'_>,
    add: impl Fn(&mut [f32; LANES], V, &[V; LANES]),
) {
    let Left { values, starts, offset, runs } = left;
    let panel = panel.as_chunks::<LANES>().0;
    for (&start, &place) in starts.iter().zip(sums.places) {
        let target = &mut sums.values[place + sums.offset..][..LANES];
        let mut row = [0.0; LANES];
        row.copy_from_slice(begin.map_or(&*target, |begin| begin));
        let mut columns = panel.iter();
        for run in 0..runs.count {
            let first = start + offset + run * runs.stride;
            let values = values.get(first..).unwrap_or_default().iter().step_by(runs.step).take(runs.length);
            for (&value, columns) in values.zip(&mut columns) {
                add(&mut row, value, columns);
            }
        }
        epilogue.apply(&mut row);
        target.copy_from_slice(&row);
    }
}
