//! Training: settings, data, model, optimiser, loop.
//!
//! Same data, settings and seed give the same weights bit for bit, for any number of threads; a run that is cut and
//! resumed gives what it would have given uncut: every draw has its own generator, indexed by its position in the run.

mod augment;
mod batches;
mod checkpoint;
mod history;
mod optimizer;
pub(crate) mod samples;
mod schedule;
mod selection;
mod settings;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use aberra_image::Color;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

pub(crate) use self::batches::Inputs;
pub use self::history::EpochRecord;
pub(crate) use self::history::read_history;
pub use self::settings::{Augmentation, Schedule, SelectionCriterion, TrainSettings};

use self::checkpoint::{Identity, Position, State, Sums};
use self::history::History;
use self::optimizer::Optimizer;
use self::selection::Selection;
use crate::model::{Loss, Model, ModelSettings, Precision, Weight, instructions, load_weights, weights};
use crate::random::{Stream, generator};
use crate::{Error, Result};

/// What a run computes with.
pub(crate) struct Run<'a> {
    pub(crate) model: &'a ModelSettings,
    pub(crate) train: &'a TrainSettings,
    pub(crate) scorer: &'a str,
    pub(crate) seed: u64,
    pub(crate) size_px: usize,
    pub(crate) channels: usize,
    pub(crate) color: Color,
    /// Where history, samples and checkpoints go; `None` writes nothing.
    pub(crate) folder: Option<&'a Path>,
    /// Whether to go on from the folder's checkpoint.
    pub(crate) resume: bool,
}

/// What a run tells while it goes.
#[derive(Clone, Debug)]
pub enum Progress<'a> {
    /// Before the first step.
    Start(Plan),
    /// After each step.
    Step {
        /// Counted from 1.
        epoch: usize,
        /// Steps taken over all epochs.
        step: usize,
        /// The step's loss, nats per image.
        loss: f64,
    },
    /// After each epoch.
    Epoch(&'a EpochRecord),
}

/// The size of a run, known before it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Training images.
    pub images: usize,
    /// Held-out normals.
    pub held_out: usize,
    /// Weights that training changes.
    pub parameters: usize,
    /// What the operands of products are rounded to.
    pub precision: Precision,
    /// The name of the instruction set that computes.
    pub instructions: &'static str,
    /// Memory the run expects to use: weights, moments, gradients, activations and images kept.
    pub memory_bytes: usize,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Epochs.
    pub epochs: usize,
    /// Steps taken before this start; above 0 when resumed.
    pub steps_done: usize,
}

/// What training gives back.
pub(crate) struct Trained {
    /// With the best checkpoint's weights, outside autodiff.
    pub(crate) model: Model,
    /// Epochs after which those weights were taken.
    pub(crate) epoch: usize,
    /// How far the scorer rose for synthetic anomalies then, where it was measured.
    pub(crate) synthetic_rise: Option<f64>,
}

