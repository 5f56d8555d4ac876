//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::options::ServeLimits;

/// Shared by all requests. Clones are one state.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) detectors: Detectors,
    pub(crate) engine: Engine,
    pub(crate) limits: ServeLimits,
    pub(crate) metrics: Metrics,
    /// Whether new requests are welcome: no longer so once the server is asked to end.
    ready: Arc<AtomicBool>,
}

impl ServerState {
    pub(crate) fn new(detectors: Detectors, engine: Engine, limits: ServeLimits, metrics: Metrics) -> Self {
        Self { detectors, engine, limits, metrics, ready: Arc::new(AtomicBool::new(true)) }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    pub(crate) fn set_unready(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }
}
