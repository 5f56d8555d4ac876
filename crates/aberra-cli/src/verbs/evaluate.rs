//! `aberra evaluate`: metrics of a detector on labelled images that it has not seen.

use std::path::PathBuf;

use aberra::Detector;
use aberra::output::check_folder;
use aberra::run::refuse_in_use;
use clap::Args;

use crate::args::{DetectorArgs, JsonArgs, NormalArgs};
use crate::error::CommandResult;
use crate::steps::evaluation::{FILES, measure, report_unusable, write};
use crate::{interrupt, output};

const EXAMPLES: &str = "\
Examples:
  aberra evaluate runs/first/detector.aberra photos/ --normal good \\
      --split runs/first/split.json
  aberra evaluate runs/first/detector.aberra other-photos/ --out evaluation/

Images that the detector was trained or calibrated on are recognised by content and excluded. --out writes \
evaluation.json and scores.csv, and with --volumes volumes.csv.";

/// Evaluates a detector on labelled images: metrics with confidence intervals.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Folder with one subfolder per class, or manifest (.csv, .jsonl).
    data: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    /// Split of the data (split.json), of which only the test part is evaluated.
    #[arg(long, value_name = "FILE.json")]
    split: Option<PathBuf>,
    /// Write evaluation.json and scores.csv (of volumes also volumes.csv) to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Ignore masks, and with them the pixel metrics.
    #[arg(long)]
    no_masks: bool,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &EvaluateArgs) -> CommandResult {
    let detector = Detector::load(&args.detector.detector)?;
    if let Some(folder) = &args.out {
        check_folder(folder)?;
        refuse_in_use(folder)?;
        if folder.is_dir() {
            for file in FILES.map(|name| folder.join(name)) {
                output::target(&file, &[&args.detector.detector])?;
            }
        }
    }
    interrupt::listen();
    let evaluation = measure(&detector, &args.data, &args.normal, args.split.as_deref(), !args.no_masks)?;
    let status = report_unusable(&evaluation);
    let written = args.out.as_ref().map_or(Ok(()), |folder| write(&evaluation, folder));
    let text = if args.json.json { evaluation.to_json() } else { evaluation.to_string() };
    output::data(text.trim_end())?;
    written?;
    Ok(status)
}
