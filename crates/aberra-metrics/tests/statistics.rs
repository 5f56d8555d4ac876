//! The statistics against what other programs compute: `golden/statistics.py` made `golden/statistics.json` with
//! scikit-learn, SciPy, scikit-image and statsmodels, from cases that both sides draw with the same generator.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use aberra_metrics::binomial::{clopper_pearson, grouped_rate};
use aberra_metrics::calibrate::confident_threshold;
use aberra_metrics::covariance::Cloud;
use aberra_metrics::filter::median_filter_5x5;
use aberra_metrics::neighbours::mean_nearest_distances;
use aberra_metrics::pixel::{Bounded, PixelTally};
use aberra_metrics::ranking::{
    WeightedConfusion, auroc, average_precision, f1_max, fpr_at_tpr, precision_recall_curve, roc_curve,
    tpr_at_fpr,
};
use aberra_metrics::regression::{HUBER_CONSTANT, HuberSettings, LinearFit, huber_regression};
use aberra_metrics::ssim::{SsimSettings, ssim_map};
use serde_json::Value;

/// Both sides sum in different orders.
const ROUNDING: f64 = 1e-12;

/// Knuth's 64-bit linear congruential generator; the upper 31 bits are used.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 7) as f64 / f64::from(1 << 24)
    }

    fn array(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.uniform()).collect()
    }

    /// Weights from 1/8 to 2 in eighths.
    fn weights(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| (1 + self.next() % 16) as f64 / 8.0).collect()
    }

    /// Features and targets of a line with noise; every seventh target is far off.
    fn lines(&mut self, count: usize, features: usize) -> (Vec<f64>, Vec<f64>) {
        let x = self.array(count * features);
        let mut y: Vec<f64> = x
            .chunks(features)
            .map(|row| row.iter().enumerate().map(|(feature, value)| (feature + 1) as f64 * value).sum())
            .collect();
        y.iter_mut().for_each(|target| *target += self.uniform());
        let shift = 5.0 * self.uniform();
        y.iter_mut().step_by(7).for_each(|target| *target += shift);
        (x, y)
    }

    fn plane(&mut self, count: usize) -> Vec<f32> {
        self.array(count).into_iter().map(|value| value as f32).collect()
    }
}

fn golden(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("golden/statistics.json")).unwrap();
    assert!(all[name].as_array().is_some_and(|cases| !cases.is_empty()), "{name}");
    all[name].clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "number {index}: expected {expected}, found {found}");
    }
}

#[test]
fn ranking_metrics_agree_with_scikit_learn_on_1000_cases_with_ties() {
    let cases = golden("ranking");
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 1_000);
    for (seed, expected) in cases.iter().enumerate() {
        let mut draws = Draws(seed as u64);
        let count = 2 + draws.next() % 60;
        let levels = [3, 10, 1_000][(draws.next() % 3) as usize];
        let anomalous: Vec<bool> = (0..count).map(|_| draws.next().is_multiple_of(3)).collect();
        let scores: Vec<f64> = (0..count).map(|_| (draws.next() % levels) as f64 / 8.0 - 1.0).collect();
        let found = [
            auroc(&scores, &anomalous, None),
            average_precision(&scores, &anomalous, None),
            f1_max(&scores, &anomalous, None).map(|oracle| oracle.f1),
            tpr_at_fpr(&scores, &anomalous, None, 0.05),
            tpr_at_fpr(&scores, &anomalous, None, 0.1),
            fpr_at_tpr(&scores, &anomalous, None, 0.95),
        ];
        if expected.is_null() {
            assert_eq!(found, [None; 6], "case {seed}");
            continue;
        }
        let expected = numbers(expected);
        let found: Vec<f64> = found.into_iter().take(expected.len()).map(Option::unwrap).collect();
        assert_close(&found, &expected, ROUNDING);
    }
}

