//! The operands of a tile and their sizes: rows that lie anywhere in a buffer, and where their sums lie.

/// Rows of a full tile.
pub(crate) const ROWS: usize = 6;
/// Columns of a tile, and the width of a packed panel.
pub(crate) const LANES: usize = 16;
/// Depth, in values, of a panel's part that stays in the first-level cache (16 KiB).
pub(crate) const DEPTH_BLOCK: usize = 256;

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
    pub(super) fn span(&self) -> usize {
        if self.depth() == 0 { 0 } else { (self.count - 1) * self.stride + (self.length - 1) * self.step + 1 }
    }
}

/// Rows of a matrix: each begins at its own of `starts`, to which `offset` is added.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a, V> {
    pub(crate) values: &'a [V],
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
