//! `cargo xtask test` runs what continuous integration runs; this file reads the command and nothing else.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod command;
mod dependencies;
mod examples;
mod fuzz;
mod package;
mod python;
mod server;
mod suite;
mod tally;
mod tidy;
mod tree;
mod unified;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
Chores of the project.

Usage: cargo xtask <COMMAND>

Commands:
  test    Run every check that continuous integration runs, the cheapest first; nothing is edited
  python  Run only its checks of the Python package: a wheel is built, installed and used
  server  Run only its checks of the server in use: the app in a browser, other programs, a crowd
  fuzz    Fuzz every parser of foreign bytes for a minute each, or one: fuzz [--seconds N] [--seed N] [TARGET]. Repeat an
          input: fuzz TARGET --input FILE. Kill and fail the writing of files at every point: fuzz --kills
  package Build what is released, below target/package/release or in a folder: an archive, the Python wheel, checksums
  tidy    Run only the project's own rules: crate table, circles of modules, unsafe, leftovers (in seconds)
  help    Print this";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let succeeded = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            true
        }
        ["test"] => suite::test(&root()),
        ["python"] => suite::python(&root()),
        ["server"] => suite::server(&root()),
        ["tidy"] => suite::tidy(&root()),
        ["package", rest @ ..] if rest.len() < 2 => {
            let root = root();
            let own = tree::target_folder(&root).join("package").join("release");
            let made = package::package(&root, rest.first().map(PathBuf::from).as_ref().unwrap_or(&own));
            made.map_err(|why| eprintln!("error: {why}")).is_ok()
        }
        ["fuzz", options @ ..] => match fuzz::run(&root(), options) {
            Ok(succeeded) => succeeded,
            Err(why) => {
                eprintln!("error: {why}\n\n{HELP}");
                return ExitCode::from(2);
            }
        },
        [rustc, rest @ ..] if package::compiler::is_rustc(rustc) => {
            return package::compiler::compile(rustc, rest);
        }
        _ => {
            eprintln!("error: expected one command, found `{}`\n\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The repository: the folder above this crate, as cargo gives it; else the folder this was started in.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    here.and_then(|here| here.parent().map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("."))
}
