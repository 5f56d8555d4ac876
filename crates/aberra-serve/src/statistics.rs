//! What one detector has done and how long it took, for the protocol's statistics: it counts from the server's start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often something was done, and how long it took together.
#[derive(Debug, Default)]
pub(crate) struct DurationCount {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl DurationCount {
    /// Counts one that took so long.
    pub(crate) fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds(took), Ordering::Relaxed);
    }

    /// How often, and nanoseconds.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.nanoseconds.load(Ordering::Relaxed))
    }
}

/// What is counted of one detector.
#[derive(Debug, Default)]
pub(crate) struct DetectorStatistics {
    /// Requests whose images all have a verdict.
    pub(crate) success: DurationCount,
    /// Requests that were refused, or with an image that has none.
    pub(crate) fail: DurationCount,
    /// Images, waiting for the model.
    pub(crate) queue: DurationCount,
    /// Images, decoded and preprocessed.
    pub(crate) compute_input: DurationCount,
    /// Images, before the model: each takes as long as its batch.
    pub(crate) compute_infer: DurationCount,
    /// Requests, from verdicts to output tensors.
    pub(crate) compute_output: DurationCount,
    /// Batches by their size: how many, and nanoseconds.
    batches: Mutex<BTreeMap<usize, (u64, u64)>>,
    last_inference: AtomicU64,
}

impl DetectorStatistics {
    /// The model looked at `images` images together.
    pub(crate) fn judged(&self, images: usize, took: Duration) {
        for _ in 0..images {
            self.compute_infer.add(took);
        }
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, time) = batches.entry(images).or_default();
        *count += 1;
        *time += nanoseconds(took);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_inference.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Batches by their size: size, how many, nanoseconds.
    pub(crate) fn batches(&self) -> Vec<(usize, u64, u64)> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.iter().map(|(&size, &(count, time))| (size, count, time)).collect()
    }

    /// When the model last looked at an image, milliseconds since 1970; 0 for never.
    pub(crate) fn last_inference(&self) -> u64 {
        self.last_inference.load(Ordering::Relaxed)
    }
}

fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}
