//! From finished cells to the table of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use aberra_metrics::bootstrap::{self, BootstrapSettings};
use aberra_metrics::ranking::{auroc, average_precision};

use super::plan::{Comparison, Recipe};
use super::pool::{FoldImages, RankingMetric, Term, interval};
use super::record::{CellRecord, TestedImage};
use crate::dataset::{Dataset, Inspection, shortcuts_of};
use crate::detector::PartSize;
use crate::evaluate::{CLASSIC_SCORER, Metric};
use crate::wire::{BootstrapData, ComparisonCell, ComparisonData, ComparisonRow, Interval};

/// With fewer groups of normal or of anomalous images, intervals are unreliable.
const FEW_GROUPS: usize = 20;
/// Shortcuts whose AUROC lies above it are named.
const LOUD_SHORTCUT: f64 = 0.8;

/// The outcomes of a comparison's cells.
#[derive(Clone, Copy)]
pub(super) struct Done<'a> {
    pub(super) records: &'a [CellRecord],
    /// Recipe -> its cells without a result, and why.
    pub(super) failures: &'a BTreeMap<&'a str, Vec<String>>,
}

/// Sums up the cells of a comparison.
pub(super) fn summarize(
    comparison: &Comparison,
    dataset: &Dataset,
    inspection: &Inspection,
    done: Done<'_>,
    settings: BootstrapSettings,
) -> ComparisonData {
    let table = Table::new(comparison, done, settings);
    let [normals, anomalies] = [false, true].map(|anomalous| table.size(anomalous));
    let mut notes = table.notes(normals, anomalies);
    notes.extend(shortcut(dataset, inspection, &table));
    ComparisonData {
        aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
        data_name: dataset.name(),
        folds: comparison.folds().to_vec(),
        seeds: comparison.seeds().to_vec(),
        normals,
        anomalies,
        promised_false_alarm_rate: comparison.common().promise.false_alarm_rate,
        classic_scorer: CLASSIC_SCORER.to_owned(),
        bootstrap: BootstrapData { draws: settings.resamples, level: settings.confidence },
        notes,
        rows: comparison.recipes().iter().map(|recipe| table.row(recipe)).collect(),
    }
}

/// The cells of a comparison, side by side.
struct Table<'a> {
    comparison: &'a Comparison,
    done: Done<'a>,
    /// In the order of the comparison's folds.
    folds: Vec<FoldImages<'a>>,
    settings: BootstrapSettings,
}

impl<'a> Table<'a> {
    fn new(comparison: &'a Comparison, done: Done<'a>, settings: BootstrapSettings) -> Self {
        let of_fold = |fold| {
            let records: Vec<&CellRecord> =
                done.records.iter().filter(|record| record.cell.fold == fold).collect();
            FoldImages::common_to(&records)
        };
        let folds = comparison.folds().iter().map(|&fold| of_fold(fold)).collect();
        Self { comparison, done, folds, settings }
    }

    fn row(&self, recipe: &Recipe) -> ComparisonRow {
        let records = self.records(&recipe.name);
        let cells: Vec<&ComparisonCell> = records.iter().map(|record| &record.cell).collect();
        let first = &self.comparison.recipes()[0].name;
        let own = |image: &TestedImage| Some(image.score);
        let nothing = |_: &CellRecord| None::<(&CellRecord, fn(&TestedImage) -> Option<f64>)>;
        let alone = |metric| self.interval(&records, own, nothing, metric);
        let scorers: BTreeSet<&String> = cells.iter().flat_map(|cell| cell.scorers.keys()).collect();
        let of_scorer = |name: &String| {
            let missing = Metric::new(None, format!("the scorer {name} could not be fitted everywhere"));
            mean(cells.iter().map(|cell| cell.scorers.get(name).unwrap_or(&missing)))
        };
        let training_secs: Vec<Metric<f64>> =
            cells.iter().map(|cell| Metric::Known(cell.training_secs)).collect();
        ComparisonRow {
            recipe: recipe.name.clone(),
            settings_toml: recipe.config.to_toml().unwrap_or_default(),
            auroc: alone(auroc),
            auroc_difference: (recipe.name != *first).then(|| {
                let partner = |cell: &ComparisonCell| {
                    self.records(first)
                        .into_iter()
                        .find(|other| other.cell.fold == cell.fold && other.cell.seed == cell.seed)
                };
                let paired: Vec<&CellRecord> =
                    records.iter().copied().filter(|record| partner(&record.cell).is_some()).collect();
                self.interval(&paired, own, |record| Some((partner(&record.cell)?, own)), auroc)
            }),
            auroc_minus_classic: match recipe.config.scorer == CLASSIC_SCORER {
                true => Metric::new(None, "it is the recipe's own scorer"),
                false => {
                    let classic = |image: &TestedImage| image.classic_score;
                    self.interval(&records, own, |record| Some((record, classic)), auroc)
                }
            },
            average_precision: alone(average_precision),
            pixel_average_precision: mean(cells.iter().map(|cell| &cell.pixel_average_precision)),
            tpr_at_5_fpr: mean(cells.iter().map(|cell| &cell.tpr_at_5_fpr)),
            false_alarm_rate: mean(cells.iter().map(|cell| &cell.false_alarm_rate)),
            scorers: scorers.into_iter().map(|name| (name.clone(), of_scorer(name))).collect(),
            training_secs: mean(training_secs.iter()),
            ms_per_image: mean(cells.iter().map(|cell| &cell.ms_per_image)),
            parameters: Metric::new(cells.iter().map(|cell| cell.parameters).max(), NO_CELL),
            failures: self.done.failures.get(recipe.name.as_str()).cloned().unwrap_or_default(),
            cells: cells.into_iter().cloned().collect(),
        }
    }

