//! Measurements on the difference between an image and its reconstruction, and the map of that difference.

use aberra_metrics::Result;
use aberra_metrics::filter::{median_filter_5x5, separable_filter};
use aberra_metrics::ssim::{SsimSettings, ssim_map};

use super::Descriptor;
use crate::shape::{Shape, channel_of, set_channel};

/// The output of a decoder.
#[derive(Clone, Copy, Debug)]
pub struct Reconstruction<'a> {
    /// Expected pixels m, `[height, width, channels]`, 0 to 1.
    pub mean: &'a [f32],
    /// Log-variance s of each pixel, where the decoder predicts it.
    pub log_variance: Option<&'a [f32]>,
}

/// Mean over pixels of (x - m)^2.
pub const SQUARED_ERROR: Descriptor =
    Descriptor::unusual("squared_error", "intensity^2", "mean squared reconstruction error");
/// Mean over pixels of |x - m|.
pub const ABSOLUTE_ERROR: Descriptor =
    Descriptor::unusual("absolute_error", "intensity", "mean absolute reconstruction error");
/// 1 - mean structural similarity (Wang et al., 2004), 0 to 2.
pub const SSIM_ERROR: Descriptor =
    Descriptor::unusual("ssim_error", "", "1 - structural similarity of image and reconstruction");
/// Mean over pixels of exp(-s)(x - m)^2; the squared error where no variance is predicted.
pub const WEIGHTED_ERROR: Descriptor =
    Descriptor::unusual("weighted_error", "", "squared error over predicted variance, mean over pixels");
/// Mean over pixels of exp(s): the squared error that the decoder itself expects; 0 where it predicts none.
pub const EXPECTED_ERROR: Descriptor =
    Descriptor::context("expected_error", "intensity^2", "squared error that the decoder expects");
/// Mean over the hundredth of the pixels where it is largest of the weighted error, smoothed over windows of a seventh
/// of the shorter side: how much a small area stands out.
pub const PEAK_ERROR: Descriptor =
    Descriptor::unusual("peak_error", "", "weighted error of the small area where it is largest");

/// Share of the pixels that the peak error is reused.
pub(super) const PEAK_SHARE: f64 = 0.01;

/// Windows of the peak error that fit beside each other: 9 pixels wide at 64 pixels a side.
const PEAK_WINDOWS: usize = 7;

/// The measurements of a reconstruction, each as its descriptor says: numbers, or values of a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors<T = f64> {
    /// [`SQUARED_ERROR`].
    pub squared: T,
    /// [`ABSOLUTE_ERROR`].
    pub absolute: T,
    /// [`SSIM_ERROR`].
    pub ssim: T,
    /// [`WEIGHTED_ERROR`].
    pub weighted: T,
    /// [`EXPECTED_ERROR`].
    pub expected: T,
    /// [`PEAK_ERROR`].
    pub peak: T,
}

impl Errors {
    /// Measures `input`, `[height, width, channels]`, against its reconstruction.
    ///
    /// # Errors
    /// Values that are not finite, or lengths that do not fit.
    pub fn measure(input: &[f32], shape: Shape, reconstruction: Reconstruction<'_>) -> Result<Self> {
        let count = input.len().max(1) as f64;
        let errors = || input.iter().zip(reconstruction.mean).map(|(x, m)| f64::from(x - m));
        let squared = errors().map(|error| error * error).sum::<f64>() / count;
        let (weighted, expected) = match reconstruction.log_variance {
            Some(log_variance) => {
                let weighted =
                    errors().zip(log_variance).map(|(e, s)| (-f64::from(*s)).exp() * e * e).collect();
                (weighted, log_variance.iter().map(|&s| f64::from(s).exp()).sum::<f64>() / count)
            }
            None => (errors().map(|error| error * error).collect::<Vec<_>>(), 0.0),
        };
        let (grey, grey_mean) = (shape.grey(input), shape.grey(reconstruction.mean));
        let similarity = ssim_map(&grey, &grey_mean, shape.height, shape.width, SsimSettings::default())?;
        let similarity =
            similarity.iter().map(|&value| f64::from(value)).sum::<f64>() / similarity.len().max(1) as f64;
        Ok(Self {
            squared,
            absolute: errors().map(f64::abs).sum::<f64>() / count,
            ssim: 1.0 - similarity,
            weighted: weighted.iter().sum::<f64>() / count,
            expected,
            peak: peak(&weighted, shape)?,
        })
    }
}

/// Where an image is unusual, `[height, width]`: |x - m| exp(-s / 2), the mean over channels, 5 x 5-median filtered. In
/// predicted standard deviations, or in intensities where none is predicted.
///
/// # Errors
/// Values that are not finite, or lengths that do not fit.
pub fn error_map(input: &[f32], shape: Shape, reconstruction: Reconstruction<'_>) -> Result<Vec<f32>> {
    median_filter_5x5(&shape.grey(&differences(input, reconstruction)), shape.height, shape.width)
}

/// Where each channel is unusual, `[height, width, channels]`: as [`error_map`], of each channel by itself.
///
/// # Errors
/// As [`error_map`].
pub fn channel_error_maps(
    input: &[f32],
    shape: Shape,
    reconstruction: Reconstruction<'_>,
) -> Result<Vec<f32>> {
    let differences = differences(input, reconstruction);
    let mut maps = vec![0.0; shape.len()];
    for channel in 0..shape.channels {
        let plane = channel_of(&differences, channel, shape.channels);
        let map = median_filter_5x5(&plane, shape.height, shape.width)?;
        set_channel(&mut maps, channel, shape.channels, &map);
    }
    Ok(maps)
}

