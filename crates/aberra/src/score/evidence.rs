//! What is measured on one image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LatentReference, Response};
use crate::Result;
use crate::statistics::filter::gradient_energy;
use crate::statistics::ssim::{SsimSettings, ssim_map};

/// Measurements on one image, from its network input and the model's [`Response`]. All finite; higher is more unusual,
/// but for the two of complexity, which say how busy the image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Mean over pixels of (x - m)^2, intensities squared.
    pub squared_error: f64,
    /// Mean over pixels of |x - m|, intensities.
    pub absolute_error: f64,
    /// 1 - mean structural similarity (Wang et al., 2004), 0 to 2.
    pub ssim_error: f64,
    /// Mean over pixels of exp(-s)(x - m)^2, s the predicted log-variance; the squared error where none is predicted.
    pub weighted_error: f64,
    /// KL(q(z | x) || N(0, I)), nats.
    pub kl: f64,
    /// Mahalanobis distance of mu to the training normals, with shrinkage; 0 without a reference.
    pub mahalanobis: f64,
    /// Mean distance of mu to its nearest training normals, in standard deviations; 0 without a reference.
    pub neighbour_distance: f64,
    /// Mean over pixels of the squared gradient: complexity.
    pub gradient_energy: f64,
    /// Standard deviation of the pixels: complexity.
    pub standard_deviation: f64,
}

/// Where an image is unusual: `[size_px, size_px]`, absolute error in intensities, the mean over channels.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorMap {
    /// Row-major values, 0 or above.
    pub values: Vec<f32>,
    /// Side.
    pub size_px: usize,
}

impl Evidence {
    /// Measures `input`, `[size_px, size_px, channels]`, against the model's response to it; the latent distances are left at 0.
    ///
    /// # Errors
    /// Values that are not finite, or lengths that do not fit.
    pub fn measure(input: &[f32], size_px: usize, channels: usize, response: &Response) -> Result<Self> {
        let count = input.len().max(1) as f64;
        let errors = || input.iter().zip(&response.mean).map(|(x, m)| f64::from(x - m));
        let squared_error = errors().map(|error| error * error).sum::<f64>() / count;
        let weighted_error = match &response.pixel_log_variance {
            Some(log_variance) => {
                let weighted =
                    errors().zip(log_variance).map(|(error, s)| (-f64::from(*s)).exp() * error * error);
                weighted.sum::<f64>() / count
            }
            None => squared_error,
        };
        let kl = response.mu.iter().zip(&response.log_variance).map(|(mu, s)| {
            let (mu, s) = (f64::from(*mu), f64::from(*s));
            0.5 * (mu * mu + s.exp() - 1.0 - s)
        });
        let mean = input.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = input.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        let (grey, grey_mean) = (grey(input, channels), grey(&response.mean, channels));
        let similarity = ssim_map(&grey, &grey_mean, size_px, SsimSettings::default())?;
        let similarity =
            similarity.iter().map(|&value| f64::from(value)).sum::<f64>() / similarity.len().max(1) as f64;
        Ok(Self {
            squared_error,
            absolute_error: errors().map(f64::abs).sum::<f64>() / count,
            ssim_error: 1.0 - similarity,
            weighted_error,
            kl: kl.sum(),
            mahalanobis: 0.0,
            neighbour_distance: 0.0,
            gradient_energy: gradient_energy(&grey, size_px)?,
            standard_deviation: variance.sqrt(),
        })
    }

    /// The same with the distances of the posterior mean to the training normals.
    ///
    /// # Errors
    /// A posterior mean of another length, or not finite.
    pub fn with_reference(self, reference: &LatentReference, mu: &[f32]) -> Result<Self> {
        Ok(Self {
            mahalanobis: reference.mahalanobis(mu)?,
            neighbour_distance: reference.neighbour_distance(mu)?,
            ..self
        })
    }
}

impl ErrorMap {
    /// |x - m|, the mean over channels.
    pub fn new(input: &[f32], size_px: usize, channels: usize, response: &Response) -> Self {
        let differences: Vec<f32> = input.iter().zip(&response.mean).map(|(x, m)| (x - m).abs()).collect();
        Self { values: grey(&differences, channels), size_px }
    }
}

/// The mean over channels.
fn grey(pixels: &[f32], channels: usize) -> Vec<f32> {
    pixels.chunks_exact(channels.max(1)).map(|pixel| pixel.iter().sum::<f32>() / channels as f32).collect()
}
