//! The metrics of a report, from an evaluation.

use std::collections::BTreeSet;

use super::curves;
use crate::detector::PartSize;
use crate::evaluate::{Evaluation, FalseAlarms, ImageRow, Metric, ScoredImage, WithoutLeaked};
use crate::wire::{
    BootstrapData, DetectionFigures, EvaluationData, Interval, KindData, PixelData, PixelIntervalData,
    ShortcutData, digits,
};
use aberra_metrics::binomial::{RateInterval, grouped_rate};
use aberra_metrics::bootstrap::{self, BootstrapSettings, GroupedLabels, bootstrap};
use aberra_metrics::pixel::Bounded;
use aberra_metrics::ranking::{WeightedConfusion, auroc, average_precision};
use aberra_metrics::weights::group_weights;

/// The scored images of an evaluation side by side that are in its figures of images.
pub(super) struct Scored<'a> {
    pub(super) rows: Vec<(&'a ImageRow, &'a ScoredImage)>,
    pub(super) anomalous: Vec<bool>,
    groups: Vec<u64>,
    /// The images of a group and class share a weight of 1.
    pub(super) weights: Vec<f64>,
}

impl<'a> Scored<'a> {
    pub(super) fn of(evaluation: &'a Evaluation) -> Self {
        Self::from_rows(evaluation.images.iter().filter_map(|row| Some((row, row.counted()?))).collect())
    }

    fn from_rows(rows: Vec<(&'a ImageRow, &'a ScoredImage)>) -> Self {
        let anomalous: Vec<bool> = rows.iter().map(|(row, _)| !row.label.is_normal()).collect();
        let groups: Vec<u64> = rows.iter().map(|(row, _)| row.group as u64).collect();
        Self { weights: group_weights(&groups, &anomalous), rows, anomalous, groups }
    }

    /// Those that `wanted` holds for.
    pub(super) fn only(&self, wanted: impl Fn(&ImageRow) -> bool) -> Self {
        Self::from_rows(self.rows.iter().copied().filter(|(row, _)| wanted(row)).collect())
    }

    pub(super) fn labels(&self) -> GroupedLabels<'_> {
        GroupedLabels { anomalous: &self.anomalous, groups: &self.groups, weights: Some(&self.weights) }
    }

    /// The detector's scores.
    pub(super) fn scores(&self) -> Vec<f64> {
        self.rows.iter().map(|(_, scored)| scored.score).collect()
    }

    /// Images and groups that show an anomaly, or that do not.
    fn size(&self, anomalous: bool) -> PartSize {
        let members = || (0..self.rows.len()).filter(|&index| self.anomalous[index] == anomalous);
        let groups: BTreeSet<u64> = members().map(|index| self.groups[index]).collect();
        PartSize { images: members().count(), groups: groups.len() }
    }

    /// Why a number that needs both classes cannot be computed.
    pub(super) fn reason(&self) -> &'static str {
        match (self.size(false).images, self.size(true).images) {
            (0, _) => "no normal images",
            (_, 0) => "no anomalous images",
            _ => "a score is not finite, or no resample was drawn",
        }
    }

    /// The verdicts at a threshold, weighted.
    fn confusion(&self, threshold: f64) -> Option<WeightedConfusion> {
        WeightedConfusion::at(&self.scores(), &self.anomalous, Some(&self.weights), threshold)
    }

    /// The share of anomalous images found at the detector's threshold, with its exact interval over groups.
    fn recall(&self, evaluation: &Evaluation) -> Metric<Interval> {
        let anomalies: Vec<usize> = (0..self.rows.len()).filter(|&index| self.anomalous[index]).collect();
        let groups: Vec<u64> = anomalies.iter().map(|&index| self.groups[index]).collect();
        let weights: Vec<f64> = anomalies.iter().map(|&index| self.weights[index]).collect();
        let found: Vec<bool> = anomalies.iter().map(|&index| self.rows[index].1.anomalous).collect();
        let rate = grouped_rate(&groups, &found, &weights, evaluation.bootstrap.confidence);
        short_rate(&Metric::new(rate, "no anomalous images"))
    }

    /// The average precision of random scores: the share of anomalous images, by weight.
    pub(super) fn chance(&self) -> Metric<f64> {
        let weights = || self.weights.iter().zip(&self.anomalous);
        let anomalous: f64 = weights().filter(|(_, anomalous)| **anomalous).map(|(weight, _)| weight).sum();
        let all: f64 = weights().map(|(weight, _)| weight).sum();
        let both = self.size(false).images > 0 && self.size(true).images > 0;
        Metric::new(both.then(|| digits(anomalous / all, 6)), self.reason())
    }

    /// The bootstrap interval of a metric of `scores`.
    pub(super) fn figure(
        &self,
        scores: &[f64],
        settings: BootstrapSettings,
        metric: impl Fn(&[f64], &[bool], Option<&[f64]>) -> Option<f64> + Sync,
    ) -> Metric<Interval> {
        Metric::new(bootstrap(scores, self.labels(), settings, metric).map(short_interval), self.reason())
    }
}

