//! Opens and inspects data sets, and reports on standard error what was found.

use std::path::{Path, PathBuf};

use aberra::dataset::{Dataset, Inspection, OpenOptions, describe_marked_folders};
use aberra::image::{Format, Limits};

use crate::error::CommandError;
use crate::output;
use crate::progress::Counter;

/// Maximum number of files that are named individually.
const NAMED: usize = 10;

/// Opens the data set silently.
pub(crate) fn list(path: &Path, normal: &[String]) -> Result<Dataset, CommandError> {
    Ok(Dataset::open(path, &OpenOptions { normal: normal.to_vec() })?)
}

/// Opens the data set, and reports its layout and size.
pub(crate) fn open(path: &Path, normal: &[String]) -> Result<Dataset, CommandError> {
    let dataset = list(path, normal)?;
    let (normal, anomalous) = dataset.counts();
    output::note(&format!("{}: {}", path.display(), dataset.layout));
    output::note(&format!(
        "  {}, {anomalous} anomalous",
        output::count(normal, "normal image", "normal images")
    ));
    for text in &dataset.notes {
        output::note(&format!("  {text}"));
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

/// Inspects every image, and reports those that cannot be used.
///
/// # Errors
/// No image can be used.
pub(crate) fn inspect(dataset: &Dataset, limits: &Limits) -> Result<Inspection, CommandError> {
    let inspection = look(dataset, limits);
    let reasons: Vec<&String> = inspection.images.iter().filter_map(|image| image.as_ref().err()).collect();
    name_some(&reasons, |reason| format!("skipped {reason}"));
    if reasons.len() == dataset.samples.len() {
        return Err(CommandError::at(
            &dataset.root,
            format!(
                "expected images, found {} that cannot be read",
                output::count(reasons.len(), "file", "files")
            ),
        )
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

/// Says how many folders a listing of files passed over because Aberra wrote them.
pub(crate) fn passed_over(marked_folders: &[PathBuf]) {
    if let Some(folders) = describe_marked_folders(marked_folders) {
        output::note(&format!("passed over {folders}"));
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
