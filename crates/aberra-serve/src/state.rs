//! The state that all request handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::announce::Announcements;
use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::options::ServeLimits;
use crate::running::{Running, RunningRequest};

/// The state of the server. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) detectors: Detectors,
    pub(crate) engine: Engine,
    pub(crate) limits: ServeLimits,
    pub(crate) metrics: Metrics,
    pub(crate) announcements: Announcements,
    /// The readiness probe's answer: false once graceful shutdown has begun.
    ready: Arc<AtomicBool>,
    /// The requests that are being answered, probes aside.
    running: Running,
}

impl ServerState {
    pub(crate) fn new(
        detectors: Detectors,
        engine: Engine,
        limits: ServeLimits,
        metrics: Metrics,
        announcements: Announcements,
    ) -> Self {
        let (ready, running) = (Arc::new(AtomicBool::new(true)), Running::default());
        Self { detectors, engine, limits, metrics, announcements, ready, running }
    }

    /// Counts a request as running; `None` once graceful shutdown has begun, which does not wait for it.
    pub(crate) fn start_request(&self) -> Option<RunningRequest> {
        // Counted before the check: shutdown, which checks in the other order, cannot miss a request that goes on.
        let running = self.running.one_more();
        self.is_ready().then_some(running)
    }

    /// Counts what is left to do of a request that is running as another.
    pub(crate) fn outlast_request(&self) -> RunningRequest {
        self.running.one_more()
    }

    /// The number of running requests, to wait for its becoming 0.
    pub(crate) fn running(&self) -> watch::Receiver<usize> {
        self.running.count()
    }

    /// Whether the server accepts new work: false once graceful shutdown has begun.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    /// Turns readiness off, so that load balancers stop sending requests.
    pub(crate) fn begin_shutdown(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }
}
