//! Operands and sizes of a register tile: rows anywhere in a buffer, and the addresses of their accumulators.

/// Rows of a full tile.
pub(crate) const ROWS: usize = 6;
/// Columns of a tile, and the width of a packed panel.
pub(crate) const LANES: usize = 16;
/// Panels that are multiplied at once where the registers suffice: each value of the left operand is loaded for all of them.
pub(crate) const PANELS: usize = 2;
/// Depth of a block, in stored values: a panel of this depth (16 KiB) stays in the L1 cache.
pub(crate) const DEPTH_BLOCK: usize = 256;

/// The elements of a row: `count` runs of `length` elements, with a distance of `stride` between runs and `step` within
/// a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) count: usize,
    pub(crate) length: usize,
    pub(crate) stride: usize,
    pub(crate) step: usize,
}

impl Runs {
    /// A contiguous row.
    pub(crate) fn one(length: usize) -> Self {
        Self { count: 1, length, stride: 0, step: 1 }
    }

    /// Elements in a row.
    pub(crate) fn depth(&self) -> usize {
        self.count * self.length
    }

    /// Distance from the first element to the one past the last.
    pub(super) fn span(&self) -> usize {
        if self.depth() == 0 { 0 } else { (self.count - 1) * self.stride + (self.length - 1) * self.step + 1 }
    }
}

/// The left operand: row `i` begins at `starts[i] + offset` in `values`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a, V> {
    pub(crate) values: &'a [V],
    pub(crate) starts: &'a [usize],
    pub(crate) offset: usize,
    pub(crate) runs: Runs,
}

/// The right operand: some panels `[depth][LANES]`, which begin `apart` values from each other.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a, V> {
    pub(crate) values: &'a [V],
    /// From 1 to [`PANELS`].
    pub(crate) count: usize,
    pub(crate) apart: usize,
}

/// The accumulators: the [`LANES`] sums of row `i` and panel `p` lie at `places[i] + offset + p apart` in `values`.
pub(crate) struct Sums<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) places: &'a [usize],
    pub(crate) offset: usize,
    pub(crate) apart: usize,
}

/// What the accumulators of each panel begin with.
pub(crate) type Begin<'a> = Option<&'a [[f32; LANES]; PANELS]>;
