//! Rules that look at lines of text: the opening line, words that name one machine, length.

use crate::tree::Tree;

/// A file above this many lines should be obviously one thing.
const LONG_FILE_LINES: usize = 500;

/// The patterns themselves, and their bad examples, live here.
const RULES_FOLDER: &str = "xtask/src/tidy/";

/// Folders that exist on one machine only. They count at the start of a path, not in its middle.
const MACHINE_FOLDERS: &[&str] = &["/work/", "/root/", "/home/", "/Users/", "/tmp/", "C:\\Users\\"];

/// Hosts and settings that lead a package registry or a service to one network. They count where a name begins.
const MACHINE_HOSTS: &[&str] = &[
    "http://10.",
    "http://192.168.",
    "http://host.docker",
    "--index-url",
    "--extra-index-url",
    "replace-with",
    "registry=http",
];

/// Rust files whose first line is not `//! ...`.
pub(crate) fn opening_line_missing(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter(|(_, text)| text.strip_prefix("//! ").is_none_or(|rest| rest.trim_start().is_empty()))
        .map(|(path, _)| format!("{path}:1: expected a first line `//! ...` that says what the file is for"))
        .collect()
}

/// Lines that name a folder or a host of one machine.
pub(crate) fn machine_named(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| !path.starts_with(RULES_FOLDER)) {
        for (number, line) in text.lines().enumerate() {
            let named = MACHINE_FOLDERS.iter().chain(MACHINE_HOSTS).find(|name| begins_in(line, name));
            if let Some(named) = named {
                let advice = "say it relative to the repository, or ask the environment";
                broken.push(format!("{path}:{}: `{named}` belongs to one machine; {advice}", number + 1));
            }
        }
    }
    broken
}

/// Places on the project's pages that wait for a number or a name.
pub(crate) fn blanks(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| path.ends_with(".md")) {
        for (number, line) in text.lines().enumerate() {
            let words =
                line.split(|character: char| !(character.is_alphanumeric() || "-_".contains(character)));
            let waiting = words.filter(|word| word.starts_with("TODO"));
            broken.extend(waiting.map(|word| format!("{path}:{}: {word} waits to be filled in", number + 1)));
        }
    }
    broken
}

/// Rust files that have grown long.
pub(crate) fn long_files(tree: &Tree) -> Vec<String> {
    tree.rust()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|&(_, lines)| lines > LONG_FILE_LINES)
        .map(|(path, lines)| {
            format!("{path} has {lines} lines; above {LONG_FILE_LINES} it should be one thing")
        })
        .collect()
}

/// Whether `name` stands in `line` with no part of a longer path or word before it.
fn begins_in(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|character| !(character.is_alphanumeric() || "/._-~}$*".contains(character)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_opening_line_is_found() {
        let bad = ["", "//!\nfn a() {}", "fn main() {}", "// for nothing", "\n//! Late."];
        for text in bad {
            assert_eq!(opening_line_missing(&Tree::of(&[("build.rs", text)])).len(), 1, "{text:?}");
        }
        assert!(opening_line_missing(&Tree::of(&[("a.rs", "//! Good."), ("b.py", "pass")])).is_empty());
    }

    #[test]
    fn paths_of_one_machine_are_found_in_any_file() {
        let bad = [
            "data = \"/work/data\"",
            "see /root/notes",
            "/home/someone/images",
            "--out=/tmp/run",
            "C:\\Users\\someone",
            "`/Users/someone/x`",
            "curl http://10.0.0.8:8080/simple",
            "[source] replace-with = \"mirror\"",
            "pip install --index-url x",
        ];
        for line in bad {
            let broken = machine_named(&Tree::of(&[("notes.md", &format!("fine\n{line}\n"))]));
            assert_eq!(broken.len(), 1, "{line}");
            assert!(broken[0].starts_with("notes.md:2: "), "{broken:?}");
        }
    }

    #[test]
    fn paths_of_the_project_and_of_the_web_are_left_alone() {
        let good = [
            "crates/work/a",
            "../shared/data",
            "https://example.org/tmp/x",
            "./tmp/",
            "$HOME/tmp/",
            "template",
            "aberra serve listens on http://127.0.0.1:8765",
        ];
        for line in good {
            assert!(machine_named(&Tree::of(&[("notes.md", line)])).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_blank_on_a_page_is_found() {
        let text = "| TODO-NUMBER-speed images/s, TODO |\nfull";
        let broken = blanks(&Tree::of(&[("README.md", text), ("a.rs", text)]));
        assert_eq!(broken.len(), 2);
        assert_eq!(broken[0], "README.md:1: TODO-NUMBER-speed waits to be filled in");
        assert!(blanks(&Tree::of(&[("README.md", "nothing to do")])).is_empty());
    }

    #[test]
    fn a_long_file_is_a_note() {
        let long = "//! Long.\n".repeat(LONG_FILE_LINES + 1);
        let limit = "//! Long.\n".repeat(LONG_FILE_LINES);
        let notes = long_files(&Tree::of(&[("long.rs", &long), ("limit.rs", &limit)]));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("long.rs has 501 lines"), "{notes:?}");
    }
}