/// Trains a model on `inputs`, watching the held-out normals. `observe` may stop it: a checkpoint is written first.
///
/// # Errors
/// Settings out of range, files that cannot be read or written, a loss that is not finite, or a stop on request.
pub(crate) fn train(
    run: &Run<'_>,
    inputs: &Inputs,
    held_out: &Inputs,
    observe: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Trained> {
    let settings = run.train;
    settings.check()?;
    let device = Device::flex().autodiff();
    let mut model = Model::new(run.model, run.size_px, run.channels, run.seed, &device)?;
    let selection = Selection::new(run, inputs, held_out)?;
    let mut optimizer = Optimizer::default();
    let mut position = Position::default();
    let mut best = BTreeMap::new();

    let identity = identity(run, inputs, held_out)?;
    if let (Some(folder), true) = (run.folder, run.resume)
        && let Some(state) = checkpoint::read(folder, &identity)?
    {
        model = load_weights(model, state.weights)?;
        optimizer = Optimizer::restore(state.step, state.moments, &model);
        (position, best) = (state.position, state.best_weights);
    }
    let mut history = run.folder.map(|folder| History::open(folder, position.epoch)).transpose()?;
    run.folder.map_or(Ok(()), |folder| samples::forget(folder, position.epoch))?;

    let steps_per_epoch = inputs.len().div_ceil(settings.batch_size);
    let steps = steps_per_epoch * settings.epochs;
    let plan = plan(run, &model, inputs, held_out, steps_per_epoch, optimizer.step as usize)?;
    let stopped = "training was stopped; the checkpoint in the run folder continues it (--resume)";
    if observe(Progress::Start(plan)).is_break() {
        return Err(Error::interrupted(stopped));
    }

    while position.epoch < settings.epochs && !out_of_patience(settings, &position) {
        let epoch = position.epoch;
        let beta = schedule::beta(settings, epoch);
        let predicts_variance = epoch >= settings.variance_warmup_epochs;
        let started = Instant::now();
        let images_before = position.sums.images;

        model = std::thread::scope(|scope| -> Result<Model> {
            let batches = batches::batches(scope, inputs, settings, run.seed, epoch, position.step_in_epoch);
            for batch in batches {
                let batch = batch?;
                let step = optimizer.step as usize;
                let learning_rate = schedule::learning_rate(settings, step, steps);

                let shape = [batch.images, run.size_px, run.size_px, run.channels];
                let input = Tensor::<4>::from_data(TensorData::new(batch.pixels, shape), &device);
                let posterior = model.posterior(input.clone());
                let noise = noise(run.seed, step, posterior.mean.dims(), &device);
                let latent = posterior.mean.clone() + noise * (posterior.log_variance.clone() * 0.5).exp();
                let reconstruction = model.reconstruction(latent);
                let free_bits = settings.free_bits_nats;
                let loss = Loss::new(input, reconstruction, posterior, free_bits, predicts_variance);
                let total = loss.reconstruction.clone() + loss.kl.clone() * beta;

                let (reconstruction, kl) = (scalar(loss.reconstruction), scalar(loss.kl));
                let value = reconstruction + beta * kl;
                if !value.is_finite() {
                    return Err(diverged(epoch + 1, step + 1, run.folder));
                }
                let mut gradients = total.backward();
                let largest_norm = settings.gradient_clip * (run.size_px * run.size_px) as f64;
                let decay = settings.weight_decay;
                model = optimizer.step(model, &mut gradients, learning_rate, decay, largest_norm);

                position.step_in_epoch += 1;
                position.sums.images += batch.images;
                position.sums.reconstruction += reconstruction * batch.images as f64;
                position.sums.kl += kl * batch.images as f64;
                let told = Progress::Step { epoch: epoch + 1, step: step + 1, loss: value };
                if observe(told).is_break() {
                    save(run, &identity, &position, &optimizer, &model, &best)?;
                    return Err(Error::interrupted(stopped));
                }
            }
            Ok(model)
        })?;

        let learning_rate =
            schedule::learning_rate(settings, (optimizer.step as usize).saturating_sub(1), steps);
        let Sums { images, reconstruction, kl } = std::mem::take(&mut position.sums);
        let (reconstruction, kl) = (reconstruction / images as f64, kl / images as f64);
        let images_per_s = (images - images_before) as f64 / started.elapsed().as_secs_f64();
        (position.epoch, position.step_in_epoch) = (epoch + 1, 0);

        let plain = model.valid();
        let (held_out_reconstruction, held_out_kl) = selection.held_out_loss(&plain, predicts_variance)?;
        let held_out_total = held_out_reconstruction + beta * held_out_kl;
        if !held_out_total.is_finite() {
            return Err(diverged(position.epoch, optimizer.step as usize, run.folder));
        }
        let checks = position.epoch % settings.check_every_epochs == 0 || position.epoch == settings.epochs;
        let synthetic_rise = if checks { selection.synthetic_rise(&plain)? } else { None };
        let value = match settings.criterion {
            SelectionCriterion::Synthetic => synthetic_rise,
            SelectionCriterion::HeldOutLoss => Some(-held_out_total),
            SelectionCriterion::Last => Some(position.epoch as f64),
        };
        let warm = position.epoch > settings.variance_warmup_epochs.max(settings.beta_warmup_epochs);
        let last = position.epoch == settings.epochs;
        let mut is_best = false;
        let best_before = position.best.map(|(_, epoch)| epoch);
        if let Some(value) = value.filter(|_| checks && (warm || last)) {
            is_best = position.best.is_none_or(|(best, _)| value >= best);
            position.checks_since_best += 1;
            if is_best {
                position.best = Some((value, position.epoch));
                position.checks_since_best = 0;
                best = weights(&model);
            }
        }

        let record = EpochRecord {
            epoch: position.epoch,
            step: optimizer.step as usize,
            train_total: reconstruction + beta * kl,
            train_reconstruction: reconstruction,
            train_kl: kl,
            held_out_total,
            held_out_reconstruction,
            held_out_kl,
            beta,
            learning_rate,
            synthetic_rise,
            best: is_best,
            images_per_s,
        };
        if let Some(history) = &mut history {
            history.write(&record)?;
        }
        if let Some(folder) = run.folder {
            let replaced = best_before.filter(|_| is_best);
            samples::keep(folder, position.epoch, is_best, replaced, &plain, run, held_out)?;
        }
        let stop = observe(Progress::Epoch(&record)).is_break();
        if stop || last || position.epoch % settings.checkpoint_every_epochs == 0 {
            save(run, &identity, &position, &optimizer, &model, &best)?;
        }
        if stop && !last {
            return Err(Error::interrupted(stopped));
        }
    }

    if !best.is_empty() {
        model = load_weights(model, best)?;
    }
    let (value, epoch) = position.best.unwrap_or((0.0, position.epoch));
    let synthetic = settings.criterion == SelectionCriterion::Synthetic;
    Ok(Trained { model: model.valid(), epoch, synthetic_rise: synthetic.then_some(value) })
}

fn out_of_patience(settings: &TrainSettings, position: &Position) -> bool {
    settings.patience > 0 && position.checks_since_best >= settings.patience
}

fn noise(seed: u64, step: usize, shape: [usize; 2], device: &Device) -> Tensor<2> {
    let mut random = generator(seed, Stream::Latent, step as u64);
    let values: Vec<f32> = StandardNormal.sample_iter(&mut random).take(shape[0] * shape[1]).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

pub(crate) fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

fn diverged(epoch: usize, step: usize, folder: Option<&Path>) -> Error {
    let kept =
        match folder.map(|folder| folder.join(checkpoint::CHECKPOINT_FILE)).filter(|path| path.exists()) {
            Some(path) => format!("the last good checkpoint is kept in {}", path.display()),
            None => "no checkpoint had been written yet".to_owned(),
        };
    Error::settings(format!("the loss is no longer finite (epoch {epoch}, step {step}); {kept}"))
        .with_hint("lower train.learning_rate, or set train.gradient_clip")
}

fn save(
    run: &Run<'_>,
    identity: &Identity,
    position: &Position,
    optimizer: &Optimizer,
    model: &Model,
    best: &BTreeMap<String, Weight>,
) -> Result<()> {
    let Some(folder) = run.folder else { return Ok(()) };
    let state = State {
        position: position.clone(),
        step: optimizer.step,
        weights: weights(model),
        best_weights: best.clone(),
        moments: optimizer.moments(),
    };
    checkpoint::write(folder, identity, state)
}

fn identity(run: &Run<'_>, inputs: &Inputs, held_out: &Inputs) -> Result<Identity> {
    Ok(Identity {
        model: run.model.clone(),
        train: run.train.clone(),
        scorer: run.scorer.to_owned(),
        seed: run.seed,
        data: format!("{}-{}", inputs.digest(), held_out.digest()),
    })
}

fn plan(
    run: &Run<'_>,
    model: &Model,
    inputs: &Inputs,
    held_out: &Inputs,
    steps_per_epoch: usize,
    steps_done: usize,
) -> Result<Plan> {
    let parameters = model.parameter_count();
    // Weights, gradients, two moments, best weights; each stage's activations forward and backward.
    let area = run.size_px * run.size_px;
    let stages = run.model.channels.iter().enumerate();
    let activations: usize =
        stages.map(|(stage, channels)| (area >> (2 * (stage + 1))).max(1) * channels).sum();
    let per_image = 4 * activations + 16 * area * run.channels;
    let floats = 5 * parameters + run.train.batch_size * per_image;
    Ok(Plan {
        images: inputs.len(),
        held_out: held_out.len(),
        parameters,
        precision: run.model.precision.resolved()?,
        instructions: instructions()?.name(),
        memory_bytes: floats * size_of::<f32>() + inputs.kept_bytes() + held_out.kept_bytes(),
        steps_per_epoch,
        epochs: run.train.epochs,
        steps_done,
    })
}
