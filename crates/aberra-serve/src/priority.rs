//! The priority of threads that compute: below that of those that accept, refuse and answer, so that under a flood of
//! requests a refusal does not wait for images.

/// How much nicer the threads that compute are: they get a third of what another thread gets of a busy core, and all of a
/// core that is idle.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Lowers the priority of the calling thread, where the system has one for each thread. A failure changes speed alone.
pub(crate) fn compute() {
    #[cfg(target_os = "linux")]
    if rustix::process::getpriority_process(None).is_ok_and(|niceness| niceness < NICENESS) {
        let _ = rustix::process::setpriority_process(None, NICENESS);
    }
}

/// As [`compute`], for the threads on which the library works side by side.
pub(crate) fn compute_side_by_side() {
    rayon::broadcast(|_| compute());
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn computing_threads_are_nicer_and_others_stay() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let lowered = std::thread::spawn(move || {
            compute();
            nice()
        });
        assert_eq!(lowered.join().unwrap(), before.max(NICENESS));
        assert_eq!(nice(), before);
    }
}
