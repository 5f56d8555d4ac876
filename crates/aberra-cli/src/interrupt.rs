//! Ctrl-C and SIGTERM: training stops after the current step and keeps a checkpoint; a second signal, or one outside
//! training, ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ExitStatus;

static ASKED: AtomicBool = AtomicBool::new(false);
static TRAINING: AtomicBool = AtomicBool::new(false);

/// Installs the signal handler.
pub(crate) fn listen() {
    let listening = ctrlc::set_handler(|| {
        let asked_before = ASKED.swap(true, Ordering::SeqCst);
        if asked_before || !TRAINING.load(Ordering::SeqCst) {
            aberra::output::remove_unfinished();
            std::process::exit(ExitStatus::Interrupted as i32);
        }
        crate::output::note(
            "stopping after this step; what is finished will be kept (again Ctrl-C: at once)",
        );
    });
    if let Err(error) = listening {
        crate::output::warning(&format!(
            "Ctrl-C will end the program at once, without a checkpoint ({error})"
        ));
    }
}

/// While `true`, a signal stops training after the current step instead of ending the program.
pub(crate) fn set_training(training: bool) {
    TRAINING.store(training, Ordering::SeqCst);
}

/// Whether a signal has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
