//! The optimiser step in stock Burn operations.

use crate::optimise::AdamStep;
use burn::backend::{Backend, tensor::FloatTensor};

/// Parameter, first and second moment after one Adam step.
pub(crate) fn adam<B: Backend>(
    parameter: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    settings: AdamStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let AdamStep { beta_1, beta_2, .. } = settings;
    let scale = |tensor: FloatTensor<B>, factor: f32| B::float_mul_scalar(tensor, factor.into());
    let (rate, root_correction) = settings.corrected();
    let gradient = scale(gradient, settings.gradient_scale);
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(scale(first, beta_1), scale(gradient, 1.0 - beta_1));
    let second = B::float_add(scale(second, beta_2), scale(square, 1.0 - beta_2));
    let root = scale(B::float_sqrt(second.clone()), root_correction);
    let change = B::float_div(first.clone(), B::float_add_scalar(root, settings.epsilon.into()));
    let kept = scale(parameter, 1.0 - settings.learning_rate * settings.weight_decay);
    (B::float_sub(kept, scale(change, rate)), first, second)
}

/// Sum of squares of all elements, shape `[1]`.
pub(crate) fn sum_of_squares<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sum(B::float_mul(tensor.clone(), tensor))
}