    fn records(&self, recipe: &str) -> Vec<&'a CellRecord> {
        self.done.records.iter().filter(|record| record.cell.recipe == recipe).collect()
    }

    /// The mean over some cells of a metric of their images' numbers, less that of the numbers of another or the same
    /// cell, with its interval.
    fn interval<N, M>(
        &self,
        records: &[&'a CellRecord],
        number: N,
        minus: impl Fn(&'a CellRecord) -> Option<(&'a CellRecord, M)>,
        metric: RankingMetric,
    ) -> Metric<Interval>
    where
        N: Fn(&TestedImage) -> Option<f64> + Copy,
        M: Fn(&TestedImage) -> Option<f64>,
    {
        let term = |record: &&'a CellRecord| {
            let fold = self.comparison.folds().iter().position(|fold| *fold == record.cell.fold)?;
            let minus = match minus(record) {
                Some((other, number)) => Some(self.folds[fold].column(other, number)?),
                None => None,
            };
            Some(Term { fold, scores: self.folds[fold].column(record, number)?, minus })
        };
        let terms: Option<Vec<Term>> = records.iter().map(term).collect();
        let drawn = terms.and_then(|terms| interval(&self.folds, &terms, self.settings, metric));
        let bounds = |one: bootstrap::BootstrapInterval| Interval {
            value: one.estimate,
            low: one.low,
            high: one.high,
        };
        Metric::new(drawn.map(bounds), self.reason(records))
    }

    /// Why a number that needs both classes in every cell cannot be computed.
    fn reason(&self, records: &[&CellRecord]) -> &'static str {
        if records.is_empty() {
            return NO_CELL;
        }
        let lacks = |anomalous: bool| {
            self.folds.iter().any(|fold| fold.images().iter().all(|image| image.anomalous != anomalous))
        };
        match (lacks(false), lacks(true)) {
            (true, _) => "no normal images in the test part of a fold",
            (_, true) => "no anomalous images in the test part of a fold",
            _ => "a score is missing or not finite, or no resample was drawn",
        }
    }

    /// Distinct images of all folds.
    fn images(&self) -> BTreeMap<&'a str, &'a TestedImage> {
        let images = self.done.records.iter().flat_map(|record| &record.images);
        images.map(|image| (image.name.as_str(), image)).collect()
    }

    fn size(&self, anomalous: bool) -> PartSize {
        let images = self.images();
        let members = || images.values().filter(|image| image.anomalous == anomalous);
        let groups: BTreeSet<usize> = members().map(|image| image.group).collect();
        PartSize { images: members().count(), groups: groups.len() }
    }

    fn notes(&self, normals: PartSize, anomalies: PartSize) -> Vec<String> {
        let mut notes = Vec::new();
        let failed: usize = self.done.failures.values().map(Vec::len).sum();
        if failed > 0 {
            notes.push(format!("{failed} of the cells have no result. Means leave them out."));
        }
        let left_out: usize = self.folds.iter().map(|fold| fold.left_out).sum();
        if left_out > 0 {
            notes.push(format!(
                "{left_out} images were scored by some detectors and not by others. AUROC and average precision leave them \
                 out."
            ));
        }
        let computers: BTreeSet<(&str, usize)> = self
            .done
            .records
            .iter()
            .map(|record| (record.cell.instructions.as_str(), record.cell.threads))
            .collect();
        if computers.len() > 1 {
            notes.push(
                "Not all cells ran with the same instruction set and number of threads: their times do not compare."
                    .to_owned(),
            );
        }
        if anomalies.images > 0 && normals.groups.min(anomalies.groups) < FEW_GROUPS {
            notes.push(format!(
                "Only {} groups of normal and {} of anomalous images: with fewer than {FEW_GROUPS} of either, intervals are \
                 too narrow and single images decide.",
                normals.groups, anomalies.groups
            ));
        }
        notes
    }
}

const NO_CELL: &str = "no cell has a result";

