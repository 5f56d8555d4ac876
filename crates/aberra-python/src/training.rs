//! Training: settings in layers, a run folder where one is wanted, and what a user should know of the data.

use std::path::PathBuf;

use aberra::dataset::{Dataset, Fold, Inspection};
use aberra::image::Limits;
use aberra::job::Event;
use aberra::run::Claim;
use aberra::{Message, SettingsLayer, TrainConfig, Training, TrainingImages, TrainingRequest};
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
    let training = TrainingRequest {
        out: request.out.clone(),
        claim: match (request.resume, request.overwrite) {
            (true, _) => Claim::Resume,
            (_, true) => Claim::Replace,
            _ => Claim::New,
        },
        split: request.split.clone(),
        fold: request.fold.map(|(index, of)| Fold { index, of }),
    };
    let config = settings(&training, &request.settings)?;
    let mut data = Heard { opening: &request.data, line, said: &mut said };
    let training = Training::prepare(&training, &config, &mut data)?;
    if request.out.is_some() {
        line.keeps();
    }
    let mut watch = |event: Event<'_>| {
        said.warn(note(&event));
        line.event(&event)
    };
    let trained = training.run(&mut watch)?;
    Ok((trained.detector, said))
}

/// The images of a training, of which is kept what a user should know.
struct Heard<'a> {
    opening: &'a Opening,
    line: &'a Line,
    said: &'a mut Said,
}

impl TrainingImages for Heard<'_> {
    fn open(&mut self) -> aberra::Result<Dataset> {
        self.opening.open()
    }

    fn inspect(&mut self, dataset: &Dataset, limits: &Limits) -> aberra::Result<Inspection> {
        inspect(dataset, limits, self.line, self.said)
    }

    fn hear(&mut self, message: Message) {
        match message {
            // A table for a terminal; the run folder has it as split.json.
            Message::Split(_) | Message::Note(_) => {}
            Message::Warning { text, hint: None } => self.said.warn([text]),
            Message::Warning { text, hint: Some(hint) } => self.said.warn([format!("{text}; {hint}")]),
        }
    }
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
        Event::Colors(found) => found.hint().map(|hint| format!("{}; {hint}", found.text())),
        _ => None,
    }
}

/// Settings of the run that is resumed, of the environment, and those given.
fn settings(training: &TrainingRequest, given: &[String]) -> aberra::Result<aberra::CheckedConfig> {
    let kept = training.kept_settings().map(|file| SettingsLayer::read(&file)).transpose()?;
    let mut layers: Vec<SettingsLayer> = kept.into_iter().collect();
    layers.extend(SettingsLayer::environment()?);
    for text in given {
        layers.push(TrainConfig::parse_layer(text)?.into());
    }
    TrainConfig::from_sources(&layers)
}
