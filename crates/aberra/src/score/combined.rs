//! The scorer `combined`: all evidence of anomalies, each piece weighed by how well it tells synthetic anomalies, drawn into the
//! fit split's own normals, from those normals.
//!
//! Which evidence an anomaly raises depends on the data: an area that is too bright shows in the peak of a VAE's error on
//! aligned brains, and in the features of the whole image on a textured surface. A plain mean lets evidence that does not see
//! an anomaly bury the evidence that does. Here evidence that synthetic anomalies do not raise has no weight; like pieces of
//! evidence share theirs; a part of the weight is every member's, because real anomalies differ from the synthetic ones; and each
//! counts one-sidedly, as log(1 + exp(z)) of its value z in standard deviations of normals, so that what looks more normal than
//! usual takes nothing away.

use std::collections::BTreeMap;

use aberra_metrics::ranking::auroc;
use aberra_metrics::{Error, Result};
use aberra_models::graph::{Graph, Value};
use aberra_models::measure::Direction;
use serde::{Deserialize, Serialize};

use super::evidence::{Normals, ScorerGraphInput, ScorerInput, log, log_less_graph};
use super::scorer::{EvidenceWeight, ScorerKind};

/// All evidence, weighed by synthetic anomalies.
pub(super) struct Combined;

/// A piece of evidence weighs (AUROC on synthetic anomalies - 1/2) to this power.
const SHARPNESS: i32 = 3;

/// AUROC above which evidence weighs no more: real anomalies are not the synthetic ones, on which some families are trained.
const ENOUGH: f64 = 0.85;

/// Share of the weight that members have evenly, if synthetic anomalies raise any of their evidence: some learn from such
/// anomalies, and would have nearly all of it where the others hardly see them.
const EVEN: f64 = 0.2;

/// Factor from the median absolute deviation to the standard deviation of a normal distribution.
const DEVIATIONS: f64 = 1.4826;

/// The evidence and its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CombinedParameters {
    /// Weights add up to 1.
    terms: Vec<Term>,
}

/// A measurement that takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Term {
    /// Full name.
    measurement: String,
    /// Whether its logarithm counts: it is positive on all images seen.
    log: bool,
    /// Median on normals.
    middle: f64,
    /// Standard deviation on normals, from the median absolute deviation.
    spread: f64,
    weight: f64,
    /// AUROC of the measurement alone on the synthetic anomalies.
    synthetic_auroc: f64,
}

impl Term {
    /// The name of the member that measures it.
    fn member(&self) -> &str {
        self.measurement.rsplit_once('.').map_or("", |(member, _)| member)
    }

    /// In standard deviations of normals.
    fn value(&self, sample: &ScorerInput<'_>) -> f64 {
        let value = sample.get(&self.measurement);
        (if self.log { log(value) } else { value } - self.middle) / self.spread
    }

    /// A measurement with its scale; `None` if it does not vary over the normals.
    fn fit(
        name: &str,
        normals: &Normals<'_>,
        anomalies: &[ScorerInput<'_>],
        weights: &[f64],
    ) -> Option<Self> {
        let raw = normals.samples().map(|sample| sample.get(name));
        let log = raw.clone().chain(anomalies.iter().map(|sample| sample.get(name))).all(|value| value > 0.0);
        let values: Vec<f64> = raw.map(|value| if log { value.ln() } else { value }).collect();
        let middle = weighted_median(&values, weights)?;
        let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
        let spread = DEVIATIONS * weighted_median(&distances, weights)?;
        let varies = spread > 1e-9 * middle.abs().max(1e-3);
        let term =
            Self { measurement: name.to_owned(), log, middle, spread, weight: 0.0, synthetic_auroc: 0.5 };
        varies.then_some(term)
    }
}

impl ScorerKind for Combined {
    type Parameters = CombinedParameters;

