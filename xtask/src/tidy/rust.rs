//! Rules that look at Rust's tokens: `unsafe`, work left for later, and the one comparison that makes a verdict.

use super::tokens::{Token, tokens};
use crate::tree::Tree;

/// The one crate in which `unsafe` may stand.
const UNSAFE_FOLDER: &str = "crates/aberra-kernels/";

/// Methods that compare as the operators do.
const COMPARING_METHODS: &[&str] = &["gt", "ge", "lt", "le", "total_cmp", "partial_cmp"];

/// Files that are not Rust, and so escape the other rules of this page.
pub(crate) fn unreadable(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter_map(|(path, text)| tokens(text).err().map(|error| format!("{path}: {error}")))
        .collect()
}

/// `unsafe` outside the kernels, and unsafe blocks and impls without a comment `SAFETY:` right above.
pub(crate) fn unsafe_misplaced(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text, flat) in files(tree) {
        let lines: Vec<&str> = text.lines().collect();
        for (at, token) in flat.iter().enumerate().filter(|(_, token)| token.text == "unsafe") {
            // `#[unsafe(no_mangle)]` is an attribute, and still has no place outside the kernels.
            let promises = flat.get(at + 1).is_some_and(|next| next.text == "{" || next.text == "impl");
            if !path.starts_with(UNSAFE_FOLDER) {
                broken.push(format!("{path}:{}: `unsafe` may stand only in {UNSAFE_FOLDER}", token.line));
            } else if promises && !safety_above(&lines, token.line) {
                let advice = "expected a comment `SAFETY:` above it that says why it is sound";
                broken.push(format!("{path}:{}: `unsafe`: {advice}", token.line));
            }
        }
    }
    broken
}

