//! Creates a report with a progress bar.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aberra::Detector;
use aberra::evaluate::Evaluation;
use aberra::job::{Event, Job};
use aberra::report::{Report, ReportOptions, RunSource};

use super::card::name_of;
use crate::args::NormalArgs;
use crate::data;
use crate::error::CommandError;
use crate::progress::ImagesProgress;

/// Creates the report of a detector and its evaluation.
pub(crate) fn make(
    detector: &Detector,
    path: &Path,
    data: &Path,
    how: &NormalArgs,
    evaluation: &Evaluation,
    run: RunSource<'_>,
    others: &[(String, Detector)],
) -> Result<Report, CommandError> {
    let dataset = data::list(data, &data::as_judged(how, detector))?;
    let mut progress = ImagesProgress::new("drawing the images");
    let mut watch = |event: Event<'_>| progress.watch(event);
    let options = ReportOptions {
        name: &name_of(path),
        run,
        compare: others,
        made_at_secs: SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
        job: Job::watched(&mut watch),
    };
    let report = detector.report(&dataset, evaluation, options);
    progress.finish();
    Ok(report?)
}
