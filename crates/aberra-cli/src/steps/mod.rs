//! Steps that several verbs share: training, evaluating, reporting, and describing a detector.

pub(crate) mod card;
pub(crate) mod evaluation;
pub(crate) mod reporting;
pub(crate) mod training;
