//! What is measured on one image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LatentReference, Response};
use crate::Result;
use crate::statistics::filter::{gradient_energy, separable_filter};
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
    /// Mean over pixels of exp(s): the squared error that the decoder itself expects; 0 where none is predicted.
    pub expected_error: f64,
    /// Mean over the hundredth of the pixels where it is largest of the weighted error, smoothed over windows of a seventh
    /// of the side: how much a small area stands out.
    pub peak_error: f64,
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

/// Share of the pixels that the peak error is taken over.
const PEAK_SHARE: f64 = 0.01;

/// Windows of the peak error that fit beside each other: 9 pixels wide at 64 pixels a side.
const PEAK_WINDOWS: usize = 7;

/// Where an image is unusual: `[size_px, size_px]`, the absolute error in the standard deviations that the decoder
/// predicts (in intensities where it predicts none), the mean over channels.
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
        let (weighted, expected_error) = match &response.pixel_log_variance {
            Some(log_variance) => {
                let weighted =
                    errors().zip(log_variance).map(|(e, s)| (-f64::from(*s)).exp() * e * e).collect();
                (weighted, log_variance.iter().map(|&s| f64::from(s).exp()).sum::<f64>() / count)
            }
            None => (errors().map(|error| error * error).collect::<Vec<_>>(), 0.0),
        };
        let mean = input.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = input.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        let (grey, grey_mean) = (grey(input, channels), grey(&response.mean, channels));
        let similarity = ssim_map(&grey, &grey_mean, size_px, size_px, SsimSettings::default())?;
        let similarity =
            similarity.iter().map(|&value| f64::from(value)).sum::<f64>() / similarity.len().max(1) as f64;
        Ok(Self {
            squared_error,
            absolute_error: errors().map(f64::abs).sum::<f64>() / count,
            ssim_error: 1.0 - similarity,
            weighted_error: weighted.iter().sum::<f64>() / count,
            expected_error,
            peak_error: peak(&weighted, size_px, channels)?,
            kl: kl_per_dimension(response).sum(),
            mahalanobis: 0.0,
            neighbour_distance: 0.0,
            gradient_energy: gradient_energy(&grey, size_px, size_px)?,
            standard_deviation: variance.sqrt(),
        })
    }

    /// Name and value of each measurement, in the order of the fields.
    pub fn named(&self) -> [(&'static str, f64); 11] {
        [
            ("squared_error", self.squared_error),
            ("absolute_error", self.absolute_error),
            ("ssim_error", self.ssim_error),
            ("weighted_error", self.weighted_error),
            ("expected_error", self.expected_error),
            ("peak_error", self.peak_error),
            ("kl", self.kl),
            ("mahalanobis", self.mahalanobis),
            ("neighbour_distance", self.neighbour_distance),
            ("gradient_energy", self.gradient_energy),
            ("standard_deviation", self.standard_deviation),
        ]
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
    /// |x - m| exp(-s / 2), s the predicted log-variance; |x - m| where none is predicted. The mean over channels.
    pub fn new(input: &[f32], size_px: usize, channels: usize, response: &Response) -> Self {
        let mut differences: Vec<f32> =
            input.iter().zip(&response.mean).map(|(x, m)| (x - m).abs()).collect();
        if let Some(log_variance) = &response.pixel_log_variance {
            differences
                .iter_mut()
                .zip(log_variance)
                .for_each(|(difference, s)| *difference *= (-0.5 * s).exp());
        }
        Self { values: grey(&differences, channels), size_px }
    }
}

/// KL(q(z | x) || N(0, I)) of each latent dimension, nats.
pub(crate) fn kl_per_dimension(response: &Response) -> impl Iterator<Item = f64> {
    response.mu.iter().zip(&response.log_variance).map(|(mu, s)| {
        let (mu, s) = (f64::from(*mu), f64::from(*s));
        0.5 * (mu * mu + s.exp() - 1.0 - s)
    })
}

/// [`Evidence::peak_error`] of the weighted errors, `[size_px, size_px, channels]`.
fn peak(weighted: &[f64], size_px: usize, channels: usize) -> Result<f64> {
    let plane: Vec<f64> = weighted
        .chunks_exact(channels.max(1))
        .map(|pixel| pixel.iter().sum::<f64>() / channels as f64)
        .collect();
    let window = (size_px / PEAK_WINDOWS) | 1;
    let mut smooth = separable_filter(&plane, size_px, size_px, &vec![1.0 / window as f64; window])?;
    let count = ((smooth.len() as f64 * PEAK_SHARE) as usize).clamp(1, smooth.len());
    let (highest, ..) = smooth.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let sum: f64 = highest.iter().sum();
    Ok((sum + smooth[count - 1]) / count as f64)
}

/// The mean over channels.
fn grey(pixels: &[f32], channels: usize) -> Vec<f32> {
    pixels.chunks_exact(channels.max(1)).map(|pixel| pixel.iter().sum::<f32>() / channels as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response that reproduces everything as black, with the log-variance given.
    fn black(length: usize, log_variance: Option<f32>) -> Response {
        Response {
            mu: vec![0.0],
            log_variance: vec![0.0],
            mean: vec![0.0; length],
            pixel_log_variance: log_variance.map(|value| vec![value; length]),
        }
    }

    fn dot(size_px: usize, value: f32) -> Vec<f32> {
        let mut pixels = vec![0.0; size_px * size_px];
        pixels[size_px / 2 * size_px + size_px / 2] = value;
        pixels
    }

    #[test]
    fn the_peak_is_the_mean_over_the_window_that_stands_out() {
        // One pixel in a window of 9 x 9: 81 smoothed pixels hold 1/81 of it, and the highest 1 % are 40 of them.
        let evidence = Evidence::measure(&dot(64, 0.5), 64, 1, &black(64 * 64, None)).unwrap();
        assert!((evidence.peak_error - 0.25 / 81.0).abs() < 1e-12, "{}", evidence.peak_error);
        assert!((evidence.squared_error - 0.25 / 4096.0).abs() < 1e-12);
        assert_eq!(evidence.expected_error, 0.0);
    }

    #[test]
    fn weighted_errors_are_in_predicted_variances() {
        let response = black(64 * 64, Some(-2.0));
        let evidence = Evidence::measure(&dot(64, 0.5), 64, 1, &response).unwrap();
        let weight = 2.0_f64.exp();
        assert!((evidence.weighted_error - weight * 0.25 / 4096.0).abs() < 1e-12);
        assert!((evidence.peak_error - weight * 0.25 / 81.0).abs() < 1e-9);
        assert!((evidence.expected_error - (-2.0_f64).exp()).abs() < 1e-9);
        let map = ErrorMap::new(&dot(64, 0.5), 64, 1, &response);
        let highest = map.values.iter().copied().fold(0.0, f32::max);
        assert!((highest - 0.5 * 1.0_f32.exp()).abs() < 1e-6, "{highest}");
    }

    #[test]
    fn every_measurement_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Evidence::default().named().map(|(name, _)| name).into();
        assert_eq!(names.len(), Evidence::default().named().len());
    }
}
