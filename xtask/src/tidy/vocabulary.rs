//! Phrases of this project's own in place of the field's words, in comments and strings of Rust and on the pages.

use crate::tree::Tree;

/// Phrases that are not to be used, and what to write in their place. Lower case, words divided by one space.
const PHRASES: &[(&str, &str)] = &[
    ("asks the model", "runs inference"),
    ("ask the model", "run inference"),
    ("what becomes of", "what happens to, or in a kernel: epilogue"),
    ("may be told", "accepts, or: can be configured with"),
    ("is told", "receives, or: is notified of"),
    ("are told", "receive, or: are notified of"),
    ("says of", "reports for, or: scores"),
    ("makes of", "model output"),
    ("turned away", "rejected"),
    ("takes requests apart", "parses requests"),
    ("holds nobody up", "does not block others"),
    ("asked to end", "shutting down"),
    ("made anew", "recreated"),
    ("near-copies", "near-duplicates"),
    ("near-copy", "near-duplicate"),
];

/// The table itself, and bad examples, live here.
const RULES_FOLDER: &str = "xtask/src/tidy/";

/// Where the app lives.
const APP_FOLDER: &str = "web/";

/// Phrases of the table in comments, strings and pages, also where a line ends within one. Names of functions, whose
/// words are divided by `_`, are not looked at.
pub(crate) fn dialect(tree: &Tree) -> Vec<String> {
    phrases(tree, |path| !path.starts_with(RULES_FOLDER) && !path.starts_with(APP_FOLDER))
}

/// The same in the app's folder.
pub(crate) fn dialect_of_the_app(tree: &Tree) -> Vec<String> {
    phrases(tree, |path| path.starts_with(APP_FOLDER))
}

fn phrases(tree: &Tree, covers: fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| covers(path)) {
        let words = if path.ends_with(".rs") {
            words(&prose(text))
        } else if path.ends_with(".md") {
            words(text)
        } else {
            continue;
        };
        for at in 0..words.len() {
            for (phrase, standard) in PHRASES {
                let mut expected = phrase.split(' ');
                let found = words[at..].iter().map(|word| word.text.as_str());
                if expected.by_ref().zip(found).all(|(expected, found)| expected == found)
                    && expected.next().is_none()
                {
                    broken.push(format!("{path}:{}: `{phrase}`; the field says: {standard}", words[at].line));
                }
            }
        }
    }
    broken
}

struct Word {
    /// In lower case; empty at a punctuation mark, over which no phrase reaches.
    text: String,
    line: usize,
}

/// The words of a text. Marks of emphasis, quotes and what begins a comment are as good as spaces.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut push = |text: &str| {
            if !text.is_empty() || words.last().is_some_and(|last| !last.text.is_empty()) {
                words.push(Word { text: text.to_lowercase(), line: number + 1 });
            }
        };
        let is_space = |character: char| character.is_whitespace() || "*`\"/#>".contains(character);
        let is_mark = |character: char| {
            !(character.is_alphanumeric() || is_space(character) || "_-'".contains(character))
        };
        for part in line.split(is_space).filter(|part| !part.is_empty()) {
            for (count, word) in part.split(is_mark).enumerate() {
                if count > 0 {
                    push("");
                }
                if !word.is_empty() {
                    push(word);
                }
            }
        }
        // An empty line ends a paragraph.
        if line.chars().all(|character| is_space(character) || character == '!') {
            push("");
        }
    }
    words
}

/// Rust source in which code, the edges of strings and escapes have become full stops; lines stay where they are.
fn prose(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut prose = String::with_capacity(source.len());
    let begins =
        |at: usize, what: &str| what.chars().enumerate().all(|(i, one)| text.get(at + i) == Some(&one));
    let mut at = 0;
    while at < text.len() {
        let start = at;
        if begins(at, "//") {
            while at < text.len() && text[at] != '\n' {
                at += 1;
            }
            let marks = text[start..at].iter().take_while(|mark| "/!".contains(**mark)).count();
            prose.extend(std::iter::repeat_n(' ', marks).chain(text[start + marks..at].iter().copied()));
        } else if begins(at, "/*") {
            let mut depth = 0;
            while at < text.len() {
                let step = match () {
                    () if begins(at, "/*") => 1,
                    () if begins(at, "*/") => -1,
                    () => 0,
                };
                depth += step;
                at += if step == 0 { 1 } else { 2 };
                if depth == 0 {
                    break;
                }
            }
            prose.extend(&text[start..at.min(text.len())]);
        } else if let Some((inside, end)) = raw_string(&text, at) {
            prose.push('.');
            prose.extend(&text[inside]);
            prose.push('.');
            at = end;
        } else if text[at] == '"' {
            prose.push('.');
            at += 1;
            while at < text.len() && text[at] != '"' {
                if text[at] == '\\' {
                    // A line that is continued goes on as prose does.
                    prose.push(if begins(at + 1, "\n") { '\n' } else { '.' });
                    at += 2;
                } else {
                    prose.push(text[at]);
                    at += 1;
                }
            }
            prose.push('.');
            at += 1;
        } else if begins(at, "'\\") {
            // The character after the backslash may be the quote itself.
            at += 3;
            while at < text.len() && text[at] != '\'' {
                at += 1;
            }
            prose.push('.');
            at += 1;
        } else if text[at] == '\'' && text.get(at + 2) == Some(&'\'') {
            prose.push('.');
            at += 3;
        } else {
            prose.push(if text[at].is_whitespace() { text[at] } else { '.' });
            at += 1;
        }
    }
    prose
}

