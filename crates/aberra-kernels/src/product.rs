//! Matrix products: the loop nest around the register tile. The left operand's rows may lie anywhere in a buffer, the
//! right operand is packed into panels.

use crate::epilogue::Epilogue;
use crate::operand::{OperandValue, Operands};
use crate::pool;
use crate::tile::{DEPTH_BLOCK, LANES, Left, PANELS, ROWS, Right, Runs, Sums, multiply};
use rayon::prelude::*;

/// Rows per block, so that what they read stays in the L2 cache.
pub(crate) const ROW_BLOCK: usize = 16 * ROWS;

/// A packed right operand `[depth, columns]`: panels of [`LANES`] columns, the last padded with zeros. The depth is
/// counted in stored values.
pub(crate) struct Panels<V: OperandValue> {
    values: Vec<V>,
    depth: usize,
    columns: usize,
}

impl<V: OperandValue> Panels<V> {
    /// Packs a matrix with columns of `depth` elements. `fill` writes the panel `[depth][LANES]` that begins at a given
    /// column into zeroed memory.
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

    /// Packs a row-major matrix.
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

    /// The panels, for a product.
    pub(crate) fn view(&self) -> PanelView<'_, V> {
        PanelView { values: &self.values, depth: self.depth, columns: self.columns }
    }
}

/// A borrowed right operand: panels of [`LANES`] columns as in [`Panels`].
#[derive(Clone, Copy)]
pub(crate) struct PanelView<'a, V> {
    /// `[panels][depth][LANES]`
    pub(crate) values: &'a [V],
    pub(crate) depth: usize,
    /// Columns, without the padding of the last panel.
    pub(crate) columns: usize,
}

impl<'a, V> PanelView<'a, V> {
    /// The panels that are multiplied at once, with the first column of each group.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (usize, Right<'a, V>)> {
        let (values, apart) = (self.values, self.depth * LANES);
        let panels = self.columns.div_ceil(LANES);
        (0..panels).step_by(PANELS).map(move |panel| {
            let right = Right { values: &values[panel * apart..], count: PANELS.min(panels - panel), apart };
            (panel * LANES, right)
        })
    }
}

impl<V: OperandValue> Drop for Panels<V> {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.values));
    }
}

/// The depth of the left operand's rows, cut into at least one block; each block with its offset from the row's start.
pub(crate) struct RowBlocks {
    blocks: Vec<(usize, Runs)>,
}

impl RowBlocks {
    /// Cuts rows that consist of these runs. The cut depends on the runs alone.
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
            // The result of a product without depth is still written.
            blocks.push((0, Runs::one(0)));
        }
        Self { blocks }
    }
}

/// Columns that are multiplied at once.
const WIDTH: usize = PANELS * LANES;

/// Where the rows of a block lie in scratch memory.
const BLOCK_PLACES: [usize; ROW_BLOCK] = {
    let mut places = [0; ROW_BLOCK];
    let mut row = 0;
    while row < ROW_BLOCK {
        places[row] = row * WIDTH;
        row += 1;
    }
    places
};

/// The product of the rows of `values` that begin at `starts` and `panels`.
pub(crate) struct Product<'a, V: OperandValue> {
    pub(crate) values: &'a [V],
    pub(crate) starts: &'a [usize],
    pub(crate) rows: &'a RowBlocks,
    pub(crate) panels: PanelView<'a, V>,
    /// Initial value of each column's accumulators, in place of 0.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) epilogue: Epilogue,
}

impl<V: OperandValue> Product<'_, V> {
    /// Writes row `i` of the product to `output[places[i]..]`. `sums` is scratch.
    pub(crate) fn write_to(&self, output: &mut [f32], places: &[usize], sums: &mut Vec<f32>) {
        sums.resize(ROW_BLOCK * WIDTH, 0.0);
        for (starts, places) in self.starts.chunks(ROW_BLOCK).zip(places.chunks(ROW_BLOCK)) {
            for (first, right) in self.panels.groups() {
                let width = WIDTH.min(self.panels.columns - first);
                let mut begin = [[0.0; LANES]; PANELS];
                if let Some(bias) = self.bias {
                    begin.as_flattened_mut()[..width].copy_from_slice(&bias[first..first + width]);
                }
                if width.is_multiple_of(LANES) {
                    let sums = Sums { values: output, places, offset: first, apart: LANES };
                    self.multiply_panels(starts, right, &begin, sums);
                } else {
                    let block = &BLOCK_PLACES[..starts.len()];
                    let padded = Sums { values: sums, places: block, offset: 0, apart: LANES };
                    self.multiply_panels(starts, right, &begin, padded);
                    for (&place, sums) in places.iter().zip(sums.as_chunks::<WIDTH>().0) {
                        output[place + first..][..width].copy_from_slice(&sums[..width]);
                    }
                }
            }
        }
    }

    fn multiply_panels(
        &self,
        starts: &[usize],
        right: Right<'_, V>,
        begin: &[[f32; LANES]; PANELS],
        sums: Sums<'_>,
    ) {
        let last = self.rows.blocks.len() - 1;
        let mut done = 0;
        for (number, &(offset, runs)) in self.rows.blocks.iter().enumerate() {
            let right = Right { values: &right.values[done * LANES..], ..right };
            done += runs.depth();
            let begin = (number == 0).then_some(begin);
            let epilogue = if number == last { self.epilogue } else { Epilogue::Identity };
            let left = Left { values: self.values, starts, offset, runs };
            multiply(left, right, begin, epilogue, Sums { values: &mut *sums.values, ..sums });
        }
    }
}
