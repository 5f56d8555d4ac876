//! What a family is given to fit itself beside data and its own settings.

use aberra_kernels::InstructionSet;
use aberra_metrics::Result;
use burn::tensor::Device;

use super::checkpoint::{Checkpoint, Checkpoints};
use super::record::Observe;
use super::settings::CheckedTrainSettings;
use crate::member::SharedMember;

/// Measures a member that is being fitted: a number that is larger the better it is, or `None` where it cannot be
/// computed.
pub type Judge<'a> = dyn Fn(SharedMember) -> Result<Option<f64>> + 'a;

/// What a family is given to fit itself beside data and its own settings.
pub struct FitContext<'a> {
    /// Every random draw follows from it.
    pub seed: u64,
    /// Where tensors are computed, without autodiff.
    pub device: Device,
    /// What the kernels compute with, for the record.
    pub instructions: InstructionSet,
    /// Settings of training that gradient families share.
    pub train: &'a CheckedTrainSettings,
    /// Is told how it goes, and may stop it.
    pub observe: &'a mut Observe<'a>,
    /// Keeps checkpoints; `None` keeps none.
    pub checkpoints: Option<&'a mut dyn Checkpoints>,
    /// Whether to go on from the checkpoint that there is.
    pub resume: bool,
    /// Measures the member now and then, for the record and for the choice of the best weights.
    pub judge: Option<&'a Judge<'a>>,
}

impl FitContext<'_> {
    /// The checkpoint to go on from, where that was asked for and there is one.
    ///
    /// # Errors
    /// It does not verify, or is of another run.
    pub fn checkpoint(&mut self) -> Result<Option<Checkpoint>> {
        match &mut self.checkpoints {
            Some(checkpoints) if self.resume => checkpoints.read(),
            _ => Ok(None),
        }
    }

    /// Where a checkpoint lies, if one was written.
    pub(crate) fn kept_checkpoint(&self) -> Option<String> {
        self.checkpoints.as_ref().and_then(|checkpoints| checkpoints.place())
    }
}