    const NAME: &'static str = "combined";
    const ABOUT: &'static str =
        "all evidence, each weighed by how well it finds synthetic anomalies in the detector's own normals";

    fn fit(normals: &Normals<'_>) -> Result<CombinedParameters> {
        normals.require_several(Self::NAME)?;
        if normals.anomalies.is_empty() || !normals.anomalies.len().is_multiple_of(normals.len()) {
            return Err(Error::data(format!(
                "the scorer {} expects synthetic anomalies of each of {} normals, found {}",
                Self::NAME,
                normals.len(),
                normals.anomalies.len()
            )));
        }
        let descriptors = normals.descriptors;
        let anomalies: Vec<ScorerInput<'_>> =
            normals.anomalies.iter().map(|evidence| ScorerInput::new(descriptors, evidence)).collect();
        let copies = anomalies.len() / normals.len();
        let weights = normals.weights.map_or_else(|| vec![1.0; normals.len()], <[f64]>::to_vec);
        let of_anomalies = weights.iter().flat_map(|&weight| std::iter::repeat_n(weight, copies));
        let all_weights: Vec<f64> = weights.iter().copied().chain(of_anomalies).collect();
        let labels: Vec<bool> = (0..all_weights.len()).map(|index| index >= weights.len()).collect();

        let mut terms = Vec::new();
        let mut values: Vec<Vec<f64>> = Vec::new();
        for descriptor in descriptors.iter().filter(|one| one.direction == Direction::HigherIsUnusual) {
            let Some(mut term) = Term::fit(&descriptor.name, normals, &anomalies, &weights) else { continue };
            let on_normals: Vec<f64> = normals.samples().map(|sample| term.value(&sample)).collect();
            let on_anomalies = anomalies.iter().map(|sample| term.value(sample));
            let scores: Vec<f64> = on_normals.iter().copied().chain(on_anomalies).collect();
            if let Some(auroc) = auroc(&scores, &labels, Some(&all_weights)) {
                term.synthetic_auroc = auroc;
                terms.push(term);
                values.push(on_normals);
            }
        }
        // Where no evidence is raised, none is better than another.
        let any_raised = terms.iter().any(|term| term.synthetic_auroc > 0.5);
        let strength = |term: &Term| match any_raised {
            true => (term.synthetic_auroc.min(ENOUGH) - 0.5).max(0.0).powi(SHARPNESS),
            false => 1.0,
        };
        // Each shares its weight with those that say the same about normals.
        let strengths: Vec<f64> = terms.iter().map(strength).collect();
        let mut sum = 0.0;
        for ((term, own), strength) in terms.iter_mut().zip(&values).zip(strengths) {
            let alike: f64 = values.iter().map(|other| correlation(own, other, &weights).powi(2)).sum();
            term.weight = strength / alike.max(1.0);
            sum += term.weight;
        }
        if sum <= 0.0 {
            return Err(Error::data(format!(
                "the scorer {} cannot be fitted: no evidence varies over the normals",
                Self::NAME
            )));
        }
        terms.iter_mut().for_each(|term| term.weight /= sum);
        terms.retain(|term| term.weight > 0.0);
        even_out(&mut terms);
        Ok(CombinedParameters { terms })
    }

    fn score(parameters: &CombinedParameters, sample: &ScorerInput<'_>) -> f64 {
        parameters.terms.iter().map(|term| term.weight * one_sided(term.value(sample))).sum()
    }

    fn graph(
        parameters: &CombinedParameters,
        graph: &mut Graph,
        sample: &ScorerGraphInput<'_>,
    ) -> Result<Value> {
        let mut score = graph.number(0.0);
        for term in &parameters.terms {
            let value = sample.get(&term.measurement)?;
            let centered = match term.log {
                true => log_less_graph(graph, value, term.middle),
                false => graph.plus(value, -term.middle),
            };
            let value = graph.times(centered, term.spread.recip());
            let one_sided = graph.softplus(value);
            let part = graph.times(one_sided, term.weight);
            score = graph.add(score, part);
        }
        Ok(score)
    }

