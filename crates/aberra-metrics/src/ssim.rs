//! Structural similarity: do two planes show the same structure, whatever their brightness?
//!
//! Wang, Bovik, Sheikh and Simoncelli, *Image quality assessment: from error visibility to structural similarity* (2004).

use serde::{Deserialize, Serialize};

use crate::filter::{check_plane, gaussian_taps, separable_filter};
use crate::{Error, Result};

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SsimSettings {
    /// Standard deviation of the Gaussian window, in pixels; cut at 3.5 of them (11 taps at 1.5).
    pub sigma: f64,
    /// Difference between the largest and the smallest possible value.
    pub data_range: f64,
}

impl Default for SsimSettings {
    fn default() -> Self {
        Self { sigma: 1.5, data_range: 1.0 }
    }
}

/// The SSIM of each pixel's surroundings in two planes of one channel, row-major `[height, width]`: 1 = equal, about 0 =
/// unrelated, -1 = opposite. The error map is 1 - SSIM.
///
/// # Errors
/// - settings: a sigma or data range that is not above 0;
/// - data: planes that are empty, not of `height` x `width` pixels, or with numbers that are not finite.
pub fn ssim_map(
    first: &[f32],
    second: &[f32],
    height: usize,
    width: usize,
    settings: SsimSettings,
) -> Result<Vec<f32>> {
    let taps = gaussian_taps(settings.sigma)?;
    if !(settings.data_range > 0.0 && settings.data_range.is_finite()) {
        return Err(Error::settings(format!(
            "expected a finite data range above 0, found {}",
            settings.data_range
        )));
    }
    check_plane(first, height, width)?;
    check_plane(second, height, width)?;
    let mean_of = |value: &dyn Fn(f64, f64) -> f64| {
        let plane: Vec<f64> =
            first.iter().zip(second).map(|(&x, &y)| value(f64::from(x), f64::from(y))).collect();
        separable_filter(&plane, height, width, &taps)
    };
    let [mean_x, mean_y] = [mean_of(&|x, _| x)?, mean_of(&|_, y| y)?];
    let [mean_xx, mean_yy, mean_xy] =
        [mean_of(&|x, _| x * x)?, mean_of(&|_, y| y * y)?, mean_of(&|x, y| x * y)?];
    // The constants of the paper, which keep the ratio steady where both planes are dark or flat.
    let (dark, flat) = ((0.01 * settings.data_range).powi(2), (0.03 * settings.data_range).powi(2));
    let ssim = |pixel: usize| {
        let (x, y) = (mean_x[pixel], mean_y[pixel]);
        let (variance_x, variance_y) = (mean_xx[pixel] - x * x, mean_yy[pixel] - y * y);
        let covariance = mean_xy[pixel] - x * y;
        (2.0 * x * y + dark) * (2.0 * covariance + flat)
            / ((x * x + y * y + dark) * (variance_x + variance_y + flat))
    };
    Ok((0..first.len()).map(|pixel| ssim(pixel) as f32).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_planes_are_similar_and_negatives_are_not() {
        let plane: Vec<f32> = (0..144).map(|index| ((index * 37 % 17) as f32) / 17.0).collect();
        let same = ssim_map(&plane, &plane, 12, 12, SsimSettings::default()).unwrap();
        assert!(same.iter().all(|&value| (value - 1.0).abs() < 1e-6));
        let negative: Vec<f32> = plane.iter().map(|value| 1.0 - value).collect();
        let opposite = ssim_map(&plane, &negative, 12, 12, SsimSettings::default()).unwrap();
        assert!(opposite.iter().all(|&value| value < -0.5));
    }

    proptest! {
        #[test]
        fn any_height_and_width_agree_with_the_window_in_one(
            (height, width, pixels) in (1..=9_usize, 1..=30_usize).prop_flat_map(|(height, width)| {
                let pixels = proptest::collection::vec((0.0_f32..1.0, 0.0_f32..1.0), height * width);
                (Just(height), Just(width), pixels)
            }),
        ) {
            let (first, second): (Vec<f32>, Vec<f32>) = pixels.into_iter().unzip();
            let found = ssim_map(&first, &second, height, width, SsimSettings::default()).unwrap();
            let taps = gaussian_taps(1.5).unwrap();
            let mirror = |at: isize, length: usize| {
                let within = at.rem_euclid(2 * length as isize) as usize;
                within.min(2 * length - 1 - within)
            };
            for (index, &found) in found.iter().enumerate() {
                let window = || (0..121).map(|place| {
                    let (down, right) = (place / 11, place % 11);
                    let row = mirror((index / width + down) as isize - 5, height);
                    let column = mirror((index % width + right) as isize - 5, width);
                    let at = row * width + column;
                    (taps[down] * taps[right], f64::from(first[at]), f64::from(second[at]))
                });
                let mean = |value: &dyn Fn(f64, f64) -> f64| window().map(|(w, x, y)| w * value(x, y)).sum::<f64>();
                let (x, y) = (mean(&|x, _| x), mean(&|_, y| y));
                let variance_x = mean(&|value, _| (value - x).powi(2));
                let variance_y = mean(&|_, value| (value - y).powi(2));
                let covariance = mean(&|one, other| (one - x) * (other - y));
                let expected = (2.0 * x * y + 1e-4) * (2.0 * covariance + 9e-4)
                    / ((x * x + y * y + 1e-4) * (variance_x + variance_y + 9e-4));
                prop_assert!((f64::from(found) - expected).abs() < 1e-6, "{} against {}", found, expected);
            }
        }
    }

    #[test]
    fn constant_planes_differ_by_their_brightness_alone() {
        let ssim = ssim_map(&[0.2; 30], &[0.4; 30], 6, 5, SsimSettings::default()).unwrap();
        let by_hand = (2.0 * 0.2 * 0.4 + 1e-4) / (0.2 * 0.2 + 0.4 * 0.4 + 1e-4);
        assert!(ssim.iter().all(|&value| (f64::from(value) - by_hand).abs() < 1e-6));
    }

    #[test]
    fn nonsense_is_refused() {
        let settings = SsimSettings::default();
        assert!(ssim_map(&[1.0; 4], &[1.0; 6], 2, 2, settings).is_err_and(|error| error.is_data()));
        assert!(ssim_map(&[], &[], 0, 0, settings).is_err());
        assert!(ssim_map(&[f32::INFINITY; 2], &[1.0; 2], 1, 2, settings).is_err());
        for settings in [
            SsimSettings { data_range: 0.0, ..settings },
            SsimSettings { data_range: f64::NAN, ..settings },
            SsimSettings { sigma: 0.0, ..settings },
        ] {
            assert!(ssim_map(&[1.0; 4], &[1.0; 4], 2, 2, settings).is_err_and(|error| error.is_settings()));
        }
    }
}
