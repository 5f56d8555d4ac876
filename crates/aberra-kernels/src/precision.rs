//! With how many bits products are formed.

/// What the operands of a product are rounded to. Sums, weights, activations and everything else stay `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nothing: single precision, 24 significant bits.
    #[default]
    F32,
    /// bfloat16, 8 significant bits: to the nearest, ties to even. In wide registers where the processor has AVX512_BF16,
    /// in software elsewhere, at the speed of [`F32`](Self::F32) or a little below; results agree up to the order of
    /// summation.
    Bf16,
}
