//! A job: a long-running operation with progress and cancellation, which may have a run folder.

use std::ops::ControlFlow;

use aberra_image::Tiling;
use aberra_metrics::{Error, Result};
use aberra_models::train::Progress;

use crate::run::RunFolder;
pub use crate::training_settled::ColorsFound;

/// A progress event of a job.
#[non_exhaustive]
pub enum Event<'a> {
    /// A member is being fitted.
    Fit {
        /// The member's name.
        member: &'a str,
        /// Its progress.
        progress: Progress<'a>,
    },
    /// A training that was to end after fewer epochs goes on.
    Longer {
        /// Epochs after which it was to end.
        before: usize,
        /// Whether the result is that of as many epochs at once, once models are warmed up. Otherwise the learning rate fell
        /// sooner in the epochs before, or the best weights were looked for in one epoch more.
        is_as_at_once: bool,
    },
    /// Some images are in colours, which decides whether the network input is.
    Colors(ColorsFound<'a>),
    /// Images become several network inputs each: large or long ones.
    Tiles {
        /// The grid of them.
        tiling: Tiling,
        /// How many of each training image members are fitted to.
        seen: usize,
        /// Whether they would be smaller if an image could have more.
        limited: bool,
    },
    /// Images of a pass are done.
    Images {
        /// Images done.
        done: usize,
        /// Images in total.
        of: usize,
    },
    /// Training went on without a calibration on volumes: the detector gives no verdict on them.
    VolumesNotCalibrated {
        /// Why.
        error: &'a Error,
    },
    /// A record or a picture of the job could not be written; it goes on without.
    NotKept {
        /// Why.
        error: &'a Error,
    },
    /// A job of several parts begins one of them, or takes it over from an earlier run.
    Part {
        /// A human-readable description.
        name: &'a str,
        /// Parts before it.
        done: usize,
        /// Parts in total.
        of: usize,
        /// Whether an earlier run finished it.
        finished_before: bool,
    },
}

/// A callback that receives the progress of a job, and can stop it.
pub type Watch<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// The context of a job: a callback for progress and cancellation, and a run folder for its results.
#[derive(Default)]
pub struct Job<'a> {
    /// Receives progress, and can stop the job.
    pub watch: Option<&'a mut Watch<'a>>,
    /// Where history, snapshots and checkpoints go; `None` keeps none.
    pub folder: Option<&'a RunFolder>,
    /// Whether to resume from the contents of the folder.
    pub resume: bool,
}

impl<'a> Job<'a> {
    /// A job that is watched and keeps nothing.
    pub fn watched(watch: &'a mut Watch<'a>) -> Self {
        Self { watch: Some(watch), ..Self::default() }
    }

    /// Passes an event of a training to the watcher.
    ///
    /// # Errors
    /// The watcher's request to stop.
    pub(crate) fn tell_in_training(&mut self, event: Event<'_>) -> Result<()> {
        match self.tell(event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::interrupted("training was stopped")),
        }
    }

    /// Passes an event to the watcher.
    pub(crate) fn tell(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match &mut self.watch {
            Some(watch) => watch(event),
            None => ControlFlow::Continue(()),
        }
    }
}