    fn weights(parameters: &CombinedParameters) -> Vec<EvidenceWeight> {
        let weight = |term: &Term| EvidenceWeight {
            measurement: term.measurement.clone(),
            weight: term.weight,
            synthetic_auroc: term.synthetic_auroc,
        };
        let mut weights: Vec<EvidenceWeight> = parameters.terms.iter().map(weight).collect();
        weights.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        weights
    }
}

/// Moves the share [`EVEN`] of the weight so that members have it evenly; within a member, pieces of evidence keep their ratios.
fn even_out(terms: &mut [Term]) {
    let mut members: BTreeMap<String, f64> = BTreeMap::new();
    for term in terms.iter() {
        *members.entry(term.member().to_owned()).or_default() += term.weight;
    }
    for term in terms {
        let of_member = members.get(term.member()).copied().unwrap_or(1.0);
        term.weight *= 1.0 - EVEN + EVEN / (members.len() as f64 * of_member);
    }
}

/// log(1 + exp(z)).
fn one_sided(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Correlation, values beyond `LARGEST` standard deviations cut off, so that no single image decides it.
fn correlation(first: &[f64], second: &[f64], weights: &[f64]) -> f64 {
    const LARGEST: f64 = 4.0;
    let total: f64 = weights.iter().sum();
    let cut = |value: f64| value.clamp(-LARGEST, LARGEST);
    let mean = |values: &[f64]| {
        values.iter().zip(weights).map(|(value, weight)| weight * cut(*value)).sum::<f64>() / total
    };
    let (first_mean, second_mean) = (mean(first), mean(second));
    let moment = |a: &[f64], a_mean: f64, b: &[f64], b_mean: f64| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| (cut(*a) - a_mean) * (cut(*b) - b_mean));
        products.zip(weights).map(|(product, weight)| weight * product).sum()
    };
    let both = moment(first, first_mean, second, second_mean);
    let norm =
        moment(first, first_mean, first, first_mean) * moment(second, second_mean, second, second_mean);
    if norm > 0.0 { both / norm.sqrt() } else { 0.0 }
}

