//! The inputs that a model is checked on: patterns from a formula that any language can repeat, and drawn images.

use aberra_image::Image;
use serde::Serialize;

use super::answer::{Answer, answers};
use crate::phantom::{LesionKind, lesion_slice};
use crate::{Detector, Error, Result};

/// Patterns that the description holds.
const PATTERNS: usize = 4;

/// Images that are drawn; with the patterns, a batch of 17.
const DRAWN: usize = 13;

/// A network input from a formula, and what the detector gives for it. The pixel of row y, column x and channel c is
/// `((3 + number) x + (5 + 2 number) y + 11 c + (x y) / 8) mod 64 / 63`, the division by 8 rounded down.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pattern {
    /// Its number.
    pub number: usize,
    /// The score.
    pub score: f64,
    /// The conformal p-value.
    pub p_value: Option<f64>,
    /// The verdict.
    pub anomalous: bool,
    /// The mean of the map; none without a map.
    pub map_mean: Option<f64>,
}

/// The patterns and what the detector gives for them.
///
/// # Errors
/// The detector cannot measure them.
pub(super) fn patterns(detector: &Detector) -> Result<Vec<Pattern>> {
    let inputs: Vec<Vec<f32>> = (0..PATTERNS).map(|number| pattern(detector, number)).collect();
    let slices: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mean =
        |map: Vec<f32>| map.iter().map(|&value| f64::from(value)).sum::<f64>() / map.len().max(1) as f64;
    let answers = answers(detector, &slices)?.into_iter().enumerate();
    let pattern = |(number, Answer { score, p_value, anomalous, map, .. }): (usize, Answer)| Pattern {
        number,
        score,
        p_value,
        anomalous,
        map_mean: map.map(mean),
    };
    Ok(answers.map(pattern).collect())
}

/// All inputs of the proof.
///
/// # Errors
/// A drawn image that cannot be preprocessed.
pub(super) fn inputs(detector: &Detector) -> Result<Vec<Vec<f32>>> {
    let drawn = (0..DRAWN).map(|index| {
        let side = detector.canvas_shape().height;
        // One head; in each channel that is no colour a lesion of another kind.
        let planes: Vec<Vec<f32>> = (0..detector.channels().len().max(1))
            .map(|channel| {
                let kind = LesionKind::ALL[(index + channel) % LesionKind::ALL.len()];
                lesion_slice(0, index as u64, side, kind).pixels
            })
            .collect();
        let pixels = (0..side * side).flat_map(|at| planes.iter().map(move |plane| plane[at])).collect();
        let image = Image::from_pixels(pixels, side, side, planes.len())
            .ok_or_else(|| Error::input("expected a drawn image of finite values"))?;
        Ok(detector.preprocess(&image)?.pixels)
    });
    (0..PATTERNS).map(|number| Ok(pattern(detector, number))).chain(drawn).collect()
}

fn pattern(detector: &Detector, number: usize) -> Vec<f32> {
    let shape = detector.canvas_shape();
    let value = |at: usize| {
        let (channel, place) = (at % shape.channels, at / shape.channels);
        let (x, y) = (place % shape.width, place / shape.width);
        ((3 + number) * x + (5 + 2 * number) * y + 11 * channel + x * y / 8) % 64
    };
    (0..shape.len()).map(|at| value(at) as f32 / 63.0).collect()
}