/// Unfinished work and tests that are switched off.
pub(crate) fn left_for_later(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (path, text, flat) in files(tree) {
        for pair in flat.windows(2) {
            if matches!(pair[0].text.as_str(), "todo" | "unimplemented") && pair[1].text == "!" {
                broken.push(format!("{path}:{}: `{}!` is not done", pair[0].line, pair[0].text));
            }
            if pair[0].text == "[" && pair[1].text == "ignore" {
                broken.push(format!("{path}:{}: a test that is ignored guards nothing", pair[1].line));
            }
        }
        if !path.starts_with("xtask/src/tidy/") {
            for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("FIXME")) {
                broken.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    broken
}

/// The verdict is `score > threshold`, with this operator, in exactly one place outside the tests.
pub(crate) fn verdict_elsewhere(tree: &Tree) -> Vec<String> {
    let mut places = Vec::new();
    for (path, _, flat) in files(tree) {
        if !path.starts_with("crates/") || path.contains("/tests/") || path.contains("/benches/") {
            continue;
        }
        for at in 0..flat.len() {
            if let Some((left, operator, right)) = comparison(&flat, at)
                && ((speaks_of(&left, "score") && speaks_of(&right, "threshold"))
                    || (speaks_of(&left, "threshold") && speaks_of(&right, "score")))
            {
                let place = format!("{path}:{}: {left} {operator} {right}", flat[at].line);
                places.push((operator == ">" && speaks_of(&left, "score"), place));
            }
        }
    }
    match places.as_slice() {
        [(true, _)] => Vec::new(),
        [] => vec!["expected `score > threshold` in one place of crates/, found none".to_owned()],
        [(false, place)] => vec![format!("{place}: expected `score > threshold`: a tie is normal")],
        _ => {
            let listed = places.iter().map(|(_, place)| place.clone());
            std::iter::once("expected `score > threshold` in one place, found:".to_owned())
                .chain(listed)
                .collect()
        }
    }
}

/// The readable Rust files, each with its text and tokens.
fn files(tree: &Tree) -> impl Iterator<Item = (&str, &str, Vec<Token>)> {
    tree.rust().filter_map(|(path, text)| Some((path, text, tokens(text).ok()?)))
}

/// Whether a comment with `SAFETY:` stands on `line` or above it: over attributes and the rest of the same statement,
/// but not over another statement.
fn safety_above(lines: &[&str], line: usize) -> bool {
    let own = line.saturating_sub(1);
    let has = |text: &str| text.find("//").is_some_and(|at| text[at..].contains("SAFETY:"));
    if lines.get(own).is_some_and(|text| has(text)) {
        return true;
    }
    let mut in_comment = false;
    for text in lines[..own.min(lines.len())].iter().rev().map(|text| text.trim()) {
        let is_comment = text.starts_with("//");
        if is_comment && has(text) {
            return true;
        }
        let ends_statement = text.is_empty() || text.ends_with([';', '{', '}', ',']);
        if !is_comment && (in_comment || ends_statement) {
            return false;
        }
        in_comment |= is_comment;
    }
    false
}

/// The comparison whose operator or method stands at `at`: the last names of both sides, outside tests.
fn comparison(flat: &[Token], at: usize) -> Option<(String, String, String)> {
    let token = &flat[at];
    if token.in_test {
        return None;
    }
    if token.text == ">" || token.text == "<" {
        // `->`, `=>`, `>>` and `<<` are other things.
        let continued = at.checked_sub(1).is_some_and(|before| flat[before].joint);
        let next = flat.get(at + 1)?;
        let or_equal = token.joint && next.text == "=";
        if continued || (token.joint && (next.text == ">" || next.text == "<")) {
            return None;
        }
        let right = last_name(flat, at + 1 + usize::from(or_equal))?;
        let operator = if or_equal { format!("{}=", token.text) } else { token.text.clone() };
        return Some((name_before(flat, at)?, operator, right));
    }
    let is_method = COMPARING_METHODS.contains(&token.text.as_str());
    if is_method && flat.get(at.checked_sub(1)?)?.text == "." && flat.get(at + 1)?.text == "(" {
        return Some((name_before(flat, at - 1)?, token.text.clone(), last_name(flat, at + 2)?));
    }
    None
}

/// The name that ends just before `at`, over the brackets of a call or an index.
fn name_before(flat: &[Token], at: usize) -> Option<String> {
    let mut before = at.checked_sub(1)?;
    let mut depth = 0usize;
    loop {
        let text = flat[before].text.as_str();
        match text {
            ")" | "]" => depth += 1,
            "(" | "[" => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return flat[before].is_name().then(|| text.to_owned()),
            _ => {}
        }
        before = before.checked_sub(1)?;
    }
}

/// The last name of the path that begins at `at`: `threshold` of `&self.calibration.threshold`.
fn last_name(flat: &[Token], at: usize) -> Option<String> {
    let mut last = None;
    for token in &flat[at..] {
        match token.text.as_str() {
            "&" | "*" | "." | ":" | "(" | "-" if last.is_none() || token.text == "." || token.text == ":" => {
            }
            name if token.is_name() => last = Some(name.to_owned()),
            _ => break,
        }
    }
    last
}

fn speaks_of(name: &str, word: &str) -> bool {
    name.to_lowercase().split('_').any(|part| part == word || part.strip_suffix('s') == Some(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: &str = "crates/aberra-kernels/src/a.rs";

    #[test]
    fn source_that_cannot_be_read_is_found() {
        assert_eq!(unreadable(&Tree::of(&[("a.rs", "fn a( {")])).len(), 1);
    }

    #[test]
    fn unsafe_outside_the_kernels_is_found_but_not_in_words() {
        let good = "// unsafe { }\nconst A: &str = \"unsafe { }\";\n#![deny(unsafe_code)]";
        let bad = "fn a() {\n // SAFETY: none.\n unsafe { b() } }";
        let broken = unsafe_misplaced(&Tree::of(&[("crates/aberra/src/a.rs", bad), ("b.rs", good)]));
        assert_eq!(broken.len(), 1);
        assert!(broken[0].starts_with("crates/aberra/src/a.rs:3: "), "{broken:?}");
    }

    #[test]
    fn an_unsafe_block_without_its_reason_is_found() {
        let bad = [
            "fn a() { unsafe { b() } }",
            "fn a() {\n    // SAFETY: of the first.\n    unsafe { b() };\n    unsafe { c() };\n}",
            "// SAFETY: of something else.\nfn a() {\n    unsafe { b() }\n}",
            "// reason\nunsafe impl Send for A {}",
            "fn a() { let b = \"SAFETY:\"; unsafe { b() } }",
        ];
        for text in bad {
            assert_eq!(unsafe_misplaced(&Tree::of(&[(KERNEL, text)])).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_unsafe_block_with_its_reason_passes() {
        let good = [
            "fn a() {\n    // SAFETY: in range,\n    // as checked.\n    unsafe { b() }\n}",
            "fn a() {\n    // SAFETY: in range.\n    let b: &[f32] =\n        unsafe { c() };\n}",
            "fn a() {\n    // SAFETY: in range.\n    #[cfg(x)]\n    unsafe { b() }\n}",
            "// SAFETY: no state.\nunsafe impl Send for A {}",
            "/// # Safety\n/// The pointer lives.\nunsafe fn a() {}",
            "fn a() {\n    unsafe { b() } // SAFETY: in range.\n}",
        ];
        for text in good {
            assert_eq!(unsafe_misplaced(&Tree::of(&[(KERNEL, text)])), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn work_left_for_later_is_found() {
        let bad = [
            "fn a() { todo!() }",
            "fn a() { unimplemented!(\"x\") }",
            "#[test]\n#[ignore]\nfn a() {}",
            "#[ignore = \"slow\"]\nfn a() {}",
            "// FIXME",
        ];
        for text in bad {
            assert_eq!(left_for_later(&Tree::of(&[("a.rs", text)])).len(), 1, "{text}");
        }
        assert!(
            left_for_later(&Tree::of(&[("a.rs", "// todo!\nfn ignore(todo: u8) { \"todo!()\"; }")]))
                .is_empty()
        );
    }

    fn verdicts(sources: &[&str]) -> Vec<String> {
        let named: Vec<_> =
            sources.iter().enumerate().map(|(i, text)| (format!("crates/{i}.rs"), *text)).collect();
        verdict_elsewhere(&Tree::of(
            &named.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>(),
        ))
    }

    const VERDICT: &str = "fn is_anomalous(&self) -> bool { self.score > self.calibration.threshold }";

    #[test]
    fn the_verdict_stands_in_one_place() {
        assert_eq!(verdicts(&[VERDICT]), Vec::<String>::new());
        assert_eq!(verdicts(&[]).len(), 1);
    }

    #[test]
    fn a_second_verdict_is_found_however_it_is_written() {
        let bad = [
            "fn a() { score > threshold }",
            "fn a() { if threshold <= score {} }",
            "fn a() { scores[i] >= *threshold }",
            "fn a() { row.score() > model.threshold() }",
            "fn a() { score.total_cmp(&threshold) }",
            "fn a() { s.anomaly_score.gt(&self.pixel.threshold) }",
        ];
        for text in bad {
            let broken = verdicts(&[VERDICT, text]);
            assert_eq!(broken.len(), 3, "{text}: {broken:?}");
        }
    }

    #[test]
    fn a_tie_called_anomalous_is_found() {
        let broken = verdicts(&["fn a() -> bool { score >= threshold }"]);
        assert!(broken[0].contains("a tie is normal"), "{broken:?}");
        let broken = verdicts(&["fn a() -> bool { score < threshold }"]);
        assert!(broken[0].contains("a tie is normal"), "{broken:?}");
    }

    #[test]
    fn other_comparisons_and_tests_are_left_alone() {
        let good = [
            "#[cfg(test)] mod tests { fn a() { score > threshold } }",
            "fn a(score: f64) -> Option<Threshold> { match score { 1 => threshold } }",
            "fn a() { score > best_score; value > pixel_threshold; thresholding < rescored }",
            "// score > threshold",
        ];
        for text in good {
            assert_eq!(verdicts(&[VERDICT, text]), Vec::<String>::new(), "{text}");
        }
    }
}
