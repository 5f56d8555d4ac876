//! What is written down as training runs: `history.jsonl` and TensorBoard event files.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tfrecord::EventWriter;

use crate::{Error, Result};

/// One epoch: losses in nats per image, on training images (augmented, sampled) and held-out normals (at the posterior
/// mean).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps taken so far.
    pub step: usize,
    /// Training: reconstruction + beta x KL.
    pub train_total: f64,
    /// Training: reconstruction term.
    pub train_reconstruction: f64,
    /// Training: KL divergence.
    pub train_kl: f64,
    /// Held-out normals: reconstruction + beta x KL.
    pub held_out_total: f64,
    /// Held-out normals: reconstruction term.
    pub held_out_reconstruction: f64,
    /// Held-out normals: KL divergence.
    pub held_out_kl: f64,
    /// Weight of the KL divergence in this epoch.
    pub beta: f64,
    /// Learning rate at the epoch's end.
    pub learning_rate: f64,
    /// How far the scorer rises when synthetic anomalies are drawn into the held-out normals, in standard deviations of
    /// their own scores, in the epochs that measure it.
    pub synthetic_rise: Option<f64>,
    /// Whether this epoch's weights are the best so far.
    pub best: bool,
    /// Training images a second.
    pub images_per_s: f64,
}

/// The epochs that a run folder's records hold.
///
/// # Errors
/// There are none, or the file cannot be read or holds something else.
pub(crate) fn read_history(folder: &Path) -> Result<Vec<EpochRecord>> {
    let path = folder.join(HISTORY_FILE);
    let text = fs::read_to_string(&path).map_err(|error| Error::io(&path, &error))?;
    let record = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let message =
                format!("line {}: expected an epoch's record, found something else ({error})", index + 1);
            Error::data(message).with_path(&path)
        })
    };
    text.lines().enumerate().map(record).collect()
}

/// Writer of a run folder's records.
pub(super) struct History {
    path: PathBuf,
    lines: BufWriter<File>,
    events: Option<EventWriter<BufWriter<File>>>,
}

/// The records' file in a run folder.
pub(super) const HISTORY_FILE: &str = "history.jsonl";

impl History {
    /// Opens the records of `folder`, keeping those of the first `epochs` epochs.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(super) fn open(folder: &Path, epochs: usize) -> Result<Self> {
        let path = folder.join(HISTORY_FILE);
        let io = |error: std::io::Error| Error::io(&path, &error);
        let before = match fs::read_to_string(&path) {
            Ok(text) if epochs > 0 => text,
            Ok(_) => String::new(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(error)),
        };
        let kept = before.lines().filter(|line| {
            serde_json::from_str::<EpochRecord>(line).is_ok_and(|record| record.epoch <= epochs)
        });
        let text: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, text).map_err(io)?;
        let lines = OpenOptions::new().append(true).open(&path).map_err(io)?;
        // TensorBoard is a convenience: training goes on without it.
        let events =
            EventWriter::from_prefix(folder.join("events").to_string_lossy(), "", Default::default()).ok();
        Ok(Self { path, lines: BufWriter::new(lines), events })
    }

    /// Adds one epoch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self, record: &EpochRecord) -> Result<()> {
        let line = serde_json::to_string(record).unwrap_or_default();
        writeln!(self.lines, "{line}")
            .and_then(|()| self.lines.flush())
            .map_err(|error| Error::io(&self.path, &error))?;
        self.write_events(record);
        Ok(())
    }

    fn write_events(&mut self, record: &EpochRecord) {
        let Some(events) = &mut self.events else { return };
        let scalars = [
            ("loss/train", Some(record.train_total)),
            ("loss/held-out", Some(record.held_out_total)),
            ("reconstruction/train", Some(record.train_reconstruction)),
            ("reconstruction/held-out", Some(record.held_out_reconstruction)),
            ("kl/train", Some(record.train_kl)),
            ("kl/held-out", Some(record.held_out_kl)),
            ("schedule/beta", Some(record.beta)),
            ("schedule/learning-rate", Some(record.learning_rate)),
            ("selection/synthetic-rise", record.synthetic_rise),
            ("speed/images-per-second", Some(record.images_per_s)),
        ];
        let mut write = || -> std::result::Result<(), tfrecord::Error> {
            for (tag, value) in scalars {
                if let Some(value) = value {
                    events.write_scalar(tag, record.epoch as i64, value as f32)?;
                }
            }
            events.flush()
        };
        if write().is_err() {
            self.events = None;
        }
    }
}
