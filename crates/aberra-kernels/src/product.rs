//! Rows that lie anywhere in a buffer, times a packed matrix: the loop nest around the register tile.

use crate::pool;
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
        let mut values = pool::take_zeros(depth * columns.div_ceil(LANES) * LANES);
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
            for (target, row) in panel.as_chunks_mut::<LANES>().0.iter_mut().zip(matrix.chunks_exact(columns))
            {
                match row[first..].first_chunk::<LANES>() {
                    Some(row) => *target = *row,
                    None => target[..width].copy_from_slice(&row[first..first + width]),
                }
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

impl Drop for Panels {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.values));
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
        } else if let Some(at_once) = DEPTH_BLOCK.checked_div(runs.length) {
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
/// `store(row, first column, values, count)`, of which the first `count` values count. Every element begins as its
/// column's `bias`. `sums` is working space.
pub(crate) fn multiply_rows(
    values: &[f32],
    starts: &[usize],
    rows: &Rows,
    panels: &Panels,
    bias: Option<&[f32]>,
    sums: &mut Vec<f32>,
    mut store: impl FnMut(usize, usize, &[f32; LANES], usize),
) {
    sums.resize(ROW_BLOCK * LANES, 0.0);
    for (block, starts) in starts.chunks(ROW_BLOCK).enumerate() {
        for (first, panel) in panels.panels() {
            let width = LANES.min(panels.columns - first);
            let sums = &mut sums[..starts.len() * LANES];
            let mut beginning = [0.0; LANES];
            if let Some(bias) = bias {
                beginning[..width].copy_from_slice(&bias[first..first + width]);
            }
            sums.as_chunks_mut::<LANES>().0.fill(beginning);
            let mut rest = panel;
            for &(offset, runs) in &rows.blocks {
                let (part, after) = rest.split_at(runs.depth() * LANES);
                rest = after;
                multiply_add(values, starts, offset, runs, part, sums);
            }
            for (row, sum) in sums.as_chunks::<LANES>().0.iter().enumerate() {
                store(block * ROW_BLOCK + row, first, sum, width);
            }
        }
    }
}

/// Writes the first `width` of a row's sums to where `target` begins.
#[inline(always)]
pub(crate) fn store_row(target: &mut [f32], sums: &[f32; LANES], width: usize) {
    // A fixed length compiles to plain loads and stores.
    match target.first_chunk_mut::<LANES>() {
        Some(target) if width == LANES => *target = *sums,
        _ => target[..width].copy_from_slice(&sums[..width]),
    }
}
