//! Which processor this is, and what is known of how fast it multiplies bfloat16: a table of families.

use std::fmt;
use std::ops::RangeInclusive;

use crate::instructions::InstructionSet;

/// A processor as `cpuid` describes it: the same on every run of one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// Its maker, as `cpuid` spells it; empty where that instruction does not exist.
    pub maker: String,
    /// Its family, with the extended one.
    pub family: u8,
    /// Its model, with the extended one.
    pub model: u8,
    /// Its stepping.
    pub stepping: u8,
}

/// What is known of products of bfloat16 on a processor, without measuring them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBf16 {
    /// Whether they are faster than those of `f32`.
    pub is_faster: bool,
    /// Why.
    pub why: &'static str,
}

/// What is known of a family of processors that have AVX512_BF16.
struct Known {
    maker: &'static str,
    family: u8,
    models: RangeInclusive<u8>,
    bf16: KnownBf16,
}

/// To have the instructions is not enough. Those that are missing here are measured: an entry needs a measurement of one of its
/// processors, or the maker's manual.
const KNOWN: [Known; 3] = [
    Known {
        maker: "AuthenticAMD",
        family: 0x19,
        models: 0..=u8::MAX,
        bf16: KnownBf16 { is_faster: true, why: "Zen 4 multiplies bfloat16 at full rate" },
    },
    Known {
        maker: "AuthenticAMD",
        family: 0x1a,
        models: 0..=u8::MAX,
        bf16: KnownBf16 { is_faster: true, why: "Zen 5 multiplies bfloat16 at full rate" },
    },
    Known {
        maker: "GenuineIntel",
        family: 6,
        models: 0xcf..=0xcf,
        bf16: KnownBf16 {
            is_faster: false,
            why: "Emerald Rapids multiplies bfloat16 more slowly than f32, unless by AMX, which stable Rust lacks",
        },
    },
];

const NO_INSTRUCTIONS: KnownBf16 =
    KnownBf16 { is_faster: false, why: "the instruction set has no products of bfloat16" };

impl Processor {
    /// The one that runs this.
    pub fn this() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let cpuid = raw_cpuid::CpuId::new();
            let maker = cpuid.get_vendor_info().map(|vendor| vendor.as_str().to_owned()).unwrap_or_default();
            let version = cpuid.get_feature_info();
            let number = |of: fn(&raw_cpuid::FeatureInfo) -> u8| version.as_ref().map_or(0, of);
            Self {
                maker,
                family: number(raw_cpuid::FeatureInfo::family_id),
                model: number(raw_cpuid::FeatureInfo::model_id),
                stepping: number(raw_cpuid::FeatureInfo::stepping_id),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::default()
    }

    /// What is known of products of bfloat16 with these instructions on this processor; `None` where only a measurement tells.
    pub fn known_bf16(&self, instructions: InstructionSet) -> Option<KnownBf16> {
        if instructions != InstructionSet::Avx512Bf16 {
            return Some(NO_INSTRUCTIONS);
        }
        let is_this = |known: &&Known| {
            (known.maker, known.family) == (self.maker.as_str(), self.family)
                && known.models.contains(&self.model)
        };
        KNOWN.iter().find(is_this).map(|known| known.bf16)
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maker, family, model, stepping } = self;
        match maker.as_str() {
            "" if cfg!(target_arch = "aarch64") => f.write_str("aarch64"),
            "" => f.write_str("unknown"),
            maker => write!(f, "{maker} family {family} model {model} stepping {stepping}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(maker: &str, family: u8, model: u8) -> Option<bool> {
        let processor = Processor { maker: maker.to_owned(), family, model, stepping: 0 };
        processor.known_bf16(InstructionSet::Avx512Bf16).map(|bf16| bf16.is_faster)
    }

    #[test]
    fn families_are_known_by_maker_family_and_model() {
        assert_eq!(known("AuthenticAMD", 0x19, 0x11), Some(true));
        assert_eq!(known("AuthenticAMD", 0x1a, 0x02), Some(true));
        assert_eq!(known("GenuineIntel", 6, 0xcf), Some(false));
        // Others with the instructions are measured.
        assert_eq!(
            [known("GenuineIntel", 6, 0xad), known("AuthenticAMD", 0x1b, 0), known("", 0, 0)],
            [None; 3]
        );
    }

    #[test]
    fn without_its_instructions_bf16_is_never_faster() {
        let zen_4 = Processor { maker: "AuthenticAMD".to_owned(), family: 0x19, model: 0x11, stepping: 1 };
        for set in InstructionSet::ALL.into_iter().filter(|&set| set != InstructionSet::Avx512Bf16) {
            assert_eq!(zen_4.known_bf16(set), Some(NO_INSTRUCTIONS), "{set:?}");
        }
    }

    /// The kernel reads the same instruction by other code.
    #[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
    #[test]
    fn this_processor_is_the_one_that_the_kernel_names() {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let field = |name: &str| {
            let is_it = |line: &&str| line.split(':').next().is_some_and(|key| key.trim() == name);
            text.lines().find(is_it).and_then(|line| Some(line.split_once(':')?.1.trim())).unwrap()
        };
        let [maker, family, model, stepping] = ["vendor_id", "cpu family", "model", "stepping"].map(field);
        assert_eq!(
            Processor::this().to_string(),
            format!("{maker} family {family} model {model} stepping {stepping}")
        );
    }
}
