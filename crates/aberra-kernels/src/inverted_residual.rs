//! Inverted residuals (Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>): an expanding convolution, a depthwise
//! convolution and a projection, as one operation.

mod strips;

pub(crate) use self::strips::{Block, Layer, forward};

use burn::backend::{Backend, ExtensionType, tensor::FloatTensor};

/// Strides of an inverted residual, and whether it adds its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Stride of the expansion.
    pub expansion: usize,
    /// Stride of the depthwise convolution.
    pub depthwise: usize,
    /// Whether the input is added to the output.
    pub is_residual: bool,
}

/// Weights and biases of an inverted residual. Weights are packed as
/// `[panels, kernel height, kernel width x inputs, lanes]`, with zeros for the outputs that the last panel lacks.
#[derive(Clone, Debug, ExtensionType)]
pub struct PackedLayers<B: Backend> {
    /// Weights of the expansion.
    pub expansion: FloatTensor<B>,
    /// Its biases, one for each expanded channel.
    pub expansion_bias: FloatTensor<B>,
    /// Weights of the depthwise convolution, which has one input for each output.
    pub depthwise: FloatTensor<B>,
    /// Its biases, one for each expanded channel.
    pub depthwise_bias: FloatTensor<B>,
    /// Weights of the projection, with zeros for the expanded channels that the last panel of the others lacks.
    pub projection: FloatTensor<B>,
    /// Its biases, one for each output.
    pub projection_bias: FloatTensor<B>,
}