/// The inside of a raw string that begins at `at`, and where what follows it begins.
fn raw_string(text: &[char], at: usize) -> Option<(std::ops::Range<usize>, usize)> {
    let before = at.checked_sub(1).map(|before| text[before]);
    if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
        return None;
    }
    let r = at + usize::from(matches!(text[at], 'b' | 'c'));
    let hashes = text.get(r + 1..)?.iter().take_while(|one| **one == '#').count();
    let start = r + 2 + hashes;
    if text[r] != 'r' || text.get(start - 1) != Some(&'"') {
        return None;
    }
    let closes = |end: &usize| {
        let after = &text[end + 1..];
        text[*end] == '"' && after.iter().take(hashes).filter(|one| **one == '#').count() == hashes
    };
    let end = (start..text.len()).find(closes).unwrap_or(text.len());
    Some((start..end, (end + 1 + hashes).min(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        dialect(&Tree::of(&[(path, text)]))
    }

    #[test]
    fn phrases_are_found_in_comments_strings_and_pages_with_their_line() {
        let bad = [
            "// What a detector says of an image.",
            "fn a() {} //! What becomes of a sum.",
            "/* One thread\n * asks the model. */",
            "const A: &str = \"a \\\"b\\\" says of c\";",
            "const A: &str = \"it says \\\n    of c\";",
            "const A: &str = r#\"a \"b\" says of c\"#;",
            "const A: char = '\"'; // It says of c.",
            "const A: char = '\\''; fn a<'b>(c: &'b str) { /* it /* says */ for c */ \"it says of c\" }",
            "#![doc = \"says of c\"]",
        ];
        for text in bad {
            assert_eq!(found("a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(
            found("a.md", "# Page\n\nOne thread *asks*\nthe `model`, and says\nof it"),
            [
                "a.md:3: `asks the model`; the field says: runs inference",
                "a.md:4: `says of`; the field says: reports for, or: scores"
            ]
        );
    }

    #[test]
    fn a_phrase_over_lines_of_a_comment_is_found() {
        let text = "fn a() {}\n/// A detector says\n/// of an image how far it is.\nfn b() {}\n//! What becomes\n//! of it";
        let lines: Vec<_> =
            found("a.rs", text).iter().map(|line| line.split(':').nth(1).unwrap().to_owned()).collect();
        assert_eq!(lines, ["2", "5"]);
    }

    #[test]
    fn names_code_other_files_and_other_words_are_left_alone() {
        let good = [
            "fn what_becomes_of_a_sum_is_told() {}",
            "says!(of); asks::the::model",
            "// What it says.\n// Of all, the last.",
            "// it says\nlet a = b; // of c",
            "// it says\n//\n// of c",
            "// it says\n\n// of c",
            "let a = (\"it says\", \"of c\");",
            "// an essay says offhand",
            "// `what_becomes_of_it` says more",
        ];
        for text in good {
            assert_eq!(found("a.rs", text), Vec::<String>::new(), "{text}");
        }
        assert!(found("a.json", "says of").is_empty());
        assert!(found("web/a.md", "says of").is_empty());
        assert_eq!(dialect_of_the_app(&Tree::of(&[("web/a.md", "says of"), ("a.md", "says of")])).len(), 1);
        assert!(found("xtask/src/tidy/a.rs", "// says of").is_empty());
    }

    #[test]
    fn every_phrase_of_the_table_is_found_as_it_is_written() {
        for (phrase, standard) in PHRASES {
            let broken = found("a.md", &format!("It {phrase} it."));
            assert_eq!(broken, [format!("a.md:1: `{phrase}`; the field says: {standard}")]);
            assert!(!PHRASES.iter().any(|(other, _)| standard.contains(other)), "{standard}");
        }
    }
}
