//! One place writes files: nothing else in the crates creates, replaces or moves one.

use super::tokens::{Token, tokens};
use crate::tree::Tree;

/// The output layer, and the lock of a run folder, which is no output.
const WRITERS: &[&str] = &["crates/aberra/src/output/", "crates/aberra/src/run/lock.rs"];

/// Calls by which a file is made, replaced or moved.
const CALLS: &[(&str, &str)] = &[
    ("fs", "write"),
    ("fs", "rename"),
    ("fs", "copy"),
    ("fs", "create_dir"),
    ("fs", "create_dir_all"),
    ("fs", "OpenOptions"),
    ("File", "create"),
    ("File", "create_new"),
    ("File", "options"),
];

/// Names of other crates' ways to write.
const NAMES: &[&str] = &["AtomicWriteFile", "NamedTempFile"];

/// Files that are written outside the output layer.
pub(crate) fn written_elsewhere(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.rust() {
        let is_code = path.starts_with("crates/") && path.contains("/src/") && !path.contains("/tests/");
        if !is_code || WRITERS.iter().any(|writer| path.starts_with(writer)) {
            continue;
        }
        let Ok(flat) = tokens(text) else { continue };
        for at in (0..flat.len()).filter(|&at| !flat[at].in_test) {
            if let Some(call) = call(&flat, at) {
                let line = flat[at].line;
                broken.push(format!("{path}:{line}: `{call}`: write files with `aberra::output`"));
            }
        }
    }
    broken
}

fn call(flat: &[Token], at: usize) -> Option<String> {
    let text = |at: usize| flat.get(at).map(|token| token.text.as_str()).unwrap_or_default();
    if NAMES.contains(&text(at)) {
        return Some(text(at).to_owned());
    }
    let is_path = text(at + 1) == ":" && text(at + 2) == ":";
    let found = CALLS.iter().find(|(from, name)| is_path && text(at) == *from && text(at + 3) == *name);
    found.map(|(from, name)| format!("{from}::{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_elsewhere_is_found() {
        let bad = [
            "fn a() { std::fs::write(\"a\", b\"\"); }",
            "fn a() { File::create(\"a\"); }",
            "fn a() { fs::rename(\"a\", \"b\"); }",
            "use std::fs::OpenOptions;",
            "use atomic_write_file::AtomicWriteFile;",
        ];
        for text in bad {
            assert_eq!(written_elsewhere(&Tree::of(&[("crates/a/src/a.rs", text)])).len(), 1, "{text}");
        }
        let good = "fn a() { fs::read(\"a\"); File::open(\"a\"); output::write(\"a\", b\"\"); }\n\
            #[cfg(test)] mod tests { fn b() { fs::write(\"a\", b\"\"); } }";
        let tree = Tree::of(&[
            ("crates/a/src/a.rs", good),
            ("crates/aberra/src/output/mod.rs", bad[0]),
            ("crates/a/tests/a.rs", bad[0]),
            ("xtask/src/a.rs", bad[0]),
        ]);
        assert_eq!(written_elsewhere(&tree), Vec::<String>::new());
    }
}
