//! Long work beside the interpreter: on a thread of its own, so that signals are looked after and progress is shown while it
//! runs.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aberra::job::Event;
use aberra::models::train::Progress;
use aberra::{Error, Result};
use pyo3::prelude::*;

use crate::error::exception;
use crate::threads;

/// How often signals are looked after.
const LOOK: Duration = Duration::from_millis(50);
/// How often progress is shown at most.
const SHOW: Duration = Duration::from_millis(200);

/// How far the work is: of what, done, in total, and a text beside it.
pub(crate) type Step = (String, usize, usize, String);

/// What work on a thread of its own says and hears.
pub(crate) struct Line {
    stop: Arc<AtomicBool>,
    steps: Sender<Step>,
    /// Whether what is finished is kept.
    keeps: Arc<AtomicBool>,
    /// Of the fit under way.
    steps_in_all: usize,
}

impl Line {
    /// Says how far the work is; `Break` where it should stop.
    pub(crate) fn step(&self, name: &str, done: usize, of: usize, text: String) -> ControlFlow<()> {
        // Nobody listens any more where the work was left behind.
        let _ = self.steps.send((name.to_owned(), done, of, text));
        match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// From here on an interrupted call waits until the work has stopped, because it keeps what is finished; before, it returns
    /// at once and leaves the work to end by itself.
    pub(crate) fn keeps(&self) {
        self.keeps.store(true, Ordering::Relaxed);
    }

    /// Does something to `of` items, which calls what it is given after each.
    ///
    /// # Errors
    /// A request to stop.
    pub(crate) fn count<T>(
        &self,
        name: &str,
        of: usize,
        work: impl FnOnce(&(dyn Fn() + Sync)) -> T,
    ) -> Result<T> {
        let done = AtomicUsize::new(0);
        let step = || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let _ = self.step(name, done, of, String::new());
        };
        let worked = work(&step);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::interrupted("stopped")),
            false => Ok(worked),
        }
    }

    /// The same of an event of a job.
    pub(crate) fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Fit { member, progress: Progress::Start(plan) } => {
                self.steps_in_all = plan.epochs * plan.steps_per_epoch;
                self.step(member, plan.steps_done, self.steps_in_all, String::new())
            }
            Event::Fit { member, progress: Progress::Step { epoch, step, loss } } => {
                self.step(member, *step, self.steps_in_all, format!("epoch {epoch}, loss {loss:.4}"))
            }
            Event::Fit { member, progress: Progress::Beside { what, step, steps } } => {
                self.step(member, *step, *steps, (*what).to_owned())
            }
            Event::Images { done, of } => self.step("images", *done, *of, String::new()),
            Event::Part { name, done, of, .. } => self.step("parts", *done, *of, (*name).to_owned()),
            _ => self.step("", 0, 0, String::new()),
        }
    }
}

/// Runs work on `threads` threads (`None`: all), without the interpreter's lock; `progress` is called as `progress(name, done, of,
/// text)` now and then.
///
/// # Errors
/// Those of the work, an exception of `progress`, and `KeyboardInterrupt`.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    threads: Option<usize>,
    work: impl FnOnce(&mut Line) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    threads::refuse_forked(py)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (steps, heard) = channel();
    let keeps = Arc::new(AtomicBool::new(false));
    let mut line = Line { stop: stop.clone(), steps, keeps: keeps.clone(), steps_in_all: 0 };
    let worker = std::thread::spawn(move || threads::on(threads, || work(&mut line)).and_then(|done| done));
    let mut failure = None;
    if let Err(error) = listen(py, progress, &Mutex::new(heard)) {
        stop.store(true, Ordering::Relaxed);
        if !keeps.load(Ordering::Relaxed) {
            return Err(error);
        }
        failure = Some(error);
    }
    let done = py.detach(|| worker.join());
    match (done, failure) {
        (_, Some(error)) => Err(error),
        (Ok(done), None) => done.map_err(|error| exception(py, &error)),
        (Err(panic), None) => std::panic::resume_unwind(panic),
    }
}

/// Shows progress and looks after signals until the work has ended.
fn listen(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    heard: &Mutex<Receiver<Step>>,
) -> PyResult<()> {
    let mut shown = Instant::now();
    let mut looked = Instant::now();
    let mut last = None;
    loop {
        let step = py.detach(|| heard.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(LOOK));
        let ended = matches!(step, Err(RecvTimeoutError::Disconnected));
        last = step.ok().or(last);
        if ended || looked.elapsed() >= LOOK {
            looked = Instant::now();
            py.check_signals()?;
        }
        if let Some(progress) = progress
            && (ended || shown.elapsed() >= SHOW)
            && let Some(step) = last.take()
        {
            shown = Instant::now();
            progress.call1(step)?;
        }
        if ended {
            return Ok(());
        }
    }
}
