//! The backward passes, registered with Burn's autodiff for every backend that implements the operations.

mod cost;
mod inverted_residual;
mod norm;
mod similarity;

use crate::activation::ActivationFunction;
use crate::backend::Kernels;
use crate::cost::PixelLikelihood;
use crate::geometry::Geometry;
use crate::inverted_residual::{PackedLayers, Strides};
use crate::norm::BatchNormalization;
use crate::precision::OperandPrecision;
use crate::similarity::Similarity;
use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, tensor::FloatTensor};

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        layer::<B, C>(input, weight, bias, Operation::Convolution(geometry), activation, precision)
    }

    fn transposed_convolution(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        layer::<B, C>(input, weight, bias, Operation::TransposedConvolution(geometry), activation, precision)
    }

    fn dense(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<Self> {
        layer::<B, C>(input, weight, bias, Operation::Dense, activation, precision)
    }

    fn normalization(
        input: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        settings: BatchNormalization,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        norm::batch_norm::<B, C>(input, scale, shift, settings).into()
    }

    fn inverted_residual(
        input: FloatTensor<Self>,
        layers: PackedLayers<Self>,
        strides: Strides,
    ) -> FloatTensor<Self> {
        inverted_residual::inverted_residual::<B, C>(input, layers, strides)
    }

    fn reconstruction_cost(
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        likelihood: PixelLikelihood,
    ) -> FloatTensor<Self> {
        cost::reconstruction_cost::<B, C>(output, target, likelihood)
    }

    fn structural_dissimilarity(
        output: FloatTensor<Self>,
        target: FloatTensor<Self>,
        similarity: Similarity,
    ) -> FloatTensor<Self> {
        similarity::structural_dissimilarity::<B, C>(output, target, similarity)
    }

    fn kl_divergence(
        mean: FloatTensor<Self>,
        log_variance: FloatTensor<Self>,
        free_bits: f32,
    ) -> FloatTensor<Self> {
        cost::kl_divergence::<B, C>(mean, log_variance, free_bits)
    }
}

/// The linear part of a layer.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Convolution(Geometry),
    TransposedConvolution(Geometry),
    Dense,
}

impl Operation {
    fn forward<B: Kernels>(
        self,
        input: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FloatTensor<B> {
        match self {
            Self::Convolution(geometry) => {
                B::convolution(input, weight, bias, geometry, activation, precision)
            }
            Self::TransposedConvolution(geometry) => {
                B::transposed_convolution(input, weight, bias, geometry, activation, precision)
            }
            Self::Dense => B::dense(input, weight, bias, activation, precision),
        }
    }
}

fn layer<B: Kernels, C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    operation: Operation,
    activation: ActivationFunction,
    precision: OperandPrecision,
) -> FloatTensor<Autodiff<B, C>> {
    let (input, input_node) = input.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (bias, bias_node) = bias.into_parts();
    match LayerBackward.prepare::<C>([input_node, weight_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let output = operation.forward::<B>(input.clone(), weight.clone(), bias, activation, precision);
            // Without an activation the gradient does not depend on the output.
            let kept = (activation != ActivationFunction::Identity).then(|| output.clone());
            step.finish(
                LayerState::<B> { input, weight, output: kept, operation, activation, precision },
                output,
            )
        }
        OpsKind::UnTracked(step) => {
            step.finish(operation.forward::<B>(input, weight, bias, activation, precision))
        }
    }
}

#[derive(Debug)]
struct LayerBackward;

/// State that a layer keeps for its backward pass.
#[derive(Clone, Debug)]
struct LayerState<B: Kernels> {
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    output: Option<FloatTensor<B>>,
    operation: Operation,
    activation: ActivationFunction,
    precision: OperandPrecision,
}

impl<B: Kernels> Backward<B, 3> for LayerBackward {
    type State = LayerState<B>;

    fn backward(
        self,
        ops: Ops<LayerState<B>, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [input_node, weight_node, bias_node] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let LayerState { input, weight, output, operation, activation, precision } = ops.state;
        let output = output.unwrap_or_else(|| gradient.clone());
        if let Some(node) = bias_node {
            let value = B::bias_gradient(gradient.clone(), output.clone(), activation);
            gradients.register::<B>(node.id, value);
        }
        if let Some(node) = input_node {
            let (gradient, output) = (gradient.clone(), output.clone());
            let value = match operation {
                Operation::Convolution(geometry) => {
                    let (input, weight) = (input.clone(), weight.clone());
                    B::convolution_input_gradient(
                        gradient, output, input, weight, geometry, activation, precision,
                    )
                }
                Operation::TransposedConvolution(geometry) => {
                    let weight = weight.clone();
                    B::transposed_convolution_input_gradient(
                        gradient, output, weight, geometry, activation, precision,
                    )
                }
                Operation::Dense => {
                    B::dense_input_gradient(gradient, output, weight.clone(), activation, precision)
                }
            };
            gradients.register::<B>(node.id, value);
        }
        // Last and by value, so that the kernel can recycle the buffers.
        if let Some(node) = weight_node {
            let value = match operation {
                Operation::Convolution(geometry) => B::convolution_weight_gradient(
                    gradient, output, input, weight, geometry, activation, precision,
                ),
                Operation::TransposedConvolution(geometry) => B::transposed_convolution_weight_gradient(
                    gradient, output, input, weight, geometry, activation, precision,
                ),
                Operation::Dense => B::dense_weight_gradient(gradient, output, input, activation, precision),
            };
            gradients.register::<B>(node.id, value);
        }
    }
}
