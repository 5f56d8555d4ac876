//! The program `aberra`: parses arguments, calls the library and prints the results. It holds no maths.
//!
//! It is a library so that the Python package holds the same program; everything else runs the binary `aberra`.

mod args;
mod choices;
mod cli;
mod data;
mod error;
mod inline;
mod interrupt;
mod output;
mod progress;
mod row_keys;
mod rows;
mod settings;
mod shard;
mod sources;
mod steps;
mod usage;
mod verbs;

use std::ffi::OsString;

use aberra::SettingsLayer;
use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Verb};
use crate::error::{CommandError, CommandResult, ExitStatus};

/// Runs the program with its arguments, of which the first is its name, and returns the exit status.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            if let Some(error) = usage::wrong_value(&answer) {
                return output::report(error) as u8;
            }
            // Help and version go to standard output, usage errors to standard error. A closed pipe is no error.
            let _ = answer.print();
            return if answer.use_stderr() { ExitStatus::NothingDone } else { ExitStatus::Done } as u8;
        }
    };
    run(cli).unwrap_or_else(output::report) as u8
}

fn run(cli: Cli) -> CommandResult {
    if let Some(threads) = cli.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads.get()));
        pool.build_global()
            .map_err(|error| CommandError::new(format!("cannot start {threads} threads: {error}")))?;
    }
    // Of every verb: a name that is not known would have no effect, and nobody would notice.
    SettingsLayer::environment()?;
    match cli.verb {
        Verb::Doctor(args) => verbs::doctor::run(&args),
        Verb::Train(args) => verbs::train::run(&args),
        Verb::Import(args) => verbs::import::run(&args),
        Verb::Calibrate(args) => verbs::calibrate::run(&args),
        Verb::Score(args) => verbs::score::run(&args),
        Verb::Merge(args) => verbs::merge::run(&args),
        Verb::Evaluate(args) => verbs::evaluate::run(&args),
        Verb::Explain(args) => verbs::explain::run(&args),
        Verb::Report(args) => verbs::report::run(&args),
        Verb::Export(args) => verbs::export::run(&args),
        Verb::Bench(args) => verbs::bench::run(&args),
        Verb::Serve(args) => verbs::serve::run(&args),
        Verb::Completions(args) => verbs::completions::run(&args, Cli::command()),
        Verb::Demo(args) => verbs::demo::run(&args),
        Verb::Info(args) => verbs::info::run(&args),
    }
}
