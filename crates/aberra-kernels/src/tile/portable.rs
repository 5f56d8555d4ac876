//! The micro-kernel in plain Rust, for processors without a version of their own. Without fused multiply-add, it rounds
//! both the product and the sum.

use super::shape::{Begin, LANES, Left, Right, Sums};
use crate::epilogue::Epilogue;

/// As `multiply`; `add` adds the product of one value and each of the columns to the accumulators.
pub(super) fn rows<V: Copy>(
    left: Left<'_, V>,
    right: Right<'_, V>,
    begin: Begin<'_>,
    epilogue: Epilogue,
    sums: Sums<'_>,
    add: impl Fn(&mut [f32; LANES], V, &[V; LANES]),
) {
    let Left { values, starts, offset, runs } = left;
    let tiles =
        (0..right.count).flat_map(|panel| starts.iter().zip(sums.places).map(move |row| (panel, row)));
    for (number, (&start, &place)) in tiles {
        let panel = right.values.get(number * right.apart..).unwrap_or_default().as_chunks::<LANES>().0;
        let target = &mut sums.values[place + sums.offset + number * sums.apart..][..LANES];
        let mut row = [0.0; LANES];
        row.copy_from_slice(begin.map_or(&*target, |begin| &begin[number]));
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
