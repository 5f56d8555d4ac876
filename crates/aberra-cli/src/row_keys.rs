//! Reads rows that were written: which images they are of, so that scoring goes on where it was interrupted, and their lines, so
//! that shards are joined.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use crate::error::CommandError;
use crate::output;
use crate::rows::{COLUMNS, RowFormat};

/// The images of a file's rows.
#[derive(Debug, Default)]
pub(crate) struct RowKeys(HashSet<(String, Option<u32>)>);

/// What identifies a row, and the detector that gave it.
#[derive(Deserialize)]
struct Key {
    path: String,
    /// From 1.
    page: Option<u32>,
    threshold: f64,
}

/// Keys, and where their rows lie.
type Lines = Vec<(Key, Range<usize>)>;

/// A row that was written.
pub(crate) struct Row<'a> {
    pub(crate) path: String,
    /// From 1.
    pub(crate) page: Option<u32>,
    /// With its end.
    pub(crate) line: &'a [u8],
}

/// The rows of a finished file, and what stands before them.
///
/// # Errors
/// Other content, or a row that was cut.
pub(crate) fn read_rows<'a>(
    path: &Path,
    bytes: &'a [u8],
    format: RowFormat,
) -> Result<(&'a [u8], Vec<Row<'a>>), CommandError> {
    let columns = COLUMNS.into_iter().find(|columns| bytes.starts_with(format!("{columns}\n").as_bytes()));
    let keys = match format {
        _ if bytes.is_empty() => Ok((Vec::new(), 0)),
        RowFormat::Csv => csv_keys(bytes, columns.unwrap_or(COLUMNS[0])),
        _ => json_keys(bytes),
    };
    let refuse =
        |found: String| CommandError::at(path, format!("expected rows of `aberra score`, found {found}"));
    let (keys, whole) = keys.map_err(refuse)?;
    if whole < bytes.len() {
        return Err(refuse("a row that was not finished".to_owned()).with_hint("run the shard again"));
    }
    let start = keys.first().map_or(bytes.len(), |(_, line)| line.start);
    let row = |(key, line): (Key, Range<usize>)| Row { path: key.path, page: key.page, line: &bytes[line] };
    Ok((&bytes[..start], keys.into_iter().map(row).collect()))
}

impl RowKeys {
    /// Whether there is a row of an image, or of its page from 0.
    pub(crate) fn has(&self, path: &Path, page: Option<u32>) -> bool {
        // Without rows no path need be copied.
        !self.0.is_empty()
            && self.0.contains(&(path.to_string_lossy().into_owned(), page.map(|page| page + 1)))
    }

    /// Reads the rows of these CSV columns that a detector with this threshold wrote to `path` before, if it is there,
    /// and the length of the file without a row that was not finished.
    ///
    /// # Errors
    /// A file that cannot be read, other columns or content, or rows of another threshold.
    pub(crate) fn read(
        path: &Path,
        format: RowFormat,
        columns: &str,
        threshold: f64,
    ) -> Result<(Self, u64), CommandError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Self::default(), 0)),
            Err(error) => return Err(CommandError::at(path, error)),
        };
        let foreign = |found: String| {
            CommandError::at(path, format!("expected rows of `aberra score` ({columns}), found {found}"))
                .with_hint("give another file, or leave out --resume to replace this one")
        };
        let (keys, length) = match format {
            RowFormat::Csv => csv_keys(&bytes, columns).map_err(foreign)?,
            RowFormat::Json => json_keys(&bytes).map_err(foreign)?,
            RowFormat::Table => {
                return Err(CommandError::at(
                    path,
                    "expected a file of CSV or JSON lines to go on with, found a table",
                )
                .with_hint("name it .csv or .jsonl"));
            }
        };
        if let Some(other) = keys.iter().map(|(key, _)| key).find(|key| key.threshold != threshold) {
            return Err(CommandError::at(
                path,
                format!(
                    "expected rows of this detector, whose threshold is {}, found one with a threshold of {}",
                    output::number(threshold),
                    output::number(other.threshold)
                ),
            )
            .with_hint("give another file, or leave out --resume to replace this one"));
        }
        if length < bytes.len() {
            output::note("the last row was not finished; its image is scored again");
        }
        Ok((Self(keys.into_iter().map(|(key, _)| (key.path, key.page)).collect()), length as u64))
    }
}

