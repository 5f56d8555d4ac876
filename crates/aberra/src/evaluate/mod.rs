//! Evaluation: metrics with confidence intervals on labelled images that the detector has not seen.
//!
//! [`Detector::evaluate`] measures every image of a data set once and sums up; [`Evaluation`] is what comes out, for
//! people ([`Display`](std::fmt::Display)), for programs (the evaluation file) and for tables
//! ([`Evaluation::scores_csv`]). It chooses nothing: thresholds and scorers are the detector's.

mod beside;
pub(crate) mod content_window;
mod evaluation;
mod false_alarms;
mod file;
mod leak;
mod measure;
mod summary;
mod table;
mod volumes;
mod warnings;

use std::collections::BTreeSet;

use aberra_metrics::bootstrap::BootstrapSettings;

pub use self::evaluation::{
    AtRate, BesideRow, EvaluatedData, EvaluatedDetector, EvaluatedSplit, Evaluation, FalseAlarms,
    ImageOutcome, ImageRow, KindRow, LabelCount, Leaked, Metric, OwnImages, Pixels, Ranking, ScoredImage,
    ScorerRow, ShortcutRow, Verdicts, VolumeFigures, VolumeRow, WithoutLeaked,
};
pub(crate) use self::measure::read_mask;
use self::measure::{Measured, measure};
pub(crate) use self::summary::CLASSIC_SCORER;
use crate::dataset::{Dataset, GroupBy, Grouping, Split};
use crate::detector::Detector;
use crate::job::Job;
use crate::{Error, Result};

/// Options of an evaluation.
pub struct EvaluateOptions<'a> {
    /// A split of the data set, of which only the test part is evaluated; `None` evaluates every image.
    pub split: Option<&'a Split>,
    /// How images are grouped if no split is given.
    pub by: GroupBy,
    /// Whether error maps are compared with the masks that exist.
    pub masks: bool,
    /// How intervals are drawn.
    pub bootstrap: BootstrapSettings,
    /// The watcher of the pass over the images.
    pub job: Job<'a>,
}

impl Default for EvaluateOptions<'_> {
    fn default() -> Self {
        Self {
            split: None,
            by: GroupBy::Near,
            masks: true,
            bootstrap: BootstrapSettings::default(),
            job: Job::default(),
        }
    }
}

impl Detector {
    /// Evaluates the detector on every image of a data set that it was not made from.
    ///
    /// # Errors
    /// As [`evaluate_with`](Self::evaluate_with).
    pub fn evaluate(&self, dataset: &Dataset) -> Result<Evaluation> {
        self.evaluate_with(dataset, EvaluateOptions::default())
    }

    /// Evaluates the detector on a data set, or on the test part of a split of it.
    ///
    /// An image that cannot be read is a row of the result, and a number that cannot be computed is a reason; neither is
    /// an error.
    ///
    /// # Errors
    /// A split of another data set, requested groups that are missing, a stop on request, or not one image that
    /// can be scored.
    pub fn evaluate_with(&self, dataset: &Dataset, options: EvaluateOptions<'_>) -> Result<Evaluation> {
        let EvaluateOptions { split, by, masks, bootstrap, mut job } = options;
        let everything: Vec<usize>;
        let members = match split {
            None => {
                everything = (0..dataset.samples.len()).collect();
                &everything
            }
            Some(split) if split.group_of.len() == dataset.samples.len() => {
                let distinct: BTreeSet<usize> = split.test.iter().chain(&split.unreadable).copied().collect();
                everything = distinct.into_iter().filter(|&index| index < dataset.samples.len()).collect();
                &everything
            }
            Some(split) => {
                return Err(Error::data(format!(
                    "expected a split of this data set's {} images, found one of {}",
                    dataset.samples.len(),
                    split.group_of.len()
                ))
                .with_path(&dataset.root)
                .with_hint("give the split that was made of this very folder, or none"));
            }
        };
        let measured = measure(self, dataset, members, masks, &mut job)?;
        if !measured.outcomes.iter().any(|(_, outcome)| matches!(outcome, ImageOutcome::Scored(_))) {
            return Err(nothing_scored(&measured).with_path(&dataset.root));
        }
        let (by, group_of) = match split {
            Some(split) => (split.by, split.group_of.clone()),
            None => (by, Grouping::of(dataset, &measured.inspection, by)?.group_of),
        };
        Ok(summary::summarize(self, dataset, measured, summary::Request { split, by, group_of, bootstrap }))
    }
}

fn nothing_scored(measured: &Measured) -> Error {
    let own = measured.outcomes.iter().filter(|(_, outcome)| matches!(outcome, ImageOutcome::Own(_))).count();
    let beside_own =
        measured.outcomes.iter().filter(|(_, outcome)| *outcome == ImageOutcome::BesideOwn).count();
    let slices = match beside_own {
        0 => String::new(),
        _ => format!(", {beside_own} other slices of its volumes"),
    };
    let reasons = measured.outcomes.iter().find_map(|(_, outcome)| match outcome {
        ImageOutcome::Unusable(reason) => Some(reason.as_str()),
        _ => None,
    });
    let error = Error::data(format!(
        "expected at least one image to evaluate on, found none: {own} that the detector was made from{slices} and {} that \
         cannot be used{}",
        measured.outcomes.len() - own - beside_own,
        reasons.map(|reason| format!(" ({reason})")).unwrap_or_default()
    ));
    error.with_hint("give images that the detector has not seen, or a split with a test part")
}
