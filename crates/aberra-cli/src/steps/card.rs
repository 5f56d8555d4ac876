//! What a detector is, as JSON for programs.

use std::fs;
use std::path::Path;

use aberra::Detector;
use serde_json::{Value, json};

use crate::error::CommandError;

/// Everything, for programs.
pub(crate) fn describe(path: &Path, detector: &Detector) -> Result<Value, CommandError> {
    let calibration = detector.calibration();
    Ok(json!({
        "path": path.to_string_lossy(),
        "hash": detector.hash(),
        "bytes": bytes(path)?,
        "provenance": detector.provenance(),
        "scorer": detector.config().scorer,
        "scorers": detector.fitted_scorers().iter().map(|scorer| scorer.name()).collect::<Vec<_>>(),
        "calibration": {
            "threshold": calibration.threshold,
            "groups": calibration.scores.len(),
            "criterion": calibration.criterion,
            "promise": calibration.promise,
            "promise_in_words": calibration.promise.to_string(),
        },
        "pixel_threshold": detector.pixel_threshold(),
        "config": detector.config(),
    }))
}

/// The size of a file.
pub(crate) fn bytes(path: &Path) -> Result<u64, CommandError> {
    Ok(fs::metadata(path).map_err(|error| CommandError::at(path, error))?.len())
}
