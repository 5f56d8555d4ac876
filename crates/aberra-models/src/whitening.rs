//! Whitening of frozen features: the directions in which the normals' patches vary, each in its own standard deviations.
//! Small deviations along a direction in which normals hardly vary then count as much as large ones elsewhere. So the more
//! directions are kept, the more is found: the leading ones are what normals differ in.

use aberra_kernels::{ActivationFunction, OperandPrecision, linear};
use aberra_metrics::pca::pca;
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::features::{Features, GRID_CHANNELS};
use crate::graph::{Graph, Value};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, half, take};

/// Patches at most from which the directions are learnt.
const FOR_DIRECTIONS: usize = 6_144;

/// Added to the variance of each direction, of channels in standard deviations, so that none is blown up. Of 0.001 to 0.1, chosen by
/// nearest patches on generated screws, pills and phantoms.
const LEAST_VARIANCE: f64 = 0.03;

/// Least share of foreground of a patch that may be drawn as one of the foreground.
const LEAST_FOREGROUND: f32 = 0.02;

/// Patches drawn at random from the features of images: half of them from the foreground, which may be a small part of each image.
pub(crate) struct PatchSample {
    pub(crate) seed: u64,
    of_each: usize,
    images: usize,
    pub(crate) grid: Shape,
    pub(crate) patches: Vec<Vec<f32>>,
    /// Of each patch, its place of the grid.
    pub(crate) places: Vec<usize>,
    /// Of each patch, the number of its image in the order in which they were added.
    pub(crate) origins: Vec<usize>,
}

impl PatchSample {
    /// For about `wanted` patches of so many `images`.
    pub(crate) fn new(seed: u64, wanted: usize, images: usize, grid: Shape) -> Self {
        let of_each = wanted.div_ceil(images.max(1)).clamp(1, grid.area());
        Self { seed, of_each, images: 0, grid, patches: Vec::new(), places: Vec::new(), origins: Vec::new() }
    }

    pub(crate) fn add(&mut self, features: &Features) {
        let mut random = generator(self.seed, Stream::Patches, self.images as u64);
        let foreground: Vec<usize> =
            (0..self.grid.area()).filter(|&place| features.foreground[place] >= LEAST_FOREGROUND).collect();
        for draw in 0..self.of_each {
            // Of many images there is one patch each: every second image gives one of its foreground.
            let place = match (self.images + draw) % 2 {
                0 if !foreground.is_empty() => foreground[random.random_range(0..foreground.len())],
                _ => random.random_range(0..self.grid.area()),
            };
            self.patches.push(features.grid[place * GRID_CHANNELS..][..GRID_CHANNELS].to_vec());
            self.places.push(place);
            self.origins.push(self.images);
        }
        self.images += 1;
    }
}

/// An affine map from the channels of a patch to whitened directions.
#[derive(Debug)]
pub(crate) struct Whitening {
    /// Of each channel.
    mean: Vec<f32>,
    /// `[channels, directions]`: onto the directions, each in standard deviations.
    projection: Vec<f32>,
    directions: usize,
    device: Device,
    onto: Tensor<2>,
}

impl Whitening {
    /// Learns `directions` of patches, each `[channels]`; of many patches, from every so many.
    ///
    /// # Errors
    /// Patches that are all alike.
    pub(crate) fn fit(patches: &[Vec<f32>], directions: usize, device: &Device) -> Result<Self> {
        let step = patches.len().div_ceil(FOR_DIRECTIONS).max(1);
        let some: Vec<Vec<f32>> = patches.iter().step_by(step).cloned().collect();
        // Each channel in its own standard deviations first: otherwise those of large values decide the directions.
        let scale = scales(&some);
        let scaled: Vec<Vec<f32>> = some
            .iter()
            .map(|patch| patch.iter().zip(&scale).map(|(value, scale)| value * scale).collect())
            .collect();
        let found = pca(&scaled, directions)?;
        let mean: Vec<f32> = found
            .mean
            .iter()
            .zip(&scale)
            .map(|(&mean, &scale)| if scale > 0.0 { mean as f32 / scale } else { 0.0 })
            .collect();
        let mut projection = vec![0.0_f32; scale.len() * directions];
        for (direction, (component, variance)) in found.components.iter().zip(&found.variances).enumerate() {
            let deviation = (variance + LEAST_VARIANCE).sqrt();
            for (channel, value) in component.iter().enumerate() {
                let value = value * f64::from(scale[channel]) / deviation;
                projection[channel * directions + direction] = half(value as f32);
            }
        }
        Ok(Self::new(mean, projection, directions, device))
    }

    fn new(mean: Vec<f32>, projection: Vec<f32>, directions: usize, device: &Device) -> Self {
        let data = TensorData::new(projection.clone(), [mean.len(), directions]);
        let onto = Tensor::from_data(data, device);
        Self { mean, projection, directions, device: device.clone(), onto }
    }

