//! A pool of buffers for reuse by operations that need the same length. Fresh memory costs a page fault for every 4
//! KiB, and each training step needs buffers of the same lengths as the one before.

use crate::bfloat16::Pair;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smallest buffer that is pooled, in elements; the allocator is fast for smaller ones.
const LEAST_ELEMENTS: usize = 8 * 1024;
/// Most elements of one type that are kept in total: 512 MiB.
const MOST_ELEMENTS: usize = 128 * 1024 * 1024;

/// Element types of pooled buffers.
pub(crate) trait Pooled: Copy + Default + 'static {
    /// The buffers of this type.
    fn pool() -> &'static Mutex<BufferPool<Self>>;
}

impl Pooled for f32 {
    fn pool() -> &'static Mutex<BufferPool<Self>> {
        static POOL: Mutex<BufferPool<f32>> = Mutex::new(BufferPool::new());
        &POOL
    }
}

impl Pooled for Pair {
    fn pool() -> &'static Mutex<BufferPool<Self>> {
        static POOL: Mutex<BufferPool<Pair>> = Mutex::new(BufferPool::new());
        &POOL
    }
}

/// Buffers by their length.
pub(crate) struct BufferPool<V> {
    lengths: BTreeMap<usize, Length<V>>,
    kept: usize,
}

/// The buffers of one length.
struct Length<V> {
    kept: Vec<Vec<V>>,
    /// Buffers that were taken and not returned yet. No more buffers than these are accepted, wherever they were
    /// allocated.
    out: usize,
}

impl<V> BufferPool<V> {
    const fn new() -> Self {
        Self { lengths: BTreeMap::new(), kept: 0 }
    }
}

/// A buffer of `length` elements with unspecified values, all of which the caller must overwrite.
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

/// Returns a buffer to the pool.
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

fn lock<V: Pooled>() -> MutexGuard<'static, BufferPool<V>> {
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
