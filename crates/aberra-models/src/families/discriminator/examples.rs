//! Training examples: normal images, an anomaly drawn into each, compared with the patches of other normals. Nothing of them depends
//! on what is learnt, so they are made ahead of the training steps.

use std::sync::Arc;

use rayon::prelude::*;

use super::reference::Reference;
use crate::features::{Extractor, grid_shape};
use crate::resample::area_mean;
use crate::shape::Shape;
use crate::train::DrawAnomaly;

/// Share of a place that an anomaly must cover to count.
const COVERED: f32 = 0.15;

/// What only training needs.
#[derive(Clone, Debug)]
pub(super) struct Training {
    pub(super) draw: DrawAnomaly,
    /// Of each training input, the patches of the reference that are its own or its group's.
    pub(super) known: Arc<Vec<Vec<usize>>>,
}

/// What makes examples.
pub(super) struct Examples {
    pub(super) extractor: Extractor,
    pub(super) reference: Reference,
    /// Without it nothing is drawn.
    pub(super) training: Option<Training>,
}

/// A batch of images as the network sees them beside their pixels, and what it should find.
pub(super) struct Example {
    /// `[batch, places, COMPARED]`.
    pub(super) compared: Vec<f32>,
    /// 1 at places with an anomaly, 0 at others, `[batch, places]`.
    pub(super) targets: Vec<f32>,
}

impl Examples {
    /// Draws an anomaly into each of the images that follow one another in `pixels`: those numbered `first` and on of all that
    /// `seed` gives. `images` are their numbers among the training inputs, none for others.
    pub(super) fn of(&self, pixels: &mut [f32], seed: u64, first: u64, images: &[usize]) -> Example {
        let targets: Vec<Vec<f32>> = pixels
            .par_chunks_exact_mut(self.extractor.shape.len())
            .enumerate()
            .map(|(at, image)| self.draw(image, seed, first + at as u64))
            .collect();
        let drawn: Vec<&[f32]> = pixels.chunks_exact(self.extractor.shape.len()).collect();
        // The inputs fit the shape, and the shape was checked.
        let grids = self.extractor.grids(&drawn).unwrap_or_default();
        let grids: Vec<&[f32]> = grids.iter().map(Vec::as_slice).collect();
        let known =
            self.training.iter().flat_map(|training| images.iter().map(|&image| &training.known[image][..]));
        Example {
            compared: self.reference.compare_all(&grids, &known.collect::<Vec<_>>()),
            targets: targets.concat(),
        }
    }

    /// Draws an anomaly into an image, and marks the places that it covers.
    fn draw(&self, image: &mut [f32], seed: u64, index: u64) -> Vec<f32> {
        let grid = Shape { channels: 1, ..grid_shape(self.extractor.shape) };
        let Some(training) = &self.training else { return vec![0.0; grid.len()] };
        let mask = (training.draw)(image, self.extractor.shape, seed, index);
        let mask: Vec<f32> = mask.into_iter().map(|drawn| f32::from(u8::from(drawn))).collect();
        let share = area_mean(&mask, Shape { channels: 1, ..self.extractor.shape }, grid);
        share.into_iter().map(|share| f32::from(u8::from(share > COVERED))).collect()
    }
}
