//! The one room for what was decided on a person's behalf: counted, and with the name of an example.

use std::collections::BTreeMap;

/// What was guessed, skipped, dropped, changed or read only in part, of several images: for each thing that happened, how
/// often, and to which image first. Reading a data set and decoding fill it, and every door shows its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// By text: how often, and an example.
    entries: BTreeMap<String, (usize, String)>,
}

impl Remarks {
    /// Counts what happened to the image `name`.
    pub fn add(&mut self, text: impl ToString, name: &str) {
        let entry = self.entries.entry(text.to_string()).or_insert_with(|| (0, name.to_owned()));
        entry.0 += 1;
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A line for each thing that happened: "3 images: alpha is 0 everywhere and ignored (such as a.png)".
    pub fn lines(&self) -> Vec<String> {
        let line = |(text, (count, name)): (&String, &(usize, String))| match count {
            1 => format!("1 image: {text} ({name})"),
            _ => format!("{count} images: {text} (such as {name})"),
        };
        self.entries.iter().map(line).collect()
    }
}

/// How many, and one of them, for people: "1 mask (a.png)", "3 masks (such as a.png)".
pub(super) fn counted(names: &[&str], one: &str, many: &str) -> String {
    match names {
        [name] => format!("1 {one} ({name})"),
        [name, ..] => format!("{} {many} (such as {name})", names.len()),
        [] => format!("no {many}"),
    }
}
