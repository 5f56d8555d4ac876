//! Disjoint sets of samples, joined pair by pair.

use std::collections::HashMap;

/// Disjoint sets; the smallest member stands for each.
pub(super) struct Union(Vec<usize>);

impl Union {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    pub(super) fn root(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    pub(super) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }

    /// Element -> set, sets numbered by their first element, and their number.
    pub(super) fn numbered(mut self) -> (Vec<usize>, usize) {
        let mut number = HashMap::new();
        let of = (0..self.0.len())
            .map(|index| {
                let root = self.root(index);
                let next = number.len();
                *number.entry(root).or_insert(next)
            })
            .collect();
        (of, number.len())
    }
}
