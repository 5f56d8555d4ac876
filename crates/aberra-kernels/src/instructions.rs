//! The instruction sets that kernels are written for, and which of them this process uses.
//!
//! The choice is made once: by [`select`] before the first computation, or else by the first computation, which takes
//! the widest that the processor supports. Nothing but the processor's features is queried; the environment is not
//! read. AMX is not among them: its intrinsics are not stable in Rust 1.95 (rust-lang/rust#126622).

use std::fmt;
use std::sync::OnceLock;

/// Instruction sets that kernels are written for, from the narrowest to the widest. Results differ between them in the
/// last bits, because the portable version has no fused multiply-add and rounds twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

    /// The name by which users refer to it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// Whether this processor supports it.
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

    /// The widest that this processor supports.
    pub fn widest() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// The instruction set with this [name](Self::name).
    ///
    /// # Errors
    /// No instruction set has this name, or the processor lacks it.
    pub fn named(name: &str) -> Result<Self, UnusableInstructionSet> {
        let unusable = |why| UnusableInstructionSet { name: name.to_owned(), why };
        let found = Self::ALL.into_iter().find(|set| set.name() == name).ok_or(unusable(Why::Unknown))?;
        if found.is_available() { Ok(found) } else { Err(unusable(Why::Unavailable)) }
    }

    /// The instruction set that the kernels of this process use: the one that was [selected](select), else the widest.
    /// It is fixed by the first call, which may be that of a kernel.
    #[inline]
    pub fn chosen() -> Self {
        *CHOSEN.get_or_init(Self::widest)
    }

    /// Those that this processor supports, from the narrowest to the widest.
    fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }
}

static CHOSEN: OnceLock<InstructionSet> = OnceLock::new();

/// Sets the instruction set that the kernels of this process use. Call it once, before the first computation; selecting
/// the one that is in use already has no effect.
///
/// # Errors
/// The processor lacks the instruction set, or another one is in use already.
pub fn select(set: InstructionSet) -> Result<(), UnusableInstructionSet> {
    let set = InstructionSet::named(set.name())?;
    match *CHOSEN.get_or_init(|| set) {
        in_use if in_use == set => Ok(()),
        in_use => Err(UnusableInstructionSet { name: set.name().to_owned(), why: Why::Late { in_use } }),
    }
}

/// The requested instruction set cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableInstructionSet {
    name: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// No instruction set has this name.
    Unknown,
    /// The processor lacks it.
    Unavailable,
    /// The kernels of this process already use another one.
    Late { in_use: InstructionSet },
}

impl UnusableInstructionSet {
    /// The error message with the place of the request, for example `in the environment variable NAME`.
    pub fn message(&self, place: &str) -> String {
        let (space, name) = (if place.is_empty() { "" } else { " " }, &self.name);
        let names: Vec<&str> = InstructionSet::available().map(InstructionSet::name).collect();
        let available = names.join(", ");
        match self.why {
            Why::Unknown => format!("expected one of {available}{space}{place}, found `{name}`"),
            Why::Unavailable => {
                format!("expected one of {available}{space}{place}, this processor lacks `{name}`")
            }
            Why::Late { in_use } => format!(
                "expected {}{space}{place}, which the kernels of this process use already, found `{name}`",
                in_use.name()
            ),
        }
    }
}

impl fmt::Display for UnusableInstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(""))
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
        let refused = InstructionSet::named("sse9").unwrap_err();
        let message = refused.message("in the environment variable SET");
        assert!(message.starts_with("expected one of portable"), "{message}");
        assert!(message.ends_with(" in the environment variable SET, found `sse9`"), "{message}");
        assert!(refused.to_string().ends_with(", found `sse9`"), "{refused}");
        assert!(InstructionSet::named("").is_err());
        for set in InstructionSet::ALL.into_iter().filter(|set| !set.is_available()) {
            let message = select(set).unwrap_err().to_string();
            assert!(message.ends_with(&format!(", this processor lacks `{}`", set.name())), "{message}");
        }
    }
}
