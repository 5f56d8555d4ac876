//! Data sets: the doctor's report on one, its samples, and the image files below a folder.

use std::path::{Path, PathBuf};

use aberra::dataset::{
    ChannelFile, Dataset as Inner, GroupBy, Grouping, Inspection, OpenOptions, doctor as examine, image_files,
};
use aberra::image::Limits;
use aberra::{Detector, Error, Result};
use pyo3::prelude::*;

use crate::error::exception;
use crate::job::{Line, run};
use crate::said::Said;

/// A folder or manifest, and how it is read.
#[derive(Clone, FromPyObject)]
pub(crate) struct Opening {
    #[pyo3(item)]
    pub(crate) path: PathBuf,
    /// Class folders that are normal.
    #[pyo3(item)]
    normal: Vec<String>,
    /// Whether every page of a file is an image of its own.
    #[pyo3(item)]
    pages: bool,
    /// Whether volumes are taken apart into their slices.
    #[pyo3(item)]
    pub(crate) volumes: bool,
    /// Whether files named `case_0000`, `case_0001` are the channels of one image.
    #[pyo3(item)]
    cases: bool,
}

impl Opening {
    /// The same for a detector: case by case, if its images are of several files.
    pub(crate) fn for_detector(mut self, detector: &Detector) -> Self {
        self.cases |= detector.takes_cases();
        self
    }

    /// Lists the samples.
    pub(crate) fn open(&self) -> Result<Inner> {
        let options = OpenOptions { normal: self.normal.clone(), cases: self.cases };
        let dataset = Inner::open(&self.path, &options)?;
        Ok(match () {
            () if self.volumes => dataset.by_volume(&Limits::default()),
            () if self.pages => dataset.by_page(&Limits::default()),
            () => dataset,
        })
    }
}

/// Inspects every image; what was passed over and what cannot be read is added to `said`.
///
/// # Errors
/// No image can be used, or a request to stop.
pub(crate) fn inspect(dataset: &Inner, limits: &Limits, line: &Line, said: &mut Said) -> Result<Inspection> {
    said.note(dataset.notes.iter().cloned());
    said.warn(
        dataset
            .skipped
            .unsupported
            .iter()
            .map(|files| format!("ignored {files}; convert them to PNG or TIFF first")),
    );
    let inspection = line
        .count("inspecting the images", dataset.samples.len(), |done| dataset.inspect_with(limits, done))?;
    said.note(inspection.remarks(dataset).lines());
    let unreadable = inspection.unreadable();
    let reasons = || unreadable.iter().filter_map(|&index| inspection.images[index].as_ref().err());
    match reasons().next() {
        Some(reason) if unreadable.len() == dataset.samples.len() => {
            let text = format!("expected images, found {} that cannot be read ({reason})", unreadable.len());
            return Err(Error::data(text).with_path(&dataset.root));
        }
        Some(reason) => {
            said.warn([format!("skipped {} of {} images: {reason}", unreadable.len(), dataset.samples.len())])
        }
        None => {}
    }
    Ok(inspection)
}

/// A folder of images or a manifest, with a row for each image.
#[pyclass(frozen, module = "aberra._aberra")]
pub(crate) struct Dataset {
    inner: Inner,
}

#[pymethods]
impl Dataset {
    #[new]
    fn open(py: Python<'_>, opening: Opening) -> PyResult<Self> {
        let inner = py.detach(|| opening.open()).map_err(|error| exception(py, &error))?;
        Ok(Self { inner })
    }

    /// The folder, or the one that holds the manifest.
    #[getter]
    fn root(&self) -> &Path {
        &self.inner.root
    }

    /// How the samples are laid out, in words.
    #[getter]
    fn layout(&self) -> String {
        self.inner.layout.to_string()
    }

    /// What was decided on the user's behalf or looks odd.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.inner.notes.clone()
    }

    /// The samples, sorted by name.
    fn samples(&self) -> Vec<Sample> {
        self.inner.samples.iter().map(Sample::of).collect()
    }
}

/// An image of a data set.
#[pyclass(frozen, get_all, module = "aberra._aberra")]
pub(crate) struct Sample {
    path: PathBuf,
    /// The names and files of its channels, where it is of several files.
    channels: Vec<(String, PathBuf)>,
    page: Option<u32>,
    name: String,
    /// Of its anomaly; none where it is normal.
    kind: Option<String>,
    mask: Option<PathBuf>,
    group: Option<String>,
    /// The part that folders or a manifest put it in.
    part: Option<String>,
}

impl Sample {
    fn of(sample: &aberra::dataset::Sample) -> Self {
        Self {
            path: sample.path.clone(),
            channels: sample.channels.iter().map(|file| (file.name.clone(), file.path.clone())).collect(),
            page: sample.page,
            name: sample.name.clone(),
            kind: sample.label.kind().map(str::to_owned),
            mask: sample.mask.clone(),
            group: sample.group.clone(),
            part: sample.folder_split.map(|part| part.to_string()),
        }
    }
}

/// What is wrong with a data set: the report of the doctor as JSON and as text.
#[pyfunction]
pub(crate) fn doctor(
    py: Python<'_>,
    opening: Opening,
    group: &str,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<(String, String)> {
    let by: GroupBy = serde_json::from_value(group.into())
        .map_err(|error| exception(py, &Error::settings(format!("group: {error}"))))?;
    run(py, progress.as_ref(), None, move |line| {
        let dataset = opening.open()?;
        // What was not measured is said, and is no reason not to look at the rest.
        let limits = Limits { not_finite: true, ..Limits::default() };
        let inspection = line.count("inspecting the images", dataset.samples.len(), |done| {
            dataset.inspect_with(&limits, done)
        })?;
        let grouping = Grouping::of(&dataset, &inspection, by)?;
        let report = examine(&dataset, &inspection, &grouping);
        let json = serde_json::to_value(&report).map_err(|error| Error::data(error.to_string()))?;
        Ok((json.to_string(), report.to_string()))
    })
}

/// The image files below a folder, sorted, of a case of several files the first alone, if `channels` are such; and what was passed
/// over, in words. Of a file, the file.
#[pyfunction]
pub(crate) fn image_paths(
    py: Python<'_>,
    folder: PathBuf,
    channels: Vec<String>,
) -> PyResult<(Vec<PathBuf>, Vec<String>)> {
    py.detach(|| {
        let mut listed = image_files(&folder);
        let mut paths = listed.by_ref().collect::<Result<Vec<_>>>()?;
        if folder.is_dir() {
            paths.retain(|path| !ChannelFile::is_further(path, &channels));
        }
        let passed_over = listed.passed_over();
        Ok((paths, [passed_over.warnings(), passed_over.notes()].concat()))
    })
    .map_err(|error| exception(py, &error))
}
