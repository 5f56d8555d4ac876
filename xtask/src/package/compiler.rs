//! The compiler of `cargo xtask package`: cargo starts this program in place of rustc, and it starts rustc.
//!
//! What it adds makes two builds equal. LLVM puts the memory that it promotes out of a loop into an order that hangs on addresses,
//! and these on the timing of the compiler's threads. It shows in one crate, in the loops of `fast_image_resize` that are compiled
//! with it: that crate goes without, and has the promotion when the whole program is linked.

use std::path::Path;
use std::process::{Command, ExitCode};

/// The crate that is compiled without promotion.
const CRATE: &str = "aberra_image";

/// Whether this program was started as a compiler: its first argument is then the path of rustc.
pub(crate) fn is_rustc(word: &str) -> bool {
    Path::new(word).file_stem().is_some_and(|stem| stem == "rustc")
}

/// Runs `rustc` with the arguments that cargo gives.
pub(crate) fn compile(rustc: &str, arguments: &[&str]) -> ExitCode {
    let mut command = Command::new(rustc);
    command.args(arguments).args(added(arguments));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {rustc}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What rustc is given besides.
fn added(arguments: &[&str]) -> Option<&'static str> {
    let is_of_crate = arguments.windows(2).any(|pair| pair == ["--crate-name", CRATE]);
    is_of_crate.then_some("-Cllvm-args=-disable-licm-promotion")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_crate_of_the_workspace_goes_without_promotion() {
        let arguments = |name| ["--crate-name", name, "--edition=2024"];
        assert!(added(&arguments("aberra_image")).is_some());
        assert!(added(&arguments("aberra")).is_none() && added(&["-vV"]).is_none());
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        assert!(crates.join(CRATE.replace('_', "-")).is_dir());
        assert!(is_rustc("/toolchain/bin/rustc") && is_rustc("rustc.exe") && !is_rustc("package"));
    }
}
