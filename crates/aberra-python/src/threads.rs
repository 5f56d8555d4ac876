//! Which threads compute: all of the machine, or a pool of as many as the caller wants; and that the process is the one in which
//! they were started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use rayon::ThreadPool;

use crate::error::named;

/// The process that computed first; 0 before.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Pools that nobody uses at the moment, by their number of threads.
static IDLE: Mutex<Option<HashMap<usize, Vec<Arc<ThreadPool>>>>> = Mutex::new(None);

/// Refuses a process that was forked from one that has computed: the threads did not come with it, and it would wait for them
/// for ever.
pub(crate) fn refuse_forked(py: Python<'_>) -> PyResult<()> {
    let own = std::process::id();
    match PROCESS.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => Ok(()),
        Err(first) if first == own => Ok(()),
        Err(first) => Err(named(
            py,
            "AberraError",
            &format!(
                "expected the process {first}, in which Aberra has computed before, found {own}, forked from it"
            ),
            Some(
                "start processes by \"spawn\" or \"forkserver\" (multiprocessing.set_start_method), or use threads",
            ),
            None,
        )),
    }
}

/// Runs `work` on a pool of `threads` threads of its own, or on all of the machine's.
pub(crate) fn on<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> T + Send,
) -> Result<T, aberra::Error> {
    let Some(count) = threads else { return Ok(work()) };
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = idle().get_or_insert_default().get_mut(&count).and_then(Vec::pop);
    let pool = match taken {
        Some(pool) => pool,
        None => {
            let made = rayon::ThreadPoolBuilder::new().num_threads(count).build();
            Arc::new(made.map_err(|error| {
                aberra::Error::settings(format!("threads: cannot start {count}: {error}"))
            })?)
        }
    };
    let done = pool.install(work);
    idle().get_or_insert_default().entry(count).or_default().push(pool);
    Ok(done)
}
