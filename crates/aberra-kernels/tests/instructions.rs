//! An instruction set is selected once, before the first computation, or rejected.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, unreachable_pub, reason = "shared by several test programs")]
mod reference;

use aberra_kernels::{ActivationFunction, InstructionSet, OperandPrecision, linear, select};
use burn::tensor::{Device, Tensor};
use reference::{asked, run_with};

#[test]
fn computes_as_asked() {
    // Selects what other tests of this process use, too.
    let set = asked().unwrap_or_else(InstructionSet::widest);
    select(set).unwrap();
    let ones = Tensor::<2>::ones([3, 3], &Device::flex());
    let product = linear(ones.clone(), ones, None, ActivationFunction::Identity, OperandPrecision::F32);
    assert_eq!(product.into_data().try_to_vec::<f32>().unwrap(), [3.0; 9]);
    assert_eq!(InstructionSet::chosen(), set);
    select(set).unwrap();
    for other in InstructionSet::ALL.into_iter().filter(|other| *other != set && other.is_available()) {
        let message = select(other).unwrap_err().to_string();
        let expected = format!(
            "expected {}, which the kernels of this process use already, found `{}`",
            set.name(),
            other.name()
        );
        assert_eq!(message, expected);
        assert_eq!(InstructionSet::chosen(), set);
    }
}

#[test]
fn every_instruction_set_is_selected_or_refused() {
    for set in InstructionSet::ALL {
        if set.is_available() {
            let output = run_with(set, &["--exact", "computes_as_asked"]);
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", set.name());
        } else {
            assert!(select(set).unwrap_err().to_string().contains("this processor lacks"));
        }
    }
    let refused = InstructionSet::named("sse9").unwrap_err();
    assert!(refused.message("in SET").ends_with(" in SET, found `sse9`"), "{refused}");
}
