//! Steps that several verbs take: training, evaluating, reporting, and describing what came out.

pub(crate) mod card;
pub(crate) mod evaluation;
pub(crate) mod reporting;
pub(crate) mod run_folder;
pub(crate) mod training;
