//! Aggregates the measurements of all images into the metrics of an evaluation.

use std::collections::{BTreeMap, BTreeSet};

use aberra_metrics::weights::group_weights;

use super::beside::{POOLINGS, PooledMaps};
use super::evaluation::{
    AtRate, BesideRow, EvaluatedData, EvaluatedDetector, EvaluatedSplit, Evaluation, FalseAlarms,
    ImageOutcome, ImageRow, KindRow, LabelCount, Leaked, Metric, OwnImages, Pixels, Ranking, ScoredImage,
    ScorerRow, ShortcutRow, Verdicts, WithoutLeaked,
};
use super::false_alarms::false_alarms;
use super::measure::{Measured, PixelCounts};
use super::{volumes, warnings};
use crate::dataset::{Dataset, GroupBy, Inspection, Label, Remarks, Shortcut, Split, shortcuts_of};
use crate::detector::{Detector, Part};
use aberra_metrics::binomial::grouped_rate;
use aberra_metrics::bootstrap::{
    BootstrapInterval, BootstrapSettings, GroupedLabels, bootstrap, paired_bootstrap,
};
use aberra_metrics::pixel::{AUPRO_FPR_LIMIT, ImageTally, PixelIntervals, pixel_intervals};
use aberra_metrics::ranking::{
    Confusion, WeightedConfusion, auroc, average_precision, f1_max, fpr_at_tpr, tpr_at_fpr,
};
use aberra_metrics::verdict::is_anomalous;

/// False-positive rates at which the true-positive rate is given.
const FALSE_POSITIVE_RATES: [f64; 3] = [0.01, 0.05, 0.1];
/// The true-positive rate at which the false-positive rate is given.
const TRUE_POSITIVE_RATE: f64 = 0.95;
/// The baseline scorer: plain reconstruction error.
pub(crate) const CLASSIC_SCORER: &str = "mse";

/// The options of an evaluation.
pub(super) struct Request<'a> {
    pub(super) split: Option<&'a Split>,
    pub(super) by: GroupBy,
    /// Sample -> group.
    pub(super) group_of: Vec<usize>,
    pub(super) bootstrap: BootstrapSettings,
}

/// Aggregates the measurements.
pub(super) fn summarize(
    detector: &Detector,
    dataset: &Dataset,
    measured: Measured,
    request: Request<'_>,
) -> Evaluation {
    let Measured { outcomes, inspection, pixels, unusable_masks, mask_remarks } = measured;
    let indices: Vec<usize> = outcomes.iter().map(|(index, _)| *index).collect();
    let members: Vec<usize> = outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, ImageOutcome::Scored(scored) if !scored.unmarked))
        .map(|(index, _)| *index)
        .collect();
    let shortcuts = shortcuts(dataset, &inspection, &members);
    let images: Vec<ImageRow> = outcomes
        .into_iter()
        .map(|(index, outcome)| ImageRow {
            name: dataset.samples[index].name.clone(),
            label: dataset.samples[index].label.clone(),
            group: request.group_of[index],
            outcome,
        })
        .collect();
    let settings = request.bootstrap;
    let all = Table::of(&images, |_, _| true);
    let unleaked = Table::of(&images, |_, scored| !scored.leaked);
    let own = detector.config().scorer.as_str();
    let promised = detector.calibration().promise.rate();
    let threshold = detector.calibration().threshold;
    let leaked = Leaked {
        normals: all.normals() - unleaked.normals(),
        anomalies: all.anomalies() - unleaked.anomalies(),
    };
    let scores = all.own_scores();
    let mut evaluation = Evaluation {
        aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
        detector: evaluated_detector(detector),
        data: EvaluatedData {
            name: dataset.name(),
            split: request.split.map(|split| EvaluatedSplit {
                seed: split.seed,
                policy: split.policy,
                fold: split.fold,
                left_aside: Some(split.unused.len()),
            }),
            by: request.by,
            labels: all.label_counts(),
            own: own_images(&images),
            beside_own: images.iter().filter(|row| row.outcome == ImageOutcome::BesideOwn).count(),
            unmarked: images.iter().filter_map(ImageRow::scored).filter(|scored| scored.unmarked).count(),
            unusable: images.iter().filter(|row| matches!(row.outcome, ImageOutcome::Unusable(_))).count(),
            leaked,
        },
        bootstrap: settings,
        ranking: all.ranking(&scores, settings),
        verdicts: verdicts(
            Confusion::at(&scores, &all.anomalous, threshold).unwrap_or_default(),
            all.confusion(threshold),
        ),
        false_alarms: all.false_alarms(promised, settings),
        without_leaked: (leaked.normals + leaked.anomalies > 0).then(|| WithoutLeaked {
            normals: unleaked.normals(),
            anomalies: unleaked.anomalies(),
            auroc: unleaked.auroc(&unleaked.own_scores(), settings),
            false_alarms: unleaked.false_alarms(promised, settings),
        }),
        kinds: kinds(&images, threshold, settings),
        scorers: detector
            .fitted_scorers()
            .iter()
            .map(|scorer| all.scorer(scorer.name(), own, settings))
            .collect(),
        shortcuts,
        pixels: pixel_figures(pixels, detector, &images, settings),
        volumes: volumes::figures(detector, dataset, &indices, &images, settings),
        warnings: Vec::new(),
        measurements: detector.descriptors().to_vec(),
        images,
    };
    evaluation.warnings = warnings::of(&evaluation, &unusable_masks);
    let remarks = [inspection.remarks(dataset), mask_remarks];
    evaluation.warnings.extend(remarks.iter().flat_map(Remarks::lines).map(|line| format!("{line}.")));
    evaluation
}

