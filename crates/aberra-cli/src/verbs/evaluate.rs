//! `aberra evaluate`: what a detector is worth on labelled images that it has not seen.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::dataset::{GroupBy, Split};
use aberra::evaluate::{EvaluateOptions, EvaluateProgress, Evaluation, Outcome as ImageOutcome};
use clap::Args;

use crate::args::{DetectorArgs, JsonArgs, NormalArgs};
use crate::failure::{Failure, Outcome, Status};
use crate::progress::Counter;
use crate::{data, output};

const EXAMPLES: &str = "\
Examples:
  aberra evaluate runs/first/detector.aberra photos/ --normal good --split runs/first/split.json
  aberra evaluate runs/first/detector.aberra other-photos/ --out evaluation/

Images that the detector was made from are recognised by content and left out. --out writes evaluation.json and
scores.csv.";

/// Evaluate a detector on labelled images: metrics with intervals.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// A folder of images by class, or a manifest (.csv, .jsonl).
    data: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    /// A split.json of the data, of which only the test part is evaluated.
    #[arg(long, value_name = "FILE.json")]
    split: Option<PathBuf>,
    /// Write evaluation.json and scores.csv to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave masks aside, and with them the pixel metrics.
    #[arg(long)]
    no_masks: bool,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &EvaluateArgs) -> Outcome {
    let detector = Detector::load(&args.detector.detector)?;
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).map_err(|error| Failure::at(folder, error))?;
    }
    let evaluation =
        measure(&detector, &args.data, &args.normal.normal, args.split.as_deref(), !args.no_masks)?;
    let status = report_unusable(&evaluation);
    if let Some(folder) = &args.out {
        write(&evaluation, folder)?;
    }
    let text = if args.json.json { evaluation.to_json() } else { evaluation.to_string() };
    output::data(text.trim_end())?;
    Ok(status)
}

/// Evaluates with progress on standard error.
pub(crate) fn measure(
    detector: &Detector,
    path: &Path,
    normal: &[String],
    split: Option<&Path>,
    masks: bool,
) -> Result<Evaluation, Failure> {
    let dataset = data::open(path, normal)?;
    let split = match split {
        None => None,
        Some(file) => {
            let inspection = data::inspect(&dataset, &detector.config().limits)?;
            Some(Split::read(file, &dataset, &inspection)?)
        }
    };
    let mut counter = None;
    let mut observe = |EvaluateProgress { done, of }| {
        counter.get_or_insert_with(|| Counter::new("scoring the images", of)).set(done);
        ControlFlow::Continue(())
    };
    let options = EvaluateOptions {
        split: split.as_ref(),
        by: GroupBy::Near,
        masks,
        observe: Some(&mut observe),
        ..EvaluateOptions::default()
    };
    let evaluation = detector.evaluate_with(&dataset, options)?;
    if let Some(counter) = counter {
        counter.finish();
    }
    Ok(evaluation)
}

/// Names the images that could not be used.
pub(crate) fn report_unusable(evaluation: &Evaluation) -> Status {
    let mut status = Status::Done;
    for row in &evaluation.images {
        if let ImageOutcome::Unusable(reason) = &row.outcome {
            output::warning(&format!("skipped {}: {reason}", row.name));
            status = Status::SomeFailed;
        }
    }
    status
}

/// Writes `evaluation.json` and `scores.csv`.
pub(crate) fn write(evaluation: &Evaluation, folder: &Path) -> Result<(), Failure> {
    evaluation.save(&folder.join("evaluation.json"))?;
    output::write_whole(&folder.join("scores.csv"), evaluation.scores_csv().as_bytes())?;
    output::note(&format!("wrote evaluation.json and scores.csv to {}", folder.display()));
    Ok(())
}
