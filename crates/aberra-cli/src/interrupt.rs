//! Ctrl-C: training stops at the next step and keeps what is finished; a second Ctrl-C, or one outside training, exits at
//! once.

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
        crate::output::note(
            "stopping after this step; what is finished will be kept (again Ctrl-C: at once)",
        );
    });
    if let Err(error) = listening {
        crate::output::warning(&format!("Ctrl-C will end the program at once ({error})"));
    }
}

/// While `true`, Ctrl-C stops training at its next step instead of exiting at once.
pub(crate) fn set_training(training: bool) {
    TRAINING.store(training, Ordering::SeqCst);
}

/// Whether to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
