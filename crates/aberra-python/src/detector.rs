//! The detector: loads, saves, scores, calibrates, evaluates, explains, reports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aberra::calibrate::{Criterion, Labelled};
use aberra::dataset::{GroupBy, Split};
use aberra::evaluate::{EvaluateOptions, ImageRow};
use aberra::explain::{find_normals, principal_components, story_png};
use aberra::export::ExportOptions;
use aberra::image::{Limits, RelativeRegion};
use aberra::job::{Event, Job};
use aberra::models::measure::Want;
use aberra::report::{ReportOptions, RunSource};
use aberra::wire::{DetectorCard, Explanation, VerdictCard, VolumesCard};
use aberra::{Detector as Inner, Error, ImportedModel, Result, Verdict};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::dataset::{Opening, inspect};
use crate::error::exception;
use crate::evaluation::Evaluation;
use crate::images::{Picture, bytes, read};
use crate::job::{Line, run};
use crate::said::Said;
use crate::volumes::{self, Volume};

/// A fitted anomaly detector.
#[pyclass(frozen, module = "aberra._aberra")]
pub(crate) struct Detector {
    inner: Arc<Inner>,
}

/// What is known of a scored image.
#[pyclass(frozen, get_all, module = "aberra._aberra")]
pub(crate) struct Scored {
    score: f64,
    p_value: Option<f64>,
    threshold: f64,
    anomalous: bool,
    anomalous_share: Option<f64>,
    width: usize,
    height: usize,
    spacing_mm: Option<(f32, f32)>,
    channel: Option<String>,
    remarks: Vec<String>,
    evidence: Vec<f64>,
    embedding: Vec<f32>,
    /// `height * width` little-endian floats, where a map was asked for and made.
    map: Option<Py<PyByteArray>>,
}

/// Of what a report is, and where it goes.
#[derive(FromPyObject)]
struct ReportRequest {
    #[pyo3(item)]
    data: Opening,
    #[pyo3(item)]
    out: PathBuf,
    #[pyo3(item)]
    name: String,
    #[pyo3(item)]
    run_folder: Option<PathBuf>,
}

/// An image's explanation: JSON, a figure as PNG, and as little-endian floats the network's input and its reconstruction.
type Explained<'py> = (String, Bound<'py, PyBytes>, Bound<'py, PyByteArray>, Option<Bound<'py, PyByteArray>>);

impl Detector {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

#[pymethods]
impl Detector {
    /// Loads a detector file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| Inner::load(&path)).map(Self::new).map_err(|error| exception(py, &error))
    }

