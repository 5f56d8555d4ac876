//! Progress on standard error: a progress bar on a terminal, plain lines otherwise.

use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use aberra::image::{MOST_TILES, TileGrid, Tiling};
use aberra::job::Event;
use aberra::models::train::{EpochRecord, Plan, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{interrupt, output};

/// Number of steps after which the duration of a fit is estimated.
const STEPS_BEFORE_ESTIMATE: usize = 8;

/// A progress bar over a number of items; silent without a terminal.
pub(crate) struct Counter(Option<ProgressBar>);

impl Counter {
    pub(crate) fn new(doing: &'static str, total: usize) -> Self {
        Self(bar(total, "{msg} [{bar:30}] {human_pos}/{human_len}").inspect(|bar| bar.set_message(doing)))
    }

    pub(crate) fn advance(&self) {
        self.0.iter().for_each(|bar| bar.inc(1));
    }

    fn set(&self, done: usize) {
        self.0.iter().for_each(|bar| bar.set_position(done as u64));
    }

    pub(crate) fn finish(&self) {
        self.0.iter().for_each(ProgressBar::finish_and_clear);
    }
}

/// Progress of a job that passes over images.
pub(crate) struct ImagesProgress {
    doing: &'static str,
    counter: Option<Counter>,
}

impl ImagesProgress {
    pub(crate) fn new(doing: &'static str) -> Self {
        Self { doing, counter: None }
    }

    /// Handles an event of the job.
    pub(crate) fn watch(&mut self, event: Event<'_>) -> ControlFlow<()> {
        if let Event::Images { done, of } = event {
            self.counter.get_or_insert_with(|| Counter::new(self.doing, of)).set(done);
        }
        ControlFlow::Continue(())
    }

    pub(crate) fn finish(&self) {
        self.counter.iter().for_each(Counter::finish);
    }
}

/// Progress of training: the fits of a detector's members, one after another.
pub(crate) struct TrainingProgress {
    /// Whether each line names the member.
    several: bool,
    fit: Option<FitProgress>,
    /// The last reason for which a record or a picture was not written.
    not_kept: Option<String>,
}

impl TrainingProgress {
    pub(crate) fn new(members: usize) -> Self {
        Self { several: members > 1, fit: None, not_kept: None }
    }

    /// Handles an event of the job; breaks if the user wants to stop.
    pub(crate) fn watch(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Fit { member, progress } => match (progress, &mut self.fit) {
                (Progress::Start(plan), _) => {
                    self.finish();
                    let name = if self.several { format!("{member}: ") } else { String::new() };
                    self.fit = Some(FitProgress::start(name, plan));
                }
                (Progress::Step { epoch, step, loss }, Some(fit)) => fit.step(epoch, step, loss),
                (Progress::Epoch { record, .. }, Some(fit)) => fit.epoch(record),
                _ => {}
            },
            Event::NotKept { error } => {
                let reason = error.to_string();
                // A full disk would say the same after every epoch.
                if self.not_kept.as_ref() != Some(&reason) {
                    output::warning(&format!("training goes on without a record or picture: {reason}"));
                    self.not_kept = Some(reason);
                }
            }
            Event::Tiles { tiling, seen, limited } => output::note(&tiles(&tiling, seen, limited)),
            _ => {}
        }
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Whether a record or a picture could not be written.
    pub(crate) fn not_kept(&self) -> bool {
        self.not_kept.is_some()
    }

    pub(crate) fn finish(&self) {
        let bars = self.fit.iter().filter_map(|fit| fit.bar.as_ref());
        bars.for_each(ProgressBar::finish_and_clear);
    }
}

/// How each image is cut, in words.
fn tiles(tiling: &Tiling, seen: usize, limited: bool) -> String {
    let (TileGrid { rows, columns, .. }, count) = (tiling.grid(), tiling.count());
    let size = tiling.size_px();
    let mut text = format!(
        "tiles: each image becomes {} of {} of {size} x {size} px, which overlap",
        output::count(rows, "row", "rows"),
        output::count(columns, "tile", "tiles")
    );
    if seen < count {
        text += &format!("; the models are trained on {seen} of the {count} of each image");
    }
    if limited {
        text += &format!("; smaller tiles would be more than the maximum of {MOST_TILES}");
    }
    text
}

/// Progress of one member's fit.
struct FitProgress {
    /// Prefix of each line: the member's name, if there are several.
    name: String,
    plan: Plan,
    bar: Option<ProgressBar>,
    /// When the first step of this run finished, and its number.
    first_step: Option<(Instant, usize)>,
    is_estimated: bool,
    last_epoch: String,
}

impl FitProgress {
    fn start(name: String, plan: Plan) -> Self {
        output::note(&format!(
            "{name}training in {} ({}): {} images, {} held out, {} parameters, {} of {}, about {} of memory",
            plan.precision.name(),
            plan.instructions,
            plan.images,
            plan.held_out,
            plan.parameters,
            output::count(plan.epochs, "epoch", "epochs"),
            output::count(plan.steps_per_epoch, "step", "steps"),
            output::size(plan.memory_bytes as u64),
        ));
        if plan.steps_done > 0 {
            output::note(&format!(
                "{name}resuming from the checkpoint: {} of {} steps are done",
                plan.steps_done,
                plan.steps_per_epoch * plan.epochs
            ));
        }
        let bar = bar(
            plan.steps_per_epoch * plan.epochs,
            "[{bar:24}] {elapsed_precise}, {eta_precise} left  {msg}",
        );
        bar.iter().for_each(|bar| {
            bar.set_position(plan.steps_done as u64);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(500));
        });
        Self { name, plan, bar, first_step: None, is_estimated: false, last_epoch: String::new() }
    }

    fn step(&mut self, epoch: usize, step: usize, loss: f64) {
        let Plan { steps_per_epoch, epochs, steps_done, .. } = self.plan;
        if let Some(bar) = &self.bar {
            bar.set_position(step as u64);
            let (name, loss, last_epoch) = (&self.name, output::number(loss), &self.last_epoch);
            bar.set_message(format!("{name}epoch {epoch}/{epochs}, loss {loss}{last_epoch}"));
        }
        let (started, first) = *self.first_step.get_or_insert_with(|| (Instant::now(), step));
        let taken = step - first;
        let is_epoch_end = step.is_multiple_of(steps_per_epoch);
        if !self.is_estimated && taken > 0 && (taken >= STEPS_BEFORE_ESTIMATE || is_epoch_end) {
            self.is_estimated = true;
            let seconds = started.elapsed().as_secs_f64() / taken as f64;
            let whole = steps_per_epoch * epochs - steps_done;
            self.say(&format!(
                "{}estimated time: {} ({:.0} ms a step)",
                self.name,
                output::duration(seconds * whole as f64),
                seconds * 1e3
            ));
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let named = |(name, value): (&String, &f64)| format!("{} {}", words(name), output::number(*value));
        let held_out = format!(", held out {}", output::number(record.held_out.total));
        let rate = record.images_per_s.map(|rate| format!(", {rate:.0} images/s")).unwrap_or_default();
        let shift = record.standardized_shift.map(|shift| format!(", standardised mean shift {shift:.3}"));
        let shift = shift.unwrap_or_default();
        if self.bar.is_some() {
            self.last_epoch = held_out + &rate + &shift;
            return;
        }
        output::note(&format!(
            "{}epoch {}/{}: loss {} ({}){held_out}{}, learning rate {:.2e}{rate}{shift}{}",
            self.name,
            record.epoch,
            self.plan.epochs,
            output::number(record.train.total),
            record.train.terms.iter().map(named).collect::<Vec<_>>().join(", "),
            record.figures.iter().map(|figure| format!(", {}", named(figure))).collect::<String>(),
            record.learning_rate,
            if record.best { ", best so far" } else { "" }
        ));
    }

    /// Prints a line above the bar.
    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

/// Formats a name of the library, such as `dead_codes`, as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
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