/// The report's form of an interval.
pub(super) fn short_interval(interval: bootstrap::BootstrapInterval) -> Interval {
    Interval {
        value: digits(interval.estimate, 6),
        low: digits(interval.low, 6),
        high: digits(interval.high, 6),
    }
}

/// The report's form of a figure with an interval.
pub(super) fn short_figure(figure: &Metric<bootstrap::BootstrapInterval>) -> Metric<Interval> {
    match figure {
        Metric::Known(interval) => Metric::Known(short_interval(*interval)),
        Metric::Unavailable { unavailable } => Metric::Unavailable { unavailable: unavailable.clone() },
    }
}

/// The metrics of a report, without those of volumes.
pub(super) fn metrics(evaluation: &Evaluation, scored: &Scored<'_>) -> EvaluationData {
    let settings = evaluation.bootstrap;
    let ranked = [&evaluation.ranking.auroc, &evaluation.ranking.average_precision].map(short_figure);
    let kinds = evaluation.kinds.iter().map(|kind| kind_row(kind, scored, settings)).collect();
    EvaluationData {
        data_name: evaluation.data.name.clone(),
        figures: figures(evaluation, scored, ranked, &evaluation.false_alarms, kinds),
        unusable: evaluation.data.unusable,
        left_out_own: evaluation.data.own.total(),
        left_out_beside_own: evaluation.data.beside_own,
        left_out_unmarked: evaluation.data.unmarked,
        left_aside: evaluation.data.split.as_ref().and_then(|split| split.left_aside),
        leaked: evaluation.data.leaked,
        bootstrap: BootstrapData { draws: settings.resamples, level: settings.confidence },
        shortcuts: evaluation
            .shortcuts
            .iter()
            .map(|row| ShortcutData { name: row.property.clone(), auroc: digits(row.auroc, 6) })
            .collect(),
        pixels: pixels(evaluation),
        volumes: None,
        without_leaked: evaluation.without_leaked.as_ref().map(|without| clean(evaluation, scored, without)),
    }
}

/// The figures without near-duplicates of the detector's own normals.
fn clean(evaluation: &Evaluation, scored: &Scored<'_>, without: &WithoutLeaked) -> DetectionFigures {
    let rows = scored.rows.iter().copied().filter(|(_, image)| !image.leaked);
    let scored = Scored::from_rows(rows.collect());
    let precision = scored.figure(&scored.scores(), evaluation.bootstrap, average_precision);
    let kinds = evaluation.kinds.iter().filter_map(|kind| clean_kind(&kind.kind, &scored, evaluation));
    let ranked = [short_figure(&without.auroc), precision];
    figures(evaluation, &scored, ranked, &without.false_alarms, kinds.collect())
}

