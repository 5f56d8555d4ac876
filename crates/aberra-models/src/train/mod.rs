//! The training loop that all gradient families share: settings, data, model, optimiser, loop.
//!
//! Same data, settings and seed give the same weights bit for bit, for any number of threads; a run that is interrupted
//! and resumed gives what it would have given uninterrupted: every draw has its own generator, indexed by its position
//! in the run.

mod augment;
mod batches;
mod checkpoint;
mod context;
mod optimizer;
mod record;
mod schedule;
mod settings;
mod trainable;

use aberra_metrics::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};

use self::checkpoint::{LossSums, Position, State};
use self::optimizer::Optimizer;
use crate::inputs::Inputs;
use crate::member::SharedMember;
use crate::tensors::{Tensors, count_parameters, load_weights, weights};

pub(crate) use self::augment::augment;
pub use self::checkpoint::{Checkpoint, Checkpoints};
pub use self::context::{DrawAnomaly, FitContext, Judge};
pub use self::record::{EpochRecord, LossRecord, Observe, Plan, Preview, Progress};
pub(crate) use self::schedule::warmed_up;
pub use self::settings::{Augmentation, CheckedTrainSettings, Schedule, SelectionCriterion, TrainSettings};
pub(crate) use self::trainable::nothing_ahead;
pub use self::trainable::{Loss, Preparation, Step, Term, Trainable};

/// A model with the best checkpoint's weights, outside autodiff.
pub struct Trained<M> {
    /// The model.
    pub model: M,
    /// Epochs after which its weights were taken.
    pub epoch: usize,
    /// The standardised mean shift then, where it chose the weights.
    pub standardized_shift: Option<f64>,
}

/// Images of a forward pass over held-out normals.
const HELD_OUT_BATCH: usize = 32;

/// Trains `model` (made on the context's device with autodiff) on `inputs`, watching the held-out normals. `finish` makes
/// the member that a model would be, for those who judge it while it is trained.
///
/// # Errors
/// Inputs that cannot be read, checkpoints that cannot be kept, a loss that is not finite, or a
/// stop on request.
pub fn train<M: Trainable>(
    mut model: M,
    context: &mut FitContext<'_>,
    inputs: &Inputs<'_>,
    held_out: &Inputs<'_>,
    finish: &dyn Fn(M) -> Result<SharedMember>,
) -> Result<Trained<M>> {
    let settings = &context.train.clone();
    let device = context.device.clone().autodiff();
    let shape = inputs.shape();
    let mut optimizer = Optimizer::default();
    let (mut position, mut best) = (Position::default(), Tensors::new());
    if let Some(kept) = context.checkpoint()? {
        let state = State::from_checkpoint(kept)?;
        model = load_weights(model, state.weights)?;
        optimizer = Optimizer::restore(state.step, state.moments, &model);
        (position, best) = (state.position, state.best_weights);
    }
    let epochs = settings.epochs_over(inputs.len());
    let steps = settings.steps_per_epoch(inputs.len()) * epochs;
    let plan = plan(&model, context, inputs, held_out, &position, optimizer.step as usize);
    if (context.observe)(Progress::Start(plan))?.is_break() {
        return Err(stopped());
    }

    while position.epoch < epochs && !out_of_patience(settings, &position) {
        let epoch = position.epoch;
        let mut term_weights = Vec::new();
        model = std::thread::scope(|scope| -> Result<M> {
            let start = batches::Start {
                seed: context.seed,
                epoch,
                step_in_epoch: position.step_in_epoch,
                step: optimizer.step as usize,
            };
            for batch in batches::batches(scope, inputs, settings, model.preparation(), start) {
                let batch = batch?;
                let step = optimizer.step as usize;
                let learning_rate = schedule::learning_rate(settings, step, steps);
                let images = batch.images.len();
                let dims = [images, shape.height, shape.width, shape.channels];
                let input = Tensor::from_data(TensorData::new(batch.pixels, dims), &device);

                let step_of = Step { seed: context.seed, step, epoch, images: &batch.images };
                let loss = model.loss(input, batch.prepared, &step_of);
                let (total, means) = (loss.total(), loss.means());
                term_weights = loss.weights();
                let value = record::LossRecord::new(&term_weights, &means).total;
                if !value.is_finite() {
                    return Err(diverged(epoch + 1, step + 1, context));
                }
                let mut gradients = total.backward();
                let largest_norm = settings.gradient_clip * shape.area() as f64;
                let decay = settings.weight_decay;
                model = optimizer.step(model, &mut gradients, learning_rate, decay, largest_norm);

                position.step_in_epoch += 1;
                position.sums.add(&means, images);
                let told = Progress::Step { epoch: epoch + 1, step: step + 1, loss: value };
                if (context.observe)(told)?.is_break() {
                    save(context, &position, &optimizer, &model, &best)?;
                    return Err(stopped());
                }
            }
            Ok(model)
        })?;

        let last_step = (optimizer.step as usize).saturating_sub(1);
        let sums = std::mem::take(&mut position.sums);
        (position.epoch, position.step_in_epoch) = (epoch + 1, 0);
        let plain = model.valid();
        let (held_out_loss, held_out_weights) = held_out_loss(&plain, held_out, epoch, &context.device)?;
        if term_weights.is_empty() {
            // Resumed behind the epoch's last step: the loss has the same terms.
            term_weights = held_out_weights;
        }
        if !held_out_loss.total.is_finite() {
            return Err(diverged(position.epoch, optimizer.step as usize, context));
        }
        let last = position.epoch == epochs;
        let checks = position.epoch.is_multiple_of(settings.check_every_epochs) || last;
        let standardized_shift = match context.judge {
            Some(judge) if checks => judge(finish(plain.clone())?)?,
            _ => None,
        };
        let value = match settings.criterion {
            SelectionCriterion::Synthetic => standardized_shift,
            SelectionCriterion::HeldOutLoss => Some(-held_out_loss.total),
            SelectionCriterion::Last => Some(position.epoch as f64),
        };
        let warm = position.epoch > model.warmup_epochs();
        let best_before = position.best.map(|(_, epoch)| epoch);
        let mut is_best = false;
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
            train: sums.record(&term_weights),
            held_out: held_out_loss,
            learning_rate: schedule::learning_rate(settings, last_step, steps),
            figures: model.figures(epoch),
            standardized_shift,
            best: is_best,
            images_per_s: None,
        };
        let preview = |inputs: &[&[f32]]| plain.reconstruct(inputs);
        let replaced = best_before.filter(|_| is_best);
        let told = Progress::Epoch { record: &record, replaced, preview: &preview };
        let stops = (context.observe)(told)?.is_break();
        let saves = stops || last || position.epoch.is_multiple_of(settings.checkpoint_every_epochs);
        if saves {
            save(context, &position, &optimizer, &model, &best)?;
        }
        if stops && !last {
            return Err(stopped());
        }
    }

    if !best.is_empty() {
        model = load_weights(model, best)?;
    }
    let (value, epoch) = position.best.unwrap_or((0.0, position.epoch));
    let synthetic = settings.criterion == SelectionCriterion::Synthetic;
    Ok(Trained { model: model.valid(), epoch, standardized_shift: synthetic.then_some(value) })
}

