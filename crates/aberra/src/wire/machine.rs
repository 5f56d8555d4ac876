//! The machine, as everything that computes here sees it.

use std::num::NonZero;
use std::thread::available_parallelism;

use aberra_kernels::{OperandPrecision, Processor, peak_gflops};
use serde::Serialize;

use crate::Result;
use crate::compute::{AutoPrecision, Reason, instructions};

/// What this machine computes with, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineCard {
    /// The instruction set of the kernels.
    pub instructions: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor by maker, family and model.
    pub processor: String,
    /// What the precision `auto` means here.
    pub auto_precision: String,
    /// What decided it: `table` (what is known of the processor or its instructions), `measurement` (taken once, kept in a
    /// folder for caches) or `default` (nothing is known, and a measurement cannot be kept).
    pub chosen_by: String,
    /// Why.
    pub why: String,
    /// When the measurement that decided it was taken, in seconds since 1970.
    pub measured_at_secs: Option<u64>,
    /// What was wrong with the cache of measurements.
    pub remark: Option<String>,
    /// The peak of one core in matrix products of `f32`, 10^9 operations a second, measured now.
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
        let (set, auto) = (instructions()?, AutoPrecision::of_machine()?);
        let (chosen_by, measured_at_secs) = match &auto.reason {
            Reason::Known(_) => ("table", None),
            Reason::Measured(measurement) => ("measurement", Some(measurement.measured_at_secs)),
            Reason::NotKept => ("default", None),
        };
        Ok(Self {
            instructions: set.name().to_owned(),
            cores: available_parallelism().map_or(1, NonZero::get),
            processor: Processor::this().to_string(),
            auto_precision: auto.precision.name().to_owned(),
            chosen_by: chosen_by.to_owned(),
            why: auto.reason.to_string(),
            measured_at_secs,
            remark: auto.remark.clone(),
            f32_gflops: peak_gflops(OperandPrecision::F32),
            bf16_gflops: peak_gflops(OperandPrecision::Bf16),
        })
    }
}

#[cfg(test)]
mod tests {
    use aberra_kernels::InstructionSet;

    use super::*;

    #[test]
    fn the_machine_is_described_by_what_it_computes_with() {
        let card = MachineCard::measure().unwrap();
        assert_eq!(card.instructions, InstructionSet::chosen().name());
        assert!(card.cores > 0 && card.f32_gflops > 0.1 && card.bf16_gflops > 0.1, "{card:?}");
        assert_eq!(card.measured_at_secs.is_some(), card.chosen_by == "measurement", "{card:?}");
        assert!(["f32", "bf16"].contains(&&*card.auto_precision) && !card.why.is_empty(), "{card:?}");
    }
}
