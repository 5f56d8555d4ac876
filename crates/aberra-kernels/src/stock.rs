//! Every operation of this crate composed of stock Burn operations: the implementation for backends without kernels,
//! and a reference.

mod activation;
pub(crate) mod cost;
pub(crate) mod inverted_residual;
mod layers;
mod layout;
pub(crate) mod norm;
mod optimise;
pub(crate) mod similarity;

pub(crate) use self::activation::gate;
pub(crate) use self::layers::{
    bias_gradient, convolution, convolution_input_gradient, convolution_weight_gradient, dense,
    dense_input_gradient, dense_weight_gradient, transposed_convolution,
    transposed_convolution_input_gradient, transposed_convolution_weight_gradient,
};
pub(crate) use self::optimise::{adam, sum_of_squares};
