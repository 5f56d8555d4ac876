//! Heat maps: where an image is unusual, at the image's own size.

use aberra_image::{Color, encode_png};

use crate::detector::Verdict;
use crate::{Result, of_image};

/// The colour of an error, red, green and blue: viridis from dark at 0 over its middle at the pixel threshold to bright
/// at twice the threshold and above. The scale is the same for every image of a detector.
///
/// Viridis rises evenly in brightness, so it also reads in grey (van der Walt and Smith, 2015).
pub fn heat_color(error: f32, pixel_threshold: f64) -> [u8; 3] {
    let share = match pixel_threshold > 0.0 {
        true => f64::from(error) / (2.0 * pixel_threshold),
        // Every error is above a threshold of 0.
        false => f64::from(u8::from(error > 0.0)),
    };
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    colorous::VIRIDIS.eval_continuous(share).as_array()
}

/// A heat map of a verdict at the image's own size, as a PNG: what is brighter than the middle of the scale is what the
/// detector marks. Dark where the network input does not reach.
///
/// # Errors
/// A verdict without a map, or with one that does not fit its size.
pub fn heat_map_png(verdict: &Verdict, pixel_threshold: f64) -> Result<Vec<u8>> {
    let (height, width) = (verdict.placement.image_height, verdict.placement.image_width);
    let map = verdict.map_at_image_size()?;
    let pixels = colored(&map, pixel_threshold);
    encode_png(&pixels, height, width, Color::Rgb).map_err(of_image)
}

/// The colours of errors, three bytes each.
pub(crate) fn colored(errors: &[f32], pixel_threshold: f64) -> Vec<u8> {
    errors.iter().flat_map(|&error| heat_color(error, pixel_threshold)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_anchored_at_the_threshold() {
        // matplotlib's viridis at 0, 0.5 and 1: #440154, #21918c, #fde725.
        let near = |color: [u8; 3], expected: [u8; 3]| {
            color.iter().zip(expected).all(|(&color, expected)| color.abs_diff(expected) <= 3)
        };
        assert!(near(heat_color(0.0, 0.1), [0x44, 0x01, 0x54]));
        assert!(near(heat_color(0.1, 0.1), [0x21, 0x91, 0x8c]));
        assert!(near(heat_color(0.2, 0.1), [0xfd, 0xe7, 0x25]));
        assert_eq!(heat_color(5.0, 0.1), heat_color(0.2, 0.1));
    }

    #[test]
    fn brightness_rises_with_the_error() {
        let brightness = |step: u32| {
            let [red, green, blue] = heat_color(step as f32 / 100.0, 0.5).map(f64::from);
            0.299 * red + 0.587 * green + 0.114 * blue
        };
        assert!((0..100).all(|step| brightness(step) <= brightness(step + 1)));
    }

    #[test]
    fn thresholds_and_errors_that_make_no_sense_still_have_a_color() {
        let (dark, bright) = (heat_color(0.0, 1.0), heat_color(2.0, 1.0));
        assert_eq!([heat_color(0.0, 0.0), heat_color(0.1, 0.0)], [dark, bright]);
        assert_eq!([heat_color(f32::NAN, 1.0), heat_color(-1.0, 1.0)], [dark, dark]);
    }
}
