//! Opens and inspects data sets, and reports on standard error what was found.

use std::path::{Path, PathBuf};

use aberra::dataset::{
    ChannelFile, Dataset, Inspection, OpenOptions, PassedOver, Remarks, Sample, describe_marked_folders,
};
use aberra::image::{Format, Limits};
use aberra::{Detector, Error, Message, Result, TrainingImages};

use crate::args::NormalArgs;
use crate::output;
use crate::progress::Counter;

/// Maximum number of files that are named individually.
const NAMED: usize = 10;

/// Opens the data set silently.
pub(crate) fn list(path: &Path, how: &NormalArgs) -> Result<Dataset> {
    let dataset = Dataset::open(path, &how.open_options())?;
    Ok(match () {
        () if how.volumes => dataset.by_volume(&Limits::default()),
        () if how.pages => dataset.by_page(&Limits::default()),
        () => dataset,
    })
}

/// How data are read for a detector: case by case if its images are of several files.
pub(crate) fn for_detector(how: &NormalArgs, detector: &Detector) -> NormalArgs {
    NormalArgs { cases: how.cases || detector.takes_cases(), ..how.clone() }
}

/// The same, and by volume if it judges volumes, unless pages are asked for.
pub(crate) fn as_judged(how: &NormalArgs, detector: &Detector) -> NormalArgs {
    let by_volume = !how.pages && detector.volume_calibration().is_some();
    NormalArgs { volumes: how.volumes || by_volume, ..for_detector(how, detector) }
}

/// Opens the data set, and reports its layout and size.
pub(crate) fn open(path: &Path, how: &NormalArgs) -> Result<Dataset> {
    let dataset = list(path, how)?;
    let (normal, anomalous) = dataset.counts();
    output::note(&format!("{}: {}", path.display(), dataset.layout));
    output::note(&format!(
        "  {}, {anomalous} anomalous",
        output::count(normal, "normal image", "normal images")
    ));
    for text in &dataset.notes {
        output::note(&format!("  {text}"));
    }
    for files in &dataset.skipped.unsupported {
        output::warning(&format!("ignored {files}; convert them to PNG or TIFF first"));
    }
    let others: usize = dataset.skipped.other.values().sum();
    if others > 0 {
        output::note(&format!("  ignored {}", output::count(others, "other file", "other files")));
    }
    if let Some(folders) = describe_marked_folders(&dataset.skipped.marked_folders) {
        output::note(&format!("  ignored {folders}"));
    }
    name_some(&dataset.skipped.unreachable, |line| format!("could not read {line}"));
    Ok(dataset)
}

/// An image that is listed.
#[derive(Clone)]
pub(crate) struct Listed {
    /// Its file: of several the first.
    pub(crate) path: PathBuf,
    /// The files of its channels, where a manifest names several.
    pub(crate) channels: Vec<ChannelFile>,
}

impl Listed {
    /// An image of one file, or of a case whose other files lie beside it.
    pub(crate) fn file(path: PathBuf) -> Self {
        Self { path, channels: Vec::new() }
    }
}

/// The files that a manifest names, whatever else is in it; reports what is odd about it.
pub(crate) fn named_in(manifest: &Path) -> Result<Vec<Listed>> {
    let dataset = Dataset::open(manifest, &OpenOptions::default())?;
    for text in &dataset.notes {
        output::note(&format!("{}: {text}", manifest.display()));
    }
    let as_written = |path: PathBuf| match path.strip_prefix(".") {
        Ok(written) => written.to_owned(),
        Err(_) => path,
    };
    let listed = |sample: Sample| Listed { path: as_written(sample.path), channels: sample.channels };
    Ok(dataset.samples.into_iter().map(listed).collect())
}

/// Inspects every image, and reports those that cannot be used and what was decided in reading the others.
///
/// # Errors
/// No image can be used.
pub(crate) fn inspect(dataset: &Dataset, limits: &Limits) -> Result<Inspection> {
    let inspection = look(dataset, limits);
    remark(&inspection.remarks(dataset));
    let reasons: Vec<&String> = inspection.images.iter().filter_map(|image| image.as_ref().err()).collect();
    name_some(&reasons, |reason| format!("skipped {reason}"));
    if reasons.len() == dataset.samples.len() {
        return Err(Error::data(format!(
            "expected images, found {} that cannot be read",
            output::count(reasons.len(), "file", "files")
        ))
        .with_path(&dataset.root)
        .with_hint(format!("images are {} files", Format::names())));
    }
    Ok(inspection)
}

/// Inspects every image with a progress bar, and reports nothing.
pub(crate) fn look(dataset: &Dataset, limits: &Limits) -> Inspection {
    let counter = Counter::new("inspecting the images", dataset.samples.len());
    let inspection = dataset.inspect_with(limits, || counter.advance());
    counter.finish();
    inspection
}

/// Says what a listing of files passed over.
pub(crate) fn passed_over(what: &PassedOver) {
    what.warnings().iter().for_each(|text| output::warning(text));
    what.notes().iter().for_each(|text| output::note(text));
}

/// Says what was decided in reading images.
pub(crate) fn remark(remarks: &Remarks) {
    for line in remarks.lines() {
        output::note(&line);
    }
}

/// The images of a training, which are read with progress, and of which is printed what a user should know.
pub(crate) struct Shown<'a>(pub(crate) &'a Path, pub(crate) &'a NormalArgs);

impl TrainingImages for Shown<'_> {
    fn open(&mut self) -> Result<Dataset> {
        open(self.0, self.1)
    }

    fn inspect(&mut self, dataset: &Dataset, limits: &Limits) -> Result<Inspection> {
        inspect(dataset, limits)
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Warning { text, hint } => {
                output::warning(&text);
                hint.into_iter().for_each(output::hint);
            }
            Message::Split(text) | Message::Note(text) => output::note(&text),
        }
    }
}

fn name_some<T>(items: &[T], words: impl Fn(&T) -> String) {
    for item in items.iter().take(NAMED) {
        output::warning(&words(item));
    }
    if items.len() > NAMED {
        output::warning(&format!("and {} more; `aberra doctor` lists them all", items.len() - NAMED));
    }
}
