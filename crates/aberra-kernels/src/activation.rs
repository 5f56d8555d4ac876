//! Activation functions and their derivatives.

use crate::exponential::sigmoid;
use crate::wide::wide;

/// An element-wise non-linearity, applied to a layer's output.
///
/// The derivative of each can be computed from its output alone, so the backward pass does not need the pre-activation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ActivationFunction {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `slope * x`; the slope must be positive.
    LeakyRelu(f32),
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl ActivationFunction {
    /// The function's value at `x`.
    #[inline(always)]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            // Not `max`, which would turn a NaN into 0 and hide it.
            Self::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Self::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            // Unlike `min` and `max`, this keeps a NaN.
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// The derivative where the function's value is `output`.
    #[inline]
    pub fn derivative(self, output: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => f32::from(u8::from(output > 0.0)),
            Self::LeakyRelu(slope) => {
                if output > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Self::Relu6 => f32::from(u8::from(output > 0.0 && output < 6.0)),
            Self::Sigmoid => output * (1.0 - output),
            Self::Tanh => 1.0 - output * output,
        }
    }

    /// Applies the function to every element.
    pub(crate) fn apply_all(self, values: &mut [f32]) {
        if self != Self::Identity {
            apply(values, self);
        }
    }
}

wide! {
    fn apply(values: &mut [f32], activation: ActivationFunction) {
        // The match is outside the loop so that each loop can be vectorised.
        match activation {
            ActivationFunction::Identity => {}
            ActivationFunction::Relu => values.iter_mut().for_each(|x| *x = ActivationFunction::Relu.apply(*x)),
            ActivationFunction::LeakyRelu(slope) => {
                values.iter_mut().for_each(|x| *x = ActivationFunction::LeakyRelu(slope).apply(*x));
            }
            ActivationFunction::Relu6 => values.iter_mut().for_each(|x| *x = ActivationFunction::Relu6.apply(*x)),
            ActivationFunction::Sigmoid => values.iter_mut().for_each(|x| *x = ActivationFunction::Sigmoid.apply(*x)),
            ActivationFunction::Tanh => values.iter_mut().for_each(|x| *x = ActivationFunction::Tanh.apply(*x)),
        }
    }

    /// Backward pass: multiplies a gradient by the derivative at `output`.
    pub(crate) fn gate(gradient: &[f32], output: &[f32], activation: ActivationFunction, target: &mut [f32]) {
        let gated = target.iter_mut().zip(gradient).zip(output);
        match activation {
            ActivationFunction::Relu => {
                gated.for_each(|((t, &g), &y)| *t = if y > 0.0 { g } else { 0.0 });
            }
            ActivationFunction::LeakyRelu(slope) => {
                gated.for_each(|((t, &g), &y)| *t = if y > 0.0 { g } else { g * slope });
            }
            ActivationFunction::Relu6 => {
                gated.for_each(|((t, &g), &y)| *t = if y > 0.0 && y < 6.0 { g } else { 0.0 });
            }
            ActivationFunction::Sigmoid => gated.for_each(|((t, &g), &y)| *t = g * (y * (1.0 - y))),
            ActivationFunction::Tanh => gated.for_each(|((t, &g), &y)| *t = g * (1.0 - y * y)),
            ActivationFunction::Identity => target.copy_from_slice(gradient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_not_hidden() {
        let all = [
            ActivationFunction::Relu,
            ActivationFunction::LeakyRelu(0.2),
            ActivationFunction::Relu6,
            ActivationFunction::Sigmoid,
            ActivationFunction::Tanh,
        ];
        for activation in all {
            let mut values = [f32::NAN; 9];
            activation.apply_all(&mut values);
            assert!(values.iter().all(|value| value.is_nan()), "{activation:?}");
        }
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let all = [
            ActivationFunction::Identity,
            ActivationFunction::Relu,
            ActivationFunction::LeakyRelu(0.2),
            ActivationFunction::Relu6,
            ActivationFunction::Sigmoid,
            ActivationFunction::Tanh,
        ];
        for activation in all {
            for x in [-1.5_f32, -0.3, 0.4, 2.0, 7.0] {
                let difference = (activation.apply(x + 1e-2) - activation.apply(x - 1e-2)) / 2e-2;
                let derivative = activation.derivative(activation.apply(x));
                assert!((difference - derivative).abs() < 1e-3, "{activation:?} at {x}");
                let mut gradient = [0.0];
                gate(&[3.0], &[activation.apply(x)], activation, &mut gradient);
                assert!((gradient[0] - 3.0 * derivative).abs() < 1e-6, "{activation:?} at {x}");
            }
        }
    }
}