/// `None` of no values, or where one is not finite.
fn weighted_median(values: &[f64], weights: &[f64]) -> Option<f64> {
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mut order: Vec<(f64, f64)> = values.iter().copied().zip(weights.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = order.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    order
        .iter()
        .find(|(_, weight)| {
            sum += weight;
            sum >= half
        })
        .map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Measured};
    use super::*;

    /// Normals whose every measurement varies.
    fn normals() -> Vec<Measured> {
        testing::normals(1, |draw| Measured {
            squared_error: 0.01 * draw(),
            weighted_error: 0.5 * draw(),
            peak_error: 4.0 * draw(),
            kl: 60.0 * draw(),
            neighbour_distance: 5.0 * draw(),
            gradient_energy: 0.02 * draw(),
            standard_deviation: 0.2 * draw(),
            ..Measured::default()
        })
    }

    fn weight(parameters: &CombinedParameters, name: &str) -> f64 {
        parameters.terms.iter().find(|term| term.measurement == name).map_or(0.0, |term| term.weight)
    }

    #[test]
    fn every_member_has_a_part_of_the_weight() {
        let term = |measurement: &str, weight| Term {
            measurement: measurement.to_owned(),
            log: false,
            middle: 0.0,
            spread: 1.0,
            weight,
            synthetic_auroc: 0.6,
        };
        let mut terms = [term("a.peak", 0.6), term("a.mean", 0.3), term("b.c.peak", 0.1)];
        even_out(&mut terms);
        let found = terms.map(|term| term.weight);
        for (found, expected) in found.into_iter().zip([0.82 / 1.5, 0.41 / 1.5, 0.18]) {
            assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        }
    }

    #[test]
    fn only_evidence_that_synthetic_anomalies_raise_counts() {
        let normals = normals();
        let anomalies: Vec<Measured> = normals
            .iter()
            .map(|one| Measured {
                peak_error: 1.6 * one.peak_error,
                squared_error: 0.8 * one.squared_error,
                ..*one
            })
            .collect();
        let parameters = testing::fit_with::<Combined>(&normals, &anomalies);
        assert!((weight(&parameters, "vae.peak_error") - 1.0).abs() < 1e-12, "{parameters:?}");
        let score = |measured: &Measured| testing::score::<Combined>(&parameters, measured);
        let usual = score(&normals[0]);
        assert!(score(&Measured { peak_error: 2.0 * normals[0].peak_error, ..normals[0] }) > usual + 0.5);
        // What describes the image alone, or what no anomaly raises, does not.
        let other = Measured { gradient_energy: 9.0, neighbour_distance: 50.0, ..normals[0] };
        assert_eq!(score(&other), usual);
    }

    #[test]
    fn evidence_that_looks_normal_buries_no_other() {
        let normals = normals();
        let anomalies: Vec<Measured> = normals
            .iter()
            .map(|one| Measured { peak_error: 1.6 * one.peak_error, kl: 1.6 * one.kl, ..*one })
            .collect();
        let parameters = testing::fit_with::<Combined>(&normals, &anomalies);
        let score = |measured: &Measured| testing::score::<Combined>(&parameters, measured);
        let clear = Measured { peak_error: 40.0, kl: 60.0, ..normals[0] };
        let clear_but_usual_elsewhere = Measured { kl: 1.0, ..clear };
        // The second is far below normal in one piece of evidence, and still above every normal.
        let highest = normals.iter().map(score).fold(f64::MIN, f64::max);
        assert!(score(&clear_but_usual_elsewhere) > highest);
    }

    #[test]
    fn like_pieces_of_evidence_share_their_weight() {
        let normals: Vec<Measured> =
            normals().iter().map(|one| Measured { kl: 15.0 * one.peak_error, ..*one }).collect();
        let raised = |one: &Measured| Measured {
            peak_error: 1.6 * one.peak_error,
            kl: 1.6 * one.kl,
            neighbour_distance: 1.6 * one.neighbour_distance,
            ..*one
        };
        let parameters =
            testing::fit_with::<Combined>(&normals, &normals.iter().map(raised).collect::<Vec<_>>());
        let [peak, kl, distance] =
            ["vae.peak_error", "vae.kl", "vae.neighbour_distance"].map(|name| weight(&parameters, name));
        assert!((peak - kl).abs() < 1e-9 && distance > 1.4 * peak, "{parameters:?}");
        let weights = Combined::weights(&parameters);
        assert_eq!(
            (weights[0].measurement.as_str(), weights[0].weight),
            ("vae.neighbour_distance", distance)
        );
        assert!(weights[0].synthetic_auroc > 0.6 && weights.is_sorted_by(|a, b| a.weight >= b.weight));
    }

    #[test]
    fn without_anomalies_it_says_what_it_expects() {
        let evidence = testing::evidence(&normals());
        let error = Combined::fit(&Normals::new(&testing::DESCRIPTORS, &evidence)).unwrap_err();
        assert!(error.to_string().contains("expects synthetic anomalies"), "{error}");
        let alike = vec![Measured::default(); 8];
        let error = testing::try_fit_with::<Combined>(&alike, &alike).unwrap_err();
        assert!(error.to_string().contains("no evidence varies"), "{error}");
    }

    #[test]
    fn where_no_evidence_is_raised_all_of_it_counts() {
        let normals = normals();
        let parameters = testing::fit_with::<Combined>(&normals, &normals);
        for name in ["vae.peak_error", "vae.kl", "vae.neighbour_distance", "vae.squared_error"] {
            assert!(weight(&parameters, name) > 0.05, "{name}: {parameters:?}");
        }
    }
}
