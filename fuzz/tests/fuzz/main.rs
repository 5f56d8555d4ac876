//! Fuzzing: every parser of foreign bytes gets seeds that are made by code, and mutations of them. One table of targets
//! serves both doors: the test here, bounded by executions, and `cargo xtask fuzz`, bounded by time.
//!
//! A finding is a panic, an abort, a hang, more memory than the target allows, or a success that breaks an invariant. Its
//! input is made smaller, written to a file and named with the command that repeats it; once it is fixed, its kind moves to
//! `regressions`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the report is read in a terminal")]

mod at_length;
mod fixture;
mod mutate;
mod regressions;
mod run;
mod targets;

use crate::run::{End, fuzz};
use crate::targets::TARGETS;

/// Counts what targets allocate.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// Of the inputs in the test: the same ones every time.
const SEED: u64 = 13;

#[test]
fn no_parser_gives_way_to_mutated_inputs() {
    if at_length::is_asked_for() {
        return at_length::run();
    }
    let reports: Vec<_> = TARGETS
        .iter()
        .map(|target| fuzz(target, SEED, End::Executions(target.executions_in_test), |_| ()))
        .collect();
    let findings: Vec<String> = reports.iter().flat_map(|report| report.findings.clone()).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    for report in &reports {
        println!("{report}");
        // Seeds alone give several outcomes; a target that has but one looks at nothing.
        assert!(report.executions > 0 && report.outcomes > 3, "{report}");
    }
}
