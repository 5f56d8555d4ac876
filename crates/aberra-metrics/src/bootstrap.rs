//! Confidence intervals by resampling whole groups, so that near-duplicates do not count as independent evidence.
//!
//! Percentile bootstrap (Efron and Tibshirani, 1993), stratified: groups of normal images, groups of anomalous images
//! and groups that hold both are each drawn with replacement as often as there are such groups.

use std::collections::BTreeMap;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::percentile::percentile_of;
use crate::random::{Stream, generator};

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapSettings {
    /// Number of resamples.
    pub resamples: u32,
    /// Confidence of the interval, between 0 and 1.
    pub confidence: f64,
    /// Seed of the draws; the same seed gives the same interval for any number of threads.
    pub seed: u64,
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        Self { resamples: 2_000, confidence: 0.95, seed: 0 }
    }
}

/// An estimate with its confidence interval, and the data behind it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BootstrapInterval {
    /// The metric on the images themselves.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence of the interval.
    pub confidence: f64,
    /// Number of resamples drawn.
    pub resamples: u32,
    /// Resamples in which the metric cannot be computed; the interval leaves them out.
    pub not_computable: u32,
    /// Groups with normal images only.
    pub normal_groups: usize,
    /// Groups with anomalous images only.
    pub anomalous_groups: usize,
    /// Groups with both.
    pub mixed_groups: usize,
}

/// Labelled images in their groups: one entry each per image.
#[derive(Clone, Copy, Debug)]
pub struct GroupedLabels<'a> {
    /// Whether the image is anomalous.
    pub anomalous: &'a [bool],
    /// The image's group; images that are alone in theirs need a number of their own.
    pub groups: &'a [u64],
    /// The image's weight in the metric, such as [`group_weights`](crate::weights::group_weights) gives; `None` weighs all
    /// alike. An image keeps its weight each time that its group is drawn.
    pub weights: Option<&'a [f64]>,
}

impl GroupedLabels<'_> {
    fn fits(&self, images: usize) -> bool {
        let weights_fit = self.weights.is_none_or(|weights| weights.len() == images);
        self.anomalous.len() == images && self.groups.len() == images && weights_fit
    }
}

/// The interval of `metric` (such as [`auroc`](crate::ranking::auroc), of scores, labels and weights) over resampled
/// groups.
///
/// `None` if the lengths differ, the settings are invalid, or the metric cannot be computed on the images
/// themselves or in any resample.
pub fn bootstrap(
    scores: &[f64],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
    metric: impl Fn(&[f64], &[bool], Option<&[f64]>) -> Option<f64> + Sync,
) -> Option<BootstrapInterval> {
    interval(&[scores], labels, settings, |columns, anomalous, weights| {
        metric(columns[0], anomalous, weights)
    })
}

/// The interval of the difference `metric(first) - metric(second)` of two scorers on the same images: both see the same
/// resample each time.
///
/// `None` as for [`bootstrap`], for either scorer.
pub fn paired_bootstrap(
    first: &[f64],
    second: &[f64],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
    metric: impl Fn(&[f64], &[bool], Option<&[f64]>) -> Option<f64> + Sync,
) -> Option<BootstrapInterval> {
    interval(&[first, second], labels, settings, |columns, anomalous, weights| {
        Some(metric(columns[0], anomalous, weights)? - metric(columns[1], anomalous, weights)?)
    })
}

/// Pointwise intervals, low and high, of a curve at fixed positions, over resampled groups.
///
/// `None` as for [`bootstrap`]; resamples in which the curve has another number of positions are left out.
pub fn bootstrap_band(
    scores: &[f64],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
    curve: impl Fn(&[f64], &[bool], Option<&[f64]>) -> Option<Vec<f64>> + Sync,
) -> Option<Vec<[f64; 2]>> {
    let [low, high] = tails(settings)?;
    if !labels.fits(scores.len()) {
        return None;
    }
    let positions = curve(scores, labels.anomalous, labels.weights)?.len();
    let curves: Vec<Vec<f64>> = resampled(&[scores], labels, settings, |columns, anomalous, weights| {
        curve(columns[0], anomalous, weights).filter(|curve| curve.len() == positions)
    });
    let band = |position: usize| {
        let mut values: Vec<f64> = curves.iter().map(|curve| curve[position]).collect();
        values.sort_unstable_by(f64::total_cmp);
        [low, high].map(|percent| percentile_of(&values, percent))
    };
    (!curves.is_empty()).then(|| (0..positions).into_par_iter().map(band).collect())
}

