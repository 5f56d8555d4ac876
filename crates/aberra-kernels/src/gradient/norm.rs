//! The backward pass of batch normalisation.

use crate::activation::ActivationFunction;
use crate::backend::Kernels;
use crate::norm::BatchNormalization;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, AutodiffBackend, tensor::FloatTensor};

pub(super) fn batch_norm<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    scale: FloatTensor<Autodiff<B, C>>,
    shift: FloatTensor<Autodiff<B, C>>,
    settings: BatchNormalization,
) -> [FloatTensor<Autodiff<B, C>>; 3] {
    let (input, input_node) = input.into_parts();
    let (scale, scale_node) = scale.into_parts();
    let (shift, shift_node) = shift.into_parts();
    let prepared = NormBackward.prepare::<C>([input_node, scale_node, shift_node]).compute_bound();
    let (output, mean, variance) = B::normalization(input.clone(), scale.clone(), shift, settings);
    let constant = |tensor: &FloatTensor<B>| Autodiff::<B, C>::from_inner(tensor.clone());
    let statistics = [&mean, &variance].map(constant);
    let output = match prepared.stateful() {
        OpsKind::Tracked(step) => {
            let kept = (settings.activation != ActivationFunction::Identity).then(|| output.clone());
            step.finish(NormState::<B> { input, scale, mean, variance, output: kept, settings }, output)
        }
        OpsKind::UnTracked(step) => step.finish(output),
    };
    let [mean, variance] = statistics;
    [output, mean, variance]
}

#[derive(Debug)]
struct NormBackward;

/// State that a batch normalisation keeps for its backward pass.
#[derive(Clone, Debug)]
struct NormState<B: Kernels> {
    input: FloatTensor<B>,
    scale: FloatTensor<B>,
    mean: FloatTensor<B>,
    variance: FloatTensor<B>,
    output: Option<FloatTensor<B>>,
    settings: BatchNormalization,
}

impl<B: Kernels> Backward<B, 3> for NormBackward {
    type State = NormState<B>;

    fn backward(
        self,
        ops: Ops<NormState<B>, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<B>(&ops.node);
        let NormState { input, scale, mean, variance, output, settings } = ops.state;
        let output = output.unwrap_or_else(|| gradient.clone());
        let values = B::normalization_gradients(gradient, output, input, scale, mean, variance, settings);
        for (node, value) in ops.parents.into_iter().zip([values.0, values.1, values.2]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, value);
            }
        }
    }
}
