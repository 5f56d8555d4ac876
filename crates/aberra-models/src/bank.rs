//! A bank of the normals' patches: a choice of those that differ most, and the nearest of them to others.

use aberra_kernels::{ActivationFunction, OperandPrecision, linear};
use aberra_metrics::random::{Stream, generator};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use crate::graph::{Graph, Value};

/// Patches of equal length, of which the nearest is found.
#[derive(Clone, Debug)]
pub(crate) struct Bank {
    /// `[patches, dimensions]`.
    patches: Vec<f32>,
    dimensions: usize,
    /// -2 x patches, transposed, and the squared lengths of the patches.
    product: (Tensor<2>, Tensor<1>),
    device: Device,
}

/// The nearest patches of a bank in a graph, of each of `[queries, dimensions]`.
pub(crate) struct NearestGraph {
    /// They themselves, `[queries, dimensions]`.
    pub(crate) patch: Value,
    /// Their Euclidean distances, `[queries]`.
    pub(crate) distance: Value,
}

/// The nearest patch of a bank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nearest {
    /// Its position in the bank.
    pub(crate) index: usize,
    /// Its Euclidean distance.
    pub(crate) distance: f32,
}

impl Bank {
    /// `patches` is `[patches, dimensions]` with at least one patch.
    pub(crate) fn new(patches: Vec<f32>, dimensions: usize, device: &Device) -> Self {
        let count = patches.len() / dimensions;
        let (transposed, squares) = product_of(&patches, dimensions);
        let product = (
            Tensor::from_data(TensorData::new(transposed, [dimensions, count]), device),
            Tensor::from_data(TensorData::new(squares, [count]), device),
        );
        Self { patches, dimensions, product, device: device.clone() }
    }

    /// The nearest patch to each of `queries`, `[queries, dimensions]`, none of those at the positions `without`, unless that
    /// is all of them.
    pub(crate) fn nearest(&self, queries: &[f32], without: &[usize]) -> Vec<Nearest> {
        let without = if without.len() < self.count() { without } else { &[] };
        let count = queries.len() / self.dimensions;
        let dims = [count, self.dimensions];
        let input = Tensor::from_data(TensorData::new(queries.to_vec(), dims), &self.device);
        let (bank, squares) = self.product.clone();
        let products =
            linear(input, bank, Some(squares), ActivationFunction::Identity, OperandPrecision::F32);
        let mut products = products.into_data().try_into_vec::<f32>().unwrap_or_default();
        let find = |(query, products): (&[f32], &mut [f32])| {
            without.iter().for_each(|&index| products[index] = f32::INFINITY);
            let index = least(products);
            // Of the differences: those of two squares would leave nothing but rounding where a patch is known.
            Nearest { index, distance: squared_distance(query, self.patch(index)).sqrt() }
        };
        let queries = queries.par_chunks_exact(self.dimensions);
        queries.zip(products.par_chunks_exact_mut(self.count())).with_min_len(64).map(find).collect()
    }

    /// [`nearest`](Self::nearest) of all patches to `[queries, dimensions]` in a graph.
    pub(crate) fn nearest_graph(&self, graph: &mut Graph, queries: Value) -> NearestGraph {
        let (transposed, squares) = product_of(&self.patches, self.dimensions);
        let products = graph.affine(queries, &transposed, &squares);
        let index = graph.position_of_smallest(products);
        let patches = graph.constant(&[self.count(), self.dimensions], &self.patches);
        let patch = graph.rows_at(patches, index);
        let difference = graph.subtract(queries, patch);
        let squares = graph.square(difference);
        let sum = graph.sum(squares, &[1]);
        NearestGraph { patch, distance: graph.sqrt(sum) }
    }

    /// The patch at a position.
    pub(crate) fn patch(&self, index: usize) -> &[f32] {
        &self.patches[index * self.dimensions..][..self.dimensions]
    }

    /// Number of patches.
    pub(crate) fn count(&self) -> usize {
        self.patches.len() / self.dimensions
    }

    /// All patches, `[patches, dimensions]`.
    pub(crate) fn patches(&self) -> &[f32] {
        &self.patches
    }
}

