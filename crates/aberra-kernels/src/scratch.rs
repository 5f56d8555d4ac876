//! Thread-local scratch buffers.

use crate::bfloat16::Pair;
use std::cell::RefCell;

/// Scratch buffers of one thread, grown as needed and kept: see [`Scratched::with_scratch`].
pub(crate) struct Scratch<V> {
    /// A zero-padded copy of an image region.
    pub(crate) window: Vec<V>,
    /// One packed panel.
    pub(crate) panel: Vec<V>,
    /// Packed rows.
    pub(crate) packed: Vec<V>,
    /// Where the rows of the left operand begin in the window.
    pub(crate) starts: Vec<usize>,
    /// Where the rows of the product begin in the output.
    pub(crate) places: Vec<usize>,
    /// Accumulators of a product.
    pub(crate) sums: Vec<f32>,
    /// Elements that are about to be converted.
    pub(crate) plain: Vec<f32>,
    /// Elements that stay in single precision.
    pub(crate) line: Vec<f32>,
}

// `derive` would require `V: Default`.
impl<V> Default for Scratch<V> {
    fn default() -> Self {
        Self {
            window: Vec::new(),
            panel: Vec::new(),
            packed: Vec::new(),
            starts: Vec::new(),
            places: Vec::new(),
            sums: Vec::new(),
            plain: Vec::new(),
            line: Vec::new(),
        }
    }
}

/// Types that have thread-local scratch buffers.
pub(crate) trait Scratched: Sized {
    /// Lends the thread's scratch buffers. `work` must not start parallel tasks: while a thread waits for them it may
    /// run another task, which would find the buffers borrowed already.
    fn with_scratch<T>(work: impl FnOnce(&mut Scratch<Self>) -> T) -> T;
}

impl Scratched for f32 {
    fn with_scratch<T>(work: impl FnOnce(&mut Scratch<Self>) -> T) -> T {
        thread_local! {
            static SCRATCH: RefCell<Scratch<f32>> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(work)
    }
}

impl Scratched for Pair {
    fn with_scratch<T>(work: impl FnOnce(&mut Scratch<Self>) -> T) -> T {
        thread_local! {
            static SCRATCH: RefCell<Scratch<Pair>> = RefCell::default();
        }
        SCRATCH.with_borrow_mut(work)
    }
}

/// The first `length` values of a buffer, which is grown if necessary.
pub(crate) fn at_least<V: Copy + Default>(buffer: &mut Vec<V>, length: usize) -> &mut [V] {
    buffer.resize(buffer.len().max(length), V::default());
    &mut buffer[..length]
}
