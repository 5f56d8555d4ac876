//! The invariants in ARCHITECTURE.md: each names tests that guard it, and these exist.

use std::collections::BTreeSet;

use super::{table, tokens};
use crate::tree::Tree;

const PAGE: &str = "ARCHITECTURE.md";

/// Invariants without a test, and tests named there that do not exist.
pub(crate) fn unguarded(tree: &Tree) -> Vec<String> {
    let rows = match table::rows(tree, PAGE, ["invariant", "guarded by"]) {
        Ok(rows) => rows,
        Err(error) => return vec![error],
    };
    let known = tests(tree);
    let mut broken = Vec::new();
    for [invariant, guards] in rows {
        let named = table::quoted(&guards);
        if named.is_empty() {
            broken.push(format!("{PAGE}: no test in backquotes guards `{invariant}`"));
        }
        let missing = named.iter().filter(|name| !known.contains(name.rsplit("::").next().unwrap_or(name)));
        broken.extend(
            missing.map(|name| format!("{PAGE}: the test `{name}` does not exist; it guards `{invariant}`")),
        );
    }
    broken
}

/// The names of all functions that are tests or stand in modules of tests.
fn tests(tree: &Tree) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for flat in tree.rust().filter_map(|(_, text)| tokens::tokens(text).ok()) {
        let pairs = flat.windows(2).filter(|pair| pair[0].text == "fn" && pair[0].in_test);
        names.extend(pairs.map(|pair| pair[1].text.clone()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str =
        "fn plain() {}\n#[test]\nfn guard() {}\nproptest! { #[test] fn property(a in 0..1) {} }";

    fn broken(guards: &str) -> Vec<String> {
        let page = format!("| invariant | guarded by |\n|---|---|\n| All is well. | {guards} |\n");
        unguarded(&Tree::of(&[("ARCHITECTURE.md", &page), ("tests/a.rs", CODE)]))
    }

    #[test]
    fn tests_that_exist_guard() {
        assert_eq!(broken("`guard` and `module::property`"), Vec::<String>::new());
    }

    #[test]
    fn an_invariant_without_a_real_test_is_found() {
        for guards in ["", "guard", "`gone`", "`guard`, `gone`", "`plain`"] {
            assert_eq!(broken(guards).len(), 1, "{guards}");
        }
        assert_eq!(unguarded(&Tree::of(&[("ARCHITECTURE.md", "# Page")])).len(), 1);
    }
}
