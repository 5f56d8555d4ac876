//! The context in which a family is fitted: everything besides data and its own settings.

use std::ops::ControlFlow;

use aberra_kernels::InstructionSet;
use aberra_metrics::{Error, Result};
use burn::tensor::Device;

use super::checkpoint::{Checkpoint, Checkpoints};
use super::record::{Observe, Progress};
use super::settings::CheckedTrainSettings;
use super::{Trainable, train};
use crate::backbone::BackboneSource;
use crate::inputs::Inputs;
use crate::member::SharedMember;
use crate::shape::Shape;

/// Measures a member that is being fitted: a number that is larger the better it is, or `None` if it cannot be
/// computed.
pub type Judge<'a> = dyn Fn(SharedMember) -> Result<Option<f64>> + 'a;

/// Draws a synthetic anomaly into an image, `[height, width, channels]` of this shape, and returns its mask,
/// `[height, width]`. Everything drawn follows from seed and index.
pub type DrawAnomaly = fn(pixels: &mut [f32], shape: Shape, seed: u64, index: u64) -> Vec<bool>;

/// The context in which a family is fitted: everything besides data and its own settings.
pub struct FitContext<'a> {
    /// The seed of all random draws.
    pub seed: u64,
    /// The device of tensors, without autodiff.
    pub device: Device,
    /// The backbone of families that work on frozen features.
    pub backbone: BackboneSource,
    /// The instruction set of the kernels, for the record.
    pub instructions: InstructionSet,
    /// Settings of training that gradient families share.
    pub train: CheckedTrainSettings,
    /// Receives progress, and can stop the run.
    pub observe: &'a mut Observe<'a>,
    /// Stores checkpoints; `None` stores none.
    pub checkpoints: Option<&'a mut dyn Checkpoints>,
    /// Whether to resume from the stored checkpoint.
    pub resume: bool,
    /// Measures the member at intervals, for the record and for the choice of the best weights.
    pub judge: Option<&'a Judge<'a>>,
    /// Draws the synthetic anomalies that some families train on.
    pub draw_anomaly: Option<DrawAnomaly>,
}

impl FitContext<'_> {
    /// The checkpoint to resume from, if requested and present.
    ///
    /// # Errors
    /// It does not verify, or is of another run.
    pub fn checkpoint(&mut self) -> Result<Option<Checkpoint>> {
        match &mut self.checkpoints {
            Some(checkpoints) if self.resume => checkpoints.read(),
            _ => Ok(None),
        }
    }

    /// Runs `fit` with a family's own settings of training in place of the shared ones.
    pub(crate) fn with_training<T>(
        &mut self,
        own: CheckedTrainSettings,
        fit: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let shared = std::mem::replace(&mut self.train, own);
        let fitted = fit(self);
        self.train = shared;
        fitted
    }

    /// Trains what a family learns beside its main network, once that is trained: nothing is kept on the way, so that a run that
    /// stops meanwhile learns it anew when it goes on. `what` it is called in progress.
    ///
    /// # Errors
    /// As [`train`].
    pub(crate) fn train_beside<M: Trainable>(
        &mut self,
        what: &'static str,
        model: M,
        own: CheckedTrainSettings,
        inputs: &Inputs<'_>,
        held_out: &Inputs<'_>,
    ) -> Result<M> {
        let mut steps = 0;
        let observe = &mut *self.observe;
        let mut observe = |progress: Progress<'_>| match progress {
            Progress::Start(plan) => {
                steps = plan.steps_per_epoch * plan.epochs;
                Ok(ControlFlow::Continue(()))
            }
            Progress::Step { step, .. } => observe(Progress::Beside { what, step, steps }),
            _ => Ok(ControlFlow::Continue(())),
        };
        let mut context = FitContext {
            seed: self.seed,
            device: self.device.clone(),
            backbone: self.backbone.clone(),
            instructions: self.instructions,
            train: own,
            observe: &mut observe,
            checkpoints: None,
            resume: false,
            judge: None,
            draw_anomaly: None,
        };
        let nobody_judges = |_| Err(Error::settings("what is learnt beside a network is no member"));
        Ok(train(model, &mut context, inputs, held_out, &nobody_judges)?.model)
    }

    /// The path of the checkpoint, if one was written.
    pub(crate) fn kept_checkpoint(&self) -> Option<String> {
        self.checkpoints.as_ref().and_then(|checkpoints| checkpoints.place())
    }
}
