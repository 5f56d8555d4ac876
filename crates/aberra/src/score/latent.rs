//! Training normals in latent space: what "far" means for a posterior mean.

use crate::statistics::{LedoitWolf, nearest};
use crate::{Error, Result};

/// Nearest training normals that the neighbour distance averages.
pub const NEIGHBOURS: usize = 5;

/// Posterior means of the training normals, and what is learned from them.
#[derive(Clone, Debug)]
pub struct LatentReference {
    mu: Vec<Vec<f32>>,
    scaled: Vec<f64>,
    scale: Vec<f64>,
    covariance: LedoitWolf,
}

impl LatentReference {
    /// Learns from the posterior means of the training normals, each `[latent]`.
    ///
    /// # Errors
    /// Fewer than two, or of differing lengths.
    pub fn new(mu: Vec<Vec<f32>>) -> Result<Self> {
        let latent = mu.first().map_or(0, Vec::len);
        if mu.len() < 2 || latent == 0 || mu.iter().any(|mu| mu.len() != latent) {
            return Err(Error::data(format!("expected the latents of at least 2 normals, found {}", mu.len())));
        }
        let flat: Vec<f64> = mu.iter().flatten().map(|&value| f64::from(value)).collect();
        let scale: Vec<f64> = (0..latent)
            .map(|dimension| {
                let values = || flat.iter().skip(dimension).step_by(latent);
                let mean = values().sum::<f64>() / mu.len() as f64;
                let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / mu.len() as f64;
                // A dimension that the model does not use says nothing.
                if variance > 1e-12 { 1.0 / variance.sqrt() } else { 0.0 }
            })
            .collect();
        let scaled = flat.iter().enumerate().map(|(index, value)| value * scale[index % latent]).collect();
        let covariance = LedoitWolf::fit(&flat, latent)?;
        Ok(Self { mu, scaled, scale, covariance })
    }

    /// Posterior means of the training normals, in the order of the detector's normals.
    pub fn mu(&self) -> &[Vec<f32>] {
        &self.mu
    }

    /// Mahalanobis distance under the Ledoit-Wolf covariance (2004), in standard deviations.
    pub fn mahalanobis(&self, mu: &[f32]) -> f64 {
        let mu: Vec<f64> = mu.iter().map(|&value| f64::from(value)).collect();
        self.covariance.distance(&mu)
    }

    /// Mean Euclidean distance to the [`NEIGHBOURS`] nearest training normals, each dimension in units of its standard
    /// deviation.
    pub fn neighbour_distance(&self, mu: &[f32]) -> f64 {
        let found = self.nearest(mu, NEIGHBOURS);
        found.iter().map(|(_, distance)| distance).sum::<f64>() / found.len().max(1) as f64
    }

    /// The `count` nearest training normals: position and distance, nearest first.
    pub fn nearest(&self, mu: &[f32], count: usize) -> Vec<(usize, f64)> {
        let query: Vec<f64> = mu.iter().zip(&self.scale).map(|(&value, scale)| f64::from(value) * scale).collect();
        nearest(&self.scaled, &query, count)
    }
}
