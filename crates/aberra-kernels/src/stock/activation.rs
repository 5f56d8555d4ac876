//! Activations and their backward pass in stock Burn operations.

use crate::activation::Activation;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};

pub(super) fn activate<B: Backend>(tensor: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    match activation {
        Activation::Identity => tensor,
        Activation::Relu => B::relu(tensor),
        Activation::LeakyRelu(slope) => B::leaky_relu(tensor, slope.into()),
        Activation::Sigmoid => B::sigmoid(tensor),
        Activation::Tanh => B::float_tanh(tensor),
    }
}

/// The gradient with respect to `x`, from the gradient with respect to `output = activation(x)`.
pub(crate) fn gate<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    match activation {
        Activation::Identity => gradient,
        Activation::Relu => B::relu_backward(output, gradient),
        Activation::LeakyRelu(slope) => {
            let settings = get_or_init_device_settings::<B>(&output.device());
            let negative = B::float_lower_equal_elem(output, 0f32.into(), settings.bool_dtype);
            let scaled = B::float_mul_scalar(gradient.clone(), slope.into());
            B::float_mask_where(gradient, negative, scaled)
        }
        Activation::Sigmoid => B::sigmoid_backward(output, gradient),
        Activation::Tanh => {
            let square = B::float_mul(output.clone(), output);
            let derivative = B::float_add_scalar(B::float_neg(square), 1f32.into());
            B::float_mul(gradient, derivative)
        }
    }
}
