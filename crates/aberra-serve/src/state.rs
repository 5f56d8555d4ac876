//! What every handler can reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::detectors::Detectors;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::options::Limits;

/// Shared by all requests. Clones are one state.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) detectors: Detectors,
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Whether new requests are welcome: no longer so once the server is asked to end.
    ready: Arc<AtomicBool>,
}

impl Shared {
    pub(crate) fn new(detectors: Detectors, engine: Engine, limits: Limits, metrics: Metrics) -> Self {
        Self { detectors, engine, limits, metrics, ready: Arc::new(AtomicBool::new(true)) }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    pub(crate) fn set_unready(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }
}
