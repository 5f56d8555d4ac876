//! The backward pass of structural dissimilarity.

use crate::backend::Kernels;
use crate::similarity::Similarity;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

pub(super) fn structural_dissimilarity<B: Kernels, C: CheckpointStrategy>(
    output: FloatTensor<Autodiff<B, C>>,
    target: FloatTensor<Autodiff<B, C>>,
    similarity: Similarity,
) -> FloatTensor<Autodiff<B, C>> {
    let (output, node) = output.into_parts();
    let target = target.into_primitive();
    let value = B::structural_dissimilarity(output.clone(), target.clone(), similarity);
    match SimilarityBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((output, target, similarity), value),
        OpsKind::UnTracked(step) => step.finish(value),
    }
}

#[derive(Debug)]
struct SimilarityBackward;

impl<B: Kernels> Backward<B, 1> for SimilarityBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, Similarity);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [node] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let (output, target, similarity) = ops.state;
        if let Some(node) = node {
            let value = B::structural_dissimilarity_gradient(gradient, output, target, similarity);
            gradients.register::<B>(node.id, value);
        }
    }
}
