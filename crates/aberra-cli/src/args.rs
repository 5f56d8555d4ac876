//! Verbs and the arguments they share.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::verbs::{calibrate, demo, doctor, evaluate, explain, info, report, score, serve, train};

const EXAMPLES: &str = "\
Examples:
  aberra demo
  aberra doctor photos/
  aberra train photos/ --normal good --out runs/first
  aberra score runs/first/detector.aberra new/
  aberra report runs/first/detector.aberra photos/ --out report.html
  aberra serve runs/first/detector.aberra --open
  aberra info runs/first/detector.aberra

Exit status: 0 done; 1 nothing done, or wrong use; 2 some images failed; 3 an image is anomalous (score
--fail-on-anomaly); 130 stopped by Ctrl-C. Data goes to standard output, everything else to standard error.";

/// Learns what normal looks like from normal images, and says of every new image how abnormal it is.
#[derive(Parser)]
#[command(name = "aberra", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Threads to compute with [default: one per core]. Results do not depend on it.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<NonZeroU16>,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    Doctor(doctor::DoctorArgs),
    Train(Box<train::TrainArgs>),
    Calibrate(calibrate::CalibrateArgs),
    Score(score::ScoreArgs),
    Evaluate(evaluate::EvaluateArgs),
    Explain(explain::ExplainArgs),
    Report(Box<report::ReportArgs>),
    Serve(Box<serve::ServeArgs>),
    Info(info::InfoArgs),
    Demo(demo::DemoArgs),
}

/// Which class folders are normal.
#[derive(Args, Default)]
pub(crate) struct NormalArgs {
    /// A class folder that is normal; may be given several times. Left out, a usual name such as `good`, `normal` or
    /// `notumor` is taken. `*` takes every image as normal.
    #[arg(long, value_name = "CLASS")]
    pub(crate) normal: Vec<String>,
}

/// How data is printed.
#[derive(Args, Clone, Copy)]
pub(crate) struct JsonArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A detector file.
#[derive(Args)]
pub(crate) struct DetectorArgs {
    /// The detector file.
    #[arg(value_name = "DETECTOR")]
    pub(crate) detector: PathBuf,
}
