//! How far along the work is: a bar on a terminal, plain lines otherwise. Always on standard error.

use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use aberra::train::{EpochRecord, Plan, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{interrupt, output};

/// Steps after which the whole time is estimated.
const STEPS_BEFORE_ESTIMATE: usize = 8;

/// Counts things done; says nothing where nobody looks at a terminal.
pub(crate) struct Counter(Option<ProgressBar>);

impl Counter {
    pub(crate) fn new(doing: &'static str, total: usize) -> Self {
        Self(bar(total, "{msg} [{bar:30}] {human_pos}/{human_len}").inspect(|bar| bar.set_message(doing)))
    }

    pub(crate) fn advance(&self) {
        self.0.iter().for_each(|bar| bar.inc(1));
    }

    pub(crate) fn set(&self, done: usize) {
        self.0.iter().for_each(|bar| bar.set_position(done as u64));
    }

    pub(crate) fn finish(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// How training goes.
#[derive(Default)]
pub(crate) struct TrainingProgress {
    plan: Option<Plan>,
    bar: Option<ProgressBar>,
    /// When the first step of this start was done, and its number.
    first_step: Option<(Instant, usize)>,
    is_estimated: bool,
    last_epoch: String,
}

impl TrainingProgress {
    /// Takes a report; breaks where the user wants to stop.
    pub(crate) fn observe(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        match progress {
            Progress::Start(plan) => self.start(plan),
            Progress::Step { epoch, step, loss } => self.step(epoch, step, loss),
            Progress::Epoch(record) => self.epoch(record),
        }
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub(crate) fn finish(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn start(&mut self, plan: Plan) {
        output::note(&format!(
            "training in {} ({}): {} images, {} held out, {} parameters, {} epochs of {}, about {} of memory",
            plan.precision.name(),
            plan.instructions,
            plan.images,
            plan.held_out,
            plan.parameters,
            plan.epochs,
            output::count(plan.steps_per_epoch, "step", "steps"),
            output::size(plan.memory_bytes as u64),
        ));
        if plan.steps_done > 0 {
            output::note(&format!(
                "going on from the checkpoint: {} of {} steps are done",
                plan.steps_done,
                plan.steps_per_epoch * plan.epochs
            ));
        }
        let template = "[{bar:24}] {elapsed_precise}, {eta_precise} left  {msg}";
        self.bar = bar(plan.steps_per_epoch * plan.epochs, template);
        self.bar.iter().for_each(|bar| {
            bar.set_position(plan.steps_done as u64);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(500));
        });
        self.plan = Some(plan);
    }

    fn step(&mut self, epoch: usize, step: usize, loss: f64) {
        let Some(plan) = self.plan else { return };
        if let Some(bar) = &self.bar {
            bar.set_position(step as u64);
            bar.set_message(format!(
                "epoch {epoch}/{}, loss {}{}",
                plan.epochs,
                output::number(loss),
                self.last_epoch
            ));
        }
        let (started, first) = *self.first_step.get_or_insert_with(|| (Instant::now(), step));
        let taken = step - first;
        let is_epoch_end = step.is_multiple_of(plan.steps_per_epoch);
        if !self.is_estimated && taken > 0 && (taken >= STEPS_BEFORE_ESTIMATE || is_epoch_end) {
            self.is_estimated = true;
            let seconds = started.elapsed().as_secs_f64() / taken as f64;
            let whole = plan.steps_per_epoch * plan.epochs - plan.steps_done;
            self.say(&format!(
                "estimated time: {} ({:.0} ms a step)",
                output::duration(seconds * whole as f64),
                seconds * 1e3
            ));
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let Some(plan) = self.plan else { return };
        let rise = record.synthetic_rise.map(|rise| format!(", synthetic rise {rise:.3}"));
        let rise = rise.unwrap_or_default();
        if self.bar.is_some() {
            self.last_epoch = format!(
                ", held out {}, {:.0} images/s{rise}",
                output::number(record.held_out_total),
                record.images_per_s
            );
            return;
        }
        output::note(&format!(
            "epoch {}/{}: loss {} (reconstruction {}, KL {}), held out {}, learning rate {:.2e}, {:.0} images/s\
             {rise}{}",
            record.epoch,
            plan.epochs,
            output::number(record.train_total),
            output::number(record.train_reconstruction),
            output::number(record.train_kl),
            output::number(record.held_out_total),
            record.learning_rate,
            record.images_per_s,
            if record.best { ", best so far" } else { "" }
        ));
    }

    /// A line above the bar.
    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

fn bar(total: usize, template: &str) -> Option<ProgressBar> {
    if !stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    Some(bar)
}
