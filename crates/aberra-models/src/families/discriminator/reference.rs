//! The reference that a discriminator compares images with: patches of the normals, and each channel's mean and deviation.

use std::sync::Arc;

use aberra_metrics::{Error, Result};
use burn::tensor::Device;
use rayon::prelude::*;

use crate::bank::{Bank, coreset};
use crate::features::{Extractor, GRID_CHANNELS, grid_shape};
use crate::graph::{Graph, Value};
use crate::inputs::Inputs;
use crate::tensors::{Tensors, Weight, half, take};
use crate::whitening::PatchSample;

/// Numbers of a compared place: its channels, how far each is from that of the nearest normal patch, and how far all are.
pub(super) const COMPARED: usize = 2 * GRID_CHANNELS + 1;

/// Patches from which the bank is chosen, over all training images.
const CANDIDATES: usize = 32_768;

/// Added to the variance of each channel.
const LEAST_VARIANCE: f64 = 1e-6;

const MEAN: &str = "reference.mean";
const FACTOR: &str = "reference.factor";
const BANK: &str = "reference.bank";

/// Patches of the normals, each channel brought to mean 0 and deviation 1.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    mean: Vec<f32>,
    /// One over the deviation.
    factor: Vec<f32>,
    bank: Arc<Bank>,
    /// Of each patch of the bank, the training input that it comes from; empty once training has ended.
    origins: Vec<usize>,
}

impl Reference {
    /// That of the training inputs.
    ///
    /// # Errors
    /// Inputs that cannot be read.
    pub(super) fn of(
        extractor: &Extractor,
        inputs: &Inputs<'_>,
        most: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut sample = PatchSample::new(seed, CANDIDATES, inputs.len(), grid_shape(inputs.shape()));
        extractor.each(inputs, |features| sample.add(&features))?;
        let count = sample.patches.len().max(1) as f64;
        let moment = |channel: usize, middle: f64, power: i32| {
            sample.patches.iter().map(|patch| (f64::from(patch[channel]) - middle).powi(power)).sum::<f64>()
                / count
        };
        let mean: Vec<f32> = (0..GRID_CHANNELS).map(|channel| moment(channel, 0.0, 1) as f32).collect();
        let factor: Vec<f32> = (0..GRID_CHANNELS)
            .map(|channel| {
                let variance = moment(channel, f64::from(mean[channel]), 2);
                (1.0 / (variance + LEAST_VARIANCE).sqrt()) as f32
            })
            .collect();
        let candidates = scaled(&sample.patches.concat(), &mean, &factor);
        let chosen = coreset(&candidates, GRID_CHANNELS, most, seed);
        let patches = chosen.iter().flat_map(|index| &candidates[index * GRID_CHANNELS..][..GRID_CHANNELS]);
        let bank = Arc::new(Bank::new(patches.copied().map(half).collect(), GRID_CHANNELS, device));
        let origins = chosen.iter().map(|&index| sample.origins[index]).collect();
        Ok(Self { mean, factor, bank, origins })
    }

    /// Of each of the inputs that it was made of, the positions in the bank of the patches of its group.
    pub(super) fn known(&self, inputs: &Inputs<'_>) -> Vec<Vec<usize>> {
        let own = |input: usize| {
            let positions = self.origins.iter().enumerate();
            let same = positions.filter(|(_, origin)| inputs.group(**origin) == inputs.group(input));
            same.map(|(position, _)| position).collect()
        };
        (0..inputs.len()).map(own).collect()
    }

    /// The places `[places, GRID_CHANNELS]` of an image's features compared with the nearest patches of normals, but for those
    /// at the positions `without`: `[places, COMPARED]`.
    fn compare(&self, places: &[f32], without: &[usize]) -> Vec<f32> {
        let places = scaled(places, &self.mean, &self.factor);
        let nearest = self.bank.nearest(&places, without);
        let mut compared = Vec::with_capacity(nearest.len() * COMPARED);
        for (place, nearest) in places.chunks_exact(GRID_CHANNELS).zip(nearest) {
            compared.extend_from_slice(place);
            let normal = self.bank.patch(nearest.index);
            compared.extend(place.iter().zip(normal).map(|(own, normal)| (own - normal).abs()));
            compared.push(nearest.distance / (GRID_CHANNELS as f32).sqrt());
        }
        compared
    }

    /// [`compare`](Self::compare) of several images, of each without the patches at its own positions, if there are any:
    /// `[images, places, COMPARED]`.
    pub(super) fn compare_all(&self, images: &[&[f32]], without: &[&[usize]]) -> Vec<f32> {
        let compare = |(image, places): (usize, &&[f32])| {
            self.compare(places, without.get(image).copied().unwrap_or_default())
        };
        images.par_iter().enumerate().map(compare).collect::<Vec<_>>().concat()
    }

