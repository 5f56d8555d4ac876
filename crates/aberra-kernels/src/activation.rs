//! Activation functions that kernels apply while they write, and undo while they read a gradient.

use crate::exponential::sigmoid;
use crate::tile::End;
use crate::wide::wide;

/// A function applied to every element of a layer's output.
///
/// The derivative of each is a function of its output alone, so a layer need not keep its pre-activation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `slope * x`; the slope must be positive.
    LeakyRelu(f32),
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
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
            Self::Sigmoid => output * (1.0 - output),
            Self::Tanh => 1.0 - output * output,
        }
    }

    /// What a product does to its sums before it stores them, and what is left to do to the output.
    pub(crate) fn split(self) -> (End, Self) {
        match self {
            Self::Relu => (End::Relu, Self::Identity),
            Self::LeakyRelu(slope) => (End::LeakyRelu(slope), Self::Identity),
            other => (End::Sum, other),
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
    fn apply(values: &mut [f32], activation: Activation) {
        // A match outside of the loop, so that each loop is one that the compiler can do in wide registers.
        match activation {
            Activation::Identity => {}
            Activation::Relu => values.iter_mut().for_each(|x| *x = Activation::Relu.apply(*x)),
            Activation::LeakyRelu(slope) => {
                values.iter_mut().for_each(|x| *x = Activation::LeakyRelu(slope).apply(*x));
            }
            Activation::Sigmoid => values.iter_mut().for_each(|x| *x = Activation::Sigmoid.apply(*x)),
            Activation::Tanh => values.iter_mut().for_each(|x| *x = Activation::Tanh.apply(*x)),
        }
    }

    /// Takes a gradient back through an activation.
    fn gate(gradient: &[f32], output: &[f32], activation: Activation, target: &mut [f32]) {
        let gated = target.iter_mut().zip(gradient).zip(output);
        match activation {
            Activation::Relu => {
                gated.for_each(|((t, &g), &y)| *t = if y > 0.0 { g } else { 0.0 });
            }
            Activation::LeakyRelu(slope) => {
                gated.for_each(|((t, &g), &y)| *t = if y > 0.0 { g } else { g * slope });
            }
            Activation::Sigmoid => gated.for_each(|((t, &g), &y)| *t = g * (y * (1.0 - y))),
            Activation::Tanh => gated.for_each(|((t, &g), &y)| *t = g * (1.0 - y * y)),
            Activation::Identity => target.copy_from_slice(gradient),
        }
    }
}

/// A tensor as a kernel reads it: plain values, or a gradient taken back through an activation on the fly.
#[derive(Clone, Copy)]
pub(crate) struct Signal<'a> {
    values: &'a [f32],
    gate: Option<(&'a [f32], Activation)>,
}

impl<'a> Signal<'a> {
    /// Plain values.
    pub(crate) fn plain(values: &'a [f32]) -> Self {
        Self { values, gate: None }
    }

    /// A gradient with respect to `output = activation(x)`, read as the gradient with respect to `x`.
    pub(crate) fn gated(gradient: &'a [f32], output: &'a [f32], activation: Activation) -> Self {
        assert_eq!(gradient.len(), output.len(), "a gradient has as many elements as its output");
        let gate = (activation != Activation::Identity).then_some((output, activation));
        Self { values: gradient, gate }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The elements from `start` on, `length` of them.
    pub(crate) fn part(&self, start: usize, length: usize) -> Self {
        Self {
            values: &self.values[start..start + length],
            gate: self.gate.map(|(output, activation)| (&output[start..start + length], activation)),
        }
    }

    /// All elements, where possible without a copy; else written to `buffer`.
    pub(crate) fn read<'b>(&self, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        if self.gate.is_none() {
            return self.values;
        }
        buffer.resize(buffer.len().max(self.len()), 0.0);
        let target = &mut buffer[..self.values.len()];
        self.write_to(target);
        target
    }

    /// Writes all elements to `target`, which must be as long.
    #[inline]
    pub(crate) fn write_to(&self, target: &mut [f32]) {
        match self.gate {
            None => target.copy_from_slice(self.values),
            Some((output, activation)) => gate(self.values, output, activation, target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_is_not_hidden() {
        let all = [Activation::Relu, Activation::LeakyRelu(0.2), Activation::Sigmoid, Activation::Tanh];
        for activation in all {
            let mut values = [f32::NAN; 9];
            activation.apply_all(&mut values);
            assert!(values.iter().all(|value| value.is_nan()), "{activation:?}");
        }
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let all = [
            Activation::Identity,
            Activation::Relu,
            Activation::LeakyRelu(0.2),
            Activation::Sigmoid,
            Activation::Tanh,
        ];
        for activation in all {
            for x in [-1.5_f32, -0.3, 0.4, 2.0] {
                let difference = (activation.apply(x + 1e-2) - activation.apply(x - 1e-2)) / 2e-2;
                let derivative = activation.derivative(activation.apply(x));
                assert!((difference - derivative).abs() < 1e-3, "{activation:?} at {x}");
                let mut gradient = [0.0];
                Signal::gated(&[3.0], &[activation.apply(x)], activation).write_to(&mut gradient);
                assert!((gradient[0] - 3.0 * derivative).abs() < 1e-6, "{activation:?} at {x}");
            }
        }
    }
}
