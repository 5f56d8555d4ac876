//! From images to the whitened features that the network sees: the space of its likelihood.

use aberra_metrics::random::{Stream, generator};
use aberra_metrics::{Error, Result};

use super::network::STAGES;
use crate::features::{Extractor, Features, grid_shape};
use crate::inputs::Inputs;
use crate::resample::bilinear;
use crate::shape::Shape;
use crate::train::{Augmentation, FitContext, augment};
use crate::whitening::{PatchSample, Whitening};

/// Patches from which the whitening is learnt.
const PATCHES: usize = 6_144;

/// Feature grids from which it is trained: of few training images, several augmented copies.
const VIEWS: usize = 2_048;

/// Copies of one training image, at most.
const MOST_COPIES: usize = 6;

/// The sides of the grid that the network sees are multiples of it.
const SIDE: usize = 1 << STAGES;

/// The grid that the network sees of images of this shape: its sides are multiples of [`SIDE`].
pub(super) fn inner_grid(shape: Shape, channels: usize) -> Shape {
    let grid = grid_shape(shape);
    Shape { height: grid.height.next_multiple_of(SIDE), width: grid.width.next_multiple_of(SIDE), channels }
}

/// Whitened features of images.
#[derive(Debug)]
pub(super) struct FeatureSpace {
    pub(super) extractor: Extractor,
    pub(super) whitening: Whitening,
}

impl FeatureSpace {
    pub(super) fn grid(&self) -> Shape {
        inner_grid(self.extractor.shape, self.whitening.directions())
    }

    /// `[rows, columns, directions]` of the network's grid.
    pub(super) fn whiten(&self, features: &Features) -> Vec<f32> {
        let from = Shape { channels: self.whitening.directions(), ..grid_shape(self.extractor.shape) };
        bilinear(&self.whitening.project(&features.grid), from, self.grid())
    }

    /// The whitened features of a list of images, as the inputs of a network.
    pub(super) fn inputs<'a>(
        &'a self,
        count: usize,
        cache_bytes: usize,
        image: impl Fn(usize) -> Result<Vec<f32>> + Send + Sync + 'a,
    ) -> Result<Inputs<'a>> {
        Inputs::new(count, self.grid(), cache_bytes, move |index| {
            let image = image(index)?;
            let features = self.extractor.features(&[&image])?;
            features
                .first()
                .map(|features| self.whiten(features))
                .ok_or_else(|| Error::input("the backbone gave no features for an image"))
        })
    }
}

/// The training images, and of few images copies with augmentation that leaves their textures as they are.
pub(super) struct Views<'a> {
    inputs: &'a Inputs<'a>,
    copies: usize,
    augmentation: Augmentation,
    seed: u64,
}

impl<'a> Views<'a> {
    /// Of `inputs`, whose features have the shape `grid`: no more copies than are kept in memory.
    pub(super) fn new(context: &FitContext<'_>, inputs: &'a Inputs<'a>, grid: Shape) -> Self {
        // Rotating and scaling would smooth the image.
        let augmentation =
            Augmentation { rotation_degrees: 0.0, scale: 0.0, shift: 0.0, ..context.train.augmentation };
        let augments = augmentation.flip_horizontal || augmentation.flip_vertical || augmentation.gamma > 0.0;
        let copies = if augments { copies(inputs.len(), grid, context.train.cache_mib) } else { 1 };
        Self { inputs, copies, augmentation, seed: context.seed }
    }

    pub(super) fn count(&self) -> usize {
        self.inputs.len() * self.copies
    }

    pub(super) fn get(&self, index: usize) -> Result<Vec<f32>> {
        let input = self.inputs.get(index / self.copies)?;
        if index.is_multiple_of(self.copies) {
            return Ok(input.into_owned());
        }
        let mut random = generator(self.seed, Stream::Augmentation, index as u64);
        let mut view = vec![0.0; input.len()];
        augment(&input, self.inputs.shape(), &self.augmentation, &mut random, &mut view);
        Ok(view)
    }
}

/// Copies of each of so many images whose features of the shape `grid` fit into the cache.
fn copies(images: usize, grid: Shape, cache_mib: usize) -> usize {
    let views = VIEWS.min((cache_mib << 20) / (grid.len() * size_of::<f32>()));
    (views / images.max(1)).clamp(1, MOST_COPIES)
}

/// Learns the whitening of training images' patches.
///
/// # Errors
/// Images that cannot be read, or that are all alike.
pub(super) fn learn_whitening(
    directions: usize,
    context: &FitContext<'_>,
    extractor: &Extractor,
    inputs: &Inputs<'_>,
) -> Result<Whitening> {
    let mut sample = PatchSample::new(context.seed, PATCHES, inputs.len(), grid_shape(inputs.shape()));
    extractor.each(inputs, |features| sample.add(&features))?;
    Whitening::fit(&sample.patches, directions, &context.device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_have_copies_as_far_as_memory_keeps_them() {
        // 512 KiB an image.
        let grid = Shape { height: 32, width: 32, channels: 128 };
        assert_eq!(copies(10, grid, 2_048), MOST_COPIES);
        assert_eq!(copies(700, grid, 2_048), 2);
        assert_eq!(copies(5_000, grid, 2_048), 1);
        assert_eq!(copies(10, grid, 20), 4);
        assert_eq!(copies(10, grid, 0), 1);
    }
}
