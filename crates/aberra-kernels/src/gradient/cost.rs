//! The backward passes of reconstruction cost and KL divergence.

use crate::backend::Kernels;
use crate::cost::PixelLikelihood;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

pub(super) fn reconstruction_cost<B: Kernels, C: CheckpointStrategy>(
    output: FloatTensor<Autodiff<B, C>>,
    target: FloatTensor<Autodiff<B, C>>,
    likelihood: PixelLikelihood,
) -> FloatTensor<Autodiff<B, C>> {
    let (output, node) = output.into_parts();
    let target = target.into_primitive();
    let value = B::reconstruction_cost(output.clone(), target.clone(), likelihood);
    match CostBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((output, target, likelihood), value),
        OpsKind::UnTracked(step) => step.finish(value),
    }
}

pub(super) fn kl_divergence<B: Kernels, C: CheckpointStrategy>(
    mean: FloatTensor<Autodiff<B, C>>,
    log_variance: FloatTensor<Autodiff<B, C>>,
    free_bits: f32,
) -> FloatTensor<Autodiff<B, C>> {
    let (mean, mean_node) = mean.into_parts();
    let (log_variance, log_variance_node) = log_variance.into_parts();
    let value = B::kl_divergence(mean.clone(), log_variance.clone(), free_bits);
    match DivergenceBackward.prepare::<C>([mean_node, log_variance_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((mean, log_variance, free_bits), value),
        OpsKind::UnTracked(step) => step.finish(value),
    }
}

#[derive(Debug)]
struct CostBackward;

impl<B: Kernels> Backward<B, 1> for CostBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, PixelLikelihood);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [node] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let (output, target, likelihood) = ops.state;
        if let Some(node) = node {
            let value = B::reconstruction_cost_gradient(gradient, output, target, likelihood);
            gradients.register::<B>(node.id, value);
        }
    }
}

#[derive(Debug)]
struct DivergenceBackward;

impl<B: Kernels> Backward<B, 2> for DivergenceBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (mean, log_variance, free_bits) = ops.state;
        let values = B::kl_divergence_gradients(gradient, mean, log_variance, free_bits);
        for (node, value) in ops.parents.into_iter().zip([values.0, values.1]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, value);
            }
        }
    }
}
