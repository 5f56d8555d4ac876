//! What a user should know of work beside its result.

use pyo3::prelude::*;

/// Notes on what was found and decided, and warnings of what weakens a result; in Python a pair of lists.
#[derive(Default, IntoPyObject)]
pub(crate) struct Said(pub(crate) Vec<String>, pub(crate) Vec<String>);

impl Said {
    pub(crate) fn note(&mut self, texts: impl IntoIterator<Item = String>) {
        self.0.extend(texts);
    }

    pub(crate) fn warn(&mut self, texts: impl IntoIterator<Item = String>) {
        self.1.extend(texts);
    }
}
