//! Output: data to standard output, messages to standard error, targets of files, and number formats. No name that is
//! printed here can control the terminal.
//!
//! Colour carries no meaning, and is off with `NO_COLOR` or without a terminal.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use aberra::output::{check, lines};
use aberra::run::refuse_in_use;
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::error::{CommandError, ExitStatus};

/// Prints a line to standard output.
pub(crate) fn data(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", lines(text))?;
    Ok(out.flush()?)
}

/// Prints a value to standard output as pretty-printed JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    data(&pretty(value)?)
}

/// Prints a value to standard output as JSON on one line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string(value).map_err(|error| CommandError::new(error.to_string()))?;
    data(&json_for_terminals(&text))
}

/// Formats a value as pretty-printed JSON.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CommandError::new(error.to_string()))?;
    Ok(json_for_terminals(&text).into_owned())
}

/// Prints a message to standard error.
pub(crate) fn note(text: &str) {
    say(Style::new(), "", text);
}

/// Prints an error to standard error.
pub(crate) fn error(text: &str) {
    say(AnsiColor::Red.on_default().bold(), "error: ", text);
}

/// Prints a warning to standard error.
pub(crate) fn warning(text: &str) {
    say(AnsiColor::Yellow.on_default().bold(), "warning: ", text);
}

/// Prints a hint to standard error.
pub(crate) fn hint(text: &str) {
    say(AnsiColor::Cyan.on_default().bold(), "hint: ", text);
}

/// Prints the error that ended a verb, and returns the exit code.
pub(crate) fn report(problem: CommandError) -> ExitStatus {
    let (message, help, status) = match problem {
        CommandError::ClosedPipe => return ExitStatus::Done,
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

/// Prints a line to standard error. If that fails there is nowhere to report it.
fn say(style: Style, word: &str, text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{style}{word}{style:#}{}", lines(text));
}

/// JSON in which what would control a terminal is escaped; it says the same.
pub(crate) fn json_for_terminals(text: &str) -> Cow<'_, str> {
    if matches!(lines(text), Cow::Borrowed(_)) {
        return Cow::Borrowed(text);
    }
    // JSON escapes ASCII itself: what is left stands in strings.
    let escaped = |character: char| match lines(character.encode_utf8(&mut [0; 4])) {
        Cow::Borrowed(_) => character.to_string(),
        Cow::Owned(_) => format!("\\u{:04x}", u32::from(character)),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Checks, before the work, that a file can be written, and that it is none of `inputs`.
pub(crate) fn target(path: &Path, inputs: &[&Path]) -> Result<(), CommandError> {
    check(path, inputs)?;
    Ok(refuse_in_use(path)?)
}

/// Checks that a folder of results is not the file of others, and does not lie in its place.
pub(crate) fn apart(file: &Path, folder: &Path) -> Result<(), CommandError> {
    let place = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !place(folder).starts_with(place(file)) {
        return Ok(());
    }
    Err(CommandError::at(
        folder,
        format!("expected a folder apart from the file {}, found its place", file.display()),
    )
    .with_hint("give the file and the folder different names"))
}

/// Formats rows of a name and a value with the values aligned.
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

/// Formats a path for a shell, quoted if necessary.
pub(crate) fn typed(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |character: char| character.is_alphanumeric() || "/._-+:,@%=~".contains(character);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with(['-', '~']) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Formats a number of bytes with a unit.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Formats a share as a percentage with up to two decimals.
pub(crate) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Formats a duration with units.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..100 => format!("{whole} s"),
        100..6_000 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Formats a number with six significant digits.
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

/// Formats a p-value; `-` if there is none.
pub(crate) fn p_value(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A verdict in one word.
pub(crate) fn verdict(anomalous: bool) -> &'static str {
    if anomalous { "anomalous" } else { "normal" }
}

/// Formats a count with its noun.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_and_controls_no_terminal() {
        let name = "a\u{7f}\u{9b}31m\u{202e}\u{65ad}\n.png";
        let text = pretty(&name).unwrap();
        assert!(text.contains("\\u009b31m\\u202e\u{65ad}"), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
    }
}
