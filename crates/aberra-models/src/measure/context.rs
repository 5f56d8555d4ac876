//! Measurements on the network input alone, independent of any model output: the complexity of the image.

use aberra_metrics::Result;
use aberra_metrics::filter::gradient_energy;

use super::Descriptor;
use crate::shape::Shape;

/// The prefix of these measurements' names, in place of a member's name.
pub const CONTEXT: &str = "image";

/// What [`measure`] returns, in its order.
pub const DESCRIPTORS: &[Descriptor] = &[
    Descriptor::context("gradient_energy", "intensity^2", "mean squared gradient of the image: complexity"),
    Descriptor::context("standard_deviation", "intensity", "standard deviation of the pixels: complexity"),
];

/// Measures a network input.
///
/// # Errors
/// Values that are not finite, or a length that does not fit the shape.
pub fn measure(input: &[f32], shape: Shape) -> Result<Vec<f64>> {
    let count = input.len().max(1) as f64;
    let mean = input.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = input.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    Ok(vec![gradient_energy(&shape.grey(input), shape.height, shape.width)?, variance.sqrt()])
}
