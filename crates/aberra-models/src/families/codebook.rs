//! A codebook: vectors to which a grid of embeddings is rounded, learnt as moving averages of what is rounded to them
//! (van den Oord et al., *Neural discrete representation learning*, 2017, appendix A.1; Razavi et al., 2019).
//!
//! With n the embeddings of a batch that are rounded to a code and s their sum, counts and sums follow
//! `N <- decay N + (1 - decay) n` and `m <- decay m + (1 - decay) s`; the code is `m / N`, N smoothed so that none is 0.
//! A code that hardly anything is rounded to is dead: it restarts at an embedding of the batch.

use aberra_kernels::{ActivationFunction, OperandPrecision, linear};
use burn::module::{Module, RunningState};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::graph::{Graph, Value};

/// Share of the moving averages that stays at each step.
const DECAY: f32 = 0.99;
/// Added to each count.
const SMOOTHING: f32 = 1e-5;
/// A code is dead when its count is below this share of the mean count.
const DEAD_SHARE: f32 = 0.05;

/// The codebook, `[codes, dimensions]`, as moving averages. They are running statistics: no gradient reaches them.
#[derive(Module, Debug)]
pub(super) struct Codebook {
    running_counts: RunningState<Tensor<1>>,
    running_sums: RunningState<Tensor<2>>,
    /// How often the training normals use each code, once it is trained; 0 before.
    running_usage: RunningState<Tensor<1>>,
}

impl Codebook {
    /// Codes without a count: the first batch gives them their places.
    pub(super) fn init(codes: usize, dimensions: usize, device: &Device) -> Self {
        let zeros = || RunningState::new(Tensor::zeros([codes], device));
        let running_sums = RunningState::new(Tensor::zeros([codes, dimensions], device));
        Self { running_counts: zeros(), running_sums, running_usage: zeros() }
    }

    /// The codebook with how often the training normals use each code.
    pub(super) fn with_usage(self, counts: Vec<f32>) -> Self {
        let device = self.running_usage.value().device();
        let counts = Tensor::from_data(TensorData::new(counts, [self.size()]), &device);
        Self { running_usage: RunningState::new(counts), ..self }
    }

    /// -log of each code's frequency among the training normals, every code counted once more than it is used, nats.
    pub(super) fn surprise(&self) -> Vec<f64> {
        let usage: Vec<f64> = self.running_usage.value_sync().into_data().iter::<f64>().collect();
        let total: f64 = usage.iter().map(|count| count + 1.0).sum();
        usage.iter().map(|count| -((count + 1.0) / total).ln()).collect()
    }

    fn size(&self) -> usize {
        self.running_usage.value().dims()[0]
    }

    /// The codes, `[codes, dimensions]` flattened.
    pub(super) fn codes(&self) -> Vec<f32> {
        let (counts, sums) = self.averages();
        codes(&counts, &sums)
    }

    /// What turns an embedding z into z e - |e|^2 / 2 for each code e, which is largest where |z - e|^2 is smallest: weights
    /// `[dimensions, codes]`, and what is added for each code.
    fn product(&self, dimensions: usize) -> (Vec<f32>, Vec<f32>) {
        let codes = self.codes();
        let count = codes.len() / dimensions;
        let mut transposed = vec![0.0; codes.len()];
        let mut bias = vec![0.0; count];
        for (code, values) in codes.chunks_exact(dimensions).enumerate() {
            bias[code] = -0.5 * values.iter().map(|value| value * value).sum::<f32>();
            for (dimension, value) in values.iter().enumerate() {
                transposed[dimension * count + code] = *value;
            }
        }
        (transposed, bias)
    }

