//! Buffers kept for the next operation that needs one of the same length. Fresh memory costs a page fault for every
//! 4 KiB, and a training step needs buffers of the same lengths as the step before it.

use crate::bfloat16::Pair;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Elements from which on a buffer is kept; the allocator serves smaller ones well.
const LEAST_ELEMENTS: usize = 8 * 1024;
/// Elements of one type kept in all: 512 MiB.
const MOST_ELEMENTS: usize = 128 * 1024 * 1024;

/// What buffers are kept of.
pub(crate) trait Pooled: Copy + Default + 'static {
    /// The buffers of this type.
    fn pool() -> &'static Mutex<Pool<Self>>;
}

impl Pooled for f32 {
    fn pool() -> &'static Mutex<Pool<Self>> {
        static POOL: Mutex<Pool<f32>> = Mutex::new(Pool::new());
        &POOL
    }
}

impl Pooled for Pair {
    fn pool() -> &'static Mutex<Pool<Self>> {
        static POOL: Mutex<Pool<Pair>> = Mutex::new(Pool::new());
        &POOL
    }
}

/// Buffers by their length.
pub(crate) struct Pool<V> {
    lengths: BTreeMap<usize, Length<V>>,
    kept: usize,
}

/// The buffers of one length.
struct Length<V> {
    kept: Vec<Vec<V>>,
    /// Buffers given out that have not come back. Buffers from elsewhere are not collected beyond them.
    out: usize,
}

impl<V> Pool<V> {
    const fn new() -> Self {
        Self { lengths: BTreeMap::new(), kept: 0 }
    }
}

/// A buffer of `length` elements whose values are left over from other work: to be written in full.
pub(crate) fn take<V: Pooled>(length: usize) -> Vec<V> {
    if length < LEAST_ELEMENTS {
        return vec![V::default(); length];
    }
    let kept = {
        let mut pool = lock::<V>();
        let found = pool.lengths.entry(length).or_insert_with(|| Length { kept: Vec::new(), out: 0 });
        found.out += 1;
        let kept = found.kept.pop();
        pool.kept -= if kept.is_some() { length } else { 0 };
        kept
    };
    kept.unwrap_or_else(|| vec![V::default(); length])
}

/// A buffer of `length` zeros.
pub(crate) fn take_zeros(length: usize) -> Vec<f32> {
    let mut buffer = take(length);
    buffer.fill(0.0);
    buffer
}

/// Takes a buffer back.
pub(crate) fn give<V: Pooled>(buffer: Vec<V>) {
    let length = buffer.len();
    if length < LEAST_ELEMENTS {
        return;
    }
    let mut pool = lock::<V>();
    let has_room = pool.kept + length <= MOST_ELEMENTS;
    let Some(found) = pool.lengths.get_mut(&length).filter(|found| found.out > 0) else { return };
    found.out -= 1;
    if has_room {
        found.kept.push(buffer);
        pool.kept += length;
    }
}

fn lock<V: Pooled>() -> MutexGuard<'static, Pool<V>> {
    V::pool().lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        // A length that no other test uses.
        let length = LEAST_ELEMENTS + 77;
        let mut buffer = take(length);
        buffer[5] = 3.0;
        give(buffer);
        let again = take(length);
        assert_eq!((again.len(), again[5]), (length, 3.0));
        assert!(take::<f32>(length).iter().all(|&value| value == 0.0));
        give(again);
        assert!(take_zeros(length).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn foreign_buffers_are_not_collected() {
        let length = LEAST_ELEMENTS + 78;
        give(vec![1.0; length]);
        assert_eq!(take::<f32>(length)[0], 0.0);
    }
}
