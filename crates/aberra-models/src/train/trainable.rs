//! The interface between the training loop and a model: a loss in named terms, and facts about the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use aberra_metrics::Result;
use burn::module::Module;
use burn::tensor::Tensor;

use crate::network::Precision;
use crate::tensors::scalar;

/// Where in a run a loss is computed: every draw is indexed by it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The run's seed.
    pub seed: u64,
    /// Steps taken before, over all epochs.
    pub step: usize,
    /// Epochs finished before.
    pub epoch: usize,
    /// Of each image of the batch, its number among the training inputs.
    pub images: &'a [usize],
}

/// A term of a loss.
pub struct Term {
    /// Its name, such as `reconstruction`.
    pub name: &'static str,
    /// What it is multiplied by in the sum.
    pub weight: f64,
    /// Its mean over the batch, per image, shape `[1]`.
    pub value: Tensor<1>,
}

/// A loss as a sum of weighted terms; lower is better.
pub struct Loss(Vec<Term>);

impl Loss {
    /// The sum of these terms.
    pub fn new(terms: Vec<Term>) -> Self {
        Self(terms)
    }

    /// The sum, differentiable.
    pub(super) fn total(&self) -> Tensor<1> {
        let weighted = self.0.iter().map(|term| match term.weight {
            1.0 => term.value.clone(),
            weight => term.value.clone() * weight,
        });
        weighted.reduce(|sum, term| sum + term).unwrap_or_else(|| Tensor::zeros([1], &Default::default()))
    }

    /// The terms' values, in order.
    pub(super) fn means(&self) -> Vec<f64> {
        self.0.iter().map(|term| scalar(term.value.clone())).collect()
    }

    /// The terms' names and weights, in order.
    pub(super) fn weights(&self) -> Vec<(&'static str, f64)> {
        self.0.iter().map(|term| (term.name, term.weight)).collect()
    }
}

/// Makes ahead of a step what its loss needs beside the images, from a batch of augmented training images, `[batch, height, width,
/// channels]`, which it may change. It runs on another thread while earlier steps are taken, so nothing of it depends on what is
/// learnt.
pub type Preparation<T> = Arc<dyn Fn(&mut [f32], &Step<'_>) -> T + Send + Sync>;

/// The preparation of models that need nothing beside the images.
pub(crate) fn nothing_ahead() -> Preparation<()> {
    Arc::new(|_, _| ())
}

/// A model that is fitted by gradient descent.
pub trait Trainable: Module {
    /// What a loss needs beside the images.
    type Prepared: Send;

    /// What makes it.
    fn preparation(&self) -> Preparation<Self::Prepared>;

    /// The loss of a batch of augmented training images, `[batch, height, width, channels]`, of which `prepared` was made. It may
    /// draw (from [`generator`](aberra_metrics::random::generator), by `step`) and may update running statistics.
    fn loss(&self, input: Tensor<4>, prepared: Self::Prepared, step: &Step<'_>) -> Loss;

    /// The loss of a batch of held-out normals, without drawing and without updating anything.
    fn held_out_loss(&self, input: Tensor<4>, epoch: usize) -> Loss;

    /// Network inputs as the model reproduces them, each `[height, width, channels]`, 0 to 1; `None` if it reproduces
    /// none.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    fn reconstruct(&self, inputs: &[&[f32]]) -> Result<Option<Vec<Vec<f32>>>>;

    /// Epochs in which the loss is still changing: none of them gives the best checkpoint.
    fn warmup_epochs(&self) -> usize {
        0
    }

    /// Other numbers worth a record after an epoch (counted from 0), by name.
    fn figures(&self, epoch: usize) -> BTreeMap<String, f64> {
        let _ = epoch;
        BTreeMap::new()
    }

    /// Activations that training holds for one image, forward and backward, in values.
    fn activations_per_image(&self) -> usize;

    /// What the operands of its products are rounded to.
    fn precision(&self) -> Precision;
}