/// Positions of at most `most` of the candidates, `[candidates, dimensions]`, each as far as can be from those chosen before
/// (greedy k-centre; Gonzalez, 1985): rare normal patches are among them, too.
pub(crate) fn coreset(candidates: &[f32], dimensions: usize, most: usize, seed: u64) -> Vec<usize> {
    let count = candidates.len() / dimensions;
    let mut next = generator(seed, Stream::Patches, u64::MAX).random_range(0..count);
    // Of each candidate, the squared distance to the nearest chosen one.
    let mut nearest = vec![f32::INFINITY; count];
    let mut chosen = Vec::with_capacity(most);
    for _ in 0..most.min(count) {
        chosen.push(next);
        let center = &candidates[next * dimensions..][..dimensions];
        let candidates = candidates.par_chunks_exact(dimensions);
        nearest.par_iter_mut().zip(candidates).with_min_len(1024).for_each(|(known, candidate)| {
            *known = known.min(squared_distance(candidate, center));
        });
        let furthest = nearest.iter().enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
        match furthest {
            Some((index, distance)) if *distance > 0.0 => next = index,
            _ => break,
        }
    }
    chosen
}

/// -2 x patches, transposed, and the squared lengths of the patches.
fn product_of(patches: &[f32], dimensions: usize) -> (Vec<f32>, Vec<f32>) {
    let count = patches.len() / dimensions;
    let mut transposed = vec![0.0; patches.len()];
    for (patch, values) in patches.chunks_exact(dimensions).enumerate() {
        values.iter().enumerate().for_each(|(at, value)| transposed[at * count + patch] = -2.0 * value);
    }
    (transposed, patches.chunks_exact(dimensions).map(square).collect())
}

fn square(values: &[f32]) -> f32 {
    values.iter().map(|value| value * value).sum()
}

/// Position of the least value, the first of equal ones.
fn least(values: &[f32]) -> usize {
    // The least value first, in lanes, then its position: both passes run over whole registers.
    let mut lanes = [f32::INFINITY; 16];
    let (blocks, rest) = values.as_chunks::<16>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = if *value < *lane { *value } else { *lane };
        }
    }
    let smallest = lanes.iter().chain(rest).copied().fold(f32::INFINITY, f32::min);
    values.iter().position(|&value| value == smallest).unwrap_or(0)
}

fn squared_distance(first: &[f32], second: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (first_blocks, first_rest) = first.as_chunks::<8>();
    let (second_blocks, second_rest) = second.as_chunks::<8>();
    for (first, second) in first_blocks.iter().zip(second_blocks) {
        for lane in 0..8 {
            let difference = first[lane] - second[lane];
            sums[lane] += difference * difference;
        }
    }
    let rest: f32 = first_rest.iter().zip(second_rest).map(|(a, b)| (a - b) * (a - b)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use aberra_metrics::neighbours;
    use proptest::prelude::*;

    use super::*;

    fn points(count: usize, seed: u64) -> Vec<f32> {
        let mut random = generator(seed, Stream::Patches, 0);
        (0..count * 3).map(|_| random.random::<f32>()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_nearest_is_that_of_a_search_without_those_left_out(seed: u64, count in 2usize..80, left in 0usize..3) {
            let (patches, queries) = (points(count, seed), points(9, !seed));
            let bank = Bank::new(patches.clone(), 3, &Device::flex());
            let without: Vec<usize> = (0..left.min(count - 1)).collect();
            for (query, found) in queries.chunks_exact(3).zip(bank.nearest(&queries, &without)) {
                let expected = neighbours::nearest(query, &patches[3 * without.len()..], 1, None).unwrap()[0];
                prop_assert_eq!(found.index, expected.index + without.len());
                prop_assert!((f64::from(found.distance) - expected.distance).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn a_known_patch_is_at_no_distance_however_far_from_the_origin() {
        let patches = points(50, 3).into_iter().map(|value| 100.0 * value + 1000.0).collect::<Vec<_>>();
        let bank = Bank::new(patches.clone(), 3, &Device::flex());
        assert!(
            bank.nearest(&patches, &[])
                .iter()
                .enumerate()
                .all(|(at, found)| found.index == at && found.distance == 0.0)
        );
    }

    #[test]
    fn where_all_would_be_left_out_none_is() {
        let bank = Bank::new(vec![0.0, 3.0], 1, &Device::flex());
        assert_eq!(bank.nearest(&[2.0], &[0, 1])[0].index, 1);
    }

    #[test]
    fn a_coreset_spreads_and_ends_where_nothing_differs() {
        let clumps: Vec<f32> = (0..60).map(|at| [0.0, 10.0, 25.0][at % 3]).collect();
        let mut found: Vec<usize> = coreset(&clumps, 1, 10, 4).into_iter().map(|at| at % 3).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2]);
        assert_eq!(coreset(&points(50, 1), 3, 7, 1).len(), 7);
    }
}
