//! CSV or JSONL rows -> samples.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::walk::{Skipped, extension};
use super::{Dataset, FolderSplit, Label, Layout, Sample};
use crate::{Error, Result};

const COLUMNS: [&str; 6] = ["path", "label", "kind", "group", "split", "mask"];

/// Reads the manifest at `file`. Paths in it are relative to its folder.
pub(super) fn open(file: &Path) -> Result<Dataset> {
    let root = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let rows = match extension(file).as_str() {
        "csv" => csv_rows(file)?,
        "jsonl" | "ndjson" => json_rows(file)?,
        _ => {
            return Err(Error::data("expected a folder of images, or a manifest named .csv or .jsonl")
                .with_path(file)
                .with_hint("to look at one image, use `aberra score`"));
        }
    };
    let samples = rows
        .into_iter()
        .map(|row| row.into_sample(&root).map_err(|error| error.with_path(file)))
        .collect::<Result<Vec<_>>>()?;
    if samples.is_empty() {
        return Err(Error::data("expected a row per image, found none").with_path(file));
    }
    let missing = samples.iter().filter(|sample| !sample.path.is_file()).count();
    if missing == samples.len() {
        return Err(Error::data(format!("none of the {missing} files that the manifest names exists"))
            .with_path(file)
            .with_hint("paths are relative to the folder that holds the manifest"));
    }
    let mut notes = Vec::new();
    if missing > 0 {
        notes.push(format!("{missing} files that the manifest names do not exist"));
    }
    Ok(Dataset { root, layout: Layout::Manifest, samples, skipped: Skipped::default(), notes })
}

/// The cells of a row, empty where there is nothing; `path` and `mask` as the file's own bytes.
#[derive(Default)]
struct Row {
    line: u64,
    path: Vec<u8>,
    label: String,
    kind: String,
    group: String,
    split: String,
    mask: Vec<u8>,
}

impl Row {
    fn set(&mut self, column: &str, value: &[u8]) -> Result<()> {
        let text = || {
            String::from_utf8(value.trim_ascii().to_vec()).map_err(|_| {
                Error::data(format!("line {}: expected UTF-8 text in column `{column}`", self.line))
            })
        };
        match column {
            "path" => self.path = value.to_vec(),
            "mask" => self.mask = value.to_vec(),
            "label" => self.label = text()?,
            "kind" => self.kind = text()?,
            "group" => self.group = text()?,
            "split" => self.split = text()?,
            _ => return Err(unknown_columns(&[column.to_owned()])),
        }
        Ok(())
    }

    fn into_sample(self, root: &Path) -> Result<Sample> {
        let line = self.line;
        if self.path.is_empty() {
            return Err(Error::data(format!("line {line}: expected a path, found none")));
        }
        let anomalous = || Label::Anomalous {
            kind: if self.kind.is_empty() { "anomalous".to_owned() } else { self.kind.clone() },
        };
        let label = match self.label.to_lowercase().as_str() {
            "normal" | "0" => Label::Normal,
            "anomalous" | "1" => anomalous(),
            "" if self.kind.is_empty() => Label::Normal,
            "" => anomalous(),
            other => {
                return Err(Error::data(format!(
                    "line {line}: expected label normal or anomalous (0 or 1), found `{other}`"
                )));
            }
        };
        let folder_split = match self.split.as_str() {
            "" => None,
            word => Some(FolderSplit::from_word(word).ok_or_else(|| {
                Error::data(format!(
                    "line {line}: expected split train, fit, calibration or test, found `{word}`"
                ))
            })?),
        };
        let relative = path_from_bytes(&self.path);
        Ok(Sample {
            path: root.join(&relative),
            name: relative.to_string_lossy().replace('\\', "/"),
            label,
            mask: (!self.mask.is_empty()).then(|| root.join(path_from_bytes(&self.mask))),
            group: (!self.group.is_empty()).then_some(self.group),
            folder_split,
        })
    }
}

fn csv_rows(file: &Path) -> Result<Vec<Row>> {
    let wrong = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Io(error) => Error::io(file, error),
        _ => Error::data(error.to_string()).with_path(file),
    };
    let mut reader = csv::ReaderBuilder::new().from_path(file).map_err(wrong)?;
    let header: Vec<String> = reader
        .byte_headers()
        .map_err(wrong)?
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).trim_start_matches('\u{feff}').trim().to_lowercase())
        .collect();
    let unknown: Vec<String> =
        header.iter().filter(|name| !COLUMNS.contains(&name.as_str())).cloned().collect();
    if !unknown.is_empty() {
        return Err(unknown_columns(&unknown).with_path(file));
    }
    if !header.iter().any(|name| name == "path") {
        return Err(Error::data("expected a column `path`").with_path(file).with_hint(columns_hint()));
    }
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let record = record.map_err(wrong)?;
        let mut row = Row { line: record.position().map_or(0, csv::Position::line), ..Row::default() };
        for (column, cell) in header.iter().zip(record.iter()) {
            row.set(column, cell).map_err(|error| error.with_path(file))?;
        }
        rows.push(row);
    }
    Ok(rows)
}

fn json_rows(file: &Path) -> Result<Vec<Row>> {
    let text = fs::read_to_string(file).map_err(|error| Error::io(file, &error))?;
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |message: String| Error::data(format!("line {}: {message}", index + 1)).with_path(file);
        let value: serde_json::Map<String, Value> =
            serde_json::from_str(line).map_err(|error| wrong(format!("expected a JSON object: {error}")))?;
        let unknown: Vec<String> =
            value.keys().filter(|key| !COLUMNS.contains(&key.as_str())).cloned().collect();
        if !unknown.is_empty() {
            return Err(unknown_columns(&unknown).with_path(file));
        }
        let mut row = Row { line: index as u64 + 1, ..Row::default() };
        for (column, cell) in &value {
            let cell = match cell {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Bool(flag) if column == "label" => u8::from(*flag).to_string(),
                Value::Number(number) => number.to_string(),
                _ => return Err(wrong(format!("expected text or a number in `{column}`"))),
            };
            row.set(column, cell.as_bytes()).map_err(|error| error.with_path(file))?;
        }
        rows.push(row);
    }
    Ok(rows)
}

fn unknown_columns(names: &[String]) -> Error {
    let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Error::data(format!("unknown columns {names}")).with_hint(columns_hint())
}

fn columns_hint() -> String {
    format!("a manifest has the columns {}; all but `path` may be left out", COLUMNS.join(", "))
}

#[cfg(unix)]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
