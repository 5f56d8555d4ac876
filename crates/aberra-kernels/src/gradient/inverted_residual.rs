//! The backward pass of inverted residuals, whose weights are frozen: the gradient with respect to the input.

use crate::backend::Kernels;
use crate::inverted_residual::{PackedLayers, Strides};
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

pub(super) fn inverted_residual<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    layers: PackedLayers<Autodiff<B, C>>,
    strides: Strides,
) -> FloatTensor<Autodiff<B, C>> {
    let (input, node) = input.into_parts();
    let layers = PackedLayers::<B> {
        expansion: layers.expansion.into_primitive(),
        expansion_bias: layers.expansion_bias.into_primitive(),
        depthwise: layers.depthwise.into_primitive(),
        depthwise_bias: layers.depthwise_bias.into_primitive(),
        projection: layers.projection.into_primitive(),
        projection_bias: layers.projection_bias.into_primitive(),
    };
    let output = B::inverted_residual(input.clone(), layers.clone(), strides);
    match InvertedResidualBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((input, layers, strides), output),
        OpsKind::UnTracked(step) => step.finish(output),
    }
}

#[derive(Debug)]
struct InvertedResidualBackward;

impl<B: Kernels> Backward<B, 1> for InvertedResidualBackward {
    /// The input and the frozen layers.
    type State = (FloatTensor<B>, PackedLayers<B>, Strides);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let [node] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let (input, layers, strides) = ops.state;
        if let Some(node) = node {
            let value = B::inverted_residual_input_gradient(gradient, input, layers, strides);
            gradients.register::<B>(node.id, value);
        }
    }
}
