//! An evaluation: metrics with intervals, as JSON, as text, as a table and as curves.

use std::path::PathBuf;

use aberra::evaluate::Evaluation as Inner;
use aberra::metrics::ranking::{precision_recall_curve, roc_curve};
use aberra::metrics::weights::group_weights;
use pyo3::prelude::*;

use crate::error::exception;

/// An evaluation of a detector on labelled images.
#[pyclass(frozen, module = "aberra._aberra")]
pub(crate) struct Evaluation {
    pub(crate) inner: Inner,
}

/// Threshold, and the curve's two coordinates, of each point.
type Curve = (Vec<f64>, Vec<f64>, Vec<f64>);

#[pymethods]
impl Evaluation {
    /// Reads an evaluation file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let inner = py.detach(|| Inner::load(&path)).map_err(|error| exception(py, &error))?;
        Ok(Self { inner })
    }

    /// Writes an evaluation file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.inner.save(&path)).map_err(|error| exception(py, &error))
    }

    /// The evaluation file.
    fn json(&self, py: Python<'_>) -> String {
        py.detach(|| self.inner.to_json())
    }

    /// The table that the command line prints.
    fn text(&self) -> String {
        self.inner.to_string()
    }

    /// The table of scores.
    fn csv(&self, py: Python<'_>) -> String {
        py.detach(|| self.inner.scores_csv())
    }

    /// Thresholds, false-positive rates and true-positive rates; none without both normal and anomalous images.
    fn roc(&self) -> Option<Curve> {
        let (scores, anomalous, weights) = self.scored();
        let points = roc_curve(&scores, &anomalous, Some(&weights))?;
        Some(unzip(
            points.iter().map(|point| (point.threshold, point.false_positive_rate, point.true_positive_rate)),
        ))
    }

    /// Thresholds, recalls and precisions; none without both normal and anomalous images.
    fn precision_recall(&self) -> Option<Curve> {
        let (scores, anomalous, weights) = self.scored();
        let points = precision_recall_curve(&scores, &anomalous, Some(&weights))?;
        Some(unzip(points.iter().map(|point| (point.threshold, point.recall, point.precision))))
    }
}

impl Evaluation {
    /// Scores, whether anomalous, and how much each image counts.
    fn scored(&self) -> (Vec<f64>, Vec<bool>, Vec<f64>) {
        let rows: Vec<_> = self.inner.images.iter().filter_map(|row| Some((row, row.scored()?))).collect();
        let anomalous: Vec<bool> = rows.iter().map(|(row, _)| !row.label.is_normal()).collect();
        let groups: Vec<u64> = rows.iter().map(|(row, _)| row.group as u64).collect();
        let weights = group_weights(&groups, &anomalous);
        (rows.iter().map(|(_, scored)| scored.score).collect(), anomalous, weights)
    }
}

fn unzip(points: impl Iterator<Item = (f64, f64, f64)>) -> Curve {
    let (mut thresholds, mut across, mut up) = Curve::default();
    for (threshold, x, y) in points {
        thresholds.push(threshold);
        across.push(x);
        up.push(y);
    }
    (thresholds, across, up)
}
