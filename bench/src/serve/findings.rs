//! What a measurement finds: lines for people, numbers for the record, and promises that are broken.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::attacks::Outcome;
use super::load::Load;
use super::program::Program;
use crate::grouped::{Result, note, result};

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) json: Map<String, Value>,
    pub(super) broken: Vec<String>,
    /// Whether targets of time and memory are judged: a quick run is one of a program built for tests, beside others.
    judges_targets: bool,
    missed: Cell<usize>,
}

impl Findings {
    pub(super) fn new(is_quick: bool) -> Self {
        Self { judges_targets: !is_quick, ..Self::default() }
    }

    /// A line of the table: what, how much, and what is aimed at.
    pub(super) fn row(&self, what: &str, value: &str, target: &str, is_met: Option<bool>) {
        let mark = match is_met {
            Some(true) => "met",
            Some(false) if self.judges_targets => {
                self.missed.set(self.missed.get() + 1);
                "MISSED"
            }
            Some(false) => "not met, not judged",
            None => "",
        };
        result(format!("{what:<34} {value:<58} {target:>12} {mark}").trim_end());
    }

    pub(super) fn keep(&mut self, name: &str, value: Value) {
        self.json.insert(name.to_owned(), value);
    }

    /// Failures that must not be.
    pub(super) fn failures(&mut self, what: &str, load: &Load) {
        if load.failures > 0 {
            self.broken.push(format!("{what}: {} failures: {}", load.failures, load.told.join("; ")));
        }
    }

    pub(super) fn outcome(&mut self, what: &str, outcome: Outcome) {
        self.row(what, &outcome.words, "", None);
        let behaved = &outcome.behaved;
        let words = format!(
            "{} answered, {} failures, {} refused, p99 {:.0} ms",
            behaved.latencies_ms.len(),
            behaved.failures,
            behaved.refused,
            behaved.percentile_ms(99.0)
        );
        self.row("    others meanwhile", &words, "0 failures", Some(behaved.failures == 0));
        self.failures(&format!("{what}, others meanwhile"), behaved);
        self.broken.extend(outcome.broken.iter().map(|broken| format!("{what}: {broken}")));
        self.keep(what, outcome.json);
    }

    /// Says what must not be and was.
    ///
    /// # Errors
    /// A promise is broken or, where targets are judged, one was missed.
    pub(super) fn judged(&self) -> Result<()> {
        for broken in &self.broken {
            note(&format!("broken: {broken}"));
        }
        match self.broken.len() {
            0 if !self.judges_targets => {
                note("no promise is broken; targets of time and memory are not judged in a quick run");
                Ok(())
            }
            0 => match self.missed.get() {
                0 => Ok(()),
                missed => Err(format!("{missed} targets of time or memory are missed").into()),
            },
            count => Err(format!("{count} promises are broken").into()),
        }
    }

    pub(super) fn ended(&mut self, what: &str, program: &mut Program) {
        if !program.is_alive() {
            self.broken.push(format!("{what}: the server died"));
        }
        self.broken.extend(program.panics().into_iter().map(|panic| format!("{what}: {panic}")));
    }
}
