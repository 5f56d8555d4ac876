//! Training normals in latent space: what "far" means for a posterior mean.

use crate::statistics::covariance::{Cloud, Mahalanobis};
use crate::statistics::neighbours::{Neighbour, nearest};
use crate::{Error, Result};

/// Nearest training normals that the neighbour distance averages.
pub const NEIGHBOURS: usize = 5;

/// Dimensions that vary less than this over the training normals are unused by the model and say nothing.
const UNUSED_VARIANCE: f64 = 1e-12;

/// Posterior means of the training normals, and what is learned from them.
#[derive(Clone, Debug)]
pub struct LatentReference {
    scaled: Vec<f32>,
    scale: Vec<f32>,
    mahalanobis: Mahalanobis,
}

impl LatentReference {
    /// Learns from the posterior means of the training normals, each `[latent]`.
    ///
    /// # Errors
    /// Fewer than two, of differing lengths, or all the same.
    pub fn new(mu: &[Vec<f32>]) -> Result<Self> {
        let latent = mu.first().map_or(0, Vec::len);
        if mu.len() < 2 || latent == 0 || mu.iter().any(|mu| mu.len() != latent) {
            return Err(Error::data(format!(
                "expected the latents of at least 2 normals, found {}",
                mu.len()
            )));
        }
        let flat = mu.concat();
        let cloud = Cloud::ledoit_wolf(&flat, latent)?;
        let scale: Vec<f32> = (0..latent)
            .map(|dimension| {
                let squares = mu.iter().map(|mu| (f64::from(mu[dimension]) - cloud.mean[dimension]).powi(2));
                let variance = squares.sum::<f64>() / mu.len() as f64;
                if variance < UNUSED_VARIANCE { 0.0 } else { (1.0 / variance.sqrt()) as f32 }
            })
            .collect();
        let scaled = flat.iter().enumerate().map(|(index, value)| value * scale[index % latent]).collect();
        Ok(Self { scaled, scale, mahalanobis: cloud.mahalanobis()? })
    }

    /// Mahalanobis distance under the Ledoit-Wolf covariance (2004), in standard deviations.
    ///
    /// # Errors
    /// A latent of another length, or not finite.
    pub fn mahalanobis(&self, mu: &[f32]) -> Result<f64> {
        self.mahalanobis
            .distance(mu)
            .ok_or_else(|| Error::data(format!("expected {} finite latents, found {mu:?}", self.scale.len())))
    }

    /// Mean Euclidean distance to the [`NEIGHBOURS`] nearest training normals, each dimension in units of its standard
    /// deviation.
    ///
    /// # Errors
    /// As [`mahalanobis`](Self::mahalanobis).
    pub fn neighbour_distance(&self, mu: &[f32]) -> Result<f64> {
        let found = self.nearest(mu, NEIGHBOURS)?;
        Ok(found.iter().map(|neighbour| neighbour.distance).sum::<f64>() / found.len() as f64)
    }

    /// The nearest training normals, at most `count`, nearest first.
    ///
    /// # Errors
    /// As [`mahalanobis`](Self::mahalanobis).
    pub fn nearest(&self, mu: &[f32], count: usize) -> Result<Vec<Neighbour>> {
        let query: Vec<f32> = mu.iter().zip(&self.scale).map(|(value, scale)| value * scale).collect();
        let known = self.scaled.len() / self.scale.len();
        nearest(&query, &self.scaled, count.min(known), None)
    }
}
