//! Rows that lie anywhere in a buffer, times a packed matrix: the loop nest around the register tile.

use crate::epilogue::End;
use crate::operand::{Operands, Value};
use crate::pool;
use crate::tile::{DEPTH_BLOCK, LANES, Left, ROWS, Runs, Sums, multiply};
use rayon::prelude::*;

/// Rows that are worked through at a time, so that what they read stays in the second-level cache.
pub(crate) const ROW_BLOCK: usize = 16 * ROWS;

/// A matrix `[depth, columns]` in panels of [`LANES`] columns, the last filled up with zeros. The depth is counted in
/// values.
pub(crate) struct Panels<V: Value> {
    values: Vec<V>,
    depth: usize,
    columns: usize,
}

impl<V: Value> Panels<V> {
    /// Packs a matrix of `depth` elements a column; `fill` writes the panel that begins at a column, `[depth][LANES]`, found
    /// filled with zeros.
    pub(crate) fn pack<O: Operands<Value = V>>(
        depth: usize,
        columns: usize,
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let depth = depth / O::DEPTH;
        let mut values = pool::take(depth * columns.div_ceil(LANES) * LANES);
        if depth > 0 {
            values.par_chunks_mut(depth * LANES).enumerate().for_each(|(panel, values)| {
                V::with_scratch(|scratch| {
                    O::pack(values, LANES, &mut scratch.plain, |elements| {
                        elements.fill(0.0);
                        fill(panel * LANES, elements);
                    });
                });
            });
        }
        Self { values, depth, columns }
    }

    /// Packs a matrix that lies row by row.
    pub(crate) fn from_rows<O: Operands<Value = V>>(matrix: &[f32], columns: usize) -> Self {
        Self::pack::<O>(matrix.len() / columns.max(1), columns, |first, panel| {
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
    fn panels(&self) -> impl Iterator<Item = (usize, &[V])> {
        let size = (self.depth * LANES).max(1);
        (0..self.columns.div_ceil(LANES)).map(move |panel| {
            let begin = (panel * size).min(self.values.len());
            (panel * LANES, &self.values[begin..(begin + size).min(self.values.len())])
        })
    }
}

impl<V: Value> Drop for Panels<V> {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.values));
    }
}

/// Rows of the left matrix: what each consists of, cut into blocks of depth, at least one.
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
        if blocks.is_empty() {
            // A product without depth is still written.
            blocks.push((0, Runs::one(0)));
        }
        Self { blocks }
    }
}

/// Where the rows of a block lie in working space.
const BLOCK_PLACES: [usize; ROW_BLOCK] = {
    let mut places = [0; ROW_BLOCK];
    let mut row = 0;
    while row < ROW_BLOCK {
        places[row] = row * LANES;
        row += 1;
    }
    places
};

/// The rows of `values` that begin at `starts`, times `panels`.
pub(crate) struct Product<'a, V: Value> {
    pub(crate) values: &'a [V],
    pub(crate) starts: &'a [usize],
    pub(crate) rows: &'a Rows,
    pub(crate) panels: &'a Panels<V>,
    /// What every column begins as, in place of 0.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) end: End,
}

impl<V: Value> Product<'_, V> {
    /// Writes each row of the product to where its own of `places` is in `output`. `sums` is working space.
    pub(crate) fn write_to(&self, output: &mut [f32], places: &[usize], sums: &mut Vec<f32>) {
        sums.resize(ROW_BLOCK * LANES, 0.0);
        for (starts, places) in self.starts.chunks(ROW_BLOCK).zip(places.chunks(ROW_BLOCK)) {
            for (first, panel) in self.panels.panels() {
                let width = LANES.min(self.panels.columns - first);
                let mut begin = [0.0; LANES];
                if let Some(bias) = self.bias {
                    begin[..width].copy_from_slice(&bias[first..first + width]);
                }
                if width == LANES {
                    let sums = Sums { values: output, places, offset: first };
                    self.multiply_panel(starts, panel, &begin, sums);
                } else {
                    let block = &BLOCK_PLACES[..starts.len()];
                    self.multiply_panel(
                        starts,
                        panel,
                        &begin,
                        Sums { values: sums, places: block, offset: 0 },
                    );
                    for (&place, sums) in places.iter().zip(sums.as_chunks::<LANES>().0) {
                        output[place + first..][..width].copy_from_slice(&sums[..width]);
                    }
                }
            }
        }
    }

    fn multiply_panel(&self, starts: &[usize], panel: &[V], begin: &[f32; LANES], sums: Sums<'_>) {
        let Sums { values, places, offset: shift } = sums;
        let last = self.rows.blocks.len() - 1;
        let mut rest = panel;
        for (number, &(offset, runs)) in self.rows.blocks.iter().enumerate() {
            let (part, after) = rest.split_at(runs.depth() * LANES);
            rest = after;
            let begin = (number == 0).then_some(begin);
            let end = if number == last { self.end } else { End::Sum };
            let left = Left { values: self.values, starts, offset, runs };
            multiply(left, part, begin, end, Sums { values: &mut *values, places, offset: shift });
        }
    }
}
