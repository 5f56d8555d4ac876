//! How many requests are running: shutdown waits until there are none.

use std::sync::Arc;

use tokio::sync::watch::{Receiver, Sender};

/// Counts running requests. Cheap to clone; clones count together.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Sender<usize>>);

/// Counts a request as running until it is dropped.
pub(crate) struct RunningRequest(Running);

impl Running {
    /// Counts one more.
    pub(crate) fn one_more(&self) -> RunningRequest {
        self.0.send_modify(|running| *running += 1);
        RunningRequest(self.clone())
    }

    /// Their number, to wait for its becoming 0.
    pub(crate) fn count(&self) -> Receiver<usize> {
        self.0.subscribe()
    }
}

impl Drop for RunningRequest {
    fn drop(&mut self) {
        self.0.0.send_modify(|running| *running = running.saturating_sub(1));
    }
}
