//! Buffers that a thread keeps for the working space of its kernels.

use crate::bfloat16::Pair;
use std::cell::RefCell;

/// Working space of one thread, grown as needed and kept: see [`Scratched::with_scratch`].
pub(crate) struct Scratch<V> {
    /// A padded copy of part of an image.
    pub(crate) window: Vec<V>,
    /// One panel packed on the fly.
    pub(crate) panel: Vec<V>,
    /// Rows packed on the fly.
    pub(crate) packed: Vec<V>,
    /// Where the rows of a product begin in the window.
    pub(crate) starts: Vec<usize>,
    /// Where the rows of a product go in the output.
    pub(crate) places: Vec<usize>,
    /// Accumulators of a product.
    pub(crate) sums: Vec<f32>,
    /// Elements on their way into another form.
    pub(crate) plain: Vec<f32>,
    /// Elements that are never anything else.
    pub(crate) line: Vec<f32>,
}

// A derived one would ask for it of the values.
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

/// What working space is kept of.
pub(crate) trait Scratched: Sized {
    /// Lends the thread's working space. The work must not itself start parallel work: a thread that waits may be given
    /// another piece of work, which would find the space lent already.
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

/// The first `length` values of a buffer, which grows to hold them.
pub(crate) fn at_least<V: Copy + Default>(buffer: &mut Vec<V>, length: usize) -> &mut [V] {
    buffer.resize(buffer.len().max(length), V::default());
    &mut buffer[..length]
}
