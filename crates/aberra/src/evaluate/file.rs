//! The evaluation file (JSON, versioned) and the table of scores (CSV).

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::evaluation::{Evaluation, ImageOutcome, ImageRow, VolumeRow};
use crate::calibrate::is_anomalous;
use crate::dataset::Label;
use crate::detector::Part;
use crate::output;
use crate::{Error, Result};

const KIND: &str = "aberra evaluation";
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    kind: String,
    version: u32,
    evaluation: T,
}

impl Evaluation {
    /// Writes the evaluation file: replaced atomically and durably.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        output::write(path, self.to_json().as_bytes())
    }

    /// The content of the evaluation file: JSON with its kind and version.
    pub fn to_json(&self) -> String {
        let envelope = Envelope { kind: KIND.to_owned(), version: VERSION, evaluation: self };
        // Serialising to memory fails for maps whose keys are not text alone, and there are none.
        serde_json::to_string_pretty(&envelope).unwrap_or_default() + "\n"
    }

    /// Reads an evaluation file.
    ///
    /// # Errors
    /// The file cannot be read, is no evaluation file, or is one of another version.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
        Self::from_json(&text).map_err(|error| error.with_path(path))
    }

    fn from_json(text: &str) -> Result<Self> {
        let refuse = |found: String| {
            Error::data(format!("expected an evaluation file of version {VERSION}, found {found}"))
                .with_hint("write one with `aberra evaluate DETECTOR DATA --out FILE`")
        };
        let envelope: Envelope<serde_json::Value> = serde_json::from_str(text)
            .map_err(|error| refuse(format!("another file, or one that was cut off ({error})")))?;
        if envelope.kind != KIND {
            return Err(refuse(format!("a file of kind {:?}", envelope.kind)));
        }
        if envelope.version != VERSION {
            return Err(refuse(format!("version {}", envelope.version)));
        }
        let evaluation: Self = serde_json::from_value(envelope.evaluation)
            .map_err(|error| refuse(format!("one that was changed ({error})")))?;
        evaluation.check().map_err(|error| refuse(format!("one that was changed ({error})")))?;
        Ok(evaluation)
    }

    /// Whether the rows are of this evaluation: tables and reports rely on it.
    fn check(&self) -> Result<(), String> {
        for row in &self.images {
            let Some(scored) = row.scored() else { continue };
            let (found, expected) = (scored.evidence.0.len(), self.measurements.len());
            if found != expected {
                return Err(format!("{:?} has {found} of {expected} measurements", row.name));
            }
            if scored.anomalous != is_anomalous(scored.score, self.detector.threshold) {
                return Err(format!("the verdict on {:?} is not that of its score", row.name));
            }
        }
        Ok(())
    }

    /// One row per image, as CSV with a header: name, label, kind, group, state (`scored`, `own_train`, `own_fit`,
    /// `own_calibration`, `unusable`; of slices also `beside_own` and `unmarked`, see
    /// [`EvaluatedData`](crate::evaluate::EvaluatedData)), score, p-value, threshold, verdict, leak, every scorer's score, evidence,
    /// and the reason where an image could not be used. Empty where there is nothing to say. Names that are not UTF-8 are lossy.
    pub fn scores_csv(&self) -> String {
        let scorers: Vec<&str> = self.scorers.iter().map(|scorer| scorer.name.as_str()).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = HEADER.iter().map(|&name| name.to_owned());
        let header = header
            .chain(scorers.iter().map(|name| format!("score_{name}")))
            .chain(self.measurements.iter().map(|descriptor| descriptor.name.clone().into_owned()))
            .chain(["error".to_owned()]);
        // Writing to memory does not fail, and every record is as long as the header.
        let _ = writer.write_record(header);
        for row in &self.images {
            let _ = writer.write_record(self.record(row, &scorers));
        }
        text_of(writer)
    }

    /// One row per volume that was judged as a whole, as CSV with a header: name, label, kind, group, slices that were scored, score,
    /// p-value, threshold, verdict and leak. Empty where there is nothing to say: a detector that is not calibrated on volumes has no
    /// threshold of them. `None` where the data are not taken apart by volume.
    pub fn volumes_csv(&self) -> Option<String> {
        let figures = self.volumes.as_ref()?;
        let mut writer = csv::Writer::from_writer(Vec::new());
        let _ = writer.write_record(HEADER_OF_VOLUMES);
        for VolumeRow { name, label, group, slices, score, p_value, anomalous, leaked } in &figures.volumes {
            let _ = writer.write_record([
                name.clone(),
                class(label).to_owned(),
                label.kind().unwrap_or_default().to_owned(),
                group.to_string(),
                slices.to_string(),
                score.to_string(),
                known(*p_value),
                known(figures.threshold),
                known(*anomalous),
                leaked.to_string(),
            ]);
        }
        Some(text_of(writer))
    }

    fn record(&self, row: &ImageRow, scorers: &[&str]) -> Vec<String> {
        let (state, error) = match &row.outcome {
            ImageOutcome::Scored(scored) if scored.unmarked => ("unmarked", ""),
            ImageOutcome::Scored(_) => ("scored", ""),
            ImageOutcome::Own(Part::Train) => ("own_train", ""),
            ImageOutcome::Own(Part::Fit) => ("own_fit", ""),
            ImageOutcome::Own(Part::Calibration) => ("own_calibration", ""),
            ImageOutcome::BesideOwn => ("beside_own", ""),
            ImageOutcome::Unusable(reason) => ("unusable", reason.as_str()),
        };
        let mut record = vec![
            row.name.clone(),
            class(&row.label).to_owned(),
            row.label.kind().unwrap_or_default().to_owned(),
        ];
        record.extend([row.group.to_string(), state.to_owned()]);
        match row.scored() {
            Some(scored) => {
                record.push(scored.score.to_string());
                record.push(known(scored.p_value));
                record.push(self.detector.threshold.to_string());
                record.extend([scored.anomalous.to_string(), scored.leaked.to_string()]);
                let of = |name: &&str| scored.scores.get(*name).map(f64::to_string).unwrap_or_default();
                record.extend(scorers.iter().map(of));
                record.extend(scored.evidence.0.iter().map(f64::to_string));
            }
            None => record.resize(HEADER.len() + scorers.len() + self.measurements.len(), String::new()),
        }
        record.push(error.to_owned());
        record
    }
}

fn class(label: &Label) -> &'static str {
    if label.is_normal() { "normal" } else { "anomalous" }
}

fn known<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn text_of(writer: csv::Writer<Vec<u8>>) -> String {
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

const HEADER_OF_VOLUMES: [&str; 10] =
    ["name", "label", "kind", "group", "slices", "score", "p_value", "threshold", "anomalous", "leaked"];

const HEADER: [&str; 10] =
    ["name", "label", "kind", "group", "state", "score", "p_value", "threshold", "anomalous", "leaked"];