    /// In a graph the nearest codes of `[places, dimensions]`, and the [`surprise`](Self::surprise) of each, `[places]`.
    pub(super) fn quantise_graph(&self, graph: &mut Graph, places: Value) -> (Value, Value) {
        let dimensions = graph.dims(places).last().copied().unwrap_or(1);
        let (mut weight, mut bias) = self.product(dimensions);
        weight.iter_mut().chain(&mut bias).for_each(|value| *value = -*value);
        let distances = graph.affine(places, &weight, &bias);
        let nearest = graph.position_of_smallest(distances);
        let surprise: Vec<f32> = self.surprise().into_iter().map(|value| value as f32).collect();
        let codes = graph.constant(&[self.size(), dimensions], &self.codes());
        let surprise = graph.constant(&[self.size()], &surprise);
        (graph.rows_at(codes, nearest), graph.rows_at(surprise, nearest))
    }

    /// The nearest code of each of `rows`, `[rows, dimensions]`; the first of equals.
    pub(super) fn nearest(&self, rows: Tensor<2>) -> Vec<usize> {
        let [_, dimensions] = rows.dims();
        let (transposed, bias) = self.product(dimensions);
        let count = bias.len();
        let device = rows.device();
        let weight = Tensor::from_data(TensorData::new(transposed, [dimensions, count]), &device);
        let bias = Tensor::from_data(TensorData::new(bias, [count]), &device);
        let scores = linear(rows, weight, Some(bias), ActivationFunction::Identity, OperandPrecision::F32);
        let scores: Vec<f32> = scores.into_data().iter::<f32>().collect();
        let first_largest = |scores: &[f32]| {
            let mut best = 0;
            for (code, score) in scores.iter().enumerate() {
                if *score > scores[best] {
                    best = code;
                }
            }
            best
        };
        scores.par_chunks_exact(count).map(first_largest).collect()
    }

    /// Follows a batch of embeddings, `[rows, dimensions]` flattened, that were rounded to `assigned`.
    pub(super) fn follow(&self, rows: &[f32], assigned: &[usize], random: &mut impl Rng) {
        let (mut counts, mut sums) = self.averages();
        let dimensions = sums.len() / counts.len();
        counts.iter_mut().chain(&mut sums).for_each(|value| *value *= DECAY);
        for (row, &code) in rows.chunks_exact(dimensions).zip(assigned) {
            counts[code] += 1.0 - DECAY;
            for (sum, value) in sums[code * dimensions..].iter_mut().zip(row) {
                *sum += (1.0 - DECAY) * value;
            }
        }
        self.restart(&mut counts, &mut sums, rows, random);
        self.set(counts, sums);
    }

    /// Gives codes that have never counted their places among the embeddings of a batch.
    pub(super) fn start(&self, rows: &[f32], random: &mut impl Rng) {
        let (mut counts, mut sums) = self.averages();
        if counts.iter().all(|count| *count == 0.0) {
            self.restart(&mut counts, &mut sums, rows, random);
            self.set(counts, sums);
        }
    }

    /// exp(entropy) of the codes' counts: how many codes are in use, were all used alike.
    pub(super) fn perplexity(&self) -> f64 {
        let (counts, _) = self.averages();
        let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let entropy: f64 = counts
            .iter()
            .map(|&count| f64::from(count) / total)
            .filter(|share| *share > 0.0)
            .map(|share| -share * share.ln())
            .sum();
        entropy.exp()
    }

    /// Codes that hardly anything is rounded to.
    pub(super) fn dead(&self) -> usize {
        let (counts, _) = self.averages();
        let least = least_alive(&counts);
        counts.iter().filter(|&&count| count <= least).count()
    }

    fn restart(&self, counts: &mut [f32], sums: &mut [f32], rows: &[f32], random: &mut impl Rng) {
        let dimensions = sums.len() / counts.len();
        let mean = counts.iter().sum::<f32>() / counts.len() as f32;
        let least = least_alive(counts);
        let afresh = if mean > 0.0 { 2.0 * least.max(f32::MIN_POSITIVE) } else { 1.0 };
        for code in 0..counts.len() {
            if counts[code] > least {
                continue;
            }
            let row = random.random_range(0..(rows.len() / dimensions) as u64) as usize;
            counts[code] = afresh;
            for (sum, value) in
                sums[code * dimensions..][..dimensions].iter_mut().zip(&rows[row * dimensions..])
            {
                *sum = afresh * value;
            }
        }
    }

