//! A job: something that takes its time, can be watched and stopped, and may have a run folder behind it.

use std::ops::ControlFlow;

use aberra_models::train::Progress;

use crate::run::RunFolder;

/// What a job tells while it goes.
#[non_exhaustive]
pub enum Event<'a> {
    /// A member is being fitted.
    Fit {
        /// What the member is called.
        member: &'a str,
        /// How it goes.
        progress: Progress<'a>,
    },
    /// Images of a pass are done.
    Images {
        /// Images done.
        done: usize,
        /// Images in all.
        of: usize,
    },
    /// A job of several parts begins one of them, or takes it over from an earlier run.
    Part {
        /// What it is, for people.
        name: &'a str,
        /// Parts before it.
        done: usize,
        /// Parts in all.
        of: usize,
        /// Whether an earlier run finished it.
        finished_before: bool,
    },
}

/// Is told how a job goes, and may stop it.
pub type Watch<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// A job's surroundings: who watches it, and where it keeps what it makes.
#[derive(Default)]
pub struct Job<'a> {
    /// Is told how it goes, and may stop it.
    pub watch: Option<&'a mut Watch<'a>>,
    /// Where history, snapshots and checkpoints go; `None` keeps none.
    pub folder: Option<&'a RunFolder>,
    /// Whether to go on from what the folder holds.
    pub resume: bool,
}

impl<'a> Job<'a> {
    /// A job that is watched and keeps nothing.
    pub fn watched(watch: &'a mut Watch<'a>) -> Self {
        Self { watch: Some(watch), ..Self::default() }
    }

    /// Tells whoever watches.
    pub(crate) fn tell(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match &mut self.watch {
            Some(watch) => watch(event),
            None => ControlFlow::Continue(()),
        }
    }
}
