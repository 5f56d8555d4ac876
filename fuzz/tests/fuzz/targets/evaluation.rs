//! Evaluation files: what is read says the same when it is written and read again, and can be shown.

use std::sync::OnceLock;

use aberra::evaluate::{EvaluateOptions, Evaluation};
use aberra::report::ReportOptions;
use rand_chacha::ChaCha8Rng;

use crate::fixture::fixture;
use crate::mutate::json_text;

const TOKENS: &[&str] = &[
    "known",
    "normal",
    "anomalous",
    "scored",
    "unusable",
    "score",
    "group",
    "weight",
    "kind",
    "aberra evaluation",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    static SEED: OnceLock<Vec<u8>> = OnceLock::new();
    let seed = SEED.get_or_init(|| {
        let mut options = EvaluateOptions::default();
        options.bootstrap.resamples = 100;
        fixture().detector.evaluate_with(&fixture().dataset, options).unwrap().to_json().into_bytes()
    });
    vec![seed.clone()]
}

pub(super) fn mutate(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    json_text(rng, input, other, TOKENS)
}

pub(super) fn run(input: &[u8]) -> String {
    let path = fixture().written("evaluation.json", input);
    let evaluation = match Evaluation::load(&path) {
        Ok(evaluation) => evaluation,
        Err(error) => {
            assert_eq!(error.path(), Some(&*path), "{error}");
            return error.to_string().replace(&*path.to_string_lossy(), "");
        }
    };
    let written = evaluation.to_json();
    let again = fixture().written("again.json", written.as_bytes());
    let again =
        Evaluation::load(&again).unwrap_or_else(|error| panic!("written, but not to be read: {error}"));
    assert_eq!(again.to_json(), written, "another evaluation when written and read again");
    assert!(evaluation.scores_csv().lines().count() > evaluation.images.len());
    match fixture().detector.report(&fixture().dataset, &evaluation, ReportOptions::default()) {
        Ok(report) => format!("shown, {} images", report.data().images_in_all),
        Err(error) => format!("read, but not shown: {error}"),
    }
}
