//! Rules of this project that the compiler does not check: one function per rule, each with a bad example in its tests.

pub(crate) mod crates;
mod fences;
mod invariants;
mod ladder;
mod modules;
mod names;
mod outputs;
mod paths;
mod purity;
mod rust;
mod table;
mod text;
mod tokens;
mod vocabulary;

use crate::tree::Tree;

/// A rule of the house.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    /// Lists what breaks the rule, one line each.
    pub(crate) broken: fn(&Tree) -> Vec<String>,
}

/// The consequence of a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The check fails.
    Error,
    /// A line is printed.
    Note,
}

/// The rules, in the order in which they are reported. A rule that the code does not keep yet is a note until it does.
pub(crate) const RULES: &[Rule] = &[
    error("crate table equals the manifests", crates::table_differs),
    error("modules of a crate form a ladder", ladder::circles),
    error("each invariant names a test that exists", invariants::unguarded),
    error("Cargo.lock is there", crates::lock_missing),
    error("every Rust file says what it is for", text::opening_line_missing),
    error("Rust files can be read", rust::unreadable),
    error("unsafe only in aberra-kernels, with SAFETY", rust::unsafe_misplaced),
    error("nothing left for later", rust::left_for_later),
    error("no blanks on the pages", text::blanks),
    error("score meets threshold in one place", rust::verdict_elsewhere),
    error("files are written in one place", outputs::written_elsewhere),
    error("no hidden randomness", purity::hidden_randomness),
    error("metrics, models and scorers only compute", purity::reaching_out),
    error("kernels are the same in every environment", purity::kernels_in_an_environment),
    error("examples in the docs run, or say why not", fences::not_run),
    error("no paths or hosts of one machine", text::machine_named),
    error("public types have names of their own", names::shared),
    error("the field's words", vocabulary::dialect),
    note("root files and their modules form a ladder", ladder::root_circles),
    note("the field's words in web/", vocabulary::dialect_of_the_app),
    note("files are short", text::long_files),
];

const fn error(name: &'static str, broken: fn(&Tree) -> Vec<String>) -> Rule {
    Rule { name, severity: Severity::Error, broken }
}

const fn note(name: &'static str, broken: fn(&Tree) -> Vec<String>) -> Rule {
    Rule { name, severity: Severity::Note, broken }
}