#[test]
fn weighted_ranking_metrics_agree_with_scikit_learn() {
    for (seed, expected) in (2_000..).zip(golden("weighted_ranking").as_array().unwrap()) {
        let mut draws = Draws(seed);
        let count = (20 + draws.next() % 60) as usize;
        let levels = [3, 10, 1_000][(draws.next() % 3) as usize];
        let anomalous: Vec<bool> = (0..count).map(|_| draws.next().is_multiple_of(3)).collect();
        let scores: Vec<f64> = (0..count).map(|_| (draws.next() % levels) as f64 / 8.0 - 1.0).collect();
        let weights = draws.weights(count);
        let weights = Some(&weights[..]);
        let found = [
            auroc(&scores, &anomalous, weights),
            average_precision(&scores, &anomalous, weights),
            f1_max(&scores, &anomalous, weights).map(|oracle| oracle.f1),
            tpr_at_fpr(&scores, &anomalous, weights, 0.05),
            tpr_at_fpr(&scores, &anomalous, weights, 0.1),
            fpr_at_tpr(&scores, &anomalous, weights, 0.95),
        ];
        assert_close(&found.map(Option::unwrap), &numbers(&expected["numbers"]), ROUNDING);
        let roc = roc_curve(&scores, &anomalous, weights).unwrap();
        let fpr: Vec<f64> = roc.iter().map(|point| point.false_positive_rate).collect();
        let tpr: Vec<f64> = roc.iter().map(|point| point.true_positive_rate).collect();
        assert_close(&fpr, &numbers(&expected["roc"][0]), ROUNDING);
        assert_close(&tpr, &numbers(&expected["roc"][1]), ROUNDING);
        let curve = precision_recall_curve(&scores, &anomalous, weights).unwrap();
        let precision: Vec<f64> = curve.iter().map(|point| point.precision).collect();
        let recall: Vec<f64> = curve.iter().map(|point| point.recall).collect();
        assert_close(&precision, &numbers(&expected["precision_recall"][0]), ROUNDING);
        assert_close(&recall, &numbers(&expected["precision_recall"][1]), ROUNDING);
        let confusion = WeightedConfusion::at(&scores, &anomalous, weights, 0.0).unwrap();
        let WeightedConfusion { true_positives, false_positives, true_negatives, false_negatives } =
            confusion;
        let cells = [true_negatives, false_positives, false_negatives, true_positives];
        assert_close(&cells, &numbers(&expected["confusion"]), ROUNDING);
        let balanced = expected["balanced_accuracy"].as_f64().unwrap();
        assert_close(&[confusion.balanced_accuracy().unwrap()], &[balanced], ROUNDING);
    }
}

#[test]
fn exact_intervals_agree_with_scipy() {
    for case in golden("clopper_pearson").as_array().unwrap() {
        let case = numbers(case);
        let interval = clopper_pearson(case[0] as u64, case[1] as u64, case[2]).unwrap();
        assert_close(&[interval.low, interval.high], &case[3..], 1e-10);
    }
}

#[test]
fn intervals_of_rates_over_groups_agree_with_scipys_beta_distribution() {
    for (case, expected) in golden("grouped_rates").as_array().unwrap().iter().enumerate() {
        let expected = numbers(expected);
        let [images, groups, one_in] = [0, 1, 2].map(|at| expected[at] as u64);
        let mut draws = Draws(100 + case as u64);
        let of: Vec<u64> = (0..images).map(|_| draws.next() % groups).collect();
        let hits: Vec<bool> = (0..images).map(|_| draws.next().is_multiple_of(one_in)).collect();
        let weights = draws.weights(images as usize);
        let found = grouped_rate(&of, &hits, &weights, 0.95).unwrap();
        assert_close(&[found.rate, found.low, found.high], &expected[3..], 1e-10);
    }
}

#[test]
fn order_statistics_with_confidence_agree_with_scipys_binomial() {
    for case in golden("order_statistics").as_array().unwrap() {
        let case = numbers(case);
        let groups = case[0] as usize;
        let ramp: Vec<f64> = (1..=groups).map(|value| value as f64).collect();
        let above =
            confident_threshold(&ramp, case[1], case[2]).map_or(0, |score| groups - score as usize + 1);
        assert_eq!(above, case[3] as usize, "{case:?}");
    }
}

