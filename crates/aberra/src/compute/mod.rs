//! Device, instruction set and precision of fitting and inference: the one place where the device is chosen and the
//! environment is read for an instruction set.

mod auto;

use std::sync::OnceLock;

use aberra_kernels::UnusableInstructionSet;
use aberra_metrics::{Error, Result};

pub use self::auto::{AutoPrecision, MeasuredPeaks, Reason};
pub use aberra_kernels::InstructionSet;
pub use burn::tensor::Device;

/// The processor, as Burn's device.
pub fn cpu() -> Device {
    Device::flex()
}

/// The name of a device in a detector's provenance.
pub(crate) const CPU: &str = "cpu";

/// The environment variable that names an instruction set in place of the widest.
const VARIABLE: &str = "ABERRA_KERNELS";

/// The instruction set that the kernels use: the one that the environment variable `ABERRA_KERNELS` names, or the widest
/// that the processor has. The first call settles it for the process. Loading and fitting a detector begin with it; a
/// program that computes with `aberra-models` directly calls it first.
///
/// # Errors
/// The variable names no instruction set, or one that the processor lacks, or another one is in use already.
pub fn instructions() -> Result<InstructionSet> {
    static SELECTED: OnceLock<Result<InstructionSet, String>> = OnceLock::new();
    let selected = SELECTED.get_or_init(|| match std::env::var_os(VARIABLE) {
        None => Ok(InstructionSet::chosen()),
        Some(name) => select_named(&name.to_string_lossy())
            .map_err(|error| error.message(&format!("in the environment variable {VARIABLE}"))),
    });
    selected.clone().map_err(|message| {
        Error::settings(message).with_hint("unset it to use the widest that the processor has")
    })
}

fn select_named(name: &str) -> Result<InstructionSet, UnusableInstructionSet> {
    let set = InstructionSet::named(name)?;
    aberra_kernels::select(set)?;
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Output};

    /// Runs `what_is_asked_for_is_in_use` in a process of its own.
    fn ask_for(name: &str) -> Output {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "compute::tests::what_is_asked_for_is_in_use", "--nocapture"])
            .env(VARIABLE, name)
            .output()
            .unwrap()
    }

    #[test]
    fn what_is_asked_for_is_in_use() {
        let selected = instructions().unwrap_or_else(|error| panic!("{error}; {:?}", error.hint()));
        assert_eq!(selected, InstructionSet::chosen());
        if let Ok(asked) = std::env::var(VARIABLE) {
            assert_eq!(selected.name(), asked);
        }
    }

    #[test]
    fn every_instruction_set_is_chosen_or_refused() {
        for set in InstructionSet::ALL {
            let output = ask_for(set.name());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), set.is_available(), "{said}");
            assert!(set.is_available() || said.contains("this processor lacks"), "{said}");
        }
        let output = ask_for("sse9");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains("in the environment variable ABERRA_KERNELS, found `sse9`"), "{said}");
        assert!(said.contains("unset it to use the widest that the processor has"), "{said}");
    }
}