fn interval<const COLUMNS: usize>(
    columns: &[&[f64]; COLUMNS],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
    metric: impl Fn(&[&[f64]; COLUMNS], &[bool], Option<&[f64]>) -> Option<f64> + Sync,
) -> Option<BootstrapInterval> {
    let [low, high] = tails(settings)?;
    if !columns.iter().all(|scores| labels.fits(scores.len())) {
        return None;
    }
    let computed = |columns: &[&[f64]; COLUMNS], anomalous: &[bool], weights: Option<&[f64]>| {
        metric(columns, anomalous, weights).filter(|value| value.is_finite())
    };
    let estimate = computed(columns, labels.anomalous, labels.weights)?;
    let mut values: Vec<f64> = resampled(columns, labels, settings, computed);
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let [normal, anomalous, mixed] = strata(labels);
    Some(BootstrapInterval {
        estimate,
        low: percentile_of(&values, low),
        high: percentile_of(&values, high),
        confidence: settings.confidence,
        resamples: settings.resamples,
        not_computable: settings.resamples - values.len() as u32,
        normal_groups: normal.len(),
        anomalous_groups: anomalous.len(),
        mixed_groups: mixed.len(),
    })
}

/// The percentiles at the ends of an interval. `None` for a confidence that is not between 0 and 1.
fn tails(settings: BootstrapSettings) -> Option<[f64; 2]> {
    let tail_percent = (1.0 - settings.confidence) / 2.0 * 100.0;
    (settings.confidence > 0.0 && settings.confidence < 1.0).then_some([tail_percent, 100.0 - tail_percent])
}

/// The results of `compute` on the resamples, in order, without those that it cannot compute.
fn resampled<const COLUMNS: usize, T: Send>(
    columns: &[&[f64]; COLUMNS],
    labels: GroupedLabels<'_>,
    settings: BootstrapSettings,
    compute: impl Fn(&[&[f64]; COLUMNS], &[bool], Option<&[f64]>) -> Option<T> + Sync,
) -> Vec<T> {
    let strata = strata(labels);
    let one = |resample: u32| {
        let drawn = draw(&strata, settings.seed, resample);
        let of = |values: &[f64]| drawn.iter().map(|&image| values[image]).collect::<Vec<f64>>();
        let (scores, weights) = (columns.map(of), labels.weights.map(of));
        let anomalous: Vec<bool> = drawn.iter().map(|&image| labels.anomalous[image]).collect();
        compute(&scores.each_ref().map(Vec::as_slice), &anomalous, weights.as_deref())
    };
    (0..settings.resamples).into_par_iter().filter_map(one).collect()
}

/// Groups as lists of images: normal, anomalous, mixed; each in the order of the groups' numbers.
type Strata = [Vec<Vec<usize>>; 3];

fn strata(labels: GroupedLabels<'_>) -> Strata {
    let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (image, &group) in labels.groups.iter().enumerate() {
        members.entry(group).or_default().push(image);
    }
    let mut strata = Strata::default();
    for images in members.into_values() {
        let anomalies = images.iter().filter(|&&image| labels.anomalous[image]).count();
        let stratum = match anomalies {
            0 => 0,
            all if all == images.len() => 1,
            _ => 2,
        };
        strata[stratum].push(images);
    }
    strata
}

