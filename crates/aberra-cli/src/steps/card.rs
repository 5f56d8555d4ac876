//! Summary of a detector: as JSON, and as the texts that several verbs print.

use std::fs;
use std::path::Path;

use aberra::calibrate::Criterion;
use aberra::models::measure::Descriptor;
use aberra::run::RunFolder;
use aberra::wire::{DetectorCard, VolumesCard};
use aberra::{CheckedConfig, Detector};
use serde::Serialize;

use crate::error::CommandError;
use crate::output;

/// The description of a detector file, as JSON.
#[derive(Serialize)]
pub(crate) struct DetectorInfo<'a> {
    path: String,
    /// Size of the file in bytes.
    bytes: u64,
    #[serde(flatten)]
    card: DetectorCard,
    /// Names of the fitted scorers.
    scorers: Vec<&'static str>,
    /// Descriptors of the measurements of an image, in order.
    measurements: &'a [Descriptor],
    /// How the threshold was chosen.
    criterion: Criterion,
    /// All settings.
    config: &'a CheckedConfig,
}

/// Describes the detector in the file at `path`.
pub(crate) fn describe<'a>(path: &Path, detector: &'a Detector) -> Result<DetectorInfo<'a>, CommandError> {
    Ok(DetectorInfo {
        path: path.to_string_lossy().into_owned(),
        bytes: bytes(path)?,
        card: DetectorCard::of(detector, &name_of(path))?,
        scorers: detector.fitted_scorers().iter().map(|scorer| scorer.name()).collect(),
        measurements: detector.descriptors(),
        criterion: detector.calibration().criterion,
        config: detector.config(),
    })
}

/// The display name of a detector: the name of its file, or of its run folder if the file has the default name; `demo` for that of a
/// demo, whose run folder is called `run` in a folder that Aberra wrote.
pub(crate) fn name_of(path: &Path) -> String {
    let folder = path.parent().filter(|folder| RunFolder::at(folder).detector() == path);
    let is_of_demo =
        |folder: &Path| folder.ends_with("run") && folder.parent().is_some_and(RunFolder::is_one);
    if folder.is_some_and(is_of_demo) {
        return "demo".to_owned();
    }
    let name = folder.and_then(Path::file_name).or(path.file_stem()).unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The epoch of each member's weights, one line each if there are several.
pub(crate) fn weights(detector: &Detector) -> String {
    let members = detector.members();
    let lines = members.iter().zip(&detector.provenance().members).map(|(named, provenance)| {
        let name = if members.len() > 1 { format!("{}: ", named.name) } else { String::new() };
        let epoch = match provenance.best_epoch {
            0 => "fitted in one pass".to_owned(),
            epoch => format!("of epoch {epoch}"),
        };
        let shift = provenance.standardized_shift;
        let shift = shift.map_or_else(String::new, |shift| format!(", standardised mean shift {shift:.3}"));
        name + &epoch + &shift
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// How volumes are judged, in words; `None` if the detector is not calibrated on any.
pub(crate) fn volumes(detector: &Detector) -> Option<String> {
    let card = VolumesCard::of(detector.volume_calibration()?);
    Some(format!(
        "threshold {} of the mean of the highest {} of the slices; {}",
        output::number(card.threshold),
        output::percent(card.top_share),
        card.promise.text
    ))
}

/// The size of a file in bytes.
pub(crate) fn bytes(path: &Path) -> Result<u64, CommandError> {
    Ok(fs::metadata(path).map_err(|error| CommandError::at(path, error))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_is_called_as_its_run_folder_or_its_file() {
        for (path, name) in [
            ("runs/first/detector.aberra", "first"),
            ("runs/first/strict.aberra", "strict"),
            ("detector.aberra", "detector"),
            ("./detector.aberra", "detector"),
        ] {
            assert_eq!(name_of(Path::new(path)), name, "{path}");
        }
    }

    #[test]
    fn the_detector_of_a_demo_is_called_demo() {
        let folder = tempfile::tempdir().unwrap();
        let demo = folder.path().join("brains");
        let detector = demo.join("run").join("detector.aberra");
        assert_eq!(name_of(&detector), "run");
        RunFolder::mark(&demo).unwrap();
        assert_eq!(name_of(&detector), "demo");
        assert_eq!(name_of(&demo.join("run").join("strict.aberra")), "strict");
        // Other runs in a folder that Aberra wrote keep their names.
        assert_eq!(name_of(&demo.join("second").join("detector.aberra")), "second");
    }
}