/// |x - m| exp(-s / 2) of each value.
fn differences(input: &[f32], reconstruction: Reconstruction<'_>) -> Vec<f32> {
    let mut differences: Vec<f32> =
        input.iter().zip(reconstruction.mean).map(|(x, m)| (x - m).abs()).collect();
    if let Some(log_variance) = reconstruction.log_variance {
        differences.iter_mut().zip(log_variance).for_each(|(difference, s)| *difference *= (-0.5 * s).exp());
    }
    differences
}

/// [`PEAK_ERROR`] of the weighted errors, `[height, width, channels]`.
fn peak(weighted: &[f64], shape: Shape) -> Result<f64> {
    let channels = shape.channels;
    let plane: Vec<f64> = weighted
        .chunks_exact(channels.max(1))
        .map(|pixel| pixel.iter().sum::<f64>() / channels as f64)
        .collect();
    let mut smooth = separable_filter(&plane, shape.height, shape.width, &peak_window(shape))?;
    let count = ((smooth.len() as f64 * PEAK_SHARE) as usize).clamp(1, smooth.len());
    let (highest, ..) = smooth.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let sum: f64 = highest.iter().sum();
    Ok((sum + smooth[count - 1]) / count as f64)
}

/// The weights of the window over which the peak error is smoothed.
pub(super) fn peak_window(shape: Shape) -> Vec<f64> {
    let window = (shape.shorter_side() / PEAK_WINDOWS) | 1;
    vec![1.0 / window as f64; window]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(side: usize, value: f32) -> Vec<f32> {
        let mut pixels = vec![0.0; side * side];
        pixels[side / 2 * side + side / 2] = value;
        pixels
    }

    const SHAPE: Shape = Shape { height: 64, width: 64, channels: 1 };

    #[test]
    fn the_peak_is_the_mean_over_the_window_that_stands_out() {
        // One pixel in a window of 9 x 9: 81 smoothed pixels hold 1/81 of it, and the highest 1 % are 40 of them.
        let black = Reconstruction { mean: &[0.0; 64 * 64], log_variance: None };
        let errors = Errors::measure(&dot(64, 0.5), SHAPE, black).unwrap();
        assert!((errors.peak - 0.25 / 81.0).abs() < 1e-12, "{}", errors.peak);
        assert!((errors.squared - 0.25 / 4096.0).abs() < 1e-12);
        assert_eq!(errors.expected, 0.0);
    }

    #[test]
    fn weighted_errors_are_in_predicted_variances() {
        let black = Reconstruction { mean: &[0.0; 64 * 64], log_variance: Some(&[-2.0; 64 * 64]) };
        let errors = Errors::measure(&dot(64, 0.5), SHAPE, black).unwrap();
        let weight = 2.0_f64.exp();
        assert!((errors.weighted - weight * 0.25 / 4096.0).abs() < 1e-12);
        assert!((errors.peak - weight * 0.25 / 81.0).abs() < 1e-9);
        assert!((errors.expected - (-2.0_f64).exp()).abs() < 1e-9);
    }

    #[test]
    fn the_map_is_filtered_and_in_predicted_deviations() {
        // A block of 8 x 8 survives a 5 x 5 median, a single pixel does not.
        let mut pixels = dot(64, 0.5);
        for at in 0..64 {
            pixels[(8 + at / 8) * 64 + 8 + at % 8] = 0.5;
        }
        let black = Reconstruction { mean: &[0.0; 64 * 64], log_variance: Some(&[-2.0; 64 * 64]) };
        let map = error_map(&pixels, SHAPE, black).unwrap();
        assert_eq!(map[32 * 64 + 32], 0.0);
        assert!((map[12 * 64 + 12] - 0.5 * 1.0_f32.exp()).abs() < 1e-6);
    }

    #[test]
    fn each_channel_has_a_map_of_its_own() {
        let shape = Shape { channels: 2, ..SHAPE };
        let mut pixels = vec![0.25; shape.len()];
        for at in 0..64 {
            // A block of 8 x 8 in the second channel.
            pixels[2 * ((8 + at / 8) * 64 + 8 + at % 8) + 1] = 0.75;
        }
        let mean = vec![0.25; shape.len()];
        let reconstruction = Reconstruction { mean: &mean, log_variance: None };
        let maps = channel_error_maps(&pixels, shape, reconstruction).unwrap();
        assert!(channel_of(&maps, 0, 2).iter().all(|&value| value == 0.0));
        assert_eq!((maps[2 * (12 * 64 + 12) + 1], maps[2 * (40 * 64 + 40) + 1]), (0.5, 0.0));
        let joined = error_map(&pixels, shape, reconstruction).unwrap();
        assert_eq!((joined[12 * 64 + 12], joined[40 * 64 + 40]), (0.25, 0.0));
    }

    #[test]
    fn inputs_need_not_be_square() {
        let shape = Shape { height: 16, width: 48, channels: 3 };
        let input = vec![0.5; shape.len()];
        let mean = vec![0.25; shape.len()];
        let reconstruction = Reconstruction { mean: &mean, log_variance: None };
        let errors = Errors::measure(&input, shape, reconstruction).unwrap();
        assert!((errors.squared - 0.0625).abs() < 1e-9 && (errors.peak - 0.0625).abs() < 1e-9);
        assert_eq!(error_map(&input, shape, reconstruction).unwrap(), vec![0.25; 16 * 48]);
    }
}
