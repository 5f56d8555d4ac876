//! The epilogue of a matrix product: the activation that is applied to accumulators in registers before they are
//! stored.

use crate::activation::ActivationFunction;

/// The function applied to an accumulator before it is stored. The bias is the accumulator's initial value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Epilogue {
    /// The accumulator unchanged.
    Identity,
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu(f32),
    /// `min(max(x, 0), 6)`; NaN stays NaN.
    Relu6,
}

impl Epilogue {
    /// Splits an activation into an epilogue and what remains to be applied to the stored output: functions with an
    /// exponential are not worth the registers.
    pub(crate) fn split(activation: ActivationFunction) -> (Self, ActivationFunction) {
        match activation {
            ActivationFunction::Relu => (Self::Relu, ActivationFunction::Identity),
            ActivationFunction::LeakyRelu(slope) => (Self::LeakyRelu(slope), ActivationFunction::Identity),
            ActivationFunction::Relu6 => (Self::Relu6, ActivationFunction::Identity),
            other => (Self::Identity, other),
        }
    }

    /// Applies the epilogue to some accumulators.
    #[inline(always)]
    pub(crate) fn apply<const N: usize>(self, sums: &mut [f32; N]) {
        match self {
            Self::Identity => {}
            Self::Relu => {
                for sum in sums {
                    *sum = ActivationFunction::Relu.apply(*sum);
                }
            }
            Self::LeakyRelu(slope) => {
                for sum in sums {
                    *sum = ActivationFunction::LeakyRelu(slope).apply(*sum);
                }
            }
            Self::Relu6 => {
                for sum in sums {
                    *sum = ActivationFunction::Relu6.apply(*sum);
                }
            }
        }
    }
}
