//! The program `aberra`: parses arguments, calls the library and prints the results. It holds no maths.

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
mod sources;
mod steps;
mod usage;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
use crate::error::{CommandError, CommandResult, ExitStatus};

/// It gives memory back to the system soon after its last use: a server that has decoded large images is small again. Few
/// arenas and a short decay, which `.cargo/config.toml` sets where it is built, halve the peak of a server under attack.
#[cfg(all(target_os = "linux", feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            if let Some(error) = usage::wrong_value(&answer) {
                return output::report(error).into();
            }
            // Help and version go to standard output, usage errors to standard error. A closed pipe is no error.
            let _ = answer.print();
            return if answer.use_stderr() { ExitStatus::NothingDone } else { ExitStatus::Done }.into();
        }
    };
    match run(cli) {
        Ok(status) => status,
        Err(error) => output::report(error),
    }
    .into()
}

fn run(cli: Cli) -> CommandResult {
    if let Some(threads) = cli.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads.get()));
        pool.build_global()
            .map_err(|error| CommandError::new(format!("cannot start {threads} threads: {error}")))?;
    }
    // Of every verb: a name that is not known would have no effect, and nobody would notice.
    settings::environment()?;
    match cli.verb {
        Verb::Doctor(args) => verbs::doctor::run(&args),
        Verb::Train(args) => verbs::train::run(&args),
        Verb::Calibrate(args) => verbs::calibrate::run(&args),
        Verb::Score(args) => verbs::score::run(&args),
        Verb::Evaluate(args) => verbs::evaluate::run(&args),
        Verb::Explain(args) => verbs::explain::run(&args),
        Verb::Report(args) => verbs::report::run(&args),
        Verb::Bench(args) => verbs::bench::run(&args),
        Verb::Serve(args) => verbs::serve::run(&args),
        Verb::Demo(args) => verbs::demo::run(&args),
        Verb::Info(args) => verbs::info::run(&args),
    }
}
