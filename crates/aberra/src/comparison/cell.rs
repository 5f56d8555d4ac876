//! One cell: fits on a fold, tests on its test part, and measures the time of both.

use std::time::{Duration, Instant};

use aberra_metrics::Result;
use aberra_metrics::bootstrap::{BootstrapInterval, BootstrapSettings};
use aberra_models::measure::Want;
use rayon::prelude::*;

use super::record::{CellRecord, TestedImage};
use crate::checked_config::CheckedConfig;
use crate::compute;
use crate::dataset::{Dataset, Fold, Inspection, Split};
use crate::detector::Detector;
use crate::evaluate::{CLASSIC_SCORER, EvaluateOptions, Evaluation, Metric};
use crate::files::FILES_CHUNK;
use crate::fit::TrainOptions;
use crate::job::{Event, Job};
use crate::wire::ComparisonCell;

/// The false-positive rate at which the true-positive rate is given.
const FALSE_POSITIVE_RATE: f64 = 0.05;
/// Most test images whose scoring is timed.
const MOST_TIMED_IMAGES: usize = 4 * FILES_CHUNK;

/// Fits and tests a recipe on one fold. `config` holds the cell's seed.
///
/// # Errors
/// As [`Detector::train_with`] and [`Detector::evaluate_with`].
pub(super) fn run(
    recipe: &str,
    config: &CheckedConfig,
    fold: Fold,
    split: &Split,
    (dataset, inspection): (&Dataset, &Inspection),
    job: &mut Job<'_>,
) -> Result<(CellRecord, Detector)> {
    let started = Instant::now();
    let mut watch = |event: Event<'_>| job.tell(event);
    let options = TrainOptions {
        split: Some(split),
        inspection: Some(inspection),
        weights: None,
        job: Job::watched(&mut watch),
    };
    let detector = Detector::train_with(dataset, config, options)?;
    let training_secs = started.elapsed().as_secs_f64();
    let mut watch = |event: Event<'_>| job.tell(event);
    let options = EvaluateOptions {
        split: Some(split),
        // Intervals are drawn from the scores of all cells together.
        bootstrap: BootstrapSettings { resamples: 1, ..BootstrapSettings::default() },
        job: Job::watched(&mut watch),
        ..EvaluateOptions::default()
    };
    let evaluation = detector.evaluate_with(dataset, options)?;
    let images = tested(&evaluation);
    let anomalies = images.iter().filter(|image| image.anomalous).count();
    let number = |metric: &Metric<BootstrapInterval>| of(metric, |interval| interval.estimate);
    let ranking = &evaluation.ranking;
    let at_rate = ranking.tpr_at_fpr.iter().find(|at| at.rate == FALSE_POSITIVE_RATE);
    let scorers = evaluation.scorers.iter().map(|row| (row.name.clone(), number(&row.auroc)));
    let provenance = detector.provenance();
    let cell = ComparisonCell {
        recipe: recipe.to_owned(),
        fold,
        seed: config.seed,
        normals: images.len() - anomalies,
        anomalies,
        auroc: number(&ranking.auroc),
        average_precision: number(&ranking.average_precision),
        pixel_average_precision: match &evaluation.pixels {
            Metric::Known(pixels) => of(&pixels.average_precision, |bounded| bounded.value),
            Metric::Unavailable { unavailable } => Metric::new(None, unavailable),
        },
        tpr_at_5_fpr: at_rate.map_or(Metric::new(None, "it was not evaluated"), |at| at.value.clone()),
        false_alarm_rate: of(&evaluation.false_alarms.over_groups, |interval| interval.rate),
        scorers: scorers.collect(),
        calibration: detector.calibration().scores.len(),
        training_secs,
        ms_per_image: Metric::new(ms_per_image(&detector, dataset, &split.test), "no image could be scored"),
        parameters: provenance.parameters(),
        best_epoch: provenance.members.first().map_or(0, |member| member.best_epoch),
        instructions: compute::instructions()?.name().to_owned(),
        threads: rayon::current_num_threads(),
    };
    Ok((CellRecord { cell, images }, detector))
}

fn tested(evaluation: &Evaluation) -> Vec<TestedImage> {
    let rows = evaluation.images.iter().filter_map(|row| Some((row, row.scored()?)));
    rows.map(|(row, scored)| TestedImage {
        name: row.name.clone(),
        group: row.group,
        anomalous: !row.label.is_normal(),
        score: scored.score,
        classic_score: scored.scores.get(CLASSIC_SCORER).copied(),
    })
    .collect()
}

fn of<T, U>(metric: &Metric<T>, number: impl Fn(&T) -> U) -> Metric<U> {
    match metric {
        Metric::Known(value) => Metric::Known(number(value)),
        Metric::Unavailable { unavailable } => Metric::new(None, unavailable),
    }
}

/// The time from network input to verdict, in batches, over up to [`MOST_TIMED_IMAGES`] of the test images, evenly spread.
/// The first batch is scored once before, so that memory and caches are warm.
fn ms_per_image(detector: &Detector, dataset: &Dataset, test: &[usize]) -> Option<f64> {
    let every = test.len().div_ceil(MOST_TIMED_IMAGES).max(1);
    let timed: Vec<usize> = test.iter().copied().step_by(every).collect();
    let (mut elapsed, mut count) = (Duration::ZERO, 0);
    for (number, chunk) in timed.chunks(FILES_CHUNK).enumerate() {
        let inputs: Vec<_> = chunk
            .par_iter()
            .filter_map(|&index| detector.read_sample(&dataset.samples[index]).ok())
            .collect();
        if number == 0 {
            detector.score_inputs(inputs.iter().cloned().map(Ok).collect(), Want::MEASUREMENTS);
        }
        count += inputs.len();
        let inputs = inputs.into_iter().map(Ok).collect();
        let started = Instant::now();
        detector.score_inputs(inputs, Want::MEASUREMENTS);
        elapsed += started.elapsed();
    }
    (count > 0).then(|| elapsed.as_secs_f64() * 1e3 / f64::from(count as u32))
}