/// Points whose first dimension follows their last.
fn correlated(draws: &mut Draws, count: usize, dimensions: usize) -> Vec<f32> {
    let mut points = draws.plane(count * dimensions);
    for point in points.chunks_mut(dimensions) {
        point[0] += point[dimensions - 1];
    }
    points
}

/// The sum in `points` is rounded to 32 bits, which bounds how closely the numbers agree.
fn assert_cloud(cloud: &Cloud, points: &[f32], dimensions: usize, expected: &Value) {
    assert_close(&[cloud.shrinkage], &[expected["shrinkage"].as_f64().unwrap()], 1e-6);
    let mut covariance = cloud.covariance[..4].to_vec();
    covariance.extend(cloud.covariance.last());
    assert_close(&covariance, &numbers(&expected["covariance"]), 1e-7);
    let measure = cloud.mahalanobis().unwrap();
    let distances: Vec<f64> =
        points.chunks(dimensions).take(5).map(|point| measure.distance(point).unwrap()).collect();
    assert_close(&distances, &numbers(&expected["distances"]), 1e-5);
}

#[test]
fn covariance_and_distance_agree_with_scikit_learn() {
    for (index, (count, dimensions)) in [(50, 4), (30, 40), (300, 20)].into_iter().enumerate() {
        let points = correlated(&mut Draws(index as u64 + 1), count, dimensions);
        let cloud = Cloud::ledoit_wolf(&points, dimensions, None).unwrap();
        assert_cloud(&cloud, &points, dimensions, &golden("covariance")[index]);
    }
}

#[test]
fn weighted_covariance_and_distance_agree_with_numpy() {
    for (index, (seed, count, dimensions)) in [(21, 50, 4), (22, 30, 40)].into_iter().enumerate() {
        let expected = &golden("weighted_covariance")[index];
        let mut draws = Draws(seed);
        let points = correlated(&mut draws, count, dimensions);
        let weights = draws.weights(count);
        let cloud = Cloud::ledoit_wolf(&points, dimensions, Some(&weights)).unwrap();
        assert_close(&cloud.mean[..4], &numbers(&expected["mean"]), 1e-7);
        assert_cloud(&cloud, &points, dimensions, expected);
    }
}

#[test]
fn nearest_neighbours_agree_with_scikit_learn() {
    let points = Draws(4).plane(40 * 9);
    let found = mean_nearest_distances(&points, &points, 9, 5, true).unwrap();
    assert_close(&found, &numbers(&golden("neighbours")), 1e-10);
}

const EXACT: HuberSettings = HuberSettings { constant: HUBER_CONSTANT, ridge: 0.0 };

#[track_caller]
fn assert_line(line: &LinearFit, expected: &Value, tolerance: f64) {
    assert!(line.converged, "{line:?}");
    let found: Vec<f64> = std::iter::once(line.intercept).chain(line.coefficients.iter().copied()).collect();
    assert_close(&found, &numbers(&expected["line"]), tolerance);
    assert_close(&[line.scale], &[expected["scale"].as_f64().unwrap()], tolerance);
}

#[test]
fn robust_regression_with_whole_weights_agrees_with_statsmodels_on_repeated_images() {
    for (index, (seed, count, features)) in [(23, 40, 3), (24, 100, 1)].into_iter().enumerate() {
        let mut draws = Draws(seed);
        let (x, y) = draws.lines(count, features);
        let times: Vec<f64> = (0..count).map(|_| (1 + draws.next() % 4) as f64).collect();
        let line = huber_regression(&x, features, &y, Some(&times), EXACT).unwrap();
        assert_line(&line, &golden("repeated_huber")[index], 1e-8);
    }
}

#[test]
fn weighted_robust_regression_agrees_with_scikit_learn() {
    for (index, (seed, count, features)) in [(25, 60, 3), (26, 101, 1), (27, 300, 5)].into_iter().enumerate()
    {
        let mut draws = Draws(seed);
        let (x, y) = draws.lines(count, features);
        let weights: Vec<f64> = draws.weights(count).into_iter().map(|weight| weight * 0.7).collect();
        let line = huber_regression(&x, features, &y, Some(&weights), EXACT).unwrap();
        // scikit-learn minimises by gradients and stops earlier; without the weights the lines are 0.01 and more apart.
        assert_line(&line, &golden("weighted_huber")[index], 1e-4);
    }
}

