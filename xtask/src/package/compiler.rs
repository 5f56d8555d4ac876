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
    command.args(arguments);
    if arguments.windows(2).any(|pair| pair == ["--crate-name", CRATE]) {
        command.arg("-Cllvm-args=-disable-licm-promotion");
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {rustc}: {error}");
            ExitCode::FAILURE
        }
    }
}
