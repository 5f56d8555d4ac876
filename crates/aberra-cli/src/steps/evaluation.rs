//! Evaluates a detector with progress on standard error, and writes the results.

use std::fs;
use std::path::Path;

use aberra::Detector;
use aberra::dataset::{GroupBy, Split};
use aberra::evaluate::{EvaluateOptions, Evaluation, ImageOutcome};
use aberra::job::{Event, Job};
use aberra::output::make_folder;

use crate::args::NormalArgs;
use crate::error::{CommandError, ExitStatus};
use crate::progress::ImagesProgress;
use crate::{data, output};

/// Evaluates a detector on a data set.
pub(crate) fn measure(
    detector: &Detector,
    path: &Path,
    how: &NormalArgs,
    split: Option<&Path>,
    masks: bool,
) -> Result<Evaluation, CommandError> {
    let how = &data::as_judged(how, detector);
    let dataset = data::open(path, how)?;
    if dataset.counts().0 == 0 {
        output::warning(
            "there are no normal images: neither ranking nor false alarms can be measured, only how many anomalies are found",
        );
    }
    let split = match split {
        None => None,
        Some(file) => {
            let inspection = data::inspect(&dataset, &detector.config().limits)?;
            Some(Split::read(file, &dataset, &inspection)?)
        }
    };
    let mut progress = ImagesProgress::new("scoring the images");
    let mut watch = |event: Event<'_>| progress.watch(event);
    let options = EvaluateOptions {
        split: split.as_ref(),
        // Slices of volumes that are registered to one template are alike: what kept them apart in training does so here.
        by: if how.volumes { detector.config().split.by } else { GroupBy::Near },
        masks,
        job: Job::watched(&mut watch),
        ..EvaluateOptions::default()
    };
    let evaluation = detector.evaluate_with(&dataset, options);
    progress.finish();
    Ok(evaluation?)
}

/// Warns about each image that could not be used, and returns the exit code.
pub(crate) fn report_unusable(evaluation: &Evaluation) -> ExitStatus {
    let mut status = ExitStatus::Done;
    for row in &evaluation.images {
        if let ImageOutcome::Unusable(reason) = &row.outcome {
            output::warning(&format!("skipped {}: {reason}", row.name));
            status = ExitStatus::SomeFailed;
        }
    }
    status
}

/// What is written of an evaluation.
pub(crate) const FILES: [&str; 3] = ["evaluation.json", "scores.csv", "volumes.csv"];

/// Writes `evaluation.json`, `scores.csv` and, of data that are taken apart by volume, `volumes.csv` to a folder.
pub(crate) fn write(evaluation: &Evaluation, folder: &Path) -> Result<(), CommandError> {
    let [whole, scores, volumes] = FILES.map(|name| folder.join(name));
    make_folder(folder)?;
    evaluation.save(&whole)?;
    aberra::output::write(&scores, evaluation.scores_csv().as_bytes())?;
    let of_volumes = evaluation.volumes_csv();
    match &of_volumes {
        Some(rows) => aberra::output::write(&volumes, rows.as_bytes())?,
        // Beside the others it would pass for a part of them.
        None if volumes.is_file() => {
            fs::remove_file(&volumes).map_err(|error| CommandError::at(&volumes, error))?;
            output::note("removed volumes.csv, which an earlier evaluation had written");
        }
        None => {}
    }
    let wrote = if of_volumes.is_some() {
        "evaluation.json, scores.csv and volumes.csv"
    } else {
        "evaluation.json and scores.csv"
    };
    output::note(&format!("wrote {wrote} to {}", folder.display()));
    Ok(())
}
