//! The binary `aberra`: the program with its allocator.

use std::process::ExitCode;

/// It gives memory back to the system soon after its last use: a server that has decoded large images is small again. Few
/// arenas and a short decay, which `.cargo/config.toml` sets where it is built, halve the peak of a server under attack.
#[cfg(all(target_os = "linux", feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    aberra_cli::main_with(std::env::args_os()).into()
}
