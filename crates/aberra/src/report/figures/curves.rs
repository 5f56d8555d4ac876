//! Curves: ROC, precision and recall, training.

use aberra_models::train::LossRecord;
use plotters::prelude::*;

use super::SIZE;
use crate::Result;
use crate::evaluate::Metric;
use crate::figure::{ANOMALOUS, Drawn, FAINT, INK, NORMAL, axes, figure, legend, range};
use crate::wire::{EpochData, Interval, ReportData, TrainingData};

pub(super) fn roc(data: &ReportData) -> Result<Vec<u8>> {
    let evaluation = &data.evaluation;
    let curve = &evaluation.figures.roc;
    let band = steps(&curve.fpr, &curve.tpr_low, &curve.tpr_high);
    let line = staircase(&curve.fpr, &curve.tpr);
    let point = operating(&evaluation.realised_by_images(data), &evaluation.figures.recall);
    let name = labelled("AUROC", &evaluation.figures.auroc);
    banded(
        Banded { line, band, point, name, chance: Some([(0.0, 0.0), (1.0, 1.0)]), y_from: 0.0 },
        ["false-positive rate", "true-positive rate"],
    )
}

pub(super) fn precision_recall(data: &ReportData) -> Result<Vec<u8>> {
    let evaluation = &data.evaluation;
    let curve = &evaluation.figures.pr;
    let band: Vec<(f64, f64)> = forth_and_back(&curve.recall, &curve.precision_low, &curve.precision_high);
    let line: Vec<(f64, f64)> = curve.recall.iter().copied().zip(curve.precision.iter().copied()).collect();
    let share = evaluation.figures.anomalies.images as f64 / data.images.len().max(1) as f64;
    let called = data.images.iter().filter(|image| image.anomalous);
    let hits = called.clone().filter(|image| image.kind.is_some()).count();
    let precision = (called.clone().count() > 0).then(|| hits as f64 / called.count() as f64);
    let point = match (&evaluation.figures.recall, precision) {
        (Metric::Known(recall), Some(precision)) => Some((recall.value, precision)),
        _ => None,
    };
    let name = labelled("average precision", &evaluation.figures.average_precision);
    banded(
        Banded { line, band, point, name, chance: Some([(0.0, share), (1.0, share)]), y_from: 0.0 },
        ["recall", "precision"],
    )
}

struct Banded {
    line: Vec<(f64, f64)>,
    band: Vec<(f64, f64)>,
    /// Where the detector's threshold lies.
    point: Option<(f64, f64)>,
    name: String,
    /// What random scores would give.
    chance: Option<[(f64, f64); 2]>,
    y_from: f64,
}

fn banded(curve: Banded, names: [&str; 2]) -> Result<Vec<u8>> {
    figure(SIZE.0, SIZE.1, |area| {
        let mut chart = axes(area, [0.0..1.0, curve.y_from..1.0], names)?;
        chart
            .draw_series(std::iter::once(Polygon::new(curve.band, NORMAL.mix(0.18))))?
            .label("95 % band")
            .legend(|(x, y)| Rectangle::new([(x, y - 8), (x + 36, y + 8)], NORMAL.mix(0.18).filled()));
        if let Some(chance) = curve.chance {
            chart
                .draw_series(DashedLineSeries::new(chance, 8, 8, FAINT.stroke_width(2)))?
                .label("chance")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 14, y)], FAINT.stroke_width(2)));
        }
        chart
            .draw_series(LineSeries::new(curve.line, NORMAL.stroke_width(4)))?
            .label(curve.name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 36, y)], NORMAL.stroke_width(4)));
        if let Some(point) = curve.point {
            chart
                .draw_series(std::iter::once(Circle::new(point, 11, ANOMALOUS.filled())))?
                .label("the detector's threshold")
                .legend(|(x, y)| Circle::new((x + 18, y), 9, ANOMALOUS.filled()));
            chart.draw_series(std::iter::once(Circle::new(point, 11, WHITE.stroke_width(2))))?;
        }
        legend(&mut chart, SeriesLabelPosition::LowerRight)
    })
}

