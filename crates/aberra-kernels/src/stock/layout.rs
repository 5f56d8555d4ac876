//! Permutations between this crate's order of dimensions and Burn's.

/// To Burn's `[batch, channels, height, width]` and back.
pub(super) const CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];
pub(super) const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
/// From `[kernel height, kernel width, large, small]` to Burn's `[small, large, kernel height, kernel width]` and back.
pub(super) const WEIGHT_TO_BURN: [usize; 4] = [3, 2, 0, 1];
pub(super) const WEIGHT_FROM_BURN: [usize; 4] = [2, 3, 1, 0];
