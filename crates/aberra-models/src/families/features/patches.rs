//! The normals' patches, whitened, and how far a patch is from the nearest of them.

use aberra_metrics::{Error, Result};
use burn::tensor::Device;

use super::FeatureSettings;
use crate::bank::{Bank, coreset};
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
    bank: Bank,
}

impl PatchBank {
    /// A sample for [`fit`](Self::fit) of so many images.
    pub(super) fn sample(seed: u64, images: usize, grid: Shape) -> PatchSample {
        PatchSample::new(seed, CANDIDATES, images, grid)
    }

    pub(super) fn fit(sample: &PatchSample, settings: &FeatureSettings, device: &Device) -> Result<Self> {
        let (directions, seed) = (settings.directions, sample.seed);
        let whitening = Whitening::fit(sample, directions, device)?;
        let candidates = whitening.project(&sample.patches.concat());
        let chosen = coreset(&candidates, directions, settings.bank, seed);
        let patches = chosen.iter().flat_map(|index| &candidates[index * directions..][..directions]);
        let bank = Bank::new(patches.copied().collect(), directions, device);
        Ok(Self { whitening, bank })
    }

    /// For each patch of `[patches, GRID_CHANNELS]` the distance to the nearest of the bank.
    pub(super) fn distances(&self, patches: &[f32]) -> Vec<f32> {
        let queries = self.whitening.project(patches);
        self.bank.nearest(&queries, &[]).into_iter().map(|nearest| nearest.distance).collect()
    }

    pub(super) fn write(&self, tensors: &mut Tensors) {
        self.whitening.write(tensors, PREFIX);
        let shape = vec![self.bank.count(), self.whitening.directions()];
        tensors.insert(format!("{PREFIX}.bank"), Weight { shape, values: self.bank.patches().to_vec() });
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
        Ok(Self { whitening, bank: Bank::new(bank, directions, device) })
    }
}