/// The figures of some rows, with AUROC and average precision given.
fn figures(
    evaluation: &Evaluation,
    scored: &Scored<'_>,
    [auroc, average_precision]: [Metric<Interval>; 2],
    false_alarms: &FalseAlarms,
    kinds: Vec<KindData>,
) -> DetectionFigures {
    let (scores, settings) = (scored.scores(), evaluation.bootstrap);
    DetectionFigures {
        normals: scored.size(false),
        anomalies: scored.size(true),
        auroc,
        average_precision,
        average_precision_of_chance: scored.chance(),
        realised_false_alarm_rate: short_rate(&false_alarms.over_groups),
        recall: scored.recall(evaluation),
        kinds,
        roc: curves::roc(&scores, scored.labels(), settings),
        pr: curves::precision_recall(&scores, scored.labels(), settings),
    }
}

/// A kind on the images that remain; none where none of its images does.
fn clean_kind(kind: &str, scored: &Scored<'_>, evaluation: &Evaluation) -> Option<KindData> {
    let is_kind = |image: &ImageRow| image.label.kind() == Some(kind);
    let against_normals = scored.only(|image| image.label.is_normal() || is_kind(image));
    let of_kind = scored.only(is_kind);
    let size = of_kind.size(true);
    let scores = against_normals.scores();
    let settings = evaluation.bootstrap;
    (size.images > 0).then(|| KindData {
        kind: kind.to_owned(),
        images: size.images,
        groups: size.groups,
        flagged: of_kind.rows.iter().filter(|(_, image)| image.anomalous).count(),
        auroc: against_normals.figure(&scores, settings, auroc),
        average_precision: against_normals.figure(&scores, settings, average_precision),
        recall: Metric::new(
            of_kind.confusion(evaluation.detector.threshold).and_then(|confusion| confusion.recall()),
            "no anomalous images",
        ),
    })
}

/// The report's form of a rate with its exact interval.
pub(super) fn short_rate(rate: &Metric<RateInterval>) -> Metric<Interval> {
    match rate {
        Metric::Known(rate) => Metric::Known(Interval {
            value: digits(rate.rate, 6),
            low: digits(rate.low, 6),
            high: digits(rate.high, 6),
        }),
        Metric::Unavailable { unavailable } => Metric::new(None, unavailable.as_str()),
    }
}

fn kind_row(row: &crate::evaluate::KindRow, scored: &Scored<'_>, settings: BootstrapSettings) -> KindData {
    let is_kind = |image: &ImageRow| image.label.kind() == Some(row.kind.as_str());
    let against_normals = scored.only(|image| image.label.is_normal() || is_kind(image));
    let of_kind = scored.only(is_kind);
    let scores = against_normals.scores();
    KindData {
        kind: row.kind.clone(),
        images: row.images,
        groups: row.groups,
        flagged: of_kind.rows.iter().filter(|(_, image)| image.anomalous).count(),
        auroc: short_figure(&row.auroc),
        average_precision: against_normals.figure(&scores, settings, average_precision),
        recall: row.recall.clone(),
    }
}

fn pixels(evaluation: &Evaluation) -> Metric<PixelData> {
    let value = |figure: &Metric<Bounded>| match figure {
        Metric::Known(bounded) => Metric::Known(digits(bounded.value, 6)),
        Metric::Unavailable { unavailable } => Metric::new(None, unavailable.as_str()),
    };
    match &evaluation.pixels {
        Metric::Known(pixels) => Metric::Known(PixelData {
            auroc: value(&pixels.auroc),
            average_precision: value(&pixels.average_precision),
            average_precision_of_chance: digits(pixels.anomalous_share, 6),
            pro: value(&pixels.aupro),
            dice_at_threshold: pixels.dice.clone(),
            intervals: pixels.intervals.map(|ends| PixelIntervalData {
                auroc: ends.auroc.map(|end| digits(end, 6)),
                average_precision: ends.average_precision.map(|end| digits(end, 6)),
                pro: ends.aupro.map(|end| digits(end, 6)),
                dice_at_threshold: ends.dice.map(|end| digits(end, 6)),
            }),
            images_with_mask: pixels.masked,
        }),
        Metric::Unavailable { unavailable } => Metric::new(None, unavailable.as_str()),
    }
}