fn draw(strata: &Strata, seed: u64, resample: u32) -> Vec<usize> {
    let mut random = generator(seed, Stream::Bootstrap, u64::from(resample));
    let mut drawn = Vec::new();
    for groups in strata {
        for _ in groups {
            // Always 64 bits wide, so that the draw is the same on every platform.
            let group = random.random_range(0..groups.len() as u64) as usize;
            drawn.extend_from_slice(&groups[group]);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::{Confusion, auroc, average_precision};
    use crate::weights::group_weights;

    /// Normal scores uniform on 0..1, anomalous ones on `shift`..1 + `shift`; `copies` images in each group.
    fn made_up(groups: usize, copies: usize, shift: f64, seed: u64) -> (Vec<f64>, Vec<bool>, Vec<u64>) {
        let mut random = generator(seed, Stream::Phantom, 0);
        let (mut scores, mut anomalous, mut numbers) = (vec![], vec![], vec![]);
        for group in 0..groups {
            let score = random.random::<f64>() + if group % 2 == 1 { shift } else { 0.0 };
            for _ in 0..copies {
                scores.push(score);
                anomalous.push(group % 2 == 1);
                numbers.push(group as u64);
            }
        }
        (scores, anomalous, numbers)
    }

    #[test]
    fn the_interval_does_not_depend_on_threads_but_on_the_seed() {
        let (scores, anomalous, groups) = made_up(60, 1, 0.4, 1);
        let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
        let with_threads = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let settings = BootstrapSettings { resamples: 300, seed, ..Default::default() };
            pool.install(|| bootstrap(&scores, labels, settings, auroc)).unwrap()
        };
        assert_eq!(with_threads(1, 5), with_threads(4, 5));
        assert_ne!(with_threads(1, 5), with_threads(1, 6));
    }

    #[test]
    fn copies_of_an_image_do_not_narrow_the_interval() {
        let (scores, anomalous, groups) = made_up(40, 1, 0.4, 2);
        let once = bootstrap(
            &scores,
            GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None },
            BootstrapSettings::default(),
            auroc,
        );
        let (scores, anomalous, groups) = made_up(40, 7, 0.4, 2);
        let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
        let seven_times = bootstrap(&scores, labels, BootstrapSettings::default(), auroc);
        assert_eq!(once, seven_times);
        let each_alone: Vec<u64> = (0..groups.len() as u64).collect();
        let labels = GroupedLabels { anomalous: &anomalous, groups: &each_alone, weights: None };
        let naive = bootstrap(&scores, labels, BootstrapSettings::default(), auroc).unwrap();
        let grouped = seven_times.unwrap();
        assert!(naive.high - naive.low < 0.6 * (grouped.high - grouped.low));
    }

    #[test]
    fn with_weights_of_groups_copies_change_nothing() {
        let (scores, anomalous, groups) = made_up(40, 1, 0.4, 2);
        let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
        let metrics = [auroc, average_precision];
        let once = metrics.map(|metric| bootstrap(&scores, labels, BootstrapSettings::default(), metric));
        // 1 to 7 copies of each, which a plain metric would count as often.
        let copied: Vec<usize> = (0..40).flat_map(|image| vec![image; 1 + image * image % 7]).collect();
        let scores: Vec<f64> = copied.iter().map(|&image| scores[image]).collect();
        let anomalous: Vec<bool> = copied.iter().map(|&image| anomalous[image]).collect();
        let groups: Vec<u64> = copied.iter().map(|&image| groups[image]).collect();
        let weights = group_weights(&groups, &anomalous);
        let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: Some(&weights) };
        let plain = GroupedLabels { weights: None, ..labels };
        for (metric, once) in metrics.into_iter().zip(once) {
            let once = once.unwrap();
            let found = bootstrap(&scores, labels, BootstrapSettings::default(), metric).unwrap();
            for (found, once) in
                [(found.estimate, once.estimate), (found.low, once.low), (found.high, once.high)]
            {
                assert!((found - once).abs() < 1e-12, "{found} against {once}");
            }
            let plain = bootstrap(&scores, plain, BootstrapSettings::default(), metric).unwrap();
            assert!((plain.estimate - once.estimate).abs() > 1e-3);
        }
    }

    #[test]
    fn a_band_is_an_interval_at_each_position() {
        let (scores, anomalous, groups) = made_up(40, 2, 0.4, 4);
        let weights = group_weights(&groups, &anomalous);
        let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: Some(&weights) };
        let settings = BootstrapSettings { resamples: 200, ..Default::default() };
        let both = |scores: &[f64], anomalous: &[bool], weights: Option<&[f64]>| {
            Some(vec![auroc(scores, anomalous, weights)?, average_precision(scores, anomalous, weights)?])
        };
        let band = bootstrap_band(&scores, labels, settings, both).unwrap();
        let alone = [auroc, average_precision].map(|metric| {
            let interval = bootstrap(&scores, labels, settings, metric).unwrap();
            [interval.low, interval.high]
        });
        assert_eq!(band, alone);
        let short = GroupedLabels { groups: &groups[1..], ..labels };
        assert_eq!(bootstrap_band(&scores, short, settings, both), None);
    }

    #[test]
    fn about_95_of_100_intervals_hold_the_true_value() {
        // P(a uniform number + 0.4 > another) = 1 - 0.6^2 / 2.
        let truth = 1.0 - 0.6_f64.powi(2) / 2.0;
        let settings = BootstrapSettings { resamples: 400, ..Default::default() };
        let holding = (0..400)
            .filter(|&seed| {
                let (scores, anomalous, groups) = made_up(120, 1, 0.4, seed);
                let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
                let interval = bootstrap(&scores, labels, settings, auroc).unwrap();
                (interval.low..=interval.high).contains(&truth)
            })
            .count();
        assert!((360..=396).contains(&holding), "{holding} of 400");
    }

    #[test]
    fn scorers_are_compared_on_the_same_resample() {
        let (scores, anomalous, groups) = made_up(60, 1, 0.4, 3);
        let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
        let settings = BootstrapSettings::default();
        let same = paired_bootstrap(&scores, &scores, labels, settings, auroc).unwrap();
        assert_eq!((same.estimate, same.low, same.high), (0.0, 0.0, 0.0));
        let turned: Vec<f64> = scores.iter().map(|score| -score).collect();
        let difference = paired_bootstrap(&scores, &turned, labels, settings, auroc).unwrap();
        let single = bootstrap(&scores, labels, settings, auroc).unwrap();
        // AUROC(-s) = 1 - AUROC(s), so the difference is 2 AUROC(s) - 1 in every resample.
        for (found, alone) in [
            (difference.estimate, single.estimate),
            (difference.low, single.low),
            (difference.high, single.high),
        ] {
            assert!((found - (2.0 * alone - 1.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn resamples_without_a_value_are_counted() {
        // One of four normals lies above the threshold: a resample without it and with no anomaly found has no precision.
        let scores = [0.0, 0.0, 0.0, 2.0, 0.0, 0.5];
        let anomalous = [false, false, false, false, true, true];
        let labels = GroupedLabels { anomalous: &anomalous, groups: &[0, 1, 2, 3, 4, 5], weights: None };
        let precision = |scores: &[f64], anomalous: &[bool], _: Option<&[f64]>| {
            Confusion::at(scores, anomalous, 1.0)?.precision()
        };
        let interval = bootstrap(&scores, labels, BootstrapSettings::default(), precision).unwrap();
        // (3/4)^4 of the resamples lack it.
        let share = f64::from(interval.not_computable) / 2_000.0;
        assert!((share - 0.3164).abs() < 0.05, "{share}");
        assert_eq!((interval.normal_groups, interval.anomalous_groups, interval.mixed_groups), (4, 2, 0));
    }

    #[test]
    fn mixed_groups_stay_whole() {
        // Two patients with a normal and an anomalous slice each: every resample holds as many of both.
        let labels =
            GroupedLabels { anomalous: &[false, true, false, true], groups: &[7, 7, 9, 9], weights: None };
        let balance = |_: &[f64], anomalous: &[bool], _: Option<&[f64]>| {
            Some(anomalous.iter().map(|&anomalous| if anomalous { 1.0 } else { -1.0 }).sum())
        };
        let interval = bootstrap(&[0.0; 4], labels, BootstrapSettings::default(), balance).unwrap();
        assert_eq!((interval.low, interval.high, interval.mixed_groups), (0.0, 0.0, 2));
    }

    #[test]
    fn what_cannot_be_computed_is_none() {
        let labels = GroupedLabels { anomalous: &[true, true], groups: &[0, 1], weights: None };
        assert_eq!(bootstrap(&[1.0, 2.0], labels, BootstrapSettings::default(), auroc), None);
        let labels = GroupedLabels { anomalous: &[true, false], groups: &[0], weights: None };
        assert_eq!(bootstrap(&[1.0, 2.0], labels, BootstrapSettings::default(), auroc), None);
        let short = GroupedLabels { anomalous: &[true, false], groups: &[0, 1], weights: Some(&[1.0]) };
        assert_eq!(bootstrap(&[1.0, 2.0], short, BootstrapSettings::default(), auroc), None);
        let labels = GroupedLabels { anomalous: &[true, false], groups: &[0, 1], weights: None };
        for settings in [
            BootstrapSettings { resamples: 0, ..Default::default() },
            BootstrapSettings { confidence: f64::NAN, ..Default::default() },
        ] {
            assert_eq!(bootstrap(&[1.0, 2.0], labels, settings, auroc), None);
        }
    }
}
