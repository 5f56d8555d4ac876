//! Measurements in standard deviations of the normals that a scorer was fitted on.

use serde::{Deserialize, Serialize};

use super::evidence::{Normals, Sample};

/// A value's mean over the normals, and one over its standard deviation: 0 where it does not vary, so that it is left
/// out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Standard {
    pub(super) mean: f64,
    pub(super) scale: f64,
}

impl Standard {
    /// Of a value of each sample, weighted as the normals are.
    pub(super) fn fit(normals: &Normals<'_>, value: impl Fn(&Sample<'_>) -> f64) -> Self {
        let values = normals.samples().map(|sample| value(&sample));
        let [mean, scale] = match normals.weights {
            None => {
                let values: Vec<f64> = values.collect();
                let count = values.len().max(1) as f64;
                let mean = values.iter().sum::<f64>() / count;
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
                [mean, variance.sqrt()]
            }
            Some(weights) => {
                let weighted: Vec<(f64, f64)> = values.zip(weights.iter().copied()).collect();
                let total = weighted.iter().map(|(_, weight)| weight).sum::<f64>().max(f64::MIN_POSITIVE);
                let mean = weighted.iter().map(|(value, weight)| value * weight).sum::<f64>() / total;
                let squares = weighted.iter().map(|(value, weight)| weight * (value - mean).powi(2));
                [mean, (squares.sum::<f64>() / total).sqrt()]
            }
        };
        Self { mean, scale: if scale > 1e-12 * mean.abs() { scale.recip() } else { 0.0 } }
    }

    pub(super) fn apply(self, value: f64) -> f64 {
        (value - self.mean) * self.scale
    }
}

/// The logarithm, finite on images that are black or perfectly reconstructed.
pub(super) fn log(value: f64) -> f64 {
    const FLOOR: f64 = 1e-9;
    value.max(FLOOR).ln()
}
