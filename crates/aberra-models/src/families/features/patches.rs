//! A bank of the normals' patches, and how far a patch is from the nearest of them.

use aberra_kernels::{ActivationFunction, OperandPrecision, linear};
use aberra_metrics::pca::pca;
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use super::{FeatureSettings, take};
use crate::features::{Features, GRID_CHANNELS};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight};

/// Patches from which the bank is chosen, over all training images.
const CANDIDATES: usize = 32_768;

/// Patches from which the directions are learnt.
const FOR_DIRECTIONS: usize = 6_144;

/// Added to the variance of each direction, of channels in standard deviations, so that none is blown up.
const LEAST_VARIANCE: f64 = 1e-3;

/// Patches drawn at random from the training images.
pub(super) struct PatchSample {
    seed: u64,
    of_each: usize,
    images: u64,
    grid: Shape,
    patches: Vec<Vec<f32>>,
}

impl PatchSample {
    pub(super) fn new(seed: u64, images: usize, grid: Shape) -> Self {
        let of_each = CANDIDATES.div_ceil(images.max(1)).clamp(1, grid.area());
        Self { seed, of_each, images: 0, grid, patches: Vec::new() }
    }

    pub(super) fn add(&mut self, features: &Features) {
        let mut random = generator(self.seed, Stream::Patches, self.images);
        self.images += 1;
        for _ in 0..self.of_each {
            let place = random.random_range(0..self.grid.area());
            self.patches.push(features.grid[place * GRID_CHANNELS..][..GRID_CHANNELS].to_vec());
        }
    }
}

/// Whitened patches of normals.
#[derive(Debug)]
pub(super) struct PatchBank {
    mean: Vec<f32>,
    /// `[GRID_CHANNELS, directions]`: onto the directions, each in standard deviations.
    projection: Vec<f32>,
    /// `[patches, directions]`.
    bank: Vec<f32>,
    directions: usize,
    device: Device,
    /// -2 x bank, transposed, and the squared lengths of its patches.
    product: (Tensor<2>, Tensor<1>),
    onto: Tensor<2>,
}

impl PatchBank {
    pub(super) fn fit(sample: &PatchSample, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let step = sample.patches.len().div_ceil(FOR_DIRECTIONS).max(1);
        let some: Vec<Vec<f32>> = sample.patches.iter().step_by(step).cloned().collect();
        // Each channel in its own standard deviations first: otherwise those of large values decide the directions.
        let scale = scales(&some);
        let scaled: Vec<Vec<f32>> = some
            .iter()
            .map(|patch| patch.iter().zip(&scale).map(|(value, scale)| value * scale).collect())
            .collect();
        let found = pca(&scaled, settings.directions)?;
        let mean: Vec<f32> = found
            .mean
            .iter()
            .zip(&scale)
            .map(|(&mean, &scale)| if scale > 0.0 { mean as f32 / scale } else { 0.0 })
            .collect();
        let mut projection = vec![0.0_f32; GRID_CHANNELS * settings.directions];
        for (direction, (component, variance)) in found.components.iter().zip(&found.variances).enumerate() {
            let deviation = (variance + LEAST_VARIANCE).sqrt();
            for (channel, value) in component.iter().enumerate() {
                let value = value * f64::from(scale[channel]) / deviation;
                projection[channel * settings.directions + direction] = value as f32;
            }
        }
        let directions = settings.directions;
        let empty = Self::new(mean.clone(), projection.clone(), Vec::new(), directions, device);
        let candidates = empty.project(&sample.patches.concat());
        let bank = coreset(&candidates, directions, settings.bank, sample.seed);
        Ok(Self::new(mean, projection, bank, directions, device))
    }

    fn new(mean: Vec<f32>, projection: Vec<f32>, bank: Vec<f32>, directions: usize, device: &Device) -> Self {
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
        let onto =
            Tensor::from_data(TensorData::new(projection.clone(), [GRID_CHANNELS, directions]), device);
        Self { mean, projection, bank, directions, device: device.clone(), product, onto }
    }

    /// Patches `[patches, GRID_CHANNELS]` along the directions.
    fn project(&self, patches: &[f32]) -> Vec<f32> {
        let centered: Vec<f32> = patches
            .chunks_exact(GRID_CHANNELS)
            .flat_map(|patch| patch.iter().zip(&self.mean).map(|(value, mean)| value - mean))
            .collect();
        let count = patches.len() / GRID_CHANNELS;
        let input = Tensor::from_data(TensorData::new(centered, [count, GRID_CHANNELS]), &self.device);
        multiply(input, self.onto.clone(), None)
    }

    /// For each patch of `[patches, GRID_CHANNELS]` the distance to the nearest of the bank.
    pub(super) fn distances(&self, patches: &[f32]) -> Vec<f32> {
        let queries = self.project(patches);
        let count = queries.len() / self.directions;
        let input =
            Tensor::from_data(TensorData::new(queries.clone(), [count, self.directions]), &self.device);
        let (bank, squares) = self.product.clone();
        let products = multiply(input, bank, Some(squares));
        let distance = |(query, products): (&[f32], &[f32])| {
            let nearest = least(products);
            let square: f32 = query.iter().map(|value| value * value).sum();
            (square + products[nearest]).max(0.0).sqrt()
        };
        queries.chunks_exact(self.directions).zip(products.chunks_exact(self.count())).map(distance).collect()
    }

    /// Patches in the bank.
    fn count(&self) -> usize {
        self.bank.len() / self.directions
    }

    pub(super) fn write(&self, tensors: &mut Tensors) {
        let parts = [
            ("mean", vec![GRID_CHANNELS], &self.mean),
            ("projection", vec![GRID_CHANNELS, self.directions], &self.projection),
            ("bank", vec![self.count(), self.directions], &self.bank),
        ];
        for (name, shape, values) in parts {
            tensors.insert(format!("patches.{name}"), Weight { shape, values: values.clone() });
        }
    }

    pub(super) fn read(tensors: &mut Tensors, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let directions = settings.directions;
        let count = tensors.get("patches.bank").map_or(0, |weight| weight.values.len() / directions);
        let mut part = |name: &str, shape: &[usize]| take(tensors, &format!("patches.{name}"), shape);
        let (mean, projection) =
            (part("mean", &[GRID_CHANNELS])?, part("projection", &[GRID_CHANNELS, directions])?);
        let bank = part("bank", &[count, directions])?;
        if bank.is_empty() {
            return Err(Error::detector("patches.bank: expected at least one patch, found none"));
        }
        Ok(Self::new(mean, projection, bank, directions, device))
    }
}

fn multiply(input: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Vec<f32> {
    let product = linear(input, weight, bias, ActivationFunction::Identity, OperandPrecision::F32);
    product.into_data().try_into_vec::<f32>().unwrap_or_default()
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

/// One over each channel's standard deviation; 0 for a channel that does not vary.
fn scales(patches: &[Vec<f32>]) -> Vec<f32> {
    let count = patches.len() as f64;
    let moment = |channel: usize, power: i32| {
        patches.iter().map(|patch| f64::from(patch[channel]).powi(power)).sum::<f64>() / count
    };
    let scale = |channel: usize| {
        let variance = moment(channel, 2) - moment(channel, 1).powi(2);
        if variance > 1e-12 { (1.0 / variance.sqrt()) as f32 } else { 0.0 }
    };
    (0..GRID_CHANNELS).map(scale).collect()
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
