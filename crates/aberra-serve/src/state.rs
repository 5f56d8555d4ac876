//! The state that all request handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::options::ServeLimits;

/// The state of the server. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) detectors: Detectors,
    pub(crate) engine: Engine,
    pub(crate) limits: ServeLimits,
    pub(crate) metrics: Metrics,
    /// The readiness probe's answer: false once graceful shutdown has begun.
    ready: Arc<AtomicBool>,
    /// The number of requests that are being answered, probes aside.
    running: Arc<watch::Sender<usize>>,
}

/// Counts a request as running until it is dropped.
pub(crate) struct RunningRequest(Arc<watch::Sender<usize>>);

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running = running.saturating_sub(1));
    }
}

impl ServerState {
    pub(crate) fn new(detectors: Detectors, engine: Engine, limits: ServeLimits, metrics: Metrics) -> Self {
        let (ready, running) = (Arc::new(AtomicBool::new(true)), Arc::new(watch::Sender::new(0)));
        Self { detectors, engine, limits, metrics, ready, running }
    }

    /// Counts a request as running; `None` once graceful shutdown has begun, which does not wait for it.
    pub(crate) fn start_request(&self) -> Option<RunningRequest> {
        // Counted before the check: shutdown, which checks in the other order, cannot miss a request that goes on.
        self.running.send_modify(|running| *running += 1);
        let running = RunningRequest(self.running.clone());
        self.is_ready().then_some(running)
    }

    /// The number of running requests, to wait for its becoming 0.
    pub(crate) fn running(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
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
