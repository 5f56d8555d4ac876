//! The machine, as everything that computes here sees it.

use std::num::NonZero;
use std::thread::available_parallelism;

use aberra_kernels::{InstructionSet, OperandPrecision, peak_gflops};
use aberra_models::network::Precision;
use serde::Serialize;

use crate::Result;
use crate::compute::instructions;

/// What this machine computes with, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineCard {
    /// The instruction set of the kernels.
    pub instructions: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// What the precision `auto` means here.
    pub auto_precision: String,
    /// Why.
    pub why: String,
    /// The peak of one core in matrix products of `f32`, 10^9 operations a second.
    pub f32_gflops: f64,
    /// The same of bfloat16, rounded in software where there are no instructions for it.
    pub bf16_gflops: f64,
}

impl MachineCard {
    /// Describes this machine; the peaks are measured, in some milliseconds.
    ///
    /// # Errors
    /// The environment names an instruction set that cannot be used.
    pub fn measure() -> Result<Self> {
        let set = instructions()?;
        Ok(Self {
            instructions: set.name().to_owned(),
            cores: available_parallelism().map_or(1, NonZero::get),
            auto_precision: Precision::Auto.resolved(set).name().to_owned(),
            why: why(set, set.has_fast_bf16()).to_owned(),
            f32_gflops: peak_gflops(OperandPrecision::F32),
            bf16_gflops: peak_gflops(OperandPrecision::Bf16),
        })
    }
}

fn why(set: InstructionSet, is_fast: bool) -> &'static str {
    match (set, is_fast) {
        (_, true) => "processors of this maker multiply bfloat16 at full rate",
        (InstructionSet::Avx512Bf16, false) => {
            "processors of this maker are not known to multiply bfloat16 faster than f32"
        }
        _ => "the instruction set has no products of bfloat16",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described_by_what_it_computes_with() {
        let card = MachineCard::measure().unwrap();
        assert_eq!(card.instructions, InstructionSet::chosen().name());
        assert!(card.cores > 0 && card.f32_gflops > 0.1 && card.bf16_gflops > 0.1, "{card:?}");
        assert_eq!(card.auto_precision == "bf16", card.why.ends_with("at full rate"), "{card:?}");
        assert!(why(InstructionSet::Avx512Bf16, false).contains("not known"));
        assert!(why(InstructionSet::Avx2, false).contains("has no products"));
    }
}