/// Training and held-out losses, one panel each for the total and its two terms.
pub(super) fn training(training: &TrainingData) -> Result<Vec<u8>> {
    let terms = training.epochs.first().map(|epoch| epoch.train.terms.keys().cloned().collect::<Vec<_>>());
    // The total first, then each of its terms.
    let panels: Vec<Option<String>> =
        std::iter::once(None).chain(terms.unwrap_or_default().into_iter().map(Some)).collect();
    let last = training.epochs.last().map_or(1, |epoch| epoch.epoch);
    figure(SIZE.0, SIZE.1 / 2 * panels.len() as u32, |area| {
        for (panel, (term, area)) in panels.iter().zip(area.split_evenly((panels.len(), 1))).enumerate() {
            let value = |loss: &LossRecord| match term {
                None => loss.total,
                Some(term) => loss.terms.get(term).copied().unwrap_or(f64::NAN),
            };
            let train = |epoch: &EpochData| value(&epoch.train);
            let held_out = |epoch: &EpochData| value(&epoch.held_out);
            let name = term.as_deref().unwrap_or("loss");
            // The first epochs fall so far that the rest would be a flat line.
            let late = training.epochs.iter().filter(|epoch| epoch.epoch * 10 > last);
            let y = range(late.flat_map(|epoch| [train(epoch), held_out(epoch)]));
            let points = |of: &dyn Fn(&EpochData) -> f64| {
                let all = training.epochs.iter().map(|epoch| (epoch.epoch as f64, of(epoch)));
                all.filter(|(_, value)| y.contains(value)).collect::<Vec<_>>()
            };
            let mut chart = axes(&area, [1.0..last as f64, y.clone()], ["epoch", name])?;
            let best = training.best_epoch as f64;
            chart
                .draw_series(DashedLineSeries::new(
                    [(best, y.start), (best, y.end)],
                    4,
                    6,
                    INK.stroke_width(2),
                ))?
                .label(format!("best epoch, {}", training.best_epoch))
                .legend(|(x, y)| PathElement::new([(x + 18, y - 12), (x + 18, y + 12)], INK.stroke_width(2)));
            chart
                .draw_series(LineSeries::new(points(&train), NORMAL.stroke_width(3)))?
                .label("training normals")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 36, y)], NORMAL.stroke_width(3)));
            chart
                .draw_series(DashedLineSeries::new(points(&held_out), 12, 6, ANOMALOUS.stroke_width(3)))?
                .label("held-out normals")
                .legend(|(x, y)| PathElement::new([(x, y), (x + 14, y)], ANOMALOUS.stroke_width(3)));
            if panel == 0 {
                legend(&mut chart, SeriesLabelPosition::UpperRight)?;
            }
        }
        Drawn::Ok(())
    })
}

fn labelled(name: &str, figure: &Metric<Interval>) -> String {
    match figure {
        Metric::Known(Interval { value, low, high }) => format!("{name} {value:.3} ({low:.3} to {high:.3})"),
        Metric::Unavailable { .. } => name.to_owned(),
    }
}

/// Where the threshold lies on a ROC curve.
fn operating(false_alarms: &Option<f64>, recall: &Metric<Interval>) -> Option<(f64, f64)> {
    Some(((*false_alarms)?, recall.value()?.value))
}

impl crate::wire::EvaluationData {
    /// Share of the normal images called anomalous, where there are any.
    fn realised_by_images(&self, data: &ReportData) -> Option<f64> {
        let normals = data.images.iter().filter(|image| image.kind.is_none());
        let alarms = normals.clone().filter(|image| image.anomalous).count();
        let count = normals.count();
        (count > 0).then(|| alarms as f64 / count as f64)
    }
}

/// A curve that holds its value until the next point.
fn staircase(x: &[f64], y: &[f64]) -> Vec<(f64, f64)> {
    let mut points = vec![(0.0, 0.0)];
    for (at, (&x, &y)) in x.iter().zip(y).enumerate() {
        let before = points[points.len() - 1].1;
        if at > 0 {
            points.push((x, before));
        }
        points.push((x, y));
    }
    points
}

/// The outline of the area between two staircases.
fn steps(x: &[f64], low: &[f64], high: &[f64]) -> Vec<(f64, f64)> {
    let mut outline = staircase(x, high);
    outline.extend(staircase(x, low).into_iter().rev());
    outline
}

fn forth_and_back(x: &[f64], low: &[f64], high: &[f64]) -> Vec<(f64, f64)> {
    let forth = x.iter().copied().zip(high.iter().copied());
    forth.chain(x.iter().copied().zip(low.iter().copied()).rev()).collect()
}
