//! CSV or JSONL rows -> samples. What spreadsheets and data frames add is read (a byte order mark, semicolons, an index
//! column, blanks, backslashes); what contradicts itself is an error with its line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::channels::ChannelFile;
use super::listed::listed_path;
use super::remarks::counted;
use super::walk::{Skipped, extension};
use super::words::{Meaning, meaning};
use super::{Dataset, FolderSplit, Label, Layout, Sample};
use crate::{Error, Result};

const COLUMNS: [&str; 6] = ["path", "label", "kind", "group", "split", "mask"];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What a manifest looks like, for hints.
const EXAMPLE: &str = "for example the lines `path,label,kind` and `photos/001.png,anomalous,crack`";

/// What the columns of several channels look like, for hints.
const CHANNELS_EXAMPLE: &str =
    "an image of several files has a column for each of its channels, for example `path_t1,path_t2,label`";

/// Extensions of manifests: with cells between separators, and with a JSON object a line.
const CELLS: [&str; 2] = ["csv", "tsv"];
const OBJECTS: [&str; 2] = ["jsonl", "ndjson"];

/// Whether a path is that of a manifest, by its extension, rather than that of an image or a folder.
pub fn is_manifest(path: &Path) -> bool {
    let extension = extension(path);
    (CELLS.contains(&&*extension) || OBJECTS.contains(&&*extension)) && !path.is_dir()
}

/// Reads the manifest at `file`. Paths in it are relative to its folder.
pub(super) fn open(file: &Path) -> Result<Dataset> {
    let root = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let read = match extension(file).as_str() {
        extension if CELLS.contains(&extension) => csv_rows,
        extension if OBJECTS.contains(&extension) => json_rows,
        _ => {
            return Err(Error::data("expected a folder of images, or a manifest named .csv or .jsonl")
                .with_path(file)
                .with_hint("to look at one image, use `aberra score`"));
        }
    };
    let content = fs::read(file).map_err(|error| Error::io(file, &error))?;
    let opened = text_of(&content).and_then(read).and_then(|rows| samples_of(rows, &root));
    let (samples, notes) = opened.map_err(|error| error.with_path(file))?;
    Ok(Dataset { root, layout: Layout::Manifest, samples, skipped: Skipped::default(), notes })
}

/// The bytes without a byte order mark.
fn text_of(content: &[u8]) -> Result<&[u8]> {
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return Err(
            Error::data("expected text in UTF-8, found UTF-16").with_hint("save the manifest as UTF-8")
        );
    }
    Ok(content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content))
}

fn samples_of(rows: Vec<Row>, root: &Path) -> Result<(Vec<Sample>, Vec<String>)> {
    let mut samples: Vec<Sample> = Vec::with_capacity(rows.len());
    // By path: the line, and which sample.
    let mut seen: BTreeMap<Vec<PathBuf>, (u64, usize)> = BTreeMap::new();
    let mut repeated = Vec::new();
    let mut first_path = String::new();
    for row in rows {
        let line = row.line;
        let written = String::from_utf8_lossy(row.first_path()).into_owned();
        let sample = row.into_sample(root)?;
        if samples.is_empty() {
            first_path = format!("line {line}: `{written}`");
        }
        let files = files_of(&sample).map(Path::to_owned).collect();
        match seen.get(&files) {
            Some(&(_, index)) if samples[index] == sample => repeated.push(sample.name),
            Some((earlier, _)) => {
                return Err(Error::data(format!(
                    "lines {earlier} and {line} say different things of {}",
                    sample.name
                ))
                .with_hint("leave one of the two lines"));
            }
            None => {
                seen.insert(files, (line, samples.len()));
                samples.push(sample);
            }
        }
    }
    if samples.is_empty() {
        return Err(Error::data("expected a row per image, found none").with_hint(columns_hint()));
    }
    let files: Vec<&Path> = samples.iter().flat_map(files_of).collect();
    let missing: Vec<&Path> = files.iter().copied().filter(|file| !file.is_file()).collect();
    if missing.len() == files.len() {
        let looked = samples[0].path.display();
        return Err(Error::data(format!(
            "none of the {} files that the manifest names exists; the first, {first_path}, would be {looked}",
            missing.len()
        ))
        .with_hint("paths are relative to the folder that holds the manifest"));
    }
    let missing: Vec<String> = missing
        .iter()
        .map(|file| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned())
        .collect();
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    let mut notes = Vec::new();
    let mut say = |names: &[&str], one: &str, many: &str| {
        if !names.is_empty() {
            notes.push(counted(names, one, many));
        }
    };
    let of = |keep: &dyn Fn(&Sample) -> bool| -> Vec<&str> {
        samples.iter().filter(|sample| keep(sample)).map(|sample| sample.name.as_str()).collect()
    };
    let repeated: Vec<&str> = repeated.iter().map(String::as_str).collect();
    say(
        &missing,
        "file that the manifest names does not exist",
        "files that the manifest names do not exist",
    );
    say(&repeated, "image has the same row twice", "rows are there twice, and count once");
    let lost = of(&|sample| sample.mask.as_ref().is_some_and(|mask| !mask.is_file()));
    say(&lost, "image whose mask does not exist", "images whose masks do not exist");
    let unused = of(&|sample| sample.label.is_normal() && sample.mask.is_some());
    say(
        &unused,
        "normal image has a mask, which is not used",
        "normal images have masks, which are not used",
    );
    Ok((samples, notes))
}

