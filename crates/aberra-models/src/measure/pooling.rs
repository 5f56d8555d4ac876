//! Pooling: from a map to numbers about the image. A small defect shows in the mean of the largest hundredth, a diffuse one in
//! the largest tenth, a change of the whole image in the mean.

use crate::graph::{Graph, Value};

/// Share of a map's places whose mean is its peak.
const PEAK: f64 = 0.01;
/// Share of the foreground's places whose mean is its top.
const TOP: f64 = 0.1;
/// Places are foreground from this share on.
const FOREGROUND: f32 = 0.5;

/// Mean of the largest `share` of the values, at least one of them; 0 of none.
pub fn mean_of_largest(values: &[f32], share: f64) -> f64 {
    let count = count_of(values.len(), share);
    let mut sorted: Vec<f32> = values.to_vec();
    if sorted.is_empty() {
        return 0.0;
    }
    sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    sorted[..count].sort_unstable_by(|a, b| b.total_cmp(a)); // so that the sum has one order
    sorted[..count].iter().copied().map(f64::from).sum::<f64>() / count as f64
}

/// How many the largest `share` of so many values are.
fn count_of(values: usize, share: f64) -> usize {
    ((values as f64 * share) as usize).clamp(1, values.max(1))
}

/// A map's mean over its highest 1 % of places, over the highest 10 % of the foreground's, and over the whole foreground.
pub(crate) fn peak_top_and_mean(map: &[f32], foreground: &[f32]) -> [f64; 3] {
    let lit = in_foreground(map, foreground);
    [mean_of_largest(map, PEAK), mean_of_largest(&lit, TOP), mean_of_largest(&lit, 1.0)]
}

/// [`mean_of_largest`] of `[values]` in a graph.
pub fn mean_of_largest_graph(graph: &mut Graph, values: Value, share: f64) -> Value {
    let count = count_of(graph.dims(values).iter().product(), share);
    let largest = graph.largest(values, count);
    graph.mean(largest, &[0])
}

/// [`peak_top_and_mean`] of `[places]` in a graph.
pub(crate) fn peak_top_and_mean_graph(graph: &mut Graph, map: Value, foreground: Value) -> [Value; 3] {
    let peak = mean_of_largest_graph(graph, map, PEAK);
    // How many places are lit depends on the image: all are sorted, and those that count added up.
    let places = graph.dims(map).iter().product::<usize>();
    let below = graph.constant(&[], &[FOREGROUND.next_down()]);
    let lit = graph.greater(foreground, below);
    let lit = graph.share(lit);
    let lit_count = graph.sum(lit, &[0]);
    let half = graph.number(0.5);
    let none = graph.greater(half, lit_count);
    let none = graph.share(none);
    let all = graph.times(none, places as f64);
    let count = graph.add(lit_count, all);
    let none = graph.reshape(none, &[1]);
    let counts = graph.add(lit, none);
    let counts = graph.greater(counts, half);

    let (lowest, zero) = (graph.constant(&[], &[f32::MIN]), graph.number(0.0));
    let candidates = graph.select(counts, map, lowest);
    let sorted = graph.largest(candidates, places);
    let ranks: Vec<f32> = (0..places).map(|rank| rank as f32).collect();
    let ranks = graph.constant(&[places], &ranks);
    let share = graph.times(count, TOP);
    let share = graph.floor(share);
    let top_count = graph.at_least(share, 1.0);
    let end = graph.reshape(top_count, &[1]);
    let first = graph.greater(end, ranks);
    let top = graph.select(first, sorted, zero);
    let sums = [top, graph.select(counts, map, zero)].map(|chosen| graph.sum(chosen, &[0]));
    [peak, graph.divide(sums[0], top_count), graph.divide(sums[1], count)]
}

/// The values of the places that are foreground by at least half; all where there are none.
fn in_foreground(values: &[f32], foreground: &[f32]) -> Vec<f32> {
    let lit: Vec<f32> = values
        .iter()
        .zip(foreground)
        .filter(|(_, share)| **share >= FOREGROUND)
        .map(|(value, _)| *value)
        .collect();
    if lit.is_empty() { values.to_vec() } else { lit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_averaged() {
        let values: Vec<f32> = (0..200).map(|at| (at * 7 % 200) as f32).collect();
        assert_eq!(mean_of_largest(&values, 0.01), 198.5);
        assert_eq!(mean_of_largest(&values, 1.0), 99.5);
        assert_eq!(mean_of_largest(&[3.0], 0.01), 3.0);
        assert_eq!(mean_of_largest(&[], 0.01), 0.0);
    }

    #[test]
    fn only_the_foreground_counts_where_there_is_one() {
        assert_eq!(in_foreground(&[1.0, 2.0, 3.0], &[0.0, 0.5, 1.0]), [2.0, 3.0]);
        assert_eq!(in_foreground(&[1.0, 2.0], &[0.0, 0.1]), [1.0, 2.0]);
    }
}
