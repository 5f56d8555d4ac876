//! Activations and their backward pass in stock Burn operations.

use crate::activation::ActivationFunction;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};

pub(super) fn activate<B: Backend>(tensor: FloatTensor<B>, activation: ActivationFunction) -> FloatTensor<B> {
    match activation {
        ActivationFunction::Identity => tensor,
        ActivationFunction::Relu => B::relu(tensor),
        ActivationFunction::LeakyRelu(slope) => B::leaky_relu(tensor, slope.into()),
        ActivationFunction::Relu6 => B::float_clamp(tensor, 0f32.into(), 6f32.into()),
        ActivationFunction::Sigmoid => B::sigmoid(tensor),
        ActivationFunction::Tanh => B::float_tanh(tensor),
    }
}

/// The gradient with respect to `x`, from the gradient with respect to `output = activation(x)`.
pub(crate) fn gate<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    activation: ActivationFunction,
) -> FloatTensor<B> {
    match activation {
        ActivationFunction::Identity => gradient,
        ActivationFunction::Relu => B::relu_backward(output, gradient),
        ActivationFunction::LeakyRelu(slope) => {
            let settings = get_or_init_device_settings::<B>(&output.device());
            let negative = B::float_lower_equal_elem(output, 0f32.into(), settings.bool_dtype);
            let scaled = B::float_mul_scalar(gradient.clone(), slope.into());
            B::float_mask_where(gradient, negative, scaled)
        }
        ActivationFunction::Relu6 => {
            let settings = get_or_init_device_settings::<B>(&output.device());
            let saturated = B::float_greater_equal_elem(output.clone(), 6f32.into(), settings.bool_dtype);
            let gradient = B::relu_backward(output, gradient);
            B::float_mask_fill(gradient, saturated, 0f32.into())
        }
        ActivationFunction::Sigmoid => B::sigmoid_backward(output, gradient),
        ActivationFunction::Tanh => {
            let square = B::float_mul(output.clone(), output);
            let derivative = B::float_add_scalar(B::float_neg(square), 1f32.into());
            B::float_mul(gradient, derivative)
        }
    }
}