fn evaluated_detector(detector: &Detector) -> EvaluatedDetector {
    let provenance = detector.provenance();
    EvaluatedDetector {
        hash: detector.hash().map(str::to_owned),
        made_from: provenance.dataset.clone(),
        train: provenance.train,
        fit: provenance.fit,
        calibration: provenance.calibration,
        scorer: detector.config().scorer.clone(),
        threshold: detector.calibration().threshold,
        pixel_threshold: detector.pixel_threshold(),
        promise: detector.calibration().promise,
    }
}

fn own_images(images: &[ImageRow]) -> OwnImages {
    let mut own = OwnImages::default();
    for row in images {
        match row.outcome {
            ImageOutcome::Own(Part::Train) => own.train += 1,
            ImageOutcome::Own(Part::Fit) => own.fit += 1,
            ImageOutcome::Own(Part::Calibration) => own.calibration += 1,
            _ => {}
        }
    }
    own
}

fn shortcuts(dataset: &Dataset, inspection: &Inspection, members: &[usize]) -> Vec<ShortcutRow> {
    let row = |shortcut: Shortcut| {
        let value = shortcut.value.map(|value| format!(" {value}")).unwrap_or_default();
        ShortcutRow { property: format!("{}{value}", shortcut.property.name()), auroc: shortcut.auroc }
    };
    shortcuts_of(dataset, inspection, members).into_iter().map(row).collect()
}

/// Scored images side by side: those that count, unless it is said.
struct Table<'a> {
    rows: Vec<(&'a ImageRow, &'a ScoredImage)>,
    anomalous: Vec<bool>,
    groups: Vec<u64>,
    /// The images of a group and class share a weight of 1.
    weights: Vec<f64>,
}

impl<'a> Table<'a> {
    fn of(images: &'a [ImageRow], wanted: impl Fn(&ImageRow, &ScoredImage) -> bool) -> Self {
        let counted = images.iter().filter_map(|row| Some((row, row.counted()?)));
        Self::from_rows(counted.filter(|(row, scored)| wanted(row, scored)).collect())
    }

    fn from_rows(rows: Vec<(&'a ImageRow, &'a ScoredImage)>) -> Self {
        let anomalous: Vec<bool> = rows.iter().map(|(row, _)| !row.label.is_normal()).collect();
        let groups: Vec<u64> = rows.iter().map(|(row, _)| row.group as u64).collect();
        Self { weights: group_weights(&groups, &anomalous), rows, anomalous, groups }
    }

