//! Ranking metrics averaged over cells, with intervals over groups that are pooled over folds.
//!
//! Each resample draws groups (Efron and Tibshirani, 1993; see [`bootstrap`]) of all folds at once and computes the metric
//! within each cell: a group of anomalies that several folds test is drawn for all of them together, and all recipes and
//! seeds see the same draw. The images of a group and class share a weight of 1. What the interval covers is the draw of
//! test images, not that of training images or seeds.

use std::collections::HashMap;

use aberra_metrics::bootstrap::{BootstrapInterval, BootstrapSettings, GroupedLabels, bootstrap};
use aberra_metrics::weights::group_weights;

use super::record::{CellRecord, TestedImage};

/// A metric of scores, labels and weights.
pub(super) type RankingMetric = fn(&[f64], &[bool], Option<&[f64]>) -> Option<f64>;

/// The images of a fold that every one of its cells scored.
pub(super) struct FoldImages<'a> {
    /// By name, in order.
    images: Vec<&'a TestedImage>,
    /// Images that only some of the cells scored.
    pub(super) left_out: usize,
}

impl<'a> FoldImages<'a> {
    pub(super) fn common_to(records: &[&'a CellRecord]) -> Self {
        let mut counts: HashMap<&str, (usize, &TestedImage)> = HashMap::new();
        for image in records.iter().flat_map(|record| &record.images) {
            counts.entry(&image.name).or_insert((0, image)).0 += 1;
        }
        let scored = counts.len();
        let common = counts.into_values().filter(|(count, _)| *count == records.len());
        let mut images: Vec<&TestedImage> = common.map(|(_, image)| image).collect();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Self { left_out: scored - images.len(), images }
    }

    pub(super) fn images(&self) -> &[&'a TestedImage] {
        &self.images
    }

    /// A cell's numbers for the images, in order; `None` if one is missing.
    pub(super) fn column(
        &self,
        record: &CellRecord,
        number: impl Fn(&TestedImage) -> Option<f64>,
    ) -> Option<Vec<f64>> {
        let numbers: HashMap<&str, Option<f64>> =
            record.images.iter().map(|image| (image.name.as_str(), number(image))).collect();
        self.images.iter().map(|image| *numbers.get(image.name.as_str())?).collect()
    }
}

/// One cell's scores of its fold's images, and those whose metric is subtracted.
pub(super) struct Term {
    /// The position of the fold.
    pub(super) fold: usize,
    pub(super) scores: Vec<f64>,
    pub(super) minus: Option<Vec<f64>>,
}

/// The mean over terms of the metric of their scores, less that of the scores to subtract, with its interval.
///
/// `None` if there is no term, or the metric cannot be computed for one of them.
pub(super) fn interval(
    folds: &[FoldImages<'_>],
    terms: &[Term],
    settings: BootstrapSettings,
    metric: RankingMetric,
) -> Option<BootstrapInterval> {
    let mut all = Images::default();
    let mut places = Vec::new();
    for (fold, images) in
        folds.iter().enumerate().filter(|(fold, _)| terms.iter().any(|term| term.fold == *fold))
    {
        let of_fold = Images::of(images);
        places.extend((0..images.images.len()).map(|image| (fold, image)));
        all.anomalous.extend(of_fold.anomalous);
        all.groups.extend(of_fold.groups);
        all.weights.extend(of_fold.weights);
    }
    // The indices of images are resampled in place of their scores.
    let positions: Vec<f64> = (0..places.len()).map(|position| position as f64).collect();
    let mean = |positions: &[f64], anomalous: &[bool], weights: Option<&[f64]>| {
        let mut drawn: Vec<Drawn> = vec![Drawn::default(); folds.len()];
        for (at, &position) in positions.iter().enumerate() {
            let (fold, image) = places[position as usize];
            drawn[fold].images.push(image);
            drawn[fold].anomalous.push(anomalous[at]);
            drawn[fold].weights.push(weights?[at]);
        }
        let mut sum = 0.0;
        for term in terms {
            let Drawn { images, anomalous, weights } = &drawn[term.fold];
            let of = |scores: &Vec<f64>| {
                let scores: Vec<f64> = images.iter().map(|&image| scores[image]).collect();
                metric(&scores, anomalous, Some(weights))
            };
            sum += of(&term.scores)? - term.minus.as_ref().map_or(Some(0.0), of)?;
        }
        (!terms.is_empty()).then(|| sum / terms.len() as f64)
    };
    bootstrap(&positions, all.labels(), settings, mean)
}

/// Labels, groups and weights of images.
#[derive(Default)]
struct Images {
    anomalous: Vec<bool>,
    groups: Vec<u64>,
    weights: Vec<f64>,
}

impl Images {
    fn of(fold: &FoldImages<'_>) -> Self {
        let anomalous: Vec<bool> = fold.images.iter().map(|image| image.anomalous).collect();
        let groups: Vec<u64> = fold.images.iter().map(|image| image.group as u64).collect();
        Self { weights: group_weights(&groups, &anomalous), anomalous, groups }
    }

    fn labels(&self) -> GroupedLabels<'_> {
        GroupedLabels { anomalous: &self.anomalous, groups: &self.groups, weights: Some(&self.weights) }
    }
}

/// What a resample draws of a fold.
#[derive(Clone, Default)]
struct Drawn {
    /// Positions among the fold's images.
    images: Vec<usize>,
    anomalous: Vec<bool>,
    weights: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use aberra_metrics::bootstrap::paired_bootstrap;
    use aberra_metrics::ranking::auroc;

