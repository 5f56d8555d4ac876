//! A bank of the normals' patches, and how far a patch is from the nearest of them.

use aberra_kernels::{ActivationFunction, OperandPrecision, linear};
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use super::FeatureSettings;
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, take};
use crate::whitening::{PatchSample, Whitening};

/// Of the names of its tensors.
const PREFIX: &str = "patches";

/// Patches from which the bank is chosen, over all training images.
const CANDIDATES: usize = 32_768;

/// Whitened patches of normals.
#[derive(Debug)]
pub(super) struct PatchBank {
    whitening: Whitening,
    /// `[patches, directions]`.
    bank: Vec<f32>,
    /// -2 x bank, transposed, and the squared lengths of its patches.
    product: (Tensor<2>, Tensor<1>),
    device: Device,
}

impl PatchBank {
    /// A sample for [`fit`](Self::fit) of so many images.
    pub(super) fn sample(seed: u64, images: usize, grid: Shape) -> PatchSample {
        PatchSample::new(seed, CANDIDATES, images, grid)
    }

    pub(super) fn fit(sample: &PatchSample, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let whitening = Whitening::fit(sample, settings.directions, device)?;
        let candidates = whitening.project(&sample.patches.concat());
        let bank = coreset(&candidates, settings.directions, settings.bank, sample.seed);
        Ok(Self::new(whitening, bank, device))
    }

    fn new(whitening: Whitening, bank: Vec<f32>, device: &Device) -> Self {
        let directions = whitening.directions();
        let count = bank.len() / directions;
        let mut transposed = vec![0.0; bank.len()];
        for (patch, values) in bank.chunks_exact(directions).enumerate() {
            values.iter().enumerate().for_each(|(at, value)| transposed[at * count + patch] = -2.0 * value);
        }
        let squares: Vec<f32> = bank
            .chunks_exact(directions)
            .map(|patch| patch.iter().map(|value| value * value).sum())
            .collect();
        let product = (
            Tensor::from_data(TensorData::new(transposed, [directions, count]), device),
            Tensor::from_data(TensorData::new(squares, [count]), device),
        );
        Self { whitening, bank, product, device: device.clone() }
    }

    /// For each patch of `[patches, GRID_CHANNELS]` the distance to the nearest of the bank.
    pub(super) fn distances(&self, patches: &[f32]) -> Vec<f32> {
        let directions = self.whitening.directions();
        let queries = self.whitening.project(patches);
        let count = queries.len() / directions;
        let input = Tensor::from_data(TensorData::new(queries.clone(), [count, directions]), &self.device);
        let (bank, squares) = self.product.clone();
        let products =
            linear(input, bank, Some(squares), ActivationFunction::Identity, OperandPrecision::F32);
        let products = products.into_data().try_into_vec::<f32>().unwrap_or_default();
        let distance = |(query, products): (&[f32], &[f32])| {
            let nearest = least(products);
            let square: f32 = query.iter().map(|value| value * value).sum();
            (square + products[nearest]).max(0.0).sqrt()
        };
        queries.chunks_exact(directions).zip(products.chunks_exact(self.count())).map(distance).collect()
    }

    /// Patches in the bank.
    fn count(&self) -> usize {
        self.bank.len() / self.whitening.directions()
    }

    pub(super) fn write(&self, tensors: &mut Tensors) {
        self.whitening.write(tensors, PREFIX);
        let shape = vec![self.count(), self.whitening.directions()];
        tensors.insert(format!("{PREFIX}.bank"), Weight { shape, values: self.bank.clone() });
    }

    pub(super) fn read(tensors: &mut Tensors, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let directions = settings.directions;
        let name = format!("{PREFIX}.bank");
        let count = tensors.get(&name).map_or(0, |weight| weight.values.len() / directions);
        let whitening = Whitening::read(tensors, PREFIX, directions, device)?;
        let bank = take(tensors, &name, &[count, directions])?;
        if bank.is_empty() {
            return Err(Error::detector(format!("{name}: expected at least one patch, found none")));
        }
        Ok(Self::new(whitening, bank, device))
    }
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

/// At most `most` of the candidates, each as far as can be from those chosen before (greedy k-centre; Gonzalez, 1985): rare
/// normal patches are in the bank, too.
fn coreset(candidates: &[f32], dimensions: usize, most: usize, seed: u64) -> Vec<f32> {
    let count = candidates.len() / dimensions;
    let point = |index: usize| &candidates[index * dimensions..][..dimensions];
    let mut next = generator(seed, Stream::Patches, u64::MAX).random_range(0..count);
    // Of each candidate, the squared distance to the nearest chosen one.
    let mut nearest = vec![f32::INFINITY; count];
    let mut bank = Vec::with_capacity(most * dimensions);
    for _ in 0..most.min(count) {
        let center = point(next);
        bank.extend_from_slice(center);
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
    bank
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
