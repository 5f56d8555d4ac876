//! Kernel inputs: plain values, or gradients that pass backwards through an activation while they are read.

use crate::activation::{ActivationFunction, gate};

/// A tensor as a kernel reads it: plain values, or a gradient to which the backward pass of an activation is applied
/// lazily.
#[derive(Clone, Copy)]
pub(crate) struct Signal<'a> {
    values: &'a [f32],
    gate: Option<(&'a [f32], ActivationFunction)>,
}

impl<'a> Signal<'a> {
    /// Plain values.
    pub(crate) fn plain(values: &'a [f32]) -> Self {
        Self { values, gate: None }
    }

    /// A gradient with respect to `output = activation(x)`, read as the gradient with respect to `x`.
    pub(crate) fn gated(gradient: &'a [f32], output: &'a [f32], activation: ActivationFunction) -> Self {
        assert_eq!(gradient.len(), output.len(), "a gradient has as many elements as its output");
        let gate = (activation != ActivationFunction::Identity).then_some((output, activation));
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

    /// All elements; borrowed where possible, else written to `buffer`.
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

    /// Writes all elements to `target`, which must have the same length.
    #[inline]
    pub(crate) fn write_to(&self, target: &mut [f32]) {
        match self.gate {
            None => target.copy_from_slice(self.values),
            Some((output, activation)) => gate(self.values, output, activation, target),
        }
    }
}