    use super::*;
    use crate::comparison::record::made_up;

    const SETTINGS: BootstrapSettings = BootstrapSettings { resamples: 200, confidence: 0.95, seed: 3 };

    fn score(image: &TestedImage) -> Option<f64> {
        Some(image.score)
    }

    #[test]
    fn one_cell_has_the_interval_of_its_scores() {
        let record = made_up("a", 0, 0, 0.5);
        let fold = FoldImages::common_to(&[&record]);
        let scores = fold.column(&record, score).unwrap();
        let classic = fold.column(&record, |image| image.classic_score).unwrap();
        let images = Images::of(&fold);
        let labels = images.labels();
        let alone = bootstrap(&scores, labels, SETTINGS, auroc);
        let paired = paired_bootstrap(&scores, &classic, labels, SETTINGS, auroc);
        let term = |minus| [Term { fold: 0, scores: scores.clone(), minus }];
        let folds = [fold];
        assert!(alone.is_some() && paired.is_some());
        assert_eq!(interval(&folds, &term(None), SETTINGS, auroc), alone);
        assert_eq!(interval(&folds, &term(Some(classic.clone())), SETTINGS, auroc), paired);
    }

    #[test]
    fn the_estimate_is_the_mean_over_cells() {
        let records = [made_up("a", 0, 0, 0.2), made_up("a", 1, 0, 0.6)];
        let folds = records.each_ref().map(|record| FoldImages::common_to(&[record]));
        let terms: Vec<Term> = (0..2)
            .map(|fold| Term {
                fold,
                scores: folds[fold].column(&records[fold], score).unwrap(),
                minus: None,
            })
            .collect();
        let each = [0, 1].map(|fold| {
            let Images { anomalous, weights, .. } = Images::of(&folds[fold]);
            auroc(&terms[fold].scores, &anomalous, Some(&weights)).unwrap()
        });
        assert!(each[0] != each[1]);
        let found = interval(&folds, &terms, SETTINGS, auroc).unwrap();
        assert!((found.estimate - (each[0] + each[1]) / 2.0).abs() < 1e-12);
        assert!(found.low < found.estimate && found.estimate < found.high);
        // Normals differ between folds, anomalies are the same in both.
        assert_eq!((found.normal_groups, found.anomalous_groups), (24, 12));
    }

    #[test]
    fn what_one_cell_did_not_score_counts_for_none() {
        let (whole, mut holed) = (made_up("a", 0, 0, 0.5), made_up("b", 0, 0, 0.5));
        let removed = holed.images.remove(3).name;
        let fold = FoldImages::common_to(&[&whole, &holed]);
        assert_eq!(fold.left_out, 1);
        assert!(fold.images().iter().all(|image| image.name != removed));
        assert_eq!(fold.column(&whole, score).unwrap().len(), holed.images.len());
    }
}
