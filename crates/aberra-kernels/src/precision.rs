//! The precision of product operands.

/// The precision to which operands of products are rounded. Accumulators, weights, activations and all else stay `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperandPrecision {
    /// Single precision, 24 significant bits: no rounding.
    #[default]
    F32,
    /// bfloat16, 8 significant bits, rounded to nearest, ties to even. Processors with AVX512_BF16 use its dot
    /// products; others round in software, at the speed of [`F32`](Self::F32) or slightly below. Results agree up to
    /// the order of summation.
    Bf16,
}