    /// Numbers of a whitened patch.
    pub(crate) fn directions(&self) -> usize {
        self.directions
    }

    /// Patches `[patches, channels]` along the directions, `[patches, directions]`.
    pub(crate) fn project(&self, patches: &[f32]) -> Vec<f32> {
        let channels = self.mean.len();
        let centered: Vec<f32> = patches
            .chunks_exact(channels)
            .flat_map(|patch| patch.iter().zip(&self.mean).map(|(value, mean)| value - mean))
            .collect();
        let count = patches.len() / channels;
        let input = Tensor::from_data(TensorData::new(centered, [count, channels]), &self.device);
        let onto = self.onto.clone();
        let product = linear(input, onto, None, ActivationFunction::Identity, OperandPrecision::F32);
        product.into_data().try_into_vec::<f32>().unwrap_or_default()
    }

    /// [`project`](Self::project) of `[patches, channels]` in a graph.
    pub(crate) fn project_graph(&self, graph: &mut Graph, patches: Value) -> Value {
        let channels = self.mean.len();
        let mean = graph.constant(&[channels], &self.mean);
        let onto = graph.constant(&[channels, self.directions], &self.projection);
        let centered = graph.subtract(patches, mean);
        graph.matmul(centered, onto)
    }

    /// Adds its tensors under `prefix`.
    pub(crate) fn write(&self, tensors: &mut Tensors, prefix: &str) {
        let parts = [
            ("mean", vec![self.mean.len()], &self.mean),
            ("projection", vec![self.mean.len(), self.directions], &self.projection),
        ];
        for (name, shape, values) in parts {
            tensors.insert(format!("{prefix}.{name}"), Weight { shape, values: values.clone() });
        }
    }

    /// Takes its tensors under `prefix`: that of patches of so many channels.
    ///
    /// # Errors
    /// One that is missing, of another shape or not finite.
    pub(crate) fn read(
        tensors: &mut Tensors,
        prefix: &str,
        channels: usize,
        directions: usize,
        device: &Device,
    ) -> Result<Self> {
        let mean = take(tensors, &format!("{prefix}.mean"), &[channels])?;
        let projection = take(tensors, &format!("{prefix}.projection"), &[channels, directions])?;
        Ok(Self::new(mean, projection, directions, device))
    }

    /// # Errors
    /// More directions than channels, or too few.
    pub(crate) fn check_directions(directions: usize) -> Result<()> {
        if (8..=GRID_CHANNELS).contains(&directions) {
            return Ok(());
        }
        Err(Error::settings(format!("model.directions: expected 8 to {GRID_CHANNELS}, found {directions}")))
    }
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
    (0..patches.first().map_or(0, Vec::len)).map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of 64 places of which four are foreground.
    fn features() -> Features {
        let foreground = (0..64).map(|place| if place < 4 { 0.5 } else { 0.0 }).collect();
        Features { grid: vec![0.0; 64 * GRID_CHANNELS], foreground, pooled: Vec::new(), layout: Vec::new() }
    }

    #[test]
    fn directions_that_hardly_vary_are_not_blown_up() {
        let mut random = generator(5, Stream::Patches, 0);
        let mut draw = || random.random_range(-1.0..1.0_f32);
        // Two channels that are nearly the same: their difference has a ten thousandth of the variance of their sum.
        let patches: Vec<Vec<f32>> = (0..2_000)
            .map(|_| {
                let (common, own) = (draw(), 0.01 * draw());
                vec![common + own, common - own]
            })
            .collect();
        let whitening = Whitening::fit(&patches, 2, &Device::flex()).unwrap();
        let found = whitening.project(&patches.concat());
        let variance = |direction| {
            found.iter().skip(direction).step_by(2).map(|value| value * value).sum::<f32>() / 2_000.0
        };
        // The variances are about 2 and 0.0002, of channels in standard deviations.
        for (found, own) in [(variance(0), 2.0), (variance(1), 2e-4)] {
            let expected = own / (own + LEAST_VARIANCE as f32);
            assert!((found / expected - 1.0).abs() < 0.1, "{found}, expected {expected}");
        }
    }

    #[test]
    fn half_of_a_sample_is_foreground_however_small_that_is() {
        let grid = Shape { height: 8, width: 8, channels: GRID_CHANNELS };
        // Many patches of each of few images, and one of each of many.
        for (wanted, images) in [(400, 10), (400, 400)] {
            let mut sample = PatchSample::new(3, wanted, images, grid);
            (0..images).for_each(|_| sample.add(&features()));
            assert_eq!(sample.places.len(), 400);
            let foreground = sample.places.iter().filter(|&&place| place < 4).count();
            assert!((200..240).contains(&foreground), "{foreground} of 400");
        }
    }
}