    fn labels(&self) -> GroupedLabels<'_> {
        GroupedLabels { anomalous: &self.anomalous, groups: &self.groups, weights: Some(&self.weights) }
    }

    fn own_scores(&self) -> Vec<f64> {
        self.rows.iter().map(|(_, scored)| scored.score).collect()
    }

    /// The verdicts at a threshold, weighted.
    fn confusion(&self, threshold: f64) -> WeightedConfusion {
        WeightedConfusion::at(&self.own_scores(), &self.anomalous, Some(&self.weights), threshold)
            .unwrap_or_default()
    }

    /// The scores of one of the fitted scorers; NaN, which no metric accepts, where one is missing.
    fn scores_of(&self, scorer: &str) -> Vec<f64> {
        self.rows.iter().map(|(_, scored)| scored.scores.get(scorer).copied().unwrap_or(f64::NAN)).collect()
    }

    fn anomalies(&self) -> usize {
        self.anomalous.iter().filter(|&&anomalous| anomalous).count()
    }

    fn normals(&self) -> usize {
        self.rows.len() - self.anomalies()
    }

    /// Why a number that needs both classes cannot be computed.
    fn reason(&self) -> &'static str {
        match (self.normals(), self.anomalies()) {
            (0, 0) => "no images",
            (0, _) => "no normal images",
            (_, 0) => "no anomalous images",
            _ => "a score is not finite, or no resample was drawn",
        }
    }

    fn auroc(&self, scores: &[f64], settings: BootstrapSettings) -> Metric<BootstrapInterval> {
        Metric::new(bootstrap(scores, self.labels(), settings, auroc), self.reason())
    }

    fn ranking(&self, scores: &[f64], settings: BootstrapSettings) -> Ranking {
        let (anomalous, weights) = (&self.anomalous, Some(&self.weights[..]));
        let reason = self.reason();
        let weight = |of: bool| -> f64 {
            anomalous
                .iter()
                .zip(&self.weights)
                .filter(|(anomalous, _)| **anomalous == of)
                .map(|(_, weight)| weight)
                .sum()
        };
        let share = weight(true) / (weight(true) + weight(false));
        let at_rate =
            |rate| AtRate { rate, value: Metric::new(tpr_at_fpr(scores, anomalous, weights, rate), reason) };
        Ranking {
            auroc: self.auroc(scores, settings),
            average_precision: Metric::new(
                bootstrap(scores, self.labels(), settings, average_precision),
                reason,
            ),
            average_precision_of_chance: Metric::new(
                (self.normals() > 0 && self.anomalies() > 0).then_some(share),
                reason,
            ),
            tpr_at_fpr: FALSE_POSITIVE_RATES.into_iter().map(at_rate).collect(),
            fpr_at_95_tpr: Metric::new(fpr_at_tpr(scores, anomalous, weights, TRUE_POSITIVE_RATE), reason),
            oracle_f1: Metric::new(f1_max(scores, anomalous, weights), reason),
        }
    }

    fn scorer(&self, name: &str, own: &str, settings: BootstrapSettings) -> ScorerRow {
        let scores = self.scores_of(name);
        let difference = (name != own)
            .then(|| paired_bootstrap(&self.scores_of(own), &scores, self.labels(), settings, auroc))
            .flatten();
        let reason = if name == own { "it is the detector's own" } else { self.reason() };
        ScorerRow {
            name: name.to_owned(),
            is_own: name == own,
            auroc: self.auroc(&scores, settings),
            own_minus_this: Metric::new(difference, reason),
        }
    }

    fn false_alarms(&self, promised: Option<f64>, settings: BootstrapSettings) -> FalseAlarms {
        let normals = self.rows.iter().filter(|(row, _)| row.label.is_normal());
        let verdicts = normals.map(|(row, scored)| (row.group, scored.anomalous));
        false_alarms(verdicts, promised, settings, "no normal images")
    }

    fn label_counts(&self) -> Vec<LabelCount> {
        let mut counts: BTreeMap<&Label, (usize, BTreeSet<usize>)> = BTreeMap::new();
        for (row, _) in &self.rows {
            let (images, groups) = counts.entry(&row.label).or_default();
            *images += 1;
            groups.insert(row.group);
        }
        counts
            .into_iter()
            .map(|(label, (images, groups))| LabelCount {
                label: label.clone(),
                images,
                groups: groups.len(),
            })
            .collect()
    }
}

fn verdicts(confusion: Confusion, weighted: WeightedConfusion) -> Verdicts {
    let no_anomalies = "no anomalous images";
    let no_normals = "no normal images";
    let one_missing = if confusion.anomalies() == 0 { no_anomalies } else { no_normals };
    Verdicts {
        confusion,
        precision: Metric::new(weighted.precision(), "no image was called anomalous"),
        recall: Metric::new(weighted.recall(), no_anomalies),
        specificity: Metric::new(weighted.specificity(), no_normals),
        f1: Metric::new(weighted.f1(), no_anomalies),
        balanced_accuracy: Metric::new(weighted.balanced_accuracy(), one_missing),
    }
}

