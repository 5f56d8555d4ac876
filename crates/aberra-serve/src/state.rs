//! The state that all request handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
}

impl ServerState {
    pub(crate) fn new(detectors: Detectors, engine: Engine, limits: ServeLimits, metrics: Metrics) -> Self {
        Self { detectors, engine, limits, metrics, ready: Arc::new(AtomicBool::new(true)) }
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
