//! Scorers of one detector, and other detectors, side by side on the same images.

use std::collections::HashMap;

use super::curves::plain_roc;
use super::metrics::{Scored, short_figure, short_interval};
use crate::dataset::{Dataset, GroupBy};
use crate::detector::Detector;
use crate::evaluate::{EvaluateOptions, Evaluation, Metric, ScoredImage};
use crate::wire::{CompareData, CompareRow, Compared, Interval, digits};
use crate::{Error, Result};
use aberra_metrics::bootstrap::{BootstrapSettings, paired_bootstrap};
use aberra_metrics::ranking::{auroc, average_precision, tpr_at_fpr};

/// The false-positive rate at which recall is compared.
const FALSE_POSITIVE_RATE: f64 = 0.05;

/// Another detector's scores of the images of a report.
pub(super) struct Other {
    name: String,
    /// Image's name -> score. Images that it was made from have none.
    scores: HashMap<String, f64>,
    leaked: usize,
}

impl Other {
    /// Scores the samples `members` with another detector.
    ///
    /// # Errors
    /// It can score none of them.
    pub(super) fn score(
        name: &str,
        detector: &Detector,
        dataset: &Dataset,
        members: &[usize],
    ) -> Result<Self> {
        let samples = members.iter().map(|&index| dataset.samples[index].clone()).collect();
        let same = Dataset { samples, ..dataset.clone() };
        // Only its scores are used: groups and intervals are the report's.
        let options = EvaluateOptions {
            by: GroupBy::None,
            masks: false,
            bootstrap: BootstrapSettings { resamples: 1, ..BootstrapSettings::default() },
            ..EvaluateOptions::default()
        };
        let evaluation = detector.evaluate_with(&same, options).map_err(|error| {
            Error::data(format!("{name} cannot be compared on these images: {error}"))
                .with_hint("compare detectors that have not seen the test images")
        })?;
        let leaked = evaluation.data.leaked;
        let rows = evaluation.images.into_iter();
        let scored = rows.filter_map(|row| Some((row.name.clone(), row.scored()?.score)));
        Ok(Self {
            name: name.to_owned(),
            scores: scored.collect(),
            leaked: leaked.normals + leaked.anomalies,
        })
    }
}

/// The rows of Compare: the detector's own scorer first, its other scorers, the other detectors.
pub(super) fn compare(evaluation: &Evaluation, scored: &Scored<'_>, others: &[Other]) -> CompareData {
    let settings = evaluation.bootstrap;
    let common = scored.only(|row| others.iter().all(|other| other.scores.contains_key(&row.name)));
    let own = evaluation.detector.scorer.as_str();
    let own_scores = common.scores();
    let figures = |scores: &[f64]| Figures {
        auroc: common.figure(scores, settings, auroc),
        difference: Metric::new(
            paired_bootstrap(scores, &own_scores, common.labels(), settings, auroc).map(short_interval),
            common.reason(),
        ),
    };
    let row = |name: &str, what: Compared, scores: &[f64], figures: Figures| CompareRow {
        name: name.to_owned(),
        what,
        auroc: figures.auroc,
        average_precision: common.figure(scores, settings, average_precision),
        recall_at_5_fpr: Metric::new(
            tpr_at_fpr(scores, &common.anomalous, Some(&common.weights), FALSE_POSITIVE_RATE)
                .map(|value| digits(value, 6)),
            common.reason(),
        ),
        difference: Some(figures.difference),
        roc: plain_roc(scores, common.labels()),
    };
    let is_whole = common.rows.len() == scored.rows.len();
    let mut rows = Vec::new();
    for scorer in &evaluation.scorers {
        let is_own = scorer.name == own;
        // NaN, which no metric accepts, where one is missing.
        let score = |image: &ScoredImage| image.scores.get(&scorer.name).copied().unwrap_or(f64::NAN);
        let scores: Vec<f64> = common.rows.iter().map(|(_, image)| score(image)).collect();
        // On all images the evaluation has the figures already.
        let known = || Figures {
            auroc: short_figure(&scorer.auroc),
            difference: negated(&short_figure(&scorer.own_minus_this)),
        };
        let mut made =
            row(&scorer.name, Compared::Scorer, &scores, if is_whole { known() } else { figures(&scores) });
        if is_own {
            made.difference = None;
            rows.insert(0, made);
        } else {
            rows.push(made);
        }
    }
    for other in others {
        let scores: Vec<f64> = common.rows.iter().map(|(row, _)| other.scores[&row.name]).collect();
        let figures = figures(&scores);
        rows.push(row(&other.name, Compared::Detector, &scores, figures));
    }
    CompareData { note: note(scored, &common, others), average_precision_of_chance: common.chance(), rows }
}

/// AUROC of a row, and its difference to the report's detector and scorer.
struct Figures {
    auroc: Metric<Interval>,
    difference: Metric<Interval>,
}

/// The difference the other way round.
fn negated(figure: &Metric<Interval>) -> Metric<Interval> {
    match figure {
        Metric::Known(Interval { value, low, high }) => {
            Metric::Known(Interval { value: -value, low: -high, high: -low })
        }
        Metric::Unavailable { .. } => figure.clone(),
    }
}

fn note(scored: &Scored<'_>, common: &Scored<'_>, others: &[Other]) -> Option<String> {
    let mut words = Vec::new();
    if common.rows.len() < scored.rows.len() {
        words.push(format!(
            "Compared on the {} of {} images that none of the detectors was made from.",
            common.rows.len(),
            scored.rows.len()
        ));
    }
    for other in others.iter().filter(|other| other.leaked > 0) {
        words.push(format!(
            "{} of these images are near-duplicates of normals that {} was made from: its figures flatter.",
            other.leaked, other.name
        ));
    }
    (!words.is_empty()).then(|| words.join(" "))
}
