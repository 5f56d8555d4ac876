//! `aberra calibrate`: another threshold for a detector, without training again.

use std::path::PathBuf;

use aberra::Detector;
use aberra::calibrate::Criterion;
use clap::Args;

use super::info;
use crate::args::{DetectorArgs, JsonArgs};
use crate::failure::{Failure, Outcome, Status};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  aberra calibrate runs/first/detector.aberra --rate 0.01
  aberra calibrate runs/first/detector.aberra --rate 0.05 --confidence 0.9 --out strict.aberra
  aberra calibrate runs/first/detector.aberra --percentile 70";

/// Move a detector's threshold, from its own calibration scores.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("criterion").required(true).multiple(false).args(["rate", "percentile", "threshold"]))]
pub(crate) struct CalibrateArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Wanted false-alarm rate, such as 0.05: the promise is kept from normals only.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Hold the rate with this confidence, such as 0.9, instead of on average.
    #[arg(long, value_name = "C", requires = "rate", allow_negative_numbers = true)]
    confidence: Option<f64>,
    /// A percentile of the normals' scores, 0 to 100; promises nothing.
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    percentile: Option<f64>,
    /// A threshold by hand, in the units of the score; promises nothing.
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Write the detector here instead of replacing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &CalibrateArgs) -> Outcome {
    let criterion = criterion(args)?;
    criterion.check()?;
    let path = &args.detector.detector;
    let before = Detector::load(path)?;
    let after = before.calibrate(None, criterion)?;
    let out = args.out.as_ref().unwrap_or(path);
    after.save(out)?;
    let after = Detector::load(out)?;
    if args.json.json {
        output::json(&info::describe(out, &after)?)?;
    } else {
        let threshold = |detector: &Detector| output::number(detector.calibration().threshold);
        output::data(&output::aligned(&[
            ("threshold", format!("{} (was {})", threshold(&after), threshold(&before))),
            ("promise", after.calibration().promise.to_string()),
            ("detector", out.display().to_string()),
        ]))?;
    }
    Ok(Status::Done)
}

fn criterion(args: &CalibrateArgs) -> Result<Criterion, Failure> {
    match (args.rate, args.percentile, args.threshold) {
        (Some(rate), None, None) => Ok(Criterion::Conformal { rate, confidence: args.confidence }),
        (None, Some(percentile), None) => Ok(Criterion::Percentile { percentile }),
        (None, None, Some(threshold)) => Ok(Criterion::Fixed { threshold }),
        _ => Err(Failure::new("expected one of --rate, --percentile and --threshold")),
    }
}