    /// Verifies a detector file held in memory.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, file: &[u8]) -> PyResult<Self> {
        py.detach(|| Inner::from_bytes(file)).map(Self::new).map_err(|error| exception(py, &error))
    }

    /// The detector file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.inner.to_bytes()).map_err(|error| exception(py, &error))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes the detector file; returns the content's hash.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<String> {
        py.detach(|| self.inner.save(&path)).map_err(|error| exception(py, &error))
    }

    /// The detector's card as JSON.
    fn card(&self, py: Python<'_>, name: &str) -> PyResult<String> {
        let card = DetectorCard::of(&self.inner, name).map_err(|error| exception(py, &error))?;
        json(py, &card)
    }

    /// The descriptors of the measurements as JSON, in the order of the evidence.
    fn measurements(&self, py: Python<'_>) -> PyResult<String> {
        json(py, &self.inner.descriptors())
    }

    /// Names of the channels of its images, where they are no colours.
    #[getter]
    fn channels(&self) -> Vec<String> {
        self.inner.config().preprocessing.channels.clone()
    }

    /// Embeddings of the normals it was made from, and the part each belongs to: in the embedding space that is shown; none
    /// where there is none.
    fn embeddings(&self) -> Option<(Vec<Vec<f32>>, Vec<String>)> {
        let embeddings = self.inner.normal_embeddings(self.inner.embedding_member()?)?.to_vec();
        let part =
            |normal: &aberra::Normal| serde_json::json!(normal.part).as_str().unwrap_or_default().to_owned();
        Some((embeddings, self.inner.normals().iter().map(part).collect()))
    }

    /// Verdicts on images, one each, in order; an exception in place of one for an image that cannot be used.
    fn score(
        &self,
        py: Python<'_>,
        images: Vec<Picture>,
        maps: bool,
        batch: usize,
        threads: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let detector = self.inner.clone();
        let want = if maps { Want::MAP } else { Want::MEASUREMENTS };
        let judged = run(py, progress.as_ref(), threads, move |line| {
            let of = images.len();
            let mut judged = Vec::with_capacity(of);
            let input = |picture: &Picture| detector.preprocess_owned(read(picture, &detector)?);
            detector.score_each(images.into_iter(), input, batch, want, |_, verdict| {
                judged.push(verdict.and_then(|verdict| Judged::of(&detector, verdict, maps)));
                line.step("scoring the images", judged.len(), of, String::new())
            });
            match judged.len() == of {
                true => Ok(judged),
                false => Err(Error::interrupted("scoring was stopped")),
            }
        })?;
        let object = |judged: Result<Judged>| match judged {
            Ok(judged) => Ok(judged.scored(py)?.into_any()),
            Err(error) => Ok(exception(py, &error).into_value(py).into_any()),
        };
        judged.into_iter().map(object).collect()
    }

    /// Verdicts on the volumes among files, and what was decided about the files.
    fn score_volumes(
        &self,
        py: Python<'_>,
        files: Vec<PathBuf>,
        maps: bool,
        threads: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Vec<Volume>, Said)> {
        let detector = self.inner.clone();
        let work = move |line: &mut Line| volumes::judge(&detector, files, maps, line);
        let (judged, said) = run(py, progress.as_ref(), threads, work)?;
        let judged = judged.into_iter().map(|one| volumes::object(py, one)).collect::<PyResult<_>>()?;
        Ok((judged, said))
    }

    /// The card of the calibration of volumes as JSON; none where there is none.
    fn volumes_card(&self, py: Python<'_>) -> PyResult<Option<String>> {
        self.inner.volume_calibration().map(|volumes| json(py, &VolumesCard::of(volumes))).transpose()
    }

    /// The same detector with a threshold by another criterion, as JSON, from its own calibration scores: of images, or of
    /// volumes.
    fn calibrate(&self, py: Python<'_>, criterion: &str, volumes: bool) -> PyResult<Self> {
        let calibrate = || match volumes {
            true => self.inner.calibrate_volumes(parse(criterion)?),
            false => self.inner.calibrate(None, parse(criterion)?),
        };
        py.detach(calibrate).map(Self::new).map_err(|error| exception(py, &error))
    }

    /// The same detector, which ignores further areas: left, top, width and height of each, as shares of an image's sides. It is to be
    /// calibrated anew.
    fn ignoring(&self, py: Python<'_>, areas: Vec<(f64, f64, f64, f64)>) -> PyResult<Self> {
        let area = |(left, top, width, height)| RelativeRegion { left, top, width, height };
        let areas: Vec<RelativeRegion> = areas.into_iter().map(area).collect();
        self.inner.ignoring(&areas).map(Self::new).map_err(|error| exception(py, &error))
    }

    /// The same on the images of a data set: its normals, or by labelled criteria all; and what the user should know.
    fn calibrate_on(
        &self,
        py: Python<'_>,
        criterion: &str,
        opening: Opening,
        split: Option<PathBuf>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Self, Said)> {
        let criterion = parse(criterion).map_err(|error| exception(py, &error))?;
        let detector = self.inner.clone();
        let (inner, said) = run(py, progress.as_ref(), None, move |line| {
            let mut said = Said::default();
            if criterion.needs_labels() {
                let evaluation = evaluate(&detector, opening, split.as_deref(), false, line, &mut said)?;
                let scored = |row: &ImageRow| Some((row.scored()?.score, !row.label.is_normal()));
                let (scores, anomalous): (Vec<f64>, Vec<bool>) =
                    evaluation.images.iter().filter_map(scored).unzip();
                let labelled = Labelled { scores: &scores, anomalous: &anomalous };
                return Ok((detector.calibrate(Some(labelled), criterion)?, said));
            }
            let opening = opening.for_detector(&detector);
            let dataset = opening.open()?;
            let inspection = inspect(&dataset, &detector.config().limits, line, &mut said)?;
            if opening.volumes {
                let found =
                    detector.recalibrate_volumes(&dataset, &inspection, GroupBy::Near, criterion, None)?;
                if let Some(example) = found.learnt_from.first() {
                    let count = found.learnt_from.len();
                    said.warn([format!(
                        "left out {count} volumes that the detector learnt from (like {example})"
                    )]);
                }
                return Ok((found.detector, said));
            }
            let found = detector.recalibrate(&dataset, &inspection, GroupBy::Near, criterion)?;
            if let Some(&example) = found.learnt_from.first() {
                let (count, name) = (found.learnt_from.len(), &dataset.samples[example].name);
                said.warn([format!("left out {count} images that the detector learnt from, or that are near-duplicates of such (like {name})")]);
            }
            if found.anomalous > 0 {
                said.note([format!("ignored {} anomalous images", found.anomalous)]);
            }
            said.note([format!("calibrated on {} groups of {} normal images", found.groups, found.images)]);
            Ok((found.detector, said))
        })?;
        Ok((Self::new(inner), said))
    }

    /// The detector of a model that PyTorch has trained, calibrated on the normals of a data set, and what the user should know.
    #[staticmethod]
    fn import_pth(
        py: Python<'_>,
        path: PathBuf,
        criterion: &str,
        opening: Opening,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Self, Said)> {
        let criterion = parse(criterion).map_err(|error| exception(py, &error))?;
        let (inner, said) = run(py, progress.as_ref(), None, move |line| {
            let mut said = Said::default();
            let model = ImportedModel::read_pytorch(&path)?;
            let dataset = opening.open()?;
            let inspection = inspect(&dataset, &Limits::default(), line, &mut said)?;
            Ok((model.calibrate(&dataset, &inspection, criterion)?, said))
        })?;
        Ok((Self::new(inner), said))
    }

    /// Metrics with intervals on a labelled data set, and what the user should know.
    fn evaluate(
        &self,
        py: Python<'_>,
        opening: Opening,
        split: Option<PathBuf>,
        masks: bool,
        threads: Option<usize>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(Evaluation, Said)> {
        let detector = self.inner.clone();
        let (inner, said) = run(py, progress.as_ref(), threads, move |line| {
            let mut said = Said::default();
            let evaluation = evaluate(&detector, opening, split.as_deref(), masks, line, &mut said)?;
            Ok((evaluation, said))
        })?;
        Ok((Evaluation { inner }, said))
    }

    /// An image's explanation; the nearest training normals are named where their folder is given.
    fn explain<'py>(
        &self,
        py: Python<'py>,
        image: Picture,
        data: Option<PathBuf>,
    ) -> PyResult<Explained<'py>> {
        let detector = self.inner.clone();
        let (explanation, png, input, reconstruction) = run(py, None, None, move |_| {
            let story = detector.explain(&read(&image, &detector)?)?;
            let listed = data.iter().flat_map(|folder| aberra::dataset::image_files(folder));
            let files: Vec<PathBuf> = listed.filter_map(|file| file.ok()).collect();
            let near = find_normals(&detector, &story.nearest, &files);
            let mut explanation = Explanation::of(&detector, &story, story.verdict.threshold);
            let components = principal_components(&detector, COMPONENTS);
            if let (Ok(components), Some(embedding)) = (components, story.verdict.embedding()) {
                explanation.pca = components.project(embedding)?;
            }
            for (card, found) in explanation.nearest.iter_mut().zip(&near) {
                card.name = found.path.as_deref().map(|path| path.to_string_lossy().into_owned());
            }
            let png = story_png(&detector, &story, &near)?;
            let reconstruction = story.verdict.reconstruction().map(bytes);
            Ok((explanation, png, bytes(&story.verdict.input), reconstruction))
        })?;
        let reconstruction = reconstruction.map(|bytes| PyByteArray::new(py, &bytes));
        Ok((json(py, &explanation)?, PyBytes::new(py, &png), PyByteArray::new(py, &input), reconstruction))
    }

    /// Writes the report; returns its length in bytes, its summary, and its warnings.
    fn report(
        &self,
        py: Python<'_>,
        request: ReportRequest,
        evaluation: &Evaluation,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(u64, Vec<String>, Vec<String>)> {
        let (detector, evaluation) = (self.inner.clone(), evaluation.inner.clone());
        run(py, progress.as_ref(), None, move |line| {
            let ReportRequest { data, out, name, run_folder } = request;
            let dataset = data.for_detector(&detector).open()?;
            let mut watch = |event: Event<'_>| line.event(&event);
            let options = ReportOptions {
                name: &name,
                run: run_folder.as_deref().map_or(RunSource::None, RunSource::Perhaps),
                made_at_secs: SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()),
                job: Job::watched(&mut watch),
                ..ReportOptions::default()
            };
            let report = detector.report(&dataset, &evaluation, options)?;
            Ok((report.save(&out)?, report.data().summary.clone(), report.data().warnings.clone()))
        })
    }

    /// Writes the detector as an ONNX model, proved on these images, too; returns its description as JSON.
    fn export(
        &self,
        py: Python<'_>,
        onnx: PathBuf,
        images: Vec<Picture>,
        evidence: bool,
    ) -> PyResult<String> {
        let export = || {
            let images = images.iter().map(|picture| read(picture, &self.inner)).collect::<Result<_>>()?;
            let model = self.inner.export(&ExportOptions { evidence, images })?;
            model.save(&onnx)?;
            Ok(model.description)
        };
        let description = py.detach(export).map_err(|error: Error| exception(py, &error))?;
        json(py, &description)
    }
}

