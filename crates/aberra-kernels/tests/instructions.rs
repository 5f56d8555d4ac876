//! The environment variable `ABERRA_KERNELS` chooses the instruction set, or is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use aberra_kernels::{Activation, InstructionSet, Precision, linear};
use burn::tensor::{Device, Tensor};
use std::process::{Command, Output};

/// Runs `computes_as_asked` in a process of its own.
fn ask_for(name: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "computes_as_asked", "--nocapture"])
        .env("ABERRA_KERNELS", name)
        .output()
        .unwrap()
}

#[test]
fn computes_as_asked() {
    let ones = Tensor::<2>::ones([3, 3], &Device::flex());
    let product = linear(ones.clone(), ones, None, Activation::Identity, Precision::F32);
    assert_eq!(product.into_data().try_to_vec::<f32>().unwrap(), [3.0; 9]);
    let chosen = InstructionSet::chosen().unwrap();
    assert!(chosen.is_available());
    if let Ok(asked) = std::env::var("ABERRA_KERNELS") {
        assert_eq!(chosen.name(), asked);
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
    let said = ask_for("sse9");
    assert!(!said.status.success());
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("in the environment variable ABERRA_KERNELS, found `sse9`"), "{said}");
}
