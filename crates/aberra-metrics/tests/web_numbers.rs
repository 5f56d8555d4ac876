//! The golden file of the web app's numbers. The app computes verdicts, p-values, coverage guarantees and rates at any
//! threshold in the browser; `web/tests/golden.test.ts` compares them with what this crate computes, which this test
//! keeps in `web/tests/golden/numbers.json`. With `ABERRA_UPDATE=1` the file is rewritten.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use aberra_metrics::binomial::grouped_rate;
use aberra_metrics::calibrate::{Calibration, Criterion, Labelled, Promise, best_cost, confident_threshold};
use aberra_metrics::percentile::percentile_of;
use aberra_metrics::ranking::{Confusion, WeightedConfusion, precision_recall_curve, roc_curve};
use aberra_metrics::weights::group_weights;
use serde_json::{Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/tests/golden/numbers.json");

/// Logarithms and exponentials differ between platforms in their last digits: numbers made of them are kept to twelve.
const DIGITS: usize = 12;

const RATES: [f64; 5] = [0.01, 0.05, 0.1, 0.25, 0.5];
const PERCENTILES: [f64; 5] = [0.0, 2.0, 50.0, 95.0, 100.0];
/// Costs of a missed anomaly and of a false alarm.
const COSTS: [[f64; 2]; 5] = [[1.0, 1.0], [10.0, 1.0], [1.0, 10.0], [0.0, 1.0], [1.0, 0.0]];

#[test]
fn the_golden_file_of_the_web_app_is_what_this_crate_computes() {
    let mut draws = Draws(7);
    let calibrations = [
        calibration(&draws.scores(99, 100_000)),
        calibration(&draws.scores(59, 100_000)),
        // Few levels, so that many scores tie.
        calibration(&draws.scores(40, 8)),
        calibration(&[0.25]),
    ];
    let test_sets = [
        test_set(&draws.scores(60, 100_000), &draws.labels(60, 3), None),
        test_set(&draws.scores(48, 6), &draws.labels(48, 2), None),
        // The anomalies lie below the normals: flagging everything may be cheapest.
        test_set(&[-1.5, -1.0, -0.5, 0.0, 2.0], &[true, true, false, false, false], None),
        test_set(&[0.5, 1.5, 1.5], &[false, false, false], None),
        test_set(&[0.5, 1.5, 1.5], &[true, true, true], None),
        // Groups of different sizes, most of them with images of both classes.
        test_set(&draws.scores(80, 100_000), &draws.labels(80, 3), Some(&draws.groups(80, 17))),
        // The same with ties.
        test_set(&draws.scores(64, 7), &draws.labels(64, 2), Some(&draws.groups(64, 9))),
        // One large group beside single images.
        test_set(
            &draws.scores(40, 100_000),
            &draws.labels(40, 4),
            Some(&[&[0; 30][..], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]].concat()),
        ),
        test_set(&[0.5, 1.5, 2.5], &[false, false, false], Some(&[0, 0, 1])),
        test_set(&[0.5, 1.5, 2.5], &[true, true, true], Some(&[0, 1, 1])),
    ];
    let text = format!(
        "{{\n\"calibrations\": {},\n\"test_sets\": {}\n}}\n",
        one_a_line(&calibrations),
        one_a_line(&test_sets)
    );
    if std::env::var_os("ABERRA_UPDATE").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        kept == text,
        "web/tests/golden/numbers.json is not what aberra-metrics computes: run ABERRA_UPDATE=1 cargo test --workspace \
         --test web_numbers, then npm test in web/"
    );
}