/// The files of an image.
fn files_of(sample: &Sample) -> impl Iterator<Item = &Path> {
    let alone = sample.channels.is_empty().then_some(sample.path.as_path());
    alone.into_iter().chain(sample.channels.iter().map(|file| file.path.as_path()))
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
    /// By the names of channels, where an image has a file for each.
    channels: Vec<(String, Vec<u8>)>,
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
            _ => {
                if let Some(name) = channel(column) {
                    self.channels.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }

    fn into_sample(self, root: &Path) -> Result<Sample> {
        let line = self.line;
        let is_empty = |path: &[u8]| path.trim_ascii().is_empty();
        if let Some((name, _)) = self.channels.iter().find(|(_, path)| is_empty(path)) {
            let text = format!("line {line}: expected a file for the channel {name}, found none");
            return Err(Error::data(text).with_hint("every image has all channels; leave the line out"));
        }
        if self.channels.is_empty() && is_empty(&self.path) {
            return Err(Error::data(format!("line {line}: expected a path, found none")));
        }
        let label = self.label()?;
        let folder_split = match self.split.as_str() {
            "" => None,
            word => Some(FolderSplit::from_word(word).ok_or_else(|| {
                Error::data(format!(
                    "line {line}: expected split train, fit, calibration or test, found `{word}`"
                ))
            })?),
        };
        let channel = |(name, path): &(String, Vec<u8>)| ChannelFile {
            name: name.clone(),
            path: root.join(listed_path(root, path)),
        };
        let channels = self.channels.iter().map(channel).collect();
        let relative = listed_path(root, self.first_path());
        let mask = (!self.mask.trim_ascii().is_empty()).then(|| root.join(listed_path(root, &self.mask)));
        Ok(Sample {
            path: root.join(&relative),
            channels,
            page: None,
            volume: None,
            name: relative.to_string_lossy().replace('\\', "/"),
            label,
            mask,
            group: (!self.group.is_empty()).then_some(self.group),
            folder_split,
        })
    }

    /// The file of the image: of several channels that of the first.
    fn first_path(&self) -> &[u8] {
        self.channels.first().map_or(&self.path, |(_, path)| path)
    }

    /// What label and kind say together.
    fn label(&self) -> Result<Label> {
        let Self { line, label, kind, .. } = self;
        let wrong =
            |text: String, hint: &str| Err(Error::data(format!("line {line}: {text}")).with_hint(hint));
        let is_normal_kind = meaning(kind) == Meaning::Normal;
        let anomalous = |kind: &str| {
            Ok(Label::Anomalous { kind: if kind.is_empty() { "anomalous" } else { kind }.to_owned() })
        };
        let is_anomalous = match label.to_lowercase().as_str() {
            "normal" | "0" | "0.0" | "false" => false,
            "anomalous" | "1" | "1.0" | "true" => true,
            "" if kind.is_empty() || is_normal_kind => return Ok(Label::Normal),
            "" if kind == "0" => {
                return wrong(
                    "kind `0` may mean normal, or a kind of anomaly".to_owned(),
                    "say normal or anomalous in the column `label`",
                );
            }
            "" => return anomalous(kind),
            _ => match meaning(label) {
                Meaning::Normal => false,
                Meaning::Defect if kind.is_empty() => return anomalous(label),
                Meaning::Defect => true,
                _ => {
                    return wrong(
                        format!("expected label normal or anomalous (0 or 1), found `{label}`"),
                        "what kind of anomaly an image shows goes to the column `kind`",
                    );
                }
            },
        };
        let contradiction =
            |text: &str| wrong(format!("label `{label}` and kind `{kind}` contradict each other"), text);
        match is_anomalous {
            false if kind.is_empty() || is_normal_kind => Ok(Label::Normal),
            false => {
                contradiction("a normal image has no kind; leave `kind` empty, or make the label anomalous")
            }
            true if is_normal_kind => contradiction("name the kind of anomaly, or make the label normal"),
            true => anomalous(kind),
        }
    }
}

fn csv_rows(content: &[u8]) -> Result<Vec<Row>> {
    let wrong = |error: csv::Error| {
        let error = Error::data(error.to_string());
        error.with_hint("a name that holds the separator or a quote stands in double quotes")
    };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(content)).from_reader(content);
    let header: Vec<String> = reader
        .byte_headers()
        .map_err(wrong)?
        .iter()
        .map(|cell| column(&String::from_utf8_lossy(cell)))
        .collect();
    check_columns(header.iter().map(String::as_str))?;
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let record = record.map_err(wrong)?;
        let mut row = Row { line: record.position().map_or(0, csv::Position::line), ..Row::default() };
        for (column, cell) in header.iter().zip(record.iter()) {
            row.set(column, cell)?;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// What separates the cells of the first line.
fn delimiter(content: &[u8]) -> u8 {
    let header = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let has = |delimiter: u8| header.contains(&delimiter);
    [b',', b';', b'\t'].into_iter().find(|&delimiter| has(delimiter)).unwrap_or(b',')
}

/// The name of a column, without what surrounds it.
fn column(name: &str) -> String {
    name.trim().trim_matches(['"', '\'']).trim().to_lowercase()
}

/// A column of row numbers, as data frames write it.
fn is_index(column: &str) -> bool {
    column.is_empty() || column == "index" || column.starts_with("unnamed:")
}

fn check_columns<'a>(columns: impl Iterator<Item = &'a str>) -> Result<()> {
    let columns: Vec<&str> = columns.filter(|name| !is_index(name)).collect();
    let of_channels: Vec<&str> = columns.iter().copied().filter(|name| channel(name).is_some()).collect();
    match of_channels[..] {
        [] => {}
        [_, _, ..] if !columns.contains(&"path") => return check_columns_of(&columns, &of_channels),
        _ => {
            return Err(Error::data(format!(
                "expected a column `path`, or instead of it several of channels, found {}",
                quoted(&columns)
            ))
            .with_hint(CHANNELS_EXAMPLE));
        }
    }
    check_columns_of(&columns, &["path"])
}

/// Checks columns of which `paths` are those of files.
fn check_columns_of(columns: &[&str], paths: &[&str]) -> Result<()> {
    let is_known = |name: &&str| COLUMNS.contains(name) || paths.contains(name);
    let unknown: Vec<&str> = columns.iter().copied().filter(|name| !is_known(name)).collect();
    let is_path = |name: &&str| name.contains(['/', '\\']) || Path::new(name).extension().is_some();
    if !paths.iter().all(|path| columns.contains(path)) {
        if let Some(name) = columns.iter().find(|name| is_path(name)) {
            return Err(Error::data(format!(
                "expected the names of columns in the first line, found `{name}`"
            ))
            .with_hint(format!("put a line with the names of columns before it, {EXAMPLE}")));
        }
        if unknown.is_empty() {
            return Err(Error::data("expected a column `path`").with_hint(columns_hint()));
        }
    }
    if !unknown.is_empty() {
        return Err(Error::data(format!("unknown columns {}", quoted(&unknown))).with_hint(columns_hint()));
    }
    let twice = |name: &&&str| columns.iter().filter(|&column| column == *name).count() > 1;
    match COLUMNS.iter().chain(paths).find(twice) {
        Some(name) => Err(Error::data(format!("expected one column `{name}`, found several"))),
        None => Ok(()),
    }
}

/// The names of columns, for messages.
fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The channel whose files a column has: `path_t1` those of `t1`.
fn channel(column: &str) -> Option<&str> {
    column.strip_prefix("path_").filter(|name| !name.is_empty())
}

fn json_rows(content: &[u8]) -> Result<Vec<Row>> {
    let text = std::str::from_utf8(content)
        .map_err(|error| Error::data(format!("expected text in UTF-8, found other bytes: {error}")))?;
    if text.trim_start().starts_with('[') {
        return Err(Error::data("expected a JSON object on each line, found a list").with_hint(
            "write one object per line, such as {\"path\": \"photos/001.png\", \"label\": \"normal\"}",
        ));
    }
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |message: String| Error::data(format!("line {}: {message}", index + 1));
        let value: serde_json::Map<String, Value> =
            serde_json::from_str(line).map_err(|error| wrong(format!("expected a JSON object: {error}")))?;
        let columns: Vec<String> = value.keys().map(|key| column(key)).collect();
        // A row without a path is an error of its line.
        let has_files = columns.iter().any(|name| name == "path" || channel(name).is_some());
        let absent = (!has_files).then_some("path");
        check_columns(columns.iter().map(String::as_str).chain(absent))?;
        let mut row = Row { line: index as u64 + 1, ..Row::default() };
        for (column, cell) in columns.iter().zip(value.values()) {
            let cell = match cell {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Bool(flag) if column == "label" => u8::from(*flag).to_string(),
                Value::Number(number) => number.to_string(),
                _ if is_index(column) => String::new(),
                _ => return Err(wrong(format!("expected text or a number in `{column}`"))),
            };
            row.set(column, cell.as_bytes())?;
        }
        rows.push(row);
    }
    Ok(rows)
}

fn columns_hint() -> String {
    format!("a manifest has the columns {}; all but `path` may be left out; {EXAMPLE}", COLUMNS.join(", "))
}