/// Principal components on which an image's coordinates are given.
const COMPONENTS: usize = 5;

/// A verdict as it crosses.
struct Judged {
    card: VerdictCard,
    evidence: Vec<f64>,
    embedding: Vec<f32>,
    map: Option<Vec<u8>>,
}

impl Judged {
    fn of(detector: &Inner, verdict: Verdict, maps: bool) -> Result<Self> {
        let card = VerdictCard::of(detector, &verdict, verdict.threshold);
        let map = match maps && verdict.map.is_some() {
            true => Some(bytes(&verdict.map_at_image_size()?)),
            false => None,
        };
        let embedding = verdict.embedding().unwrap_or_default().to_vec();
        Ok(Self { card, evidence: verdict.evidence.0, embedding, map })
    }

    fn scored(self, py: Python<'_>) -> PyResult<Py<Scored>> {
        let Self { card, evidence, embedding, map } = self;
        let scored = Scored {
            score: card.score,
            p_value: card.p_value,
            threshold: card.threshold,
            anomalous: card.anomalous,
            anomalous_share: card.anomalous_share,
            width: card.width,
            height: card.height,
            spacing_mm: card.spacing_mm.map(<(f32, f32)>::from),
            channel: card.channel,
            remarks: card.remarks,
            evidence,
            embedding,
            map: map.map(|map| PyByteArray::new(py, &map).unbind()),
        };
        Py::new(py, scored)
    }
}

fn evaluate(
    detector: &Inner,
    opening: Opening,
    split: Option<&Path>,
    masks: bool,
    line: &mut Line,
    said: &mut Said,
) -> Result<aberra::evaluate::Evaluation> {
    let dataset = opening.for_detector(detector).open()?;
    said.note(dataset.notes.iter().cloned());
    let split = match split {
        None => None,
        Some(file) => {
            let inspection = inspect(&dataset, &detector.config().limits, line, said)?;
            Some(Split::read(file, &dataset, &inspection)?)
        }
    };
    let mut watch = |event: Event<'_>| line.event(&event);
    let options = EvaluateOptions {
        split: split.as_ref(),
        masks,
        job: Job::watched(&mut watch),
        ..EvaluateOptions::default()
    };
    detector.evaluate_with(&dataset, options)
}

fn parse(criterion: &str) -> Result<Criterion> {
    let criterion: Criterion =
        serde_json::from_str(criterion).map_err(|error| Error::settings(format!("criterion: {error}")))?;
    criterion.check()?;
    Ok(criterion)
}

fn json(py: Python<'_>, value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| exception(py, &Error::data(error.to_string())))
}
