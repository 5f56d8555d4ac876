//! Progress on standard error: a progress bar on a terminal, plain lines otherwise.

use std::io::{IsTerminal, stderr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use aberra::image::{MOST_TILES, TileGrid, Tiling};
use aberra::job::Event;
use aberra::models::train::{EpochRecord, Plan, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{interrupt, output};

/// Number of steps after which the least duration of a fit is estimated ...
const STEPS_BEFORE_ESTIMATE: usize = 8;
/// ... where its first epoch, which tells the duration itself, takes longer than this.
const LONG_EPOCH: Duration = Duration::from_secs(20);

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
    /// Names of the members, in the order in which they are fitted; each line names its own if there are several.
    members: Vec<String>,
    fit: Option<FitProgress>,
    /// The last reason for which a record or a picture was not written.
    not_kept: Option<String>,
}

impl TrainingProgress {
    pub(crate) fn new(members: Vec<String>) -> Self {
        Self { members, fit: None, not_kept: None }
    }

    /// Handles an event of the job; breaks if the user wants to stop.
    pub(crate) fn watch(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Fit { member, progress } => match (progress, &mut self.fit) {
                (Progress::Start(plan), _) => {
                    self.finish();
                    let several = self.members.len() > 1;
                    let name = if several { format!("{member}: ") } else { String::new() };
                    let at = self.members.iter().position(|name| name == member);
                    let after = at.map_or(0, |at| self.members.len() - at - 1);
                    self.fit = Some(FitProgress::start(name, plan, after));
                }
                (Progress::Step { epoch, step, loss }, Some(fit)) => fit.step(epoch, step, loss),
                (Progress::Epoch { record, .. }, Some(fit)) => fit.epoch(record),
                (Progress::Beside { what, step, steps }, Some(fit)) => fit.beside(what, step, steps),
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
            Event::Longer { before, is_as_at_once } => output::note(&longer(before, is_as_at_once)),
            Event::VolumesNotCalibrated { error } => {
                output::warning(&format!("the detector will give volumes scores, but no verdicts: {error}"));
                output::hint(
                    "add normal volumes, raise --rate, or calibrate on others: aberra calibrate --volumes",
                );
            }
            Event::Colors(found) => match found.hint() {
                None => output::note(&found.text()),
                Some(hint) => {
                    output::warning(&found.text());
                    output::hint(hint);
                }
            },
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

/// That a training which had ended goes on, in words.
fn longer(before: usize, is_as_at_once: bool) -> String {
    let epochs = output::count(before, "epoch", "epochs");
    let as_what = match is_as_at_once {
        true => "as if it had been that many from the start",
        false => {
            "not quite as if it had been that many from the start: the learning rate had fallen for the end, or the best \
             weights were looked for once more"
        }
    };
    format!("the training that was to end after {epochs} goes on, {as_what}")
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
    /// Members that are fitted after it.
    after: usize,
    bar: Option<ProgressBar>,
    estimate: Estimate,
    last_epoch: String,
}

/// What is known of a fit's duration.
struct Estimate {
    /// When the last epoch ended, or the fit began.
    epoch_began: Instant,
    /// When the first step of this run finished, and its number.
    first_step: Option<(Instant, usize)>,
    has_told_least: bool,
    has_told: bool,
}

impl Estimate {
    fn new() -> Self {
        Self { epoch_began: Instant::now(), first_step: None, has_told_least: false, has_told: false }
    }

    /// The least duration of what is left, from the time of steps alone, where the first epoch takes long: held-out normals,
    /// snapshots and checkpoints come on top.
    fn after_step(&mut self, plan: &Plan, step: usize) -> Option<Duration> {
        let (started, first) = *self.first_step.get_or_insert_with(|| (Instant::now(), step));
        if self.has_told || self.has_told_least || step - first < STEPS_BEFORE_ESTIMATE {
            return None;
        }
        let of_step = started.elapsed() / u32::try_from(step - first).unwrap_or(u32::MAX);
        let of_epoch = of_step.saturating_mul(u32::try_from(plan.steps_per_epoch).unwrap_or(u32::MAX));
        self.has_told_least = of_epoch > LONG_EPOCH;
        self.has_told_least.then(|| times(of_step, plan.steps_per_epoch * plan.epochs - step))
    }

    /// The duration of what is left, from that of the first whole epoch, with everything that belongs to it.
    fn after_epoch(&mut self, plan: &Plan, epoch: usize) -> Option<Duration> {
        let took = self.epoch_began.elapsed();
        self.epoch_began = Instant::now();
        let is_whole =
            plan.steps_done.is_multiple_of(plan.steps_per_epoch.max(1)) || epoch > plan.epochs_done + 1;
        if self.has_told || !is_whole || epoch >= plan.epochs {
            return None;
        }
        self.has_told = true;
        Some(times(took, plan.epochs - epoch))
    }
}

fn times(one: Duration, count: usize) -> Duration {
    one.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

impl FitProgress {
    fn start(name: String, plan: Plan, after: usize) -> Self {
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
        if plan.epochs > plan.epochs_asked {
            output::note(&format!(
                "{name}{} rather than {}: few images make few steps, of which there are to be at least as many as \
                 train.least_steps says",
                output::count(plan.epochs, "epoch", "epochs"),
                plan.epochs_asked
            ));
        }
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
        Self { name, plan, after, bar, estimate: Estimate::new(), last_epoch: String::new() }
    }

    fn step(&mut self, epoch: usize, step: usize, loss: f64) {
        let epochs = self.plan.epochs;
        if let Some(bar) = &self.bar {
            bar.set_position(step as u64);
            let (name, loss, last_epoch) = (&self.name, output::number(loss), &self.last_epoch);
            bar.set_message(format!("{name}epoch {epoch}/{epochs}, loss {loss}{last_epoch}"));
        }
        if let Some(left) = self.estimate.after_step(&self.plan, step) {
            let left = output::duration(left.as_secs_f64());
            self.say(&format!("{}estimated time left for this model: more than {left}", self.name));
        }
    }

    /// A step of what is learnt beside the network, once that is trained.
    fn beside(&mut self, what: &str, step: usize, steps: usize) {
        if step == 1 {
            let steps = output::count(steps, "step", "steps");
            self.say(&format!("{}learning to draw {what}, {steps}", self.name));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(steps as u64);
            bar.set_position(step as u64);
            bar.set_message(format!("{}{what}", self.name));
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
            self.tell_time_left(record.epoch);
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
        self.tell_time_left(record.epoch);
    }

    /// Says how long the epochs that are left will take, once.
    fn tell_time_left(&mut self, epoch: usize) {
        if let Some(left) = self.estimate.after_epoch(&self.plan, epoch) {
            let left = output::duration(left.as_secs_f64());
            let follows = follows(self.after);
            self.say(&format!("{}estimated time left for this model: {left}; {follows}", self.name));
        }
    }

    /// Prints a line above the bar.
    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }
}

/// What the estimate of a model's time leaves out.
fn follows(models: usize) -> String {
    const LAST: &str = "scorer and calibration";
    match models {
        0 => format!("{LAST} follow"),
        _ => format!("{}, {LAST} follow", output::count(models, "more model", "more models")),
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

#[cfg(test)]
mod tests {
    use aberra::models::network::Precision;

    use super::*;

    fn plan(steps_per_epoch: usize, epochs: usize, steps_done: usize) -> Plan {
        Plan {
            images: 8 * steps_per_epoch,
            held_out: 8,
            parameters: 1,
            precision: Precision::F32,
            instructions: "none",
            memory_bytes: 1,
            steps_per_epoch,
            epochs,
            epochs_asked: epochs,
            epochs_done: steps_done / steps_per_epoch,
            steps_done,
        }
    }

    #[test]
    fn the_time_left_counts_whole_epochs_with_all_that_belongs_to_them() {
        let ago = |seconds: u64| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut estimate = Estimate { epoch_began: ago(10), ..Estimate::new() };
        let left = estimate.after_epoch(&plan(4, 21, 0), 1).unwrap().as_secs_f64();
        assert!((left - 200.0).abs() < 1.0, "{left}");
        assert_eq!(estimate.after_epoch(&plan(4, 21, 0), 2), None, "it is printed once");
        // Of an epoch of which a part was done before, nothing follows; of the next, the time left does.
        let mut estimate = Estimate { epoch_began: ago(3), ..Estimate::new() };
        assert_eq!(estimate.after_epoch(&plan(4, 21, 6), 2), None);
        estimate.epoch_began = ago(10);
        let left = estimate.after_epoch(&plan(4, 21, 6), 3).unwrap().as_secs_f64();
        assert!((left - 180.0).abs() < 1.0, "{left}");
    }

    #[test]
    fn a_long_first_epoch_has_its_least_time_told_by_its_steps() {
        let ago = |seconds: u64| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let after = |steps_per_epoch: usize, seconds: u64| {
            let first_step = Some((ago(seconds), 1));
            let mut estimate = Estimate { first_step, ..Estimate::new() };
            estimate.after_step(&plan(steps_per_epoch, 10, 0), 9)
        };
        assert_eq!(after(50, 1), None, "seven seconds an epoch");
        let left = after(500, 8).unwrap().as_secs_f64();
        assert!((left - 4_991.0).abs() < 50.0, "{left}");
    }
}
