//! Element-wise loops, compiled for AVX2 in addition to the target's baseline instructions.

/// Defines functions whose bodies are compiled for AVX2, too, and dispatched at run time. Results are bit-identical
/// either way: the compiler neither reorders nor fuses floating-point arithmetic.
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
                    // SAFETY: only an instruction set that the processor supports is chosen, and on x86-64 all but the
                    // portable one include AVX2.
                    #[allow(unsafe_code, reason = "SIMD instructions")]
                    return unsafe { avx2($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    )*};
}

pub(crate) use wide;
