//! Rows that lie anywhere in a buffer, times a packed matrix: the loop nest around the register tile.

use crate::tile::{LANES, ROWS, Runs, multiply_add};
use rayon::prelude::*;

/// Depth that is worked through at a time, so that a panel's part (16 KiB) stays in the first-level cache.
const DEPTH_BLOCK: usize = 256;
/// Rows that are worked through at a time, so that what they read stays in the second-level cache.
pub(crate) const ROW_BLOCK: usize = 16 * ROWS;

/// A matrix `[depth, columns]` in panels of [`LANES`] columns, the last filled up with zeros.
pub(crate) struct Panels {
    values: Vec<f32>,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// Packs a matrix; `fill` writes the panel that begins at a column, `[depth][LANES]`, found filled with zeros.
    pub(crate) fn pack(depth: usize, columns: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Self {
        let mut values = vec![0.0; depth * columns.div_ceil(LANES) * LANES];
        if depth > 0 {
            values
                .par_chunks_mut(depth * LANES)
                .enumerate()
                .for_each(|(panel, values)| fill(panel * LANES, values));
        }
        Self { values, depth, columns }
    }

    /// Packs a matrix that lies row by row.
    pub(crate) fn from_rows(matrix: &[f32], columns: usize) -> Self {
        Self::pack(matrix.len() / columns.max(1), columns, |first, panel| {
            let width = LANES.min(columns - first);
            for (target, row) in panel.chunks_exact_mut(LANES).zip(matrix.chunks_exact(columns)) {
                target[..width].copy_from_slice(&row[first..first + width]);
            }
        })
    }

    /// First column and values of each panel.
    fn panels(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let size = (self.depth * LANES).max(1);
        (0..self.columns.div_ceil(LANES)).map(move |panel| {
            let begin = (panel * size).min(self.values.len());
            (panel * LANES, &self.values[begin..(begin + size).min(self.values.len())])
        })
    }
}

/// Rows of the left matrix: what each consists of, cut into blocks of depth.
pub(crate) struct Rows {
    blocks: Vec<(usize, Runs)>,
}

impl Rows {
    /// Cuts rows of the given runs. The cut depends on the runs alone.
    pub(crate) fn new(runs: Runs) -> Self {
        let mut blocks = Vec::new();
        if runs.length >= DEPTH_BLOCK {
            for run in 0..runs.count {
                let mut done = 0;
                while done < runs.length {
                    let length = DEPTH_BLOCK.min(runs.length - done);
                    blocks.push((run * runs.stride + done, Runs::one(length)));
                    done += length;
                }
            }
        } else if runs.length > 0 {
            let at_once = (DEPTH_BLOCK / runs.length).max(1);
            let mut run = 0;
            while run < runs.count {
                let count = at_once.min(runs.count - run);
                blocks.push((run * runs.stride, Runs { count, ..runs }));
                run += count;
            }
        }
        Self { blocks }
    }
}

/// Multiplies the rows of `values` that begin at `starts` by `panels` and hands over the product piece by piece:
/// `store(row, first column, values)`, at most [`LANES`] values at a time. Every element begins as its column's `bias`.
///
/// `starts` and `sums` are working space; the former is left as found.
pub(crate) fn multiply_rows(
    values: &[f32],
    starts: &mut [usize],
    rows: &Rows,
    panels: &Panels,
    bias: Option<&[f32]>,
    sums: &mut Vec<f32>,
    mut store: impl FnMut(usize, usize, &[f32]),
) {
    sums.resize(ROW_BLOCK * LANES, 0.0);
    let mut shifted = [0; ROWS];
    for (block, starts) in starts.chunks(ROW_BLOCK).enumerate() {
        for (first, panel) in panels.panels() {
            let width = LANES.min(panels.columns - first);
            let sums = &mut sums[..starts.len() * LANES];
            for sum in sums.chunks_exact_mut(LANES) {
                match bias {
                    Some(bias) => sum[..width].copy_from_slice(&bias[first..first + width]),
                    None => sum.fill(0.0),
                }
            }
            let mut rest = panel;
            for &(offset, runs) in &rows.blocks {
                let (part, after) = rest.split_at(runs.depth() * LANES);
                rest = after;
                for (starts, sums) in starts.chunks(ROWS).zip(sums.chunks_mut(ROWS * LANES)) {
                    for (shifted, start) in shifted.iter_mut().zip(starts) {
                        *shifted = start + offset;
                    }
                    multiply_add(values, &shifted[..starts.len()], runs, part, sums);
                }
            }
            for (row, sum) in sums.chunks_exact(LANES).enumerate() {
                store(block * ROW_BLOCK + row, first, &sum[..width]);
            }
        }
    }
}
