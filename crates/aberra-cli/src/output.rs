//! Output: data to standard output, everything else to standard error, files whole or not at all.
//!
//! Nothing depends on colour, and there is none where `NO_COLOR` is set or standard error is no terminal.

use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use atomic_write_file::AtomicWriteFile;
use serde::Serialize;

use crate::error::{CommandError, ExitStatus};

/// Writes a text and a line end to standard output.
pub(crate) fn data(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Writes an object to standard output, over several lines.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    data(&pretty(value)?)
}

/// An object as JSON over several lines.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value).map_err(|error| CommandError::new(error.to_string()))
}

/// Prints a line to standard error.
pub(crate) fn note(text: &str) {
    say(Style::new(), "", text);
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    say(AnsiColor::Red.on_default().bold(), "error: ", text);
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    say(AnsiColor::Yellow.on_default().bold(), "warning: ", text);
}

/// Prints what to do next.
pub(crate) fn hint(text: &str) {
    say(AnsiColor::Cyan.on_default().bold(), "hint: ", text);
}

/// Prints why a verb failed; returns the exit code.
pub(crate) fn report(problem: CommandError) -> ExitStatus {
    let (message, help, status) = match problem {
        CommandError::ReaderLeft => return ExitStatus::Done,
        CommandError::Library(error) if error.is_interrupted() => {
            note(&error.to_string());
            return ExitStatus::Interrupted;
        }
        CommandError::Library(error) => {
            (error.to_string(), error.hint().map(str::to_owned), ExitStatus::NothingDone)
        }
        CommandError::Own { message, hint } => (message, hint, ExitStatus::NothingDone),
    };
    error(&message);
    if let Some(help) = help {
        hint(&help);
    }
    status
}

/// A standard error that cannot be written is no reason to stop.
fn say(style: Style, word: &str, text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{style}{word}{style:#}{text}");
}

/// Replaces the file at `path` by `bytes`, whole and durably, or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let replace = || {
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    replace().map_err(|error: io::Error| CommandError::at(path, error))
}

/// Lines of a name and a value, values aligned.
pub(crate) fn aligned(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = rows
        .iter()
        .map(|(name, value)| {
            let indented = value.replace('\n', &format!("\n{:width$}  ", ""));
            format!("{name:width$}  {indented}")
        })
        .collect();
    lines.join("\n")
}

/// A path as one would type it: quoted where a shell would take it apart.
pub(crate) fn typed(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |character: char| character.is_alphanumeric() || "/._-+:,@%=~".contains(character);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with(['-', '~']) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A share as a percentage, with as few digits as tell it.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A duration for people.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..100 => format!("{whole} s"),
        100..6_000 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Six digits that count.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    let before_point = value.abs().log10().floor();
    if !(-5.0..7.0).contains(&before_point) {
        return format!("{value:.5e}");
    }
    format!("{value:.*}", (5.0 - before_point).max(0.0) as usize)
}

/// A p-value for people; `-` where there is none.
pub(crate) fn p_value(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A verdict in one word.
pub(crate) fn verdict(anomalous: bool) -> &'static str {
    if anomalous { "anomalous" } else { "normal" }
}

/// A count with its word.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
