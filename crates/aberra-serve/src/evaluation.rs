//! Background evaluation: while the server handles requests, each detector is evaluated on the operator's data, and the
//! data of its report is kept as JSON, with where its images lie.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use aberra::dataset::{Dataset, GroupBy, OpenOptions, Sample, Split};
use aberra::evaluate::{EvaluateOptions, Evaluation};
use aberra::explain::{NearNormal, find_normals};
use aberra::job::{Event, Job};
use aberra::report::{PictureFormat, ReportOptions, RunSource};
use aberra::{Part, Result};

use crate::detectors::{Evaluated, EvaluatedImage, EvaluationState, KnownNormals, ServedDetector};
use crate::state::ServerState;

/// The data on which detectors are evaluated.
#[derive(Clone, Debug, Default)]
pub struct EvaluationSource {
    /// A folder with one subfolder per class, or a manifest.
    pub data: PathBuf,
    /// Class folders that are normal; if empty, a usual name is looked for.
    pub normal: Vec<String>,
    /// Take every page of a file as an image of its own.
    pub pages: bool,
    /// Take volumes apart into their slices, and judge them as a whole; the default for a detector that is calibrated on volumes.
    pub volumes: bool,
    /// Take files named `case_0000`, `case_0001` as the channels of one image; the default for a detector of such channels.
    pub cases: bool,
    /// A split of the data: only its test part is evaluated.
    pub split: Option<PathBuf>,
    /// A saved evaluation on the data, used instead of a new one.
    pub evaluation: Option<PathBuf>,
    /// For each detector, the run folder in which its training history and snapshots may lie.
    pub runs: Vec<PathBuf>,
}

/// Starts a thread that evaluates every detector on `data`, one after another. It stops when the server shuts down.
pub(crate) fn start(shared: &ServerState, data: EvaluationSource) -> std::io::Result<()> {
    for served in shared.detectors.iter() {
        served.set_evaluation(EvaluationState::Running { done: 0, of: 0 });
    }
    let shared = shared.clone();
    thread::Builder::new().name("evaluation".to_owned()).spawn(move || {
        for (index, served) in shared.detectors.iter().enumerate() {
            let run = data.runs.get(index).map(PathBuf::as_path);
            let evaluated = match evaluate(&shared, served, &data, run) {
                Ok(evaluated) => EvaluationState::Done(evaluated),
                Err(error) => {
                    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                    tracing::warn!(detector = served.name, "the evaluation failed: {error}{hint}");
                    EvaluationState::Failed(format!("{error}{hint}"))
                }
            };
            served.set_evaluation(evaluated);
            tracing::info!(detector = served.name, "evaluated");
        }
    })?;
    Ok(())
}

fn evaluate(
    shared: &ServerState,
    served: &Arc<ServedDetector>,
    data: &EvaluationSource,
    run: Option<&Path>,
) -> Result<Evaluated> {
    let detector = &served.detector;
    let dataset = Dataset::open(
        &data.data,
        &OpenOptions { normal: data.normal.clone(), cases: data.cases || detector.takes_cases() },
    )?;
    let limits = &detector.config().limits;
    // A detector that judges volumes is evaluated on volumes.
    let by_volume = data.volumes || (!data.pages && detector.volume_calibration().is_some());
    let (dataset, by) = match () {
        () if by_volume => (dataset.by_volume(limits), detector.config().split.by),
        () if data.pages => (dataset.by_page(limits), GroupBy::Near),
        () => (dataset, GroupBy::Near),
    };
    for note in &dataset.notes {
        tracing::warn!(detector = served.name, "{}: {note}", data.data.display());
    }
    for files in &dataset.skipped.unsupported {
        tracing::warn!(detector = served.name, "{}: passed over {files}", data.data.display());
    }
    served.set_known_normals(known_normals(served, &dataset));
    let mut past = 0;
    let mut watch = |event: Event<'_>| {
        if let Event::Images { done, of } = event {
            // Every image is processed twice: scored, then drawn for the report.
            served.set_evaluation(EvaluationState::Running { done: past + done, of: 2 * of });
            if done == of {
                past = of;
            }
        }
        if shared.is_ready() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let evaluation = match &data.evaluation {
        Some(file) => Evaluation::load(file)?,
        None => {
            let split = match &data.split {
                Some(file) => Some(Split::read(file, &dataset, &dataset.inspect(&detector.config().limits))?),
                None => None,
            };
            let options = EvaluateOptions {
                split: split.as_ref(),
                by,
                job: Job::watched(&mut watch),
                ..EvaluateOptions::default()
            };
            detector.evaluate_with(&dataset, options)?
        }
    };
    let options = ReportOptions {
        name: &served.name,
        run: run.map_or(RunSource::None, RunSource::Perhaps),
        job: Job::watched(&mut watch),
        ..ReportOptions::default()
    };
    let report = detector.report(&dataset, &evaluation, options)?;
    for warning in &report.data().warnings {
        tracing::warn!(detector = served.name, "{}: {warning}", data.data.display());
    }
    // Serialising to memory can fail only for maps with keys that are not strings; there are none.
    let json = serde_json::to_vec(report.data()).unwrap_or_default().into();
    Ok(Evaluated {
        json,
        images: images(&dataset, report.data().images.iter().map(|image| image.name.as_str())),
    })
}

/// A data set's images with these names.
fn images<'a>(dataset: &Dataset, names: impl Iterator<Item = &'a str>) -> Arc<[Option<EvaluatedImage>]> {
    let named: BTreeMap<&str, &Sample> =
        dataset.samples.iter().map(|sample| (sample.name.as_str(), sample)).collect();
    names.map(|name| EvaluatedImage::of(named.get(name)?)).collect()
}

/// Names and thumbnails of the training normals that are found in a data set.
fn known_normals(served: &ServedDetector, dataset: &Dataset) -> KnownNormals {
    let detector = &served.detector;
    let train = detector.normals().iter().enumerate().filter(|(_, normal)| normal.part == Part::Train);
    let wanted: Vec<NearNormal> = train.map(|(normal, _)| NearNormal { normal, distance: 0.0 }).collect();
    let files: Vec<PathBuf> = dataset.samples.iter().map(|sample| sample.path.clone()).collect();
    let format = PictureFormat::of_thumbnails(detector);
    let known = find_normals(detector, &wanted, &files).into_iter().map(|found| {
        let name = found.path.and_then(|path| {
            dataset.samples.iter().find(|sample| sample.path == path).map(|sample| sample.name.clone())
        });
        let picture = found.thumbnail.and_then(|pixels| format.picture(&pixels).ok());
        (found.normal, (name, picture))
    });
    known.collect()
}
