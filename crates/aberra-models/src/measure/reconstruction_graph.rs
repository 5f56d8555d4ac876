//! The measurements on the difference between an image and its reconstruction, and its map, in a graph: as `reconstruction`
//! computes them.

use aberra_metrics::Result;
use aberra_metrics::filter::{filter_matrix, gaussian_taps, median_of_25, mirrored};
use aberra_metrics::ssim::SsimSettings;

use super::pooling::mean_of_largest_graph;
use super::reconstruction::{Errors, PEAK_SHARE, peak_window};
use crate::graph::{Graph, Value};
use crate::shape::Shape;

/// The output of a decoder in a graph, `[channels, height, width]` each: as
/// [`Reconstruction`](super::reconstruction::Reconstruction).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReconstructionGraph {
    /// Expected pixels, 0 to 1.
    pub(crate) mean: Value,
    /// Log-variance of each pixel, where the decoder predicts it.
    pub(crate) log_variance: Option<Value>,
}

impl Errors<Value> {
    /// As [`Errors::measure`], of `[channels, height, width]`.
    ///
    /// # Errors
    /// A window that is none.
    pub(crate) fn graph(
        graph: &mut Graph,
        input: Value,
        shape: Shape,
        reconstruction: ReconstructionGraph,
    ) -> Result<Self> {
        const PIXELS: [usize; 3] = [0, 1, 2];
        let difference = graph.subtract(input, reconstruction.mean);
        let (squares, sizes) = (graph.square(difference), graph.abs(difference));
        let squared = graph.mean(squares, &PIXELS);
        let (weighted, expected) = match reconstruction.log_variance {
            Some(log_variance) => {
                let variance = graph.exp(log_variance);
                (graph.divide(squares, variance), graph.mean(variance, &PIXELS))
            }
            None => (squares, graph.times(squared, 0.0)),
        };
        let [grey, grey_mean] = [input, reconstruction.mean].map(|image| graph.mean(image, &[0]));
        let similarity = similarity(graph, grey, grey_mean, shape)?;
        let dissimilarity = graph.times(similarity, -1.0);
        let plane = graph.mean(weighted, &[0]);
        let smooth = filtered(graph, plane, shape, &peak_window(shape));
        let smooth = graph.flatten(smooth);
        Ok(Self {
            squared,
            absolute: graph.mean(sizes, &PIXELS),
            ssim: graph.plus(dissimilarity, 1.0),
            weighted: graph.mean(weighted, &PIXELS),
            expected,
            peak: mean_of_largest_graph(graph, smooth, PEAK_SHARE),
        })
    }
}

/// As [`error_map`](super::reconstruction::error_map) and [`channel_error_maps`](super::reconstruction::channel_error_maps), of
/// `[channels, height, width]`.
pub(crate) fn error_maps_graph(
    graph: &mut Graph,
    input: Value,
    shape: Shape,
    reconstruction: ReconstructionGraph,
) -> (Value, Value) {
    let difference = graph.subtract(input, reconstruction.mean);
    let mut differences = graph.abs(difference);
    if let Some(log_variance) = reconstruction.log_variance {
        let half = graph.times(log_variance, -0.5);
        let factor = graph.exp(half);
        differences = graph.multiply(differences, factor);
    }
    let plane = graph.mean(differences, &[0]);
    (median_5x5(graph, plane, shape), median_5x5(graph, differences, shape))
}

/// The median of the 5 x 5 pixels around each pixel of `[.., height, width]`, by the exchanges that sort the same pixels here.
fn median_5x5(graph: &mut Graph, planes: Value, shape: Shape) -> Value {
    const SIDE: usize = 5;
    let across = graph.dims(planes).len().saturating_sub(1);
    let down = across.saturating_sub(1);
    let around = |length: usize| -> Vec<usize> {
        (0..length + SIDE - 1).map(|at| mirrored(at as isize - (SIDE / 2) as isize, length)).collect()
    };
    let tall = graph.pick(planes, down, &around(shape.height));
    let padded = graph.pick(tall, across, &around(shape.width));
    let rows: Vec<Value> = (0..SIDE).map(|row| graph.slice(padded, down, row, row + shape.height)).collect();
    let mut window = [planes; SIDE * SIDE];
    for (index, value) in window.iter_mut().enumerate() {
        let column = index % SIDE;
        *value = graph.slice(rows[index / SIDE], across, column, column + shape.width);
    }
    median_of_25(&mut window, |first, second| {
        (*first, *second) = (graph.minimum(*first, *second), graph.maximum(*first, *second));
    })
}

/// Mean structural similarity of two planes `[height, width]`, as [`ssim_map`](aberra_metrics::ssim::ssim_map) has it.
///
/// # Errors
/// A window that is none.
fn similarity(graph: &mut Graph, first: Value, second: Value, shape: Shape) -> Result<Value> {
    /// In the middle of the intensities: squares of what is left lose fewer digits.
    const MIDDLE: f64 = 0.5;
    let settings = SsimSettings::default();
    let taps = gaussian_taps(settings.sigma)?;
    let (dark, flat) = ((0.01 * settings.data_range).powi(2), (0.03 * settings.data_range).powi(2));
    let [first, second] = [first, second].map(|plane| graph.plus(plane, -MIDDLE));
    let squares = [(first, first), (second, second), (first, second)];
    let squares = squares.map(|(a, b)| graph.multiply(a, b));
    let [mean_x, mean_y] = [first, second].map(|plane| filtered(graph, plane, shape, &taps));
    let moments = squares.map(|plane| filtered(graph, plane, shape, &taps));
    let products = [(mean_x, mean_x), (mean_y, mean_y), (mean_x, mean_y)];
    let [variance_x, variance_y, covariance] = std::array::from_fn(|at| {
        let (a, b) = products[at];
        let product = graph.multiply(a, b);
        graph.subtract(moments[at], product)
    });
    let [x, y] = [mean_x, mean_y].map(|mean| graph.plus(mean, MIDDLE));
    let (xx, yy, xy) = (graph.square(x), graph.square(y), graph.multiply(x, y));
    let mut ratio = |twice: Value, one: Value, other: Value, constant: f64| {
        let above = graph.times(twice, 2.0);
        let (above, below) = (graph.plus(above, constant), graph.add(one, other));
        let below = graph.plus(below, constant);
        graph.divide(above, below)
    };
    let (brightness, structure) = (ratio(xy, xx, yy, dark), ratio(covariance, variance_x, variance_y, flat));
    let map = graph.multiply(brightness, structure);
    Ok(graph.mean(map, &[0, 1]))
}

/// Rows, then columns of `[height, width]` convolved with `taps`, edges mirrored.
fn filtered(graph: &mut Graph, plane: Value, shape: Shape, taps: &[f64]) -> Value {
    let matrix =
        |length| filter_matrix(length, taps).into_iter().map(|weight| weight as f32).collect::<Vec<_>>();
    graph.separable(plane, &matrix(shape.height), &matrix(shape.width))
}
