//! Tables and running text for a terminal: aligned columns, lines broken between words.

use std::fmt::{self, Formatter, Write};

/// Columns of running text.
const LINE_COLUMNS: usize = 100;

/// Columns as wide as their longest entry: the first to the left, the others to the right.
pub(crate) struct Grid(Vec<Vec<String>>);

impl Grid {
    pub(crate) fn new<'a>(heading: impl IntoIterator<Item = &'a str>) -> Self {
        Self(vec![heading.into_iter().map(str::to_owned).collect()])
    }

    pub(crate) fn row(&mut self, row: impl IntoIterator<Item = String>) {
        self.0.push(row.into_iter().collect());
    }

    /// Rows without any entry are left out.
    pub(crate) fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width =
            |row: &Vec<String>, column: usize| row.get(column).map_or(0, |entry| entry.chars().count());
        let longest = |column: usize| self.0.iter().map(|row| width(row, column)).max().unwrap_or_default();
        for row in self.0.iter().filter(|row| row.iter().any(|entry| !entry.is_empty())) {
            let mut line = String::from("  ");
            for (column, entry) in row.iter().enumerate() {
                let width = longest(column);
                match column {
                    0 => write!(line, "{entry:<width$}")?,
                    _ => write!(line, "  {entry:>width$}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Running text, broken between words.
pub(crate) fn wrapped(f: &mut Formatter<'_>, first: &str, further: &str, text: &str) -> fmt::Result {
    let mut line = first.to_owned();
    let mut is_fresh = true;
    for word in text.split_whitespace() {
        if !is_fresh && line.chars().count() + 1 + word.chars().count() > LINE_COLUMNS {
            writeln!(f, "{line}")?;
            line = further.to_owned();
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    writeln!(f, "{line}")
}
