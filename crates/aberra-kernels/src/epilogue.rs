//! What a product does to its sums in registers before it stores them.

use crate::activation::Activation;

/// What becomes of a sum before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// Nothing.
    Sum,
    /// 0 where it is negative.
    Relu,
    /// Multiplied by the slope where it is not positive.
    LeakyRelu(f32),
}

impl End {
    /// What a product does to its sums before it stores them, and what is left to do to the output.
    pub(crate) fn split(activation: Activation) -> (Self, Activation) {
        match activation {
            Activation::Relu => (Self::Relu, Activation::Identity),
            Activation::LeakyRelu(slope) => (Self::LeakyRelu(slope), Activation::Identity),
            other => (Self::Sum, other),
        }
    }

    /// The same to some sums at once.
    #[inline(always)]
    pub(crate) fn apply<const N: usize>(self, sums: &mut [f32; N]) {
        match self {
            Self::Sum => {}
            Self::Relu => {
                for sum in sums {
                    *sum = Activation::Relu.apply(*sum);
                }
            }
            Self::LeakyRelu(slope) => {
                for sum in sums {
                    *sum = Activation::LeakyRelu(slope).apply(*sum);
                }
            }
        }
    }
}
