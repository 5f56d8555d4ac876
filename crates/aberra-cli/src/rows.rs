//! Verdicts as rows of a table, CSV or JSON lines, written one by one to standard output or atomically to a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::path::Path;

use aberra::output::{OutputFile, lines, printable};
use aberra::wire::VerdictCard;
use serde::Serialize;

use crate::error::CommandError;
use crate::output;

/// The format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFormat {
    Table,
    Csv,
    Json,
}

/// A row, which serializes to what it is in JSON.
pub(crate) trait TableRow: Serialize {
    /// What is written to CSV.
    fn columns(&self) -> impl Serialize;

    /// The line of a table, preceded by the heading if it is the first.
    fn line(&self, is_first: bool) -> String;
}

/// The row of one image, as in JSON.
#[derive(Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    card: VerdictCard,
    verdict: &'static str,
    path: String,
    /// Number of the page from 1, where pages are images of their own; `Some(None)` for a file that is one image.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Option<u32>>,
    /// Name of the volume that it is a slice of, and its number in that from 1.
    #[serde(flatten)]
    slice: Option<SliceOf>,
    /// Path of the heat map where heat maps are asked for; `Some(None)` is one that could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    heatmap: Option<Option<String>>,
    /// What was measured, by full name.
    evidence: BTreeMap<String, f64>,
}

/// Which slice of which volume an image is.
#[derive(Clone, Serialize)]
pub(crate) struct SliceOf {
    pub(crate) volume: String,
    pub(crate) slice: usize,
}

/// What the columns of CSV are, without heat maps: those of files or of pages, of images with or without named channels.
pub(crate) const COLUMNS: [&str; 4] = [
    "score,p_value,threshold,verdict,path",
    "score,p_value,threshold,verdict,path,page",
    "score,p_value,threshold,verdict,path,channel",
    "score,p_value,threshold,verdict,path,page,channel",
];

/// Those of rows of pages, and of images with named channels.
pub(crate) fn columns(pages: bool, channels: bool) -> &'static str {
    COLUMNS[usize::from(pages) + 2 * usize::from(channels)]
}

/// The columns of CSV.
#[derive(Serialize)]
struct Columns<'a> {
    score: f64,
    p_value: Option<f64>,
    threshold: f64,
    verdict: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slice: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heatmap: Option<Option<&'a str>>,
}

impl Row {
    pub(crate) fn new(path: &Path, card: VerdictCard, heatmap: Option<Option<&Path>>) -> Self {
        Self {
            page: None,
            slice: None,
            verdict: output::verdict(card.anomalous),
            card,
            path: path.to_string_lossy().into_owned(),
            heatmap: heatmap.map(|written| written.map(|path| path.to_string_lossy().into_owned())),
            evidence: BTreeMap::new(),
        }
    }

    /// The same with what was measured, for JSON.
    pub(crate) fn with_evidence(self, evidence: BTreeMap<String, f64>) -> Self {
        Self { evidence, ..self }
    }

    /// The same of a page from 0, or of a file that is one image, among rows of pages.
    pub(crate) fn with_page(self, page: Option<u32>) -> Self {
        Self { page: Some(page.map(|page| page + 1)), ..self }
    }

    /// Its verdict, in numbers and in a word, and its path.
    pub(crate) fn parts(&self) -> (&VerdictCard, &'static str, &str) {
        (&self.card, self.verdict, &self.path)
    }

    /// The same of a slice of a volume.
    pub(crate) fn with_slice(self, slice: SliceOf) -> Self {
        Self { slice: Some(slice), ..self }
    }
}

impl TableRow for Row {
    fn columns(&self) -> impl Serialize {
        let VerdictCard { score, p_value, threshold, ref channel, .. } = self.card;
        Columns {
            score,
            p_value,
            threshold,
            verdict: self.verdict,
            path: &self.path,
            page: self.page,
            volume: self.slice.as_ref().map(|slice| slice.volume.as_str()),
            slice: self.slice.as_ref().map(|slice| slice.slice),
            channel: channel.as_deref(),
            heatmap: self.heatmap.as_ref().map(Option::as_deref),
        }
    }

    fn line(&self, is_first: bool) -> String {
        let cells = |cells: [&str; 5]| {
            let [score, p_value, threshold, verdict, path] = cells;
            format!("{score:>12}  {p_value:>8}  {threshold:>12}  {verdict:<9}  {path}\n")
        };
        let page = self.page.flatten().map_or_else(String::new, |page| format!(", page {page}"));
        let channel = self.card.channel.as_ref().map_or_else(String::new, |name| format!(", channel {name}"));
        let line = cells([
            &output::number(self.card.score),
            &output::p_value(self.card.p_value),
            &output::number(self.card.threshold),
            self.verdict,
            &(printable(&self.path) + &*page + &*printable(&channel)),
        ]);
        let heading = cells(["score", "p-value", "threshold", "verdict", "path"]);
        if is_first { heading + &line } else { line }
    }
}