/// A JSON array with one element a line.
fn one_a_line(elements: &[Value]) -> String {
    let lines: Vec<String> = elements.iter().map(Value::to_string).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

/// What calibration scores give: thresholds at rates, with the rates they are expected to keep, and p-values.
fn calibration(scores: &[f64]) -> Value {
    let mut ascending = scores.to_vec();
    ascending.sort_by(f64::total_cmp);
    let rates = RATES.iter().filter_map(|&rate| {
        // Too few scores for a rate are refused.
        let made = Calibration::new(scores, None, Criterion::at_rate(rate)).ok()?;
        let Promise::Average { expected_rate, confident_rate, confidence, .. } = made.promise else {
            panic!("expected a guarantee on average, found {}", made.promise);
        };
        Some(json!({
            "rate": rate,
            "threshold": made.threshold,
            "expected_rate": expected_rate,
            "confident_rate": digits(confident_rate),
            "confidence": confidence,
        }))
    });
    let confident = RATES.iter().filter_map(|&rate| {
        let threshold = confident_threshold(scores, rate, 0.9).ok()?;
        Some(json!({ "rate": rate, "confidence": 0.9, "threshold": threshold }))
    });
    let rates: Vec<Value> = rates.collect();
    let any = Calibration::new(scores, None, Criterion::Fixed { threshold: 0.0 }).unwrap();
    let p_values = probes(&ascending).into_iter().map(|score| {
        let p_value = any.p_value(score).unwrap();
        json!({ "score": score, "p_value": p_value })
    });
    let percentiles = PERCENTILES.map(
        |percentile| json!({ "percentile": percentile, "value": digits(percentile_of(&ascending, percentile)) }),
    );
    json!({
        "scores": ascending,
        "tied": ascending.windows(2).any(|pair| pair[0] == pair[1]),
        "rates": rates,
        "confident": confident.collect::<Vec<_>>(),
        "p_values": p_values.collect::<Vec<_>>(),
        "percentiles": percentiles,
    })
}

/// What thresholds do to labelled scores: verdicts in counts and in weights, rates and both curves in weights, and where each
/// image is a group of its own the threshold of the least cost.
fn test_set(scores: &[f64], anomalous: &[bool], groups: Option<&[u64]>) -> Value {
    let each: Vec<u64> = (0..scores.len() as u64).collect();
    let weights = group_weights(groups.unwrap_or(&each), anomalous);
    let mut ascending = scores.to_vec();
    ascending.sort_by(f64::total_cmp);
    let at = probes(&ascending).into_iter().map(|threshold| {
        let weighted = WeightedConfusion::at(scores, anomalous, Some(&weights), threshold).unwrap();
        json!({
            "threshold": threshold,
            "confusion": Confusion::at(scores, anomalous, threshold).unwrap(),
            "weights": weighted,
            "recall": weighted.recall(),
            "precision": weighted.precision(),
            "f1": weighted.f1(),
            "false_alarm_rate": weighted.false_alarm_rate(),
            "recall_interval": recall_interval(groups.unwrap_or(&each), scores, anomalous, &weights, threshold),
        })
    });
    let labelled = Labelled { scores, anomalous };
    let cheapest = COSTS.iter().filter(|_| groups.is_none()).filter_map(|&[miss, false_alarm]| {
        let threshold = best_cost(labelled, false_alarm, miss).ok()?;
        Some(json!({ "miss": miss, "false_alarm": false_alarm, "threshold": threshold }))
    });
    json!({
        "scores": scores,
        "anomalous": anomalous,
        "groups": groups.unwrap_or(&each),
        "weights": weights,
        "at": at.collect::<Vec<_>>(),
        "roc": roc_curve(scores, anomalous, Some(&weights)),
        "precision_recall": precision_recall_curve(scores, anomalous, Some(&weights)),
        "cheapest": cheapest.collect::<Vec<_>>(),
    })
}

/// The ends of the interval of the share of anomalies above a threshold; none without anomalies.
fn recall_interval(
    groups: &[u64],
    scores: &[f64],
    anomalous: &[bool],
    weights: &[f64],
    threshold: f64,
) -> Option<[f64; 2]> {
    let anomalies: Vec<usize> = (0..scores.len()).filter(|&index| anomalous[index]).collect();
    let groups: Vec<u64> = anomalies.iter().map(|&index| groups[index]).collect();
    let hits: Vec<bool> = anomalies.iter().map(|&index| scores[index] > threshold).collect();
    let weights: Vec<f64> = anomalies.iter().map(|&index| weights[index]).collect();
    let found = grouped_rate(&groups, &hits, &weights, 0.95)?;
    Some([digits(found.low), digits(found.high)])
}

/// Numbers below, on, between and above some of the scores.
fn probes(ascending: &[f64]) -> Vec<f64> {
    let (first, last) = (ascending[0], ascending[ascending.len() - 1]);
    let mut probes = vec![first - 1.0, first.next_down(), first, last, last.next_up(), last + 1.0];
    for pair in ascending.windows(2).step_by(11) {
        probes.extend([pair[0], f64::midpoint(pair[0], pair[1]), pair[1]]);
    }
    probes
}

fn digits(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().unwrap()
}

/// Knuth's 64-bit linear congruential generator; the upper 31 bits are used.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// Scores between -2 and 3 on so many levels.
    fn scores(&mut self, count: usize, levels: u64) -> Vec<f64> {
        (0..count).map(|_| (self.next() % levels) as f64 * 5.0 / levels as f64 - 2.0).collect()
    }

    /// One of so many groups each.
    fn groups(&mut self, count: usize, groups: u64) -> Vec<u64> {
        (0..count).map(|_| self.next() % groups).collect()
    }

    /// One label of `one_in` is anomalous.
    fn labels(&mut self, count: usize, one_in: u64) -> Vec<bool> {
        (0..count).map(|_| self.next().is_multiple_of(one_in)).collect()
    }
}
