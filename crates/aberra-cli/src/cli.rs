//! The top level of the command line: global options and the list of verbs.

use std::num::NonZeroU16;

use clap::{Parser, Subcommand};

use crate::verbs::{
    bench, calibrate, completions, demo, doctor, evaluate, explain, export, import, info, merge, report,
    score, serve, train,
};

const EXAMPLES: &str = "\
Examples:
  aberra demo
  aberra doctor photos/
  aberra train photos/ --normal good --out runs/first
  aberra score runs/first/detector.aberra new/
  aberra report runs/first/detector.aberra photos/ --out report.html
  aberra bench photos/ --normal good --families vae,autoencoder --out runs/bench
  aberra serve runs/first/detector.aberra --open
  aberra info runs/first/detector.aberra

Exit status: 0 success; 1 error, nothing done; 2 some images (or cells of a bench) failed; 3 an image is anomalous \
(score --fail-on-anomaly); 130 interrupted by Ctrl-C. Data is printed to standard output, everything else to \
standard error.";

/// Detects anomalies in images after learning from normal images alone.
#[derive(Parser)]
#[command(name = "aberra", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Number of compute threads [default: one per core]. Results do not depend on it.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<NonZeroU16>,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    Doctor(doctor::DoctorArgs),
    Train(Box<train::TrainArgs>),
    Import(import::ImportArgs),
    Calibrate(calibrate::CalibrateArgs),
    Score(score::ScoreArgs),
    Merge(merge::MergeArgs),
    Evaluate(evaluate::EvaluateArgs),
    Explain(explain::ExplainArgs),
    Report(Box<report::ReportArgs>),
    Export(export::ExportArgs),
    Bench(Box<bench::BenchArgs>),
    Serve(Box<serve::ServeArgs>),
    Info(info::InfoArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
}
