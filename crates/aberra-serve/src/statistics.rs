//! Per-detector counters for the statistics extension of the Open Inference Protocol, counted since the server started.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A count of events and their total duration.
#[derive(Debug, Default)]
pub(crate) struct DurationCount {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl DurationCount {
    /// Adds one event.
    pub(crate) fn record(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    /// The number of events, and their total duration in nanoseconds.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.nanoseconds.load(Ordering::Relaxed))
    }
}

/// The counters of one detector.
#[derive(Debug, Default)]
pub(crate) struct DetectorStatistics {
    /// Requests in which every image was scored.
    pub(crate) success: DurationCount,
    /// Requests that were rejected, or in which an image could not be scored.
    pub(crate) fail: DurationCount,
    /// Images: time in the queue.
    pub(crate) queue: DurationCount,
    /// Images: decoding and preprocessing.
    pub(crate) compute_input: DurationCount,
    /// Images: the model's forward pass; each counts the duration of its whole batch.
    pub(crate) compute_infer: DurationCount,
    /// Requests: converting verdicts to output tensors.
    pub(crate) compute_output: DurationCount,
    /// By batch size: number of batches and total nanoseconds.
    batches: Mutex<BTreeMap<usize, (u64, u64)>>,
    last_inference: AtomicU64,
}

impl DetectorStatistics {
    /// Records that the model scored a batch of `images` images.
    pub(crate) fn record_batch(&self, images: usize, took: Duration) {
        for _ in 0..images {
            self.compute_infer.record(took);
        }
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, time) = batches.entry(images).or_default();
        *count += 1;
        *time += nanoseconds(took);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_inference.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// By batch size: the size, the number of batches, and total nanoseconds.
    pub(crate) fn batches(&self) -> Vec<(usize, u64, u64)> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.iter().map(|(&size, &(count, time))| (size, count, time)).collect()
    }

    /// When the model last scored an image, in milliseconds since 1970; 0 if never.
    pub(crate) fn last_inference(&self) -> u64 {
        self.last_inference.load(Ordering::Relaxed)
    }
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}