/// The keys of CSV and where their rows lie, and the length of what is whole; or what was found instead.
fn csv_keys(bytes: &[u8], columns: &str) -> Result<(Lines, usize), String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let headers = reader.byte_headers().map_err(|error| error.to_string())?.clone();
    let mut whole = usize::try_from(reader.position().byte()).unwrap_or(bytes.len());
    if !bytes[..whole].ends_with(b"\n") {
        // Not even the first line was finished.
        return if columns.as_bytes().starts_with(bytes) { Ok((Vec::new(), 0)) } else { Err(shown(bytes)) };
    }
    let found = String::from_utf8_lossy(&bytes[..whole]).trim_end().to_owned();
    if found != columns {
        return Err(shown(found.as_bytes()));
    }
    let (mut keys, mut record) = (Vec::new(), csv::ByteRecord::new());
    loop {
        let is_row = reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
        let end = usize::try_from(reader.position().byte()).unwrap_or(bytes.len());
        let row = &bytes[whole..end.min(bytes.len())];
        // A row that was cut ends without a newline, or with one inside quotes.
        let quotes = row.iter().filter(|&&byte| byte == b'"').count();
        if !is_row || !row.ends_with(b"\n") || quotes % 2 == 1 {
            return Ok((keys, whole));
        }
        keys.push((record.deserialize(Some(&headers)).map_err(|_| shown(row))?, whole..end));
        whole = end;
    }
}

/// The keys of JSON lines and where these lie, and the length of what is whole; or what was found instead.
fn json_keys(bytes: &[u8]) -> Result<(Lines, usize), String> {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let mut end = 0;
    let keys = bytes[..whole].split_inclusive(|&byte| byte == b'\n').map(|line| {
        let start = end;
        end += line.len();
        Ok((serde_json::from_slice(line).map_err(|_| shown(line))?, start..end))
    });
    Ok((keys.collect::<Result<_, String>>()?, whole))
}

/// The beginning of what was found.
fn shown(found: &[u8]) -> String {
    const SHOWN: usize = 60;
    format!("{:?}", String::from_utf8_lossy(&found[..found.len().min(SHOWN)]).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: RowFormat, text: &str) -> Result<(RowKeys, u64), CommandError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        RowKeys::read(file.path(), format, COLUMNS[0], 2.0)
    }

    #[test]
    fn rows_cut_anywhere_leave_those_that_are_whole() {
        let csv = format!("{}\n1.0,,2.0,normal,a.png\n1.0,0.5,2.0,normal,\"b,\n\"\"c.png\"\n", COLUMNS[0]);
        let json =
            "{\"threshold\":2.0,\"path\":\"a.png\"}\n{\"threshold\":2.0,\"path\":\"b,\\n\\\"c.png\"}\n";
        for (format, text) in [(RowFormat::Csv, csv.as_str()), (RowFormat::Json, json)] {
            let ends: Vec<usize> =
                (0..=text.len()).filter(|&end| read(format, &text[..end]).unwrap().1 == end as u64).collect();
            for end in 0..=text.len() {
                let (keys, whole) = read(format, &text[..end]).unwrap();
                assert!(ends.contains(&(whole as usize)) && whole as usize <= end, "{format:?}, {end}");
                assert_eq!(keys.has(Path::new("a.png"), None), whole as usize >= text.find("a.png").unwrap());
            }
            let (keys, whole) = read(format, text).unwrap();
            assert_eq!((keys.0.len(), whole), (2, text.len() as u64));
            assert!(keys.has(Path::new("b,\n\"c.png"), None) && !keys.has(Path::new("a.png"), Some(0)));
        }
    }

    #[test]
    fn files_of_others_and_other_detectors_are_refused() {
        for (format, text, found) in [
            (RowFormat::Csv, "name,score\na,1\n", "found \"name,score\""),
            (
                RowFormat::Csv,
                "score,p_value,threshold,verdict,path\n1,,3.0,normal,a\n",
                "a threshold of 3.00000",
            ),
            (RowFormat::Json, "{\"a\":1}\n", "found \"{"),
            (RowFormat::Json, "{\"path\":\"a\",\"threshold\":1.5}\n", "a threshold of 1.50000"),
            (RowFormat::Table, "score\n", "found a table"),
        ] {
            let error = read(format, text).unwrap_err();
            let CommandError::Own { message, .. } = error else { panic!("{error:?}") };
            assert!(message.contains(found), "{message}");
        }
    }
}
