//! What a detector is fitted and run with: the one place where the device is chosen and the environment is asked for an
//! instruction set.

use aberra_kernels::InstructionSet;
use aberra_metrics::{Error, Result};
use burn::tensor::Device;

/// The processor, as Burn's device.
pub fn cpu() -> Device {
    Device::flex()
}

/// What a device is called in a detector's provenance.
pub(crate) const CPU: &str = "cpu";

/// The instructions that the kernels use.
///
/// # Errors
/// The environment variable `ABERRA_KERNELS` asks for instructions that the processor lacks.
pub fn instructions() -> Result<InstructionSet> {
    InstructionSet::chosen().map_err(|error| {
        Error::settings(error.to_string()).with_hint("unset it to use the widest that the processor has")
    })
}