fn kinds(images: &[ImageRow], threshold: f64, settings: BootstrapSettings) -> Vec<KindRow> {
    let counted = images.iter().filter(|row| row.counted().is_some());
    let kinds: BTreeSet<&str> = counted.filter_map(|row| row.label.kind()).collect();
    let row = |kind: &str| {
        let of_kind = Table::of(images, |row, _| row.label.kind() == Some(kind));
        let against_normals =
            Table::of(images, |row, _| row.label.is_normal() || row.label.kind() == Some(kind));
        let found: Vec<bool> =
            of_kind.rows.iter().map(|(_, scored)| is_anomalous(scored.score, threshold)).collect();
        KindRow {
            kind: kind.to_owned(),
            images: of_kind.rows.len(),
            groups: of_kind.groups.iter().collect::<BTreeSet<_>>().len(),
            auroc: against_normals.auroc(&against_normals.own_scores(), settings),
            recall: Metric::new(of_kind.confusion(threshold).recall(), of_kind.reason()),
            recall_interval: grouped_rate(&of_kind.groups, &found, &of_kind.weights, settings.confidence),
        }
    };
    kinds.into_iter().map(row).collect()
}

/// AUROC of the pooled maps, with and without what the masks show.
fn beside(pooled: &PooledMaps, images: &[ImageRow], settings: BootstrapSettings) -> Vec<BesideRow> {
    let table = Table::of(images, |row, _| pooled.contains_key(&row.name));
    let row = |(at, (name, _)): (usize, &(&str, f64))| {
        let auroc = |which: usize| {
            let values: Vec<f64> = table.rows.iter().map(|(row, _)| pooled[&row.name][at][which]).collect();
            table.auroc(&values, settings)
        };
        BesideRow { pooling: (*name).to_owned(), auroc: auroc(0), beside_auroc: auroc(1) }
    };
    POOLINGS.iter().enumerate().map(row).collect()
}

fn pixel_figures(
    counts: Option<PixelCounts>,
    detector: &Detector,
    images: &[ImageRow],
    settings: BootstrapSettings,
) -> Metric<Pixels> {
    let Some(counts) = counts else {
        return Metric::new(
            None,
            if detector.gives().map { "no masks" } else { "the detector makes no maps" },
        );
    };
    if counts.masked == 0 {
        return Metric::new(None, "no scored anomalous image has a usable mask");
    }
    let PixelCounts { tally, masked, normals, without_mask, pooled, of_images } = counts;
    let mut confusion = Confusion::default();
    of_images.values().for_each(|(_, of_image)| confusion += *of_image);
    let pixels = tally.normals() + tally.anomalies();
    let reason = match (tally.normals(), tally.anomalies()) {
        (_, 0) => "the masks hold no anomalous pixel at this size",
        _ => "no normal pixels",
    };
    Metric::Known(Pixels {
        input: detector.canvas_shape(),
        masked,
        normals,
        without_mask,
        regions: tally.regions(),
        anomalous_share: tally.anomalies() as f64 / pixels.max(1) as f64,
        auroc: Metric::new(tally.auroc(), reason),
        average_precision: Metric::new(tally.average_precision(), reason),
        aupro: Metric::new(tally.aupro(AUPRO_FPR_LIMIT), reason),
        oracle_dice: Metric::new(tally.best_dice(), reason),
        dice: Metric::new(confusion.f1(), reason),
        intervals: intervals_of_pixels(&of_images, images, settings),
        beside: beside(&pooled, images, settings),
    })
}

fn intervals_of_pixels(
    of_images: &BTreeMap<String, (ImageTally, Confusion)>,
    images: &[ImageRow],
    settings: BootstrapSettings,
) -> Option<PixelIntervals> {
    let scored = images.iter().filter_map(|row| Some((row, row.scored()?)));
    // Where a mask marks nothing, its pixels are normal ones.
    let table = Table::from_rows(scored.filter(|(row, _)| of_images.contains_key(&row.name)).collect());
    let counted: Vec<_> = table.rows.iter().map(|(row, _)| of_images[&row.name].clone()).collect();
    pixel_intervals(&counted, GroupedLabels { weights: None, ..table.labels() }, settings)
}
