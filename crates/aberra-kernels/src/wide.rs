//! Element-wise loops, compiled a second time for the wide registers that most x86-64 processors have.

/// Defines functions whose bodies are compiled for AVX2 too, and run that way where the processor has it. The bits of
/// the results are the same either way: the compiler neither reorders nor fuses arithmetic.
macro_rules! wide {
    ($($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$meta])*
        $visibility fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($argument: $kind),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) $(-> $result)? {
                    plain($($argument),*)
                }
                use $crate::instructions::InstructionSet;
                if InstructionSet::chosen() != InstructionSet::Portable {
                    // SAFETY: an instruction set is chosen only where the processor has it, and all but the portable one
                    // contain AVX2.
                    #[allow(unsafe_code, reason = "SIMD instructions")]
                    return unsafe { avx2($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    )*};
}

pub(crate) use wide;
