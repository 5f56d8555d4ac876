//! Evaluates a detector with progress on standard error, and writes what came out.

use std::ops::ControlFlow;
use std::path::Path;

use aberra::Detector;
use aberra::dataset::{GroupBy, Split};
use aberra::evaluate::{EvaluateOptions, EvaluateProgress, Evaluation};

use crate::error::{CommandError, ExitStatus};
use crate::progress::Counter;
use crate::{data, output};

/// Evaluates with progress on standard error.
pub(crate) fn measure(
    detector: &Detector,
    path: &Path,
    normal: &[String],
    split: Option<&Path>,
    masks: bool,
) -> Result<Evaluation, CommandError> {
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
pub(crate) fn report_unusable(evaluation: &Evaluation) -> ExitStatus {
    let mut status = ExitStatus::Done;
    for row in &evaluation.images {
        if let aberra::evaluate::Outcome::Unusable(reason) = &row.outcome {
            output::warning(&format!("skipped {}: {reason}", row.name));
            status = ExitStatus::SomeFailed;
        }
    }
    status
}

/// Writes `evaluation.json` and `scores.csv`.
pub(crate) fn write(evaluation: &Evaluation, folder: &Path) -> Result<(), CommandError> {
    evaluation.save(&folder.join("evaluation.json"))?;
    output::write_whole(&folder.join("scores.csv"), evaluation.scores_csv().as_bytes())?;
    output::note(&format!("wrote evaluation.json and scores.csv to {}", folder.display()));
    Ok(())
}