/// Writes rows.
pub(crate) struct Rows {
    format: RowFormat,
    sink: Sink,
    is_first: bool,
}

enum Sink {
    Output {
        lock: StdoutLock<'static>,
        /// Whether names could control it.
        is_terminal: bool,
    },
    File(OutputFile),
}

impl Rows {
    /// Opens the file at `out`, or standard output.
    pub(crate) fn open(format: RowFormat, out: Option<&Path>) -> Result<Self, CommandError> {
        let sink = match out {
            None => {
                let lock = io::stdout().lock();
                Sink::Output { is_terminal: lock.is_terminal(), lock }
            }
            Some(path) => Sink::File(OutputFile::create(path)?),
        };
        Ok(Self { format, sink, is_first: true })
    }

    /// Opens the file at `out` to append to its first `length` bytes, which are whole rows.
    pub(crate) fn append(format: RowFormat, out: &Path, length: u64) -> Result<Self, CommandError> {
        let sink = Sink::File(OutputFile::append(out, length)?);
        Ok(Self { format, sink, is_first: length == 0 })
    }

    /// Writes a row. A reader of a stream gets each as soon as it is done.
    pub(crate) fn write(&mut self, row: &impl TableRow) -> Result<(), CommandError> {
        let text = self.format.line(row, std::mem::take(&mut self.is_first))?;
        match &mut self.sink {
            Sink::Output { lock, is_terminal } => {
                let text = if *is_terminal { lines(&text) } else { Cow::Borrowed(&text[..]) };
                lock.write_all(text.as_bytes())?;
                Ok(lock.flush()?)
            }
            Sink::File(file) => Ok(file.write_all(text.as_bytes())?),
        }
    }

    /// Moves the finished file into place.
    pub(crate) fn finish(self) -> Result<(), CommandError> {
        match self.sink {
            Sink::Output { .. } => Ok(()),
            Sink::File(file) => Ok(file.commit()?),
        }
    }
}

impl RowFormat {
    /// The format of files with the extension of `path`, if they hold rows that can be read again.
    pub(crate) fn of_extension(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" | "jsonl" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    /// Formats a row, preceded by the header if it is the first.
    fn line(self, row: &impl TableRow, is_first: bool) -> Result<String, CommandError> {
        match self {
            Self::Json => {
                let line =
                    serde_json::to_string(row).map_err(|error| CommandError::new(error.to_string()))?;
                Ok(output::json_for_terminals(&line).into_owned() + "\n")
            }
            Self::Csv => {
                let mut writer = csv::WriterBuilder::new().has_headers(is_first).from_writer(Vec::new());
                writer.serialize(row.columns()).map_err(|error| CommandError::new(error.to_string()))?;
                let bytes = writer.into_inner().map_err(|error| CommandError::new(error.to_string()))?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Self::Table => Ok(row.line(is_first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_that_there_is_none_of_is_empty_null_or_a_dash() {
        let card = VerdictCard {
            score: 1.5,
            p_value: None,
            threshold: 2.0,
            anomalous: false,
            anomalous_share: None,
            width: 40,
            height: 30,
            spacing_mm: None,
            channel: None,
            remarks: Vec::new(),
        };
        let row = Row::new(Path::new("a.png"), card, None);
        let line = |format: RowFormat| format.line(&row, false).unwrap_or_default();
        assert_eq!(line(RowFormat::Csv), "1.5,,2.0,normal,a.png\n");
        assert!(
            RowFormat::Csv
                .line(&row, true)
                .unwrap_or_default()
                .starts_with(&format!("{}\n", columns(false, false)))
        );
        assert!(line(RowFormat::Json).starts_with("{\"score\":1.5,\"p_value\":null,"));
        assert_eq!(
            line(RowFormat::Table).split_whitespace().collect::<Vec<_>>(),
            ["1.50000", "-", "2.00000", "normal", "a.png"]
        );
        let page = row.with_page(Some(1));
        let line = |format: RowFormat| format.line(&page, false).unwrap_or_default();
        assert_eq!(line(RowFormat::Csv), "1.5,,2.0,normal,a.png,2\n");
        let first = |row: &Row| RowFormat::Csv.line(row, true).unwrap_or_default();
        assert!(first(&page).starts_with(&format!("{}\n", columns(true, false))));
        assert!(line(RowFormat::Table).ends_with("  a.png, page 2\n"));
    }
}