    /// [`compare`](Self::compare) with all patches in a graph: `[places, GRID_CHANNELS]` -> `[places, COMPARED]`.
    pub(super) fn compare_graph(&self, graph: &mut Graph, places: Value) -> Value {
        let (mean, factor) =
            (graph.constant(&[GRID_CHANNELS], &self.mean), graph.constant(&[GRID_CHANNELS], &self.factor));
        let centered = graph.subtract(places, mean);
        let own = graph.multiply(centered, factor);
        let nearest = self.bank.nearest_graph(graph, own);
        let difference = graph.subtract(own, nearest.patch);
        let difference = graph.abs(difference);
        let distance = graph.times(nearest.distance, 1.0 / (GRID_CHANNELS as f64).sqrt());
        let count = graph.dims(distance).iter().product();
        let distance = graph.reshape(distance, &[count, 1]);
        graph.concat(&[own, difference, distance], 1)
    }

    /// Adds its tensors.
    pub(super) fn write(&self, tensors: &mut Tensors) {
        let mut add = |name: &str, shape: Vec<usize>, values: &[f32]| {
            tensors.insert(name.to_owned(), Weight { shape, values: values.to_vec() });
        };
        add(MEAN, vec![GRID_CHANNELS], &self.mean);
        add(FACTOR, vec![GRID_CHANNELS], &self.factor);
        add(BANK, vec![self.bank.count(), GRID_CHANNELS], self.bank.patches());
    }

    /// Takes its tensors.
    ///
    /// # Errors
    /// One that is missing, of another shape, empty or not finite.
    pub(super) fn read(tensors: &mut Tensors, device: &Device) -> Result<Self> {
        let count = tensors.get(BANK).map_or(0, |weight| weight.values.len() / GRID_CHANNELS);
        let mean = take(tensors, MEAN, &[GRID_CHANNELS])?;
        let factor = take(tensors, FACTOR, &[GRID_CHANNELS])?;
        let patches = take(tensors, BANK, &[count, GRID_CHANNELS])?;
        if patches.is_empty() {
            return Err(Error::detector(format!("{BANK}: expected at least one patch, found none")));
        }
        let bank = Arc::new(Bank::new(patches, GRID_CHANNELS, device));
        Ok(Self { mean, factor, bank, origins: Vec::new() })
    }
}

fn scaled(places: &[f32], mean: &[f32], factor: &[f32]) -> Vec<f32> {
    let mut scaled = places.to_vec();
    for place in scaled.chunks_exact_mut(GRID_CHANNELS) {
        for ((value, mean), factor) in place.iter_mut().zip(mean).zip(factor) {
            *value = (*value - mean) * factor;
        }
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::Backbone;
    use crate::shape::Shape;

    const SHAPE: Shape = Shape { height: 32, width: 32, channels: 1 };

    fn images() -> Vec<Vec<f32>> {
        let pixel = |image: usize, at: usize| ((at * (7 + image) + at / 32 * 13 * image) % 97) as f32 / 97.0;
        (0..4).map(|image| (0..SHAPE.area()).map(|at| pixel(image, at)).collect()).collect()
    }

    #[test]
    fn training_inputs_are_not_compared_with_their_own_group() {
        let (images, device) = (images(), Device::flex());
        let inputs = Inputs::of_pixels(SHAPE, &images).unwrap().with_groups(vec![0, 1, 1, 2]);
        let extractor = Extractor::of(Arc::new(Backbone::generated(&device).unwrap()), &inputs).unwrap();
        let reference = Reference::of(&extractor, &inputs, 1000, 1, &device).unwrap();
        let known = reference.known(&inputs);
        assert_eq!(known[1], known[2]);
        let parts = [&known[0][..], &known[1], &known[3]].concat();
        let mut sorted = parts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((sorted.len(), sorted.len()), (parts.len(), reference.bank.count()));
        let grid = &extractor.features(&[&images[0]]).unwrap()[0].grid;
        let same = |without: &[usize]| {
            let compared = reference.compare(grid, without);
            assert_eq!(compared.len(), grid.len() / GRID_CHANNELS * COMPARED);
            compared.chunks_exact(COMPARED).filter(|place| place[COMPARED - 1] < 0.02).count()
        };
        let (with, without) = (same(&[]), same(&known[0]));
        assert!(with > 0 && without == 0, "{with} places are known with its own patches, {without} without");
    }

    #[test]
    fn what_is_written_is_read() {
        let (images, device) = (images(), Device::flex());
        let inputs = Inputs::of_pixels(SHAPE, &images).unwrap();
        let extractor = Extractor::of(Arc::new(Backbone::generated(&device).unwrap()), &inputs).unwrap();
        let reference = Reference::of(&extractor, &inputs, 50, 1, &device).unwrap();
        let mut tensors = Tensors::new();
        reference.write(&mut tensors);
        let read = Reference::read(&mut tensors.clone(), &device).unwrap();
        let grid = &extractor.features(&[&images[1]]).unwrap()[0].grid;
        assert_eq!(reference.compare(grid, &[]), read.compare(grid, &[]));
        tensors.get_mut(BANK).unwrap().values[0] = f32::NAN;
        assert!(Reference::read(&mut tensors, &device).is_err());
        assert!(Reference::read(&mut Tensors::new(), &device).is_err());
    }
}
