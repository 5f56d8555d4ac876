//! The records of a training: one line of JSON an epoch, and TensorBoard event files.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aberra_metrics::{Error, Result};
use aberra_models::train::{EpochRecord, LossRecord};

use super::events::Events;
use crate::output::{self, LogFile};

/// The epochs that a file of records holds.
///
/// # Errors
/// There is none, or it cannot be read or holds something else.
pub fn read_history(path: &Path) -> Result<Vec<EpochRecord>> {
    let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
    let record = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let message =
                format!("line {}: expected an epoch's record, found something else ({error})", index + 1);
            Error::data(message).with_path(path)
        })
    };
    text.lines().enumerate().map(record).collect()
}

/// Writer of a training's records.
pub(crate) struct History {
    path: PathBuf,
    lines: BufWriter<LogFile>,
    events: Option<Events<BufWriter<LogFile>>>,
}

impl History {
    /// Opens the records at `path`, keeping those of the first `epochs` epochs; `events` begins the names of TensorBoard's
    /// files.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn open(path: PathBuf, events: &Path, epochs: usize) -> Result<Self> {
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
        output::write_unsynchronised(&path, text.as_bytes())?;
        let lines = LogFile::open(&path).map_err(io)?;
        // TensorBoard is a convenience: training continues without it.
        let events = LogFile::open(&events_file(events)).ok();
        let events = events.and_then(|file| Events::new(BufWriter::new(file)).ok());
        Ok(Self { path, lines: BufWriter::new(lines), events })
    }

    /// Adds one epoch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&mut self, record: &EpochRecord) -> Result<()> {
        let line = serde_json::to_string(record).unwrap_or_default();
        writeln!(self.lines, "{line}")
            .and_then(|()| self.lines.flush())
            .map_err(|error| Error::io(&self.path, &error))?;
        self.write_events(record);
        Ok(())
    }

    fn write_events(&mut self, record: &EpochRecord) {
        let Some(events) = &mut self.events else { return };
        let mut scalars: Vec<(String, f64)> = Vec::new();
        let mut losses = |part: &str, loss: &LossRecord| {
            scalars.push((format!("loss/{part}"), loss.total));
            scalars.extend(loss.terms.iter().map(|(name, value)| (format!("{name}/{part}"), *value)));
        };
        losses("train", &record.train);
        losses("held-out", &record.held_out);
        scalars.push(("schedule/learning-rate".to_owned(), record.learning_rate));
        scalars.extend(record.figures.iter().map(|(name, value)| (format!("figures/{name}"), *value)));
        scalars.extend(
            record.standardized_shift.map(|shift| ("selection/standardized-shift".to_owned(), shift)),
        );
        scalars.extend(record.images_per_s.map(|rate| ("speed/images-per-second".to_owned(), rate)));
        if events.write_scalars(record.epoch, scalars).is_err() {
            self.events = None;
        }
    }
}

/// The next file of TensorBoard's events, by the names that it looks for; it reads all that there are.
fn events_file(prefix: &Path) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut name = prefix.as_os_str().to_owned();
    name.push(format!(".out.tfevents.{seconds}.{}", std::process::id()));
    name.into()
}