#[test]
fn robust_regression_agrees_with_statsmodels() {
    for (index, (seed, count, features)) in [(5, 40, 3), (6, 101, 1), (7, 300, 5)].into_iter().enumerate() {
        let (x, y) = Draws(seed).lines(count, features);
        let line = huber_regression(&x, features, &y, None, EXACT).unwrap();
        assert_line(&line, &golden("huber")[index], 1e-8);
        // The small ridge of the default moves the line by next to nothing.
        let ridged = huber_regression(&x, features, &y, None, HuberSettings::default()).unwrap();
        assert_close(&ridged.coefficients, &line.coefficients, 1e-4);
    }
}

#[test]
fn structural_similarity_agrees_with_scikit_image() {
    let cases = [(8, 24, 31, 1.5), (9, 33, 40, 3.0), (10, 24, 31, 0.6)];
    for (index, (seed, height, width, sigma)) in cases.into_iter().enumerate() {
        let mut draws = Draws(seed);
        let first = draws.plane(height * width);
        let second: Vec<f32> = draws
            .plane(height * width)
            .iter()
            .zip(&first)
            .map(|(other, first)| (first + other) / 2.0)
            .collect();
        let settings = SsimSettings { sigma, ..SsimSettings::default() };
        let map = ssim_map(&first, &second, height, width, settings).unwrap();
        let found: Vec<f64> = map.iter().step_by(7).map(|&value| f64::from(value)).collect();
        assert_close(&found, &numbers(&golden("ssim")[index]), 1e-6);
    }
}

#[test]
fn the_median_filter_agrees_with_scipy() {
    for (index, (seed, height, width)) in [(11, 23, 31), (12, 6, 64)].into_iter().enumerate() {
        let filtered = median_filter_5x5(&Draws(seed).plane(height * width), height, width).unwrap();
        let found: Vec<f64> =
            filtered.iter().step_by(7).map(|&value| f64::from(value) * f64::from(1 << 24)).collect();
        assert_eq!(found, numbers(&golden("median")[index]));
    }
}

#[test]
fn pixel_metrics_agree_with_scikit_learn_and_the_definition_of_mvtec() {
    for (index, (seed, levels)) in [(13, 1 << 20), (14, 40), (15, 1_000)].into_iter().enumerate() {
        let expected = &golden("pixels")[index];
        let mut draws = Draws(seed);
        let mut tally = PixelTally::new();
        for image in 0..4 {
            let mut mask = vec![false; 40 * 30];
            for _ in 0..image {
                let (row, column) = ((draws.next() % 36) as usize, (draws.next() % 26) as usize);
                let (height, width) = (1 + (draws.next() % 5) as usize, 1 + (draws.next() % 5) as usize);
                for line in mask.chunks_mut(30).skip(row).take(height) {
                    line[column..column + width].fill(true);
                }
            }
            let map: Vec<f32> = mask
                .iter()
                .map(|&anomalous| {
                    let noise = draws.next() % levels + if anomalous { levels / 4 } else { 0 };
                    noise as f32 / (1 << 20) as f32
                })
                .collect();
            tally.add(&map, &mask, 30).unwrap();
        }
        let check = |found: Bounded, expected: f64| {
            assert!((found.value - expected).abs() <= found.tolerance + ROUNDING, "{found:?} {expected}");
            // Up to 1,250 levels no two share a bin; 2^20 do, and still hardly matter.
            let allowed = if levels <= 1_000 { ROUNDING } else { 1e-3 };
            assert!((found.value - expected).abs() <= allowed, "{found:?} {expected}");
        };
        check(tally.auroc().unwrap(), expected["auroc"].as_f64().unwrap());
        check(tally.average_precision().unwrap(), expected["average_precision"].as_f64().unwrap());
        check(tally.best_dice().unwrap().dice, expected["dice"].as_f64().unwrap());
        for (limit, expected) in [0.05, 0.3, 1.0].into_iter().zip(numbers(&expected["aupro"])) {
            check(tally.aupro(limit).unwrap(), expected);
        }
    }
}
