//! Gathers a report with progress on standard error.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aberra::Detector;
use aberra::evaluate::{EvaluateProgress, Evaluation};
use aberra::report::{Report, ReportOptions, RunFolder};

use super::run_folder::name_of;
use crate::data;
use crate::error::CommandError;
use crate::progress::Counter;

/// Gathers a report with progress on standard error.
pub(crate) fn make(
    detector: &Detector,
    path: &Path,
    data: &Path,
    normal: &[String],
    evaluation: &Evaluation,
    run: RunFolder<'_>,
    others: &[(String, Detector)],
) -> Result<Report, CommandError> {
    let dataset = data::list(data, normal)?;
    let mut counter = None;
    let mut observe = |EvaluateProgress { done, of }| {
        counter.get_or_insert_with(|| Counter::new("drawing the images", of)).set(done);
        ControlFlow::Continue(())
    };
    let options = ReportOptions {
        name: &name_of(path),
        run,
        compare: others,
        made_at_secs: SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
        observe: Some(&mut observe),
    };
    let report = detector.report(&dataset, evaluation, options)?;
    if let Some(counter) = counter {
        counter.finish();
    }
    Ok(report)
}
