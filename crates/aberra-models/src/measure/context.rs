//! Measurements on the network input alone, independent of any model output: the complexity of the image.

use aberra_metrics::Result;
use aberra_metrics::filter::gradient_energy;

use super::Descriptor;
use crate::graph::{Graph, Value};
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

/// [`measure`] of `[channels, height, width]` in a graph.
pub fn measure_graph(graph: &mut Graph, input: Value, shape: Shape) -> Vec<Value> {
    let mean = graph.mean(input, &[0, 1, 2]);
    let mean = graph.reshape(mean, &[1, 1, 1]);
    let centered = graph.subtract(input, mean);
    let squares = graph.square(centered);
    let variance = graph.mean(squares, &[0, 1, 2]);
    let grey = graph.mean(input, &[0]);
    let mut energies = Vec::new();
    for (axis, length) in [(1, shape.width), (0, shape.height)].into_iter().filter(|(_, length)| *length > 1)
    {
        let (next, own) = (graph.slice(grey, axis, 1, length), graph.slice(grey, axis, 0, length - 1));
        let difference = graph.subtract(next, own);
        let square = graph.square(difference);
        energies.push(graph.mean(square, &[0, 1]));
    }
    let energy = energies.into_iter().reduce(|a, b| graph.add(a, b));
    let energy = energy.unwrap_or_else(|| graph.times(variance, 0.0));
    vec![energy, graph.sqrt(variance)]
}
