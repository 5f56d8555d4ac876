//! What the compiler does not check of this project: one function per rule, each with a bad example in its tests.

mod crates;
mod invariants;
mod purity;
mod rust;
mod table;
mod text;
mod tokens;

use crate::tree::Tree;

/// A rule of the house: its name, and the function that lists what breaks it, one line each.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) broken: fn(&Tree) -> Vec<String>,
}

/// The rules, in the order in which they are reported.
pub(crate) const RULES: &[Rule] = &[
    Rule { name: "crate table equals the manifests", broken: crates::table_differs },
    Rule { name: "each invariant names a test that exists", broken: invariants::unguarded },
    Rule { name: "Cargo.lock is there", broken: crates::lock_missing },
    Rule { name: "every Rust file says what it is for", broken: text::opening_line_missing },
    Rule { name: "Rust files can be read", broken: rust::unreadable },
    Rule { name: "unsafe only in aberra-kernels, with SAFETY", broken: rust::unsafe_misplaced },
    Rule { name: "nothing left for later", broken: rust::left_for_later },
    Rule { name: "no blanks on the pages", broken: text::blanks },
    Rule { name: "score meets threshold in one place", broken: rust::verdict_elsewhere },
    Rule { name: "no hidden randomness", broken: purity::hidden_randomness },
    Rule { name: "aberra-metrics, model and score only compute", broken: purity::reaching_out },
    Rule { name: "no paths or hosts of one machine", broken: text::machine_named },
];

/// Remarks that fail nothing: files that have grown long.
pub(crate) fn notes(tree: &Tree) -> Vec<String> {
    text::long_files(tree)
}
