//! Examples in the docs run: a code block that is not compiled or not run says why.

use crate::tree::Tree;

/// Blocks of Rust marked `ignore` or `no_run` whose first line is no comment with the reason.
pub(crate) fn not_run(tree: &Tree) -> Vec<String> {
    let sources = tree.rust().filter(|(path, _)| path.starts_with("crates/") && path.contains("/src/"));
    let mut broken = Vec::new();
    for (path, text) in sources {
        let lines: Vec<&str> = text.lines().map(undecorated).collect();
        for (at, line) in lines.iter().enumerate() {
            if let Some(mark) = mark(line)
                && !lines.get(at + 1).is_some_and(|next| gives_reason(next))
            {
                let advice = "make it run, or say why it cannot in a comment `// ...` on its first line";
                broken.push(format!("{path}:{}: an example marked `{mark}`: {advice}", at + 1));
            }
        }
    }
    broken
}

/// A line without what makes it a comment.
fn undecorated(line: &str) -> &str {
    let line = line.trim();
    let marks = ["///", "//!", "/**", "/*!", "*"];
    marks.iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line).trim()
}

/// The word that keeps a block of Rust from running, where `line` begins such a block.
fn mark(line: &str) -> Option<&str> {
    let fence = if line.starts_with("```") { '`' } else { '~' };
    let info = line.strip_prefix(["```", "~~~"].iter().find(|fence| line.starts_with(**fence))?)?;
    let info = info.trim_start_matches(fence);
    let words = || info.split([',', ' ', '\t']).map(|word| word.trim_matches(['{', '}', '.']));
    // `ignore-windows` and the like name a platform.
    let stops = |word: &&str| *word == "no_run" || *word == "ignore" || word.starts_with("ignore-");
    let is_rust = words().all(|word| word.is_empty() || stops(&word) || is_attribute(word));
    words().find(stops).filter(|_| is_rust)
}

/// What rustdoc reads as a mark of Rust; any other word is another language's name.
fn is_attribute(word: &str) -> bool {
    matches!(word, "rust" | "should_panic" | "compile_fail" | "test_harness") || word.starts_with("edition")
}

/// A comment with words in it; a line that begins with `#` is hidden from the reader of the docs.
fn gives_reason(line: &str) -> bool {
    let comment = line.strip_prefix("# ").unwrap_or(line).trim_start().strip_prefix("//");
    comment.is_some_and(|comment| comment.split_whitespace().count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        not_run(&Tree::of(&[(path, text)]))
    }

    #[test]
    fn an_example_that_is_not_run_without_a_reason_is_found() {
        let bad = [
            "//! Text.\n//!\n//! ```ignore\n//! a();\n//! ```",
            "    //!\n    /// ```no_run\n    /// a();",
            "//!\n\n/// ```rust,no_run\n/// //\n",
            "/**\n\n ```should_panic, ignore\n a();\n */",
            "/*!\n * \n * ~~~~ignore-windows\n * // no",
            "//!\n\n/// ```edition2024 no_run\n/// let a = 1; // for no reason",
            "//!\n\n/// ```no_run",
        ];
        for text in bad {
            let broken = found("crates/a/src/a.rs", text);
            assert_eq!(broken.len(), 1, "{text}");
            let line =
                text.lines().position(|line| line.contains("```") || line.contains("~~~")).unwrap() + 1;
            assert!(broken[0].starts_with(&format!("crates/a/src/a.rs:{line}: ")), "{broken:?}");
        }
    }

    #[test]
    fn examples_that_run_or_say_why_not_and_other_languages_are_left_alone() {
        let good = [
            "/// ```\n/// a();\n/// ```",
            "/// ```compile_fail\n/// a();",
            "/// ```should_panic\n/// a();",
            "/// ```text\n/// ignore",
            "/// ```sh,ignore\n/// a",
            "/// ```no_run\n/// // Listens until it is stopped.\n/// a();",
            "/// ```ignore\n/// # // Needs a detector file.\n/// a();",
            "#[ignore]\nfn no_run() {}",
        ];
        for text in good {
            assert_eq!(found("crates/a/src/a.rs", text), Vec::<String>::new(), "{text}");
        }
        assert!(found("crates/a/tests/a.rs", "/// ```ignore\n/// a();").is_empty());
    }
}
