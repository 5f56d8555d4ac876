//! Training: settings in layers, a run folder where one is wanted, and what a user should know of the data.

use std::path::PathBuf;

use aberra::dataset::{DominatingGroup, Fold, Grouping, Split};
use aberra::job::{Event, Job};
use aberra::run::{Claim, RunFolder};
use aberra::{Error, SettingsLayer, SettingsOrigin, TrainConfig, TrainOptions, compute};
use pyo3::prelude::*;

use crate::dataset::{Opening, inspect};
use crate::detector::Detector;
use crate::job::{Line, run};
use crate::said::Said;

/// What is trained on, and how.
#[derive(FromPyObject)]
pub(crate) struct Request {
    #[pyo3(item)]
    data: Opening,
    /// Texts of TOML files, each laid over those before.
    #[pyo3(item)]
    settings: Vec<String>,
    #[pyo3(item)]
    out: Option<PathBuf>,
    #[pyo3(item)]
    resume: bool,
    #[pyo3(item)]
    overwrite: bool,
    #[pyo3(item)]
    split: Option<PathBuf>,
    /// Counted from 0, and of how many.
    #[pyo3(item)]
    fold: Option<(usize, usize)>,
}

/// The JSON Schema of the settings.
#[pyfunction]
pub(crate) fn settings_schema() -> String {
    TrainConfig::json_schema().to_string()
}

/// Trains a detector; with it comes what the user should know.
#[pyfunction]
pub(crate) fn train(
    py: Python<'_>,
    request: Request,
    progress: Option<Bound<'_, PyAny>>,
    threads: Option<usize>,
) -> PyResult<(Detector, Said)> {
    let (detector, said) = run(py, progress.as_ref(), threads, move |line| train_on(&request, line))?;
    Ok((Detector::new(detector), said))
}

fn train_on(request: &Request, line: &mut Line) -> aberra::Result<(aberra::Detector, Said)> {
    let mut said = Said::default();
    let config = settings(request)?.resolved(compute::instructions()?)?;
    let claim = match (request.resume, request.overwrite) {
        (true, _) => Claim::Resume,
        (_, true) => Claim::Replace,
        _ => Claim::New,
    };
    let reservation = request.out.as_deref().map(|out| RunFolder::reserve(out, claim)).transpose()?;
    if let Some(reservation) = &reservation {
        reservation.refuse_data_within(&request.data.path)?;
    }
    let dataset = request.data.open()?;
    let inspection = inspect(&dataset, &config.limits, line, &mut said)?;
    said.warn(inspection.check_normals(&dataset)?.lines());
    let kept = request.out.as_deref().filter(|_| request.resume).map(|out| RunFolder::at(out).split());
    let split = match request.split.clone().or(kept) {
        Some(file) => Split::read(&file, &dataset, &inspection)?,
        None => {
            let grouping = Grouping::of(&dataset, &inspection, config.split.by)?;
            said.warn(
                grouping
                    .dominating()
                    .map(|group| format!("{}; {}", group.text(&dataset), DominatingGroup::HINT)),
            );
            match request.fold {
                Some((index, of)) => Split::fold(
                    &dataset,
                    &inspection,
                    &grouping,
                    &config.split_settings(),
                    Fold { index, of },
                )?,
                None => Split::of(&dataset, &inspection, &grouping, &config.split_settings())?,
            }
        }
    };
    let aside = split.left_aside(&dataset);
    if aside.is_much {
        let (images, reasons) = (aside.images, aside.reasons.join("; "));
        said.warn([format!("{images} of {} images are left aside: {reasons}", dataset.samples.len())]);
    }
    let folder = reservation.map(|reservation| reservation.open()).transpose()?;
    if folder.is_some() {
        line.keeps();
    }
    let mut watch = |event: Event<'_>| {
        said.warn(note(&event));
        line.event(&event)
    };
    let options = TrainOptions {
        split: Some(&split),
        inspection: Some(&inspection),
        job: Job { folder: folder.as_ref(), resume: request.resume, ..Job::watched(&mut watch) },
    };
    let trained = match aberra::Detector::train_with(&dataset, &config, options) {
        Ok(trained) => trained,
        Err(error) => {
            folder.into_iter().for_each(RunFolder::give_back);
            return Err(error);
        }
    };
    let Some(folder) = folder else { return Ok((aberra::Detector::from_bytes(&trained.to_bytes()?)?, said)) };
    trained.save(&folder.detector())?;
    Ok((aberra::Detector::load(&folder.detector())?, said))
}

/// What a user should know of an event.
fn note(event: &Event<'_>) -> Option<String> {
    match event {
        Event::NotKept { error } => Some(format!("a record was not written: {error}")),
        Event::VolumesNotCalibrated { error } => {
            Some(format!("the detector gives volumes scores, but no verdicts: {error}"))
        }
        Event::Longer { before, is_as_at_once: false } => Some(format!(
            "a training that had ended after {before} epochs goes on; one of all epochs at once would differ"
        )),
        _ => None,
    }
}

/// Settings of the run that is resumed, of the environment, and those given.
fn settings(request: &Request) -> aberra::Result<aberra::CheckedConfig> {
    let mut layers = Vec::new();
    let before = request.out.as_deref().filter(|_| request.resume).map(|out| RunFolder::at(out).settings());
    if let Some(file) = before.filter(|file| file.is_file()) {
        let text = std::fs::read_to_string(&file).map_err(|error| Error::io(&file, &error))?;
        layers.push(SettingsLayer {
            table: TrainConfig::parse_layer(&text)?,
            origin: Some(SettingsOrigin::File(file)),
        });
    }
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    layers.extend(TrainConfig::environment_layers(variables)?);
    for text in &request.settings {
        layers.push(TrainConfig::parse_layer(text)?.into());
    }
    TrainConfig::from_sources(&layers)
}