    fn averages(&self) -> (Vec<f32>, Vec<f32>) {
        let counts = self.running_counts.value_sync().into_data();
        let sums = self.running_sums.value_sync().into_data();
        (counts.iter::<f32>().collect(), sums.iter::<f32>().collect())
    }

    fn set(&self, counts: Vec<f32>, sums: Vec<f32>) {
        let device = self.running_counts.value().device();
        let (codes, dimensions) = (counts.len(), sums.len() / counts.len());
        self.running_counts.update(Tensor::from_data(TensorData::new(counts, [codes]), &device));
        self.running_sums.update(Tensor::from_data(TensorData::new(sums, [codes, dimensions]), &device));
        self.running_counts.value_sync();
        self.running_sums.value_sync();
    }
}

/// Counts up to this are those of dead codes.
fn least_alive(counts: &[f32]) -> f32 {
    DEAD_SHARE * counts.iter().sum::<f32>() / counts.len() as f32
}

/// m / N, with N smoothed over all codes so that none is 0.
fn codes(counts: &[f32], sums: &[f32]) -> Vec<f32> {
    let dimensions = sums.len() / counts.len();
    let total: f32 = counts.iter().sum();
    let scale = total / (total + counts.len() as f32 * SMOOTHING);
    sums.chunks_exact(dimensions)
        .zip(counts)
        .flat_map(|(sum, count)| {
            let count = ((count + SMOOTHING) * scale).max(SMOOTHING);
            sum.iter().map(move |value| value / count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use aberra_metrics::random::{Stream, generator};

    use super::*;

    /// Two clusters of embeddings, around (1, 0) and (0, 1).
    fn rows() -> Vec<f32> {
        (0..40).flat_map(|at| if at % 2 == 0 { [1.0 + at as f32 * 1e-3, 0.0] } else { [0.0, 1.0] }).collect()
    }

    fn tensor(rows: &[f32]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(rows.to_vec(), [rows.len() / 2, 2]), &Device::flex())
    }

    #[test]
    fn codes_move_to_the_clusters_and_none_stays_dead() {
        let codebook = Codebook::init(4, 2, &Device::flex());
        let rows = rows();
        for step in 0..400 {
            let mut random = generator(3, Stream::Codebook, step);
            codebook.start(&rows, &mut random);
            let assigned = codebook.nearest(tensor(&rows));
            codebook.follow(&rows, &assigned, &mut random);
        }
        let codes = codebook.codes();
        let near = |x: f32, y: f32| {
            codes.chunks_exact(2).any(|code| (code[0] - x).abs() < 0.05 && (code[1] - y).abs() < 0.05)
        };
        assert!(near(1.02, 0.0) && near(0.0, 1.0), "{codes:?}");
        assert_eq!(codebook.dead(), 0);
        assert!((1.9..=4.0).contains(&codebook.perplexity()), "{}", codebook.perplexity());
    }

    #[test]
    fn the_nearest_code_is_that_of_a_plain_search() {
        let codebook = Codebook::init(5, 2, &Device::flex());
        let rows = rows();
        codebook.start(&rows, &mut generator(1, Stream::Codebook, 0));
        let codes = codebook.codes();
        let distance = |row: &[f32], code: &[f32]| (row[0] - code[0]).powi(2) + (row[1] - code[1]).powi(2);
        for (row, found) in rows.chunks_exact(2).zip(codebook.nearest(tensor(&rows))) {
            let all: Vec<f32> = codes.chunks_exact(2).map(|code| distance(row, code)).collect();
            let least = all.iter().copied().fold(f32::INFINITY, f32::min);
            assert!(all[found] <= least + 1e-6, "{all:?} {found}");
        }
    }

    #[test]
    fn a_code_that_is_used_less_surprises_more() {
        let codebook = Codebook::init(3, 2, &Device::flex()).with_usage(vec![4.0, 0.0, 0.0]);
        let expected = [5.0_f64, 1.0, 1.0].map(|count| -(count / 7.0).ln());
        assert_eq!(codebook.surprise(), expected);
    }
}
