//! Which of the processor's instruction sets the kernels use: the widest that it has, or the one that the environment
//! variable `ABERRA_KERNELS` names, so that every path can be tested on one machine.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that names an instruction set in place of the widest.
const VARIABLE: &str = "ABERRA_KERNELS";

/// Instructions that kernels are written for, from the narrowest to the widest. Results differ between them in the last
/// bits, because the portable version rounds a product before it adds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust, for any processor.
    Portable,
    /// AVX2 and FMA, of x86-64.
    Avx2,
    /// NEON, of aarch64.
    Neon,
    /// AVX-512F beside AVX2 and FMA, of x86-64.
    Avx512,
    /// AVX512_BF16 beside those, of x86-64: products of bfloat16.
    Avx512Bf16,
}

impl InstructionSet {
    /// All of them, from the narrowest to the widest.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Neon, Self::Avx512, Self::Avx512Bf16];

    /// The name that `ABERRA_KERNELS` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.is_available() && std::arch::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => {
                Self::Avx512.is_available() && std::arch::is_x86_feature_detected!("avx512bf16")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Bf16 => false,
            Self::Neon => cfg!(target_arch = "aarch64"),
        }
    }

    /// Whether it multiplies bfloat16 faster than `f32`.
    pub fn has_bf16(self) -> bool {
        self == Self::Avx512Bf16
    }

    /// What the kernels of this process use. It is settled when first asked for, and stays. A program asks before it
    /// computes anything, to refuse a wish that the processor cannot grant.
    ///
    /// # Errors
    /// If `ABERRA_KERNELS` names no instruction set, or one that the processor lacks.
    pub fn chosen() -> Result<Self, UnusableInstructionSet> {
        choice().clone()
    }

    /// As [`chosen`](Self::chosen), for kernels, which have no way to return an error.
    ///
    /// # Panics
    /// With the error that `chosen` returns.
    #[inline]
    pub(crate) fn current() -> Self {
        match choice() {
            Ok(set) => *set,
            Err(error) => panic!("{error}"),
        }
    }

    fn widest() -> Self {
        Self::ALL.into_iter().rev().find(|set| set.is_available()).unwrap_or(Self::Portable)
    }

    fn named(name: &str) -> Result<Self, UnusableInstructionSet> {
        let found = Self::ALL.into_iter().find(|set| set.name() == name);
        found
            .filter(|set| set.is_available())
            .ok_or_else(|| UnusableInstructionSet { name: name.to_owned(), is_known: found.is_some() })
    }
}

#[inline]
fn choice() -> &'static Result<InstructionSet, UnusableInstructionSet> {
    static CHOICE: OnceLock<Result<InstructionSet, UnusableInstructionSet>> = OnceLock::new();
    CHOICE.get_or_init(|| match std::env::var_os(VARIABLE) {
        None => Ok(InstructionSet::widest()),
        Some(name) => InstructionSet::named(&name.to_string_lossy()),
    })
}

/// `ABERRA_KERNELS` asks for what cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableInstructionSet {
    name: String,
    is_known: bool,
}

impl fmt::Display for UnusableInstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let available: Vec<&str> = InstructionSet::ALL
            .into_iter()
            .filter(|set| set.is_available())
            .map(InstructionSet::name)
            .collect();
        let what = if self.is_known { "this processor lacks" } else { "found" };
        write!(
            f,
            "expected one of {} in the environment variable {VARIABLE}, {what} `{}`",
            available.join(", "),
            self.name
        )
    }
}

impl std::error::Error for UnusableInstructionSet {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for set in InstructionSet::ALL {
            assert_eq!(InstructionSet::named(set.name()).is_ok(), set.is_available());
        }
        assert!(InstructionSet::widest().is_available());
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        let message = InstructionSet::named("sse9").unwrap_err().to_string();
        assert!(message.starts_with("expected one of portable"), "{message}");
        assert!(message.ends_with("in the environment variable ABERRA_KERNELS, found `sse9`"), "{message}");
        assert!(InstructionSet::named("").is_err());
    }
}
