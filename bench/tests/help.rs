//! The measurements, as the program lists them. With this test, `cargo test` builds the program, which `cargo xtask test`
//! then turns on the server.

use std::process::Command;

#[test]
fn help_lists_the_measurements() {
    let output = Command::new(env!("CARGO_BIN_EXE_aberra-bench")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for measurement in ["backbone", "choose", "detect", "look", "promise", "speed", "step"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(measurement)), "{measurement}: {help}");
    }
}