/// The loss on the held-out normals, without sampling, and its terms' names and weights.
fn held_out_loss<M: Trainable>(
    model: &M,
    held_out: &Inputs<'_>,
    epoch: usize,
    device: &Device,
) -> Result<(LossRecord, Vec<(&'static str, f64)>)> {
    let shape = held_out.shape();
    let (mut sums, mut term_weights) = (LossSums::default(), Vec::new());
    held_out.chunks(HELD_OUT_BATCH, |normals| {
        let dims = [normals.len(), shape.height, shape.width, shape.channels];
        let input = Tensor::from_data(TensorData::new(normals.concat(), dims), device);
        let loss = model.held_out_loss(input, epoch);
        sums.add(&loss.means(), normals.len());
        term_weights = loss.weights();
        Ok(())
    })?;
    Ok((sums.record(&term_weights), term_weights))
}

fn out_of_patience(settings: &TrainSettings, position: &Position) -> bool {
    settings.patience > 0 && position.checks_since_best >= settings.patience
}

fn stopped() -> Error {
    Error::interrupted("training was stopped; the checkpoint in the run folder continues it (--resume)")
}

fn diverged(epoch: usize, step: usize, context: &FitContext<'_>) -> Error {
    let kept = match context.kept_checkpoint() {
        Some(place) => format!("the last good checkpoint is kept in {place}"),
        None => "no checkpoint had been written yet".to_owned(),
    };
    Error::settings(format!("the loss is no longer finite (epoch {epoch}, step {step}); {kept}"))
        .with_hint("lower train.learning_rate, or set train.gradient_clip")
}

fn save<M: Trainable>(
    context: &mut FitContext<'_>,
    position: &Position,
    optimizer: &Optimizer,
    model: &M,
    best: &Tensors,
) -> Result<()> {
    let Some(checkpoints) = &mut context.checkpoints else { return Ok(()) };
    let state = State {
        position: position.clone(),
        step: optimizer.step,
        weights: weights(model),
        best_weights: best.clone(),
        moments: optimizer.moments(),
    };
    checkpoints.write(&state.into_checkpoint())
}

fn plan<M: Trainable>(
    model: &M,
    context: &FitContext<'_>,
    inputs: &Inputs<'_>,
    held_out: &Inputs<'_>,
    position: &Position,
    steps_done: usize,
) -> Plan {
    let settings = &context.train;
    let parameters = count_parameters(model);
    // Weights, gradients, two moments, best weights; each stage's activations forward and backward.
    let floats = 5 * parameters + settings.batch_size * model.activations_per_image();
    Plan {
        images: inputs.len(),
        held_out: held_out.len(),
        parameters,
        precision: model.precision(),
        instructions: context.instructions.name(),
        memory_bytes: floats * size_of::<f32>() + inputs.kept_bytes() + held_out.kept_bytes(),
        steps_per_epoch: settings.steps_per_epoch(inputs.len()),
        epochs: settings.epochs_over(inputs.len()),
        epochs_asked: settings.epochs,
        epochs_done: position.epoch,
        steps_done,
    }
}
