//! Ctrl-C: training ends at the next step and keeps a checkpoint; a second one, or one outside training, ends at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ExitStatus;

static ASKED: AtomicBool = AtomicBool::new(false);
static TRAINING: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C and for the request to terminate.
pub(crate) fn listen() {
    let listening = ctrlc::set_handler(|| {
        let asked_before = ASKED.swap(true, Ordering::SeqCst);
        if asked_before || !TRAINING.load(Ordering::SeqCst) {
            std::process::exit(ExitStatus::Interrupted as i32);
        }
        crate::output::note("stopping after this step; the checkpoint will be kept (again Ctrl-C: at once)");
    });
    if let Err(error) = listening {
        crate::output::warning(&format!("Ctrl-C will end the program at once ({error})"));
    }
}

/// From here on to `false`, the run is to end at its next step instead of at once.
pub(crate) fn set_training(training: bool) {
    TRAINING.store(training, Ordering::SeqCst);
}

/// Whether to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
