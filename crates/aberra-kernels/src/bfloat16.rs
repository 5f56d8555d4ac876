//! bfloat16, the upper 16 bits of an `f32`: rounding, and pairs of bfloat16 packed into 32 bits.

/// Two bfloat16 that are adjacent along the depth, as the dot-product instructions expect them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(transparent)]
pub(crate) struct Pair(u32);

impl Pair {
    /// Rounds both values to bfloat16.
    #[inline(always)]
    pub(crate) fn new([first, second]: [f32; 2]) -> Self {
        Self(rounded(first).to_bits() >> 16 | rounded(second).to_bits())
    }

    /// The packed bits, with the first value in the lower half.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Both values, in order.
    #[inline(always)]
    pub(crate) fn parts(self) -> [f32; 2] {
        [f32::from_bits(self.0 << 16), f32::from_bits(self.0 & 0xffff_0000)]
    }
}

/// Rounds to the nearest bfloat16, ties to even. NaN stays NaN.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> f32 {
    let bits = value.to_bits();
    let is_nan = bits & 0x7fff_ffff > 0x7f80_0000;
    // Half a unit in the last place that is kept, minus one unless the kept part is odd: ties go to even.
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    f32::from_bits(if is_nan { bits | 0x0040_0000 } else { nearest } & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_the_nearest_and_ties_to_even() {
        // 8 significant bits: between 1 and 2 they are 1/128 apart.
        for (value, expected) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
            (-1.0 - 1.1 / 256.0, -1.0 - 2.0 / 256.0),
            (0.0, 0.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!(rounded(value).to_bits(), f32::to_bits(expected), "{value}");
        }
        // A NaN whose payload would be truncated away, and one that would overflow into a number.
        for bits in [0x7f80_0001, 0x7fff_ffff, 0xffff_ffff] {
            assert!(rounded(f32::from_bits(bits)).is_nan());
        }
    }

    #[test]
    fn a_pair_holds_both() {
        assert_eq!(Pair::new([1.5, -2.25]).parts(), [1.5, -2.25]);
        assert_eq!(Pair::new([f32::NEG_INFINITY, 1.0 + 1.0 / 512.0]).parts(), [f32::NEG_INFINITY, 1.0]);
        assert_eq!(Pair::default().parts(), [0.0, 0.0]);
    }
}