/// Shortcuts: properties of file, frame and device that predict the label well.
fn shortcut(dataset: &Dataset, inspection: &Inspection, table: &Table<'_>) -> Option<String> {
    let tested = table.images();
    let samples = dataset.samples.iter().enumerate();
    let members: Vec<usize> = samples
        .filter(|(_, sample)| tested.contains_key(sample.name.as_str()))
        .map(|(index, _)| index)
        .collect();
    let best = shortcuts_of(dataset, inspection, &members).into_iter().next()?;
    (best.auroc > LOUD_SHORTCUT).then(|| {
        format!(
            "The {} alone reaches an AUROC of {:.3}, without looking at what an image shows. A high AUROC on these images \
             need not mean that anomalies are seen.",
            best.property.name(),
            best.auroc
        )
    })
}

/// The mean, or why one of the numbers is missing.
fn mean<'a>(numbers: impl Iterator<Item = &'a Metric<f64>>) -> Metric<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for number in numbers {
        match number {
            Metric::Known(value) => sum += value,
            Metric::Unavailable { .. } => return number.clone(),
        }
        count += 1;
    }
    Metric::new((count > 0).then(|| sum / f64::from(count)), NO_CELL)
}

/// A comparison of two recipes on two folds with two seeds, fictitious; the second one finds more.
#[cfg(test)]
pub(super) fn made_up_table(failures: &BTreeMap<&str, Vec<String>>, name: &str) -> ComparisonData {
    use super::record::made_up;
    use crate::checked_config::CheckedConfig;
    use crate::dataset::Layout;

    let recipe = |name: &str| Recipe { name: name.to_owned(), config: CheckedConfig::default() };
    let comparison = Comparison::new(vec![recipe("plain"), recipe("better")], 2, 2).unwrap();
    let cells = comparison.cells().into_iter().map(|cell| {
        let shift = if cell.recipe.name == "plain" { 0.1 } else { 0.8 };
        made_up(&cell.recipe.name, cell.fold.index, cell.seed, shift)
    });
    let records: Vec<CellRecord> = cells.collect();
    let dataset = Dataset {
        root: name.into(),
        layout: Layout::Mvtec,
        samples: Vec::new(),
        skipped: Default::default(),
        notes: Vec::new(),
    };
    let settings = BootstrapSettings { resamples: 200, ..BootstrapSettings::default() };
    let done = Done { records: &records, failures };
    summarize(&comparison, &dataset, &Inspection { images: Vec::new() }, done, settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(metric: &Metric<Interval>) -> Interval {
        *metric.value().unwrap()
    }

    #[test]
    fn rows_hold_means_over_cells_and_differences_on_the_same_draws() {
        let table = made_up_table(&BTreeMap::new(), "data");
        let [plain, better] = &table.rows[..] else { panic!("two rows") };
        for row in [plain, better] {
            assert_eq!(row.cells.len(), 4);
            let cells = row.cells.iter().map(|cell| cell.auroc.value().unwrap());
            let of_cells = cells.sum::<f64>() / 4.0;
            let found = value(&row.auroc);
            assert!((found.value - of_cells).abs() < 1e-12);
            assert!(found.low < found.value && found.value < found.high);
            assert_eq!(row.training_secs, Metric::Known(2.5));
            assert_eq!(row.pixel_average_precision.reason(), Some("no masks"));
        }
        assert_eq!(plain.auroc_difference, None);
        let difference = value(better.auroc_difference.as_ref().unwrap());
        assert!((difference.value - (value(&better.auroc).value - value(&plain.auroc).value)).abs() < 1e-12);
        assert!(difference.low > 0.0, "{difference:?}");
        // Each fold has normals of its own, and the same anomalies.
        assert_eq!((table.normals.images, table.normals.groups), (48, 24));
        assert_eq!((table.anomalies.images, table.anomalies.groups), (12, 12));
        let few = "Only 24 groups of normal and 12 of anomalous images";
        assert!(table.notes.iter().any(|note| note.starts_with(few)), "{:?}", table.notes);
    }

    #[test]
    fn cells_without_a_result_are_named() {
        let failures = BTreeMap::from([("better", vec!["better, fold 1 of 2, seed 0: diverged".to_owned()])]);
        let table = made_up_table(&failures, "data");
        assert_eq!(table.rows[1].failures, failures["better"]);
        assert!(table.notes[0].starts_with("1 of the cells have no result"), "{:?}", table.notes);
        assert!(table.to_string().contains("better, fold 1 of 2, seed 0: diverged"));
    }

    #[test]
    fn a_mean_is_missing_where_one_of_its_numbers_is() {
        let numbers = [Metric::Known(1.0), Metric::Known(2.0)];
        assert_eq!(mean(numbers.iter()), Metric::Known(1.5));
        let holed = [Metric::Known(1.0), Metric::new(None, "why")];
        assert_eq!(mean(holed.iter()).reason(), Some("why"));
        assert_eq!(mean([].iter()).reason(), Some(NO_CELL));
    }
}
