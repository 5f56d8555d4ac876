//! Resampling of planes inside the models: network inputs to a member's own size, feature grids onto one grid, maps back.

use crate::graph::{Graph, Value};
use crate::shape::Shape;

/// `[height, width, channels]` at another size: each value the mean over the area that it covers, which where a side grows is
/// the nearest value.
pub(crate) fn area_mean(pixels: &[f32], from: Shape, to: Shape) -> Vec<f32> {
    let channels = from.channels;
    let (rows, columns) = (covers(from.height, to.height), covers(from.width, to.width));
    let mut narrow = vec![0.0_f32; from.height * to.width * channels];
    for (input, output) in
        pixels.chunks_exact(from.width * channels).zip(narrow.chunks_exact_mut(to.width * channels))
    {
        for (cover, output) in columns.iter().zip(output.chunks_exact_mut(channels)) {
            for &(column, weight) in cover {
                let at = column * channels;
                output
                    .iter_mut()
                    .zip(&input[at..at + channels])
                    .for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }
    let row_length = to.width * channels;
    let mut small = vec![0.0_f32; to.height * row_length];
    for (cover, output) in rows.iter().zip(small.chunks_exact_mut(row_length)) {
        for &(row, weight) in cover {
            let input = &narrow[row * row_length..][..row_length];
            output.iter_mut().zip(input).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    small
}

/// For each value of the new side, the values of the old one that it covers, and their weights, which add up to 1.
fn covers(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f64 / to as f64;
    let cover = |at: usize| {
        if scale <= 1.0 {
            return vec![((((at as f64 + 0.5) * scale) as usize).min(from - 1), 1.0)];
        }
        let (start, end) = (at as f64 * scale, ((at + 1) as f64 * scale).min(from as f64));
        let part = |index: usize| {
            let inside = (end.min(index as f64 + 1.0) - start.max(index as f64)).max(0.0);
            (index, (inside / (end - start)) as f32)
        };
        (start as usize..(end.ceil() as usize).min(from)).map(part).collect()
    };
    (0..to).map(cover).collect()
}

/// `[height, width, channels]` at another size, by linear interpolation between the middles of the pixels; at the edges the
/// outermost values go on.
pub(crate) fn bilinear(values: &[f32], from: Shape, to: Shape) -> Vec<f32> {
    let channels = from.channels;
    let (rows, columns) = (between(from.height, to.height), between(from.width, to.width));
    let mut wide = vec![0.0_f32; from.height * to.width * channels];
    for (input, output) in
        values.chunks_exact(from.width * channels).zip(wide.chunks_exact_mut(to.width * channels))
    {
        for (&(left, right, share), output) in columns.iter().zip(output.chunks_exact_mut(channels)) {
            let (left, right) =
                (&input[left * channels..][..channels], &input[right * channels..][..channels]);
            for ((output, left), right) in output.iter_mut().zip(left).zip(right) {
                *output = left + share * (right - left);
            }
        }
    }
    let row_length = to.width * channels;
    let mut resized = vec![0.0_f32; to.height * row_length];
    for (&(above, below, share), output) in rows.iter().zip(resized.chunks_exact_mut(row_length)) {
        let (above, below) =
            (&wide[above * row_length..][..row_length], &wide[below * row_length..][..row_length]);
        for ((output, above), below) in output.iter_mut().zip(above).zip(below) {
            *output = above + share * (below - above);
        }
    }
    resized
}

/// For each value of the new side the two of the old one between which it lies, and the share of the second.
fn between(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f64 / to as f64;
    let place = |at: usize| {
        let position = ((at as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
        let low = position as usize;
        (low, (low + 1).min(from - 1), (position - low as f64) as f32)
    };
    (0..to).map(place).collect()
}

/// Means over 3 x 3 values, fewer at the edges: `[height, width, channels]`.
pub(crate) fn mean_of_3_by_3(values: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { height, width, channels } = shape;
    let row_length = width * channels;
    let mut across = vec![0.0_f32; values.len()];
    for (input, output) in values.chunks_exact(row_length).zip(across.chunks_exact_mut(row_length)) {
        for column in 0..width {
            let (first, last) = (column.saturating_sub(1), (column + 1).min(width - 1));
            let factor = 1.0 / (last - first + 1) as f32;
            let output = &mut output[column * channels..][..channels];
            for from in first..=last {
                let input = &input[from * channels..][..channels];
                output.iter_mut().zip(input).for_each(|(sum, value)| *sum += factor * value);
            }
        }
    }
    let mut means = vec![0.0_f32; values.len()];
    for (row, output) in means.chunks_exact_mut(row_length).enumerate() {
        let (first, last) = (row.saturating_sub(1), (row + 1).min(height - 1));
        let factor = 1.0 / (last - first + 1) as f32;
        for from in first..=last {
            let input = &across[from * row_length..][..row_length];
            output.iter_mut().zip(input).for_each(|(sum, value)| *sum += factor * value);
        }
    }
    means
}

/// A resampling along one axis as a matrix, `[to, from]`.
struct AxisMatrix {
    from: usize,
    values: Vec<f64>,
}

impl AxisMatrix {
    fn of(from: usize, rows: Vec<Vec<(usize, f64)>>) -> Self {
        let mut values = vec![0.0; from * rows.len()];
        for (row, weights) in values.chunks_exact_mut(from).zip(rows) {
            weights.into_iter().for_each(|(at, weight)| row[at] += weight);
        }
        Self { from, values }
    }

    /// That of [`area_mean`].
    fn area_mean(from: usize, to: usize) -> Self {
        let wide = |cover: Vec<(usize, f32)>| cover.into_iter().map(|(at, weight)| (at, f64::from(weight)));
        Self::of(from, covers(from, to).into_iter().map(|cover| wide(cover).collect()).collect())
    }

    /// That of [`bilinear`].
    fn linear(from: usize, to: usize) -> Self {
        let both = |(low, high, share): (usize, usize, f32)| {
            let share = f64::from(share);
            vec![(low, 1.0 - share), (high, share)]
        };
        Self::of(from, between(from, to).into_iter().map(both).collect())
    }

    /// That of [`mean_of_3_by_3`].
    fn mean_of_3(length: usize) -> Self {
        let near = |at: usize| {
            let (first, last) = (at.saturating_sub(1), (at + 1).min(length - 1));
            (first..=last).map(|from| (from, 1.0 / (last - first + 1) as f64)).collect()
        };
        Self::of(length, (0..length).map(near).collect())
    }

    /// First `first`, then this.
    fn after(&self, first: &Self) -> Self {
        let mut values = Vec::with_capacity(self.values.len() / self.from * first.from);
        for row in self.values.chunks_exact(self.from) {
            values.extend((0..first.from).map(|column| {
                row.iter()
                    .enumerate()
                    .map(|(at, weight)| weight * first.values[at * first.from + column])
                    .sum::<f64>()
            }));
        }
        Self { from: first.from, values }
    }

    fn narrow(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }
}

/// [`area_mean`] of `[.., height, width]` in a graph.
pub(crate) fn area_mean_graph(graph: &mut Graph, value: Value, from: Shape, to: Shape) -> Value {
    resampled(graph, value, from, to, AxisMatrix::area_mean)
}

/// [`bilinear`] of `[.., height, width]` in a graph.
pub(crate) fn bilinear_graph(graph: &mut Graph, value: Value, from: Shape, to: Shape) -> Value {
    resampled(graph, value, from, to, AxisMatrix::linear)
}

/// [`mean_of_3_by_3`], then [`bilinear`], of `[.., height, width]` in a graph.
pub(crate) fn smooth_bilinear_graph(graph: &mut Graph, value: Value, from: Shape, to: Shape) -> Value {
    let both = |from: usize, to: usize| AxisMatrix::linear(from, to).after(&AxisMatrix::mean_of_3(from));
    let (rows, columns) = (both(from.height, to.height), both(from.width, to.width));
    graph.separable(value, &rows.narrow(), &columns.narrow())
}

fn resampled(
    graph: &mut Graph,
    value: Value,
    from: Shape,
    to: Shape,
    matrix: fn(usize, usize) -> AxisMatrix,
) -> Value {
    if (from.height, from.width) == (to.height, to.width) {
        return value;
    }
    let (rows, columns) = (matrix(from.height, to.height), matrix(from.width, to.width));
    graph.separable(value, &rows.narrow(), &columns.narrow())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(shape: Shape) -> Vec<f32> {
        (0..shape.len()).map(|at| (at * 37 % 101) as f32).collect()
    }

    #[test]
    fn the_mean_over_areas_keeps_the_sum_and_halves_exactly() {
        let (from, to) =
            (Shape { height: 6, width: 8, channels: 2 }, Shape { height: 3, width: 4, channels: 2 });
        let pixels = ramp(from);
        let small = area_mean(&pixels, from, to);
        let of = |y: usize, x: usize, c: usize| pixels[(y * 8 + x) * 2 + c];
        let expected = (of(2, 4, 1) + of(2, 5, 1) + of(3, 4, 1) + of(3, 5, 1)) / 4.0;
        assert!((small[(4 + 2) * 2 + 1] - expected).abs() < 1e-4);
        let odd = Shape { height: 5, width: 3, channels: 2 };
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean(&area_mean(&pixels, from, odd)) - mean(&pixels)).abs() < 1e-3);
    }

    #[test]
    fn matrices_do_what_the_loops_do() {
        let line = |length: usize| Shape { height: 1, width: length, channels: 1 };
        for (from, to) in [(9, 4), (4, 9), (8, 8), (5, 2), (1, 3)] {
            let values = ramp(line(from));
            let product = |matrix: &AxisMatrix| -> Vec<f32> {
                let of_row =
                    |row: &[f64]| row.iter().zip(&values).map(|(a, b)| a * f64::from(*b)).sum::<f64>() as f32;
                matrix.values.chunks_exact(from).map(of_row).collect()
            };
            let close = |found: Vec<f32>, expected: Vec<f32>| {
                found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4)
            };
            assert!(close(
                product(&AxisMatrix::area_mean(from, to)),
                area_mean(&values, line(from), line(to))
            ));
            assert!(close(product(&AxisMatrix::linear(from, to)), bilinear(&values, line(from), line(to))));
            let smooth = mean_of_3_by_3(&values, line(from));
            let both = AxisMatrix::linear(from, to).after(&AxisMatrix::mean_of_3(from));
            assert!(close(product(&both), bilinear(&smooth, line(from), line(to))));
        }
    }

    #[test]
    fn interpolation_is_that_of_pytorch() {
        // torch.nn.functional.interpolate(torch.tensor([[[[1., 2.], [5., 9.]]]]), 4, mode="bilinear")
        let from = Shape { height: 2, width: 2, channels: 1 };
        let large = bilinear(&[1.0, 2.0, 5.0, 9.0], from, Shape { height: 4, width: 4, channels: 1 });
        let expected =
            [1.0, 1.25, 1.75, 2.0, 2.0, 2.4375, 3.3125, 3.75, 4.0, 4.8125, 6.4375, 7.25, 5.0, 6.0, 8.0, 9.0];
        assert_eq!(large, expected);
    }

    #[test]
    fn means_at_the_edge_are_of_fewer_values() {
        let shape = Shape { height: 3, width: 3, channels: 1 };
        let means = mean_of_3_by_3(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], shape);
        for (found, expected) in means.iter().zip([3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0]) {
            assert!((found - expected).abs() < 1e-5, "{means:?}");
        }
    }
}
