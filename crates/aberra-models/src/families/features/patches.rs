//! The normals' patches, whitened, and how far a patch is from the nearest of them: in what they show, and a little in where
//! they lie, so that a patch is compared with those of the same part of aligned images first.

use aberra_metrics::{Error, Result};
use burn::tensor::Device;

use super::FeatureSettings;
use crate::bank::{Bank, coreset};
use crate::features::GRID_CHANNELS;
use crate::graph::{Graph, Value};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, half, take};
use crate::whitening::{PatchSample, Whitening};

/// Of the names of its tensors.
const PREFIX: &str = "patches";

/// Patches from which the bank is chosen, over all training images.
const CANDIDATES: usize = 32_768;

/// Numbers that say where a patch lies: row and column.
const POSITION: usize = 2;

/// From one side of the image to the other it is as far as so many standard deviations in every direction. Of 0, 2 and 4, chosen
/// on synthetic anomalies in held-out normals of four data sets: with 0 peaks found fewer on each, with 4 means on a texture.
const ACROSS: f32 = 2.0;

/// Whitened patches of normals.
#[derive(Debug)]
pub(super) struct PatchBank {
    whitening: Whitening,
    /// Of patches with their positions.
    bank: Bank,
}

impl PatchBank {
    /// A sample for [`fit`](Self::fit) of so many images.
    pub(super) fn sample(seed: u64, images: usize, grid: Shape) -> PatchSample {
        PatchSample::new(seed, CANDIDATES, images, grid)
    }

    pub(super) fn fit(sample: &PatchSample, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let (directions, seed) = (settings.directions, sample.seed);
        let whitening = Whitening::fit(&sample.patches, directions, device)?;
        let candidates =
            with_positions(&whitening, &sample.patches.concat(), sample.grid, sample.places.iter().copied());
        let numbers = directions + POSITION;
        let chosen = coreset(&candidates, numbers, settings.bank, seed);
        let patches = chosen.iter().flat_map(|index| &candidates[index * numbers..][..numbers]);
        let bank = Bank::new(patches.copied().map(half).collect(), numbers, device);
        Ok(Self { whitening, bank })
    }

    /// For each place of the grid, `[places, GRID_CHANNELS]`, the distance to the nearest of the bank.
    pub(super) fn distances(&self, places: &[f32], grid: Shape) -> Vec<f32> {
        let queries = with_positions(&self.whitening, places, grid, 0..grid.area());
        self.bank.nearest(&queries, &[]).into_iter().map(|nearest| nearest.distance).collect()
    }

    /// [`distances`](Self::distances) of `[places, GRID_CHANNELS]` in a graph.
    pub(super) fn distances_graph(&self, graph: &mut Graph, places: Value, grid: Shape) -> Value {
        let directions = self.whitening.directions();
        let whitened = self.whitening.project_graph(graph, places);
        // Positions lie beyond the directions: both are widened by zeros, and added up.
        let numbers = directions + POSITION;
        let mut widen = vec![0.0; directions * numbers];
        (0..directions).for_each(|at| widen[at * numbers + at] = 1.0);
        let widen = graph.constant(&[directions, numbers], &widen);
        let mut positions = vec![0.0; grid.area() * numbers];
        for (place, row) in positions.chunks_exact_mut(numbers).enumerate() {
            row[directions..].copy_from_slice(&position(place, grid, directions));
        }
        let positions = graph.constant(&[grid.area(), numbers], &positions);
        let wide = graph.matmul(whitened, widen);
        let queries = graph.add(wide, positions);
        self.bank.nearest_graph(graph, queries).distance
    }

    pub(super) fn write(&self, tensors: &mut Tensors) {
        self.whitening.write(tensors, PREFIX);
        let shape = vec![self.bank.count(), self.whitening.directions() + POSITION];
        tensors.insert(format!("{PREFIX}.bank"), Weight { shape, values: self.bank.patches().to_vec() });
    }

    pub(super) fn read(tensors: &mut Tensors, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let directions = settings.directions;
        let name = format!("{PREFIX}.bank");
        let numbers = directions + POSITION;
        let count = tensors.get(&name).map_or(0, |weight| weight.values.len() / numbers);
        let whitening = Whitening::read(tensors, PREFIX, GRID_CHANNELS, directions, device)?;
        let bank = take(tensors, &name, &[count, numbers])?;
        if bank.is_empty() {
            return Err(Error::detector(format!("{name}: expected at least one patch, found none")));
        }
        Ok(Self { whitening, bank: Bank::new(bank, numbers, device) })
    }
}

/// Patches `[patches, GRID_CHANNELS]` of these places of a grid, whitened, each followed by its position.
fn with_positions(
    whitening: &Whitening,
    patches: &[f32],
    grid: Shape,
    places: impl Iterator<Item = usize>,
) -> Vec<f32> {
    let directions = whitening.directions();
    let whitened = whitening.project(patches);
    let mut with = Vec::with_capacity(whitened.len() / directions * (directions + POSITION));
    for (patch, place) in whitened.chunks_exact(directions).zip(places) {
        with.extend_from_slice(patch);
        with.extend_from_slice(&position(place, grid, directions));
    }
    with
}

/// Where a place of a grid lies, in the units of so many whitened directions.
fn position(place: usize, grid: Shape, directions: usize) -> [f32; POSITION] {
    let across = ACROSS * (directions as f32).sqrt();
    let (row, column) = (place / grid.width, place % grid.width);
    [across * row as f32 / grid.height as f32, across * column as f32 / grid.width as f32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;

    /// Rows of two kinds of patches, each with a little of its own.
    fn features(of_rows: [f32; 2], image: usize) -> Features {
        let value = |at: usize| {
            let (place, channel) = (at / GRID_CHANNELS, at % GRID_CHANNELS);
            of_rows[place / 8 / 4] + ((at + 31 * image) * 7919 % 101) as f32 / 200.0 + channel as f32 / 500.0
        };
        let grid = (0..64 * GRID_CHANNELS).map(value).collect();
        Features { grid, foreground: vec![1.0; 64], pooled: Vec::new(), layout: Vec::new() }
    }

    #[test]
    fn a_patch_that_is_normal_elsewhere_is_further_than_one_in_its_place() {
        let (device, grid) = (Device::flex(), Shape { height: 8, width: 8, channels: GRID_CHANNELS });
        let settings = FeatureSettings { bank: 256, directions: 64 };
        let mut sample = PatchBank::sample(0, 12, grid);
        (0..12).for_each(|image| sample.add(&features([0.0, 1.0], image)));
        let bank = PatchBank::fit(&sample, &settings, &device).unwrap();
        let mean = |of_rows| {
            let distances = bank.distances(&features(of_rows, 12).grid, grid);
            distances.iter().sum::<f32>() / distances.len() as f32
        };
        let (usual, exchanged) = (mean([0.0, 1.0]), mean([1.0, 0.0]));
        assert!(exchanged > 1.05 * usual, "{usual}, {exchanged}");
    }
}
