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
    /// files, of which the new one replaces what the others say of later epochs.
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
        let made = events.parent().map_or(Ok(()), output::make_folder);
        let file = made.ok().and_then(|()| LogFile::open(&events_file(events)).ok());
        let events = file.and_then(|file| Events::new(BufWriter::new(file), epochs + 1).ok());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::events::shown;

    fn record(epoch: usize, loss: f64) -> EpochRecord {
        let loss = LossRecord { total: loss, ..LossRecord::default() };
        EpochRecord {
            epoch,
            step: 10 * epoch,
            train: loss.clone(),
            held_out: loss,
            learning_rate: 1e-3,
            figures: [].into(),
            standardized_shift: None,
            best: false,
            images_per_s: None,
        }
    }

    #[test]
    fn epochs_after_the_one_that_is_gone_on_from_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, events) = (folder.path().join("history.jsonl"), folder.path().join("events-vae/events"));
        let mut files = Vec::new();
        // Three epochs; the last two again; and all of it again, as where a finished run is replaced.
        for (kept, losses) in [(0, vec![1.0, 2.0, 3.0]), (1, vec![4.0, 5.0]), (0, vec![6.0])] {
            let mut history = History::open(path.clone(), &events, kept).unwrap();
            for (at, loss) in losses.into_iter().enumerate() {
                history.write(&record(kept + at + 1, loss)).unwrap();
            }
            drop(history);
            // Within a second the name is the same, and the file goes on.
            for entry in fs::read_dir(folder.path().join("events-vae")).unwrap() {
                let path = entry.unwrap().path();
                assert!(path.to_string_lossy().contains("tfevents"), "{path:?}");
                files.push(fs::read(&path).unwrap());
                fs::remove_file(path).unwrap();
            }
            let kept: Vec<(i64, f32)> = read_history(&path)
                .unwrap()
                .iter()
                .map(|record| (record.epoch as i64, record.train.total as f32))
                .collect();
            assert_eq!(shown(&files)["loss/train"], kept);
        }
        assert_eq!(shown(&files)["loss/held-out"], [(1, 6.0)]);
    }
}
