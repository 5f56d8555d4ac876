//! Batches of augmented training images, made on other threads ahead of the training step.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use aberra_metrics::Result;
use aberra_metrics::random::{Stream, generator};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::augment::augment;
use super::{Augmentation, TrainSettings};
use crate::inputs::Inputs;

/// Number of batches that are prepared ahead of the training step.
const BATCHES_AHEAD: usize = 2;

/// One step's images, `[images, height, width, channels]` flattened.
pub(super) struct Batch {
    pub(super) pixels: Vec<f32>,
    /// Their numbers among the inputs.
    pub(super) images: Vec<usize>,
}

/// The batches of `epoch` from the one numbered `first` on, made ahead on a thread of `scope`. Which images, in which
/// order and how changed depends on seed and epoch alone.
pub(super) fn batches<'scope, 'data>(
    scope: &'scope Scope<'scope, 'data>,
    inputs: &'data Inputs<'data>,
    settings: &'data TrainSettings,
    seed: u64,
    epoch: usize,
    first: usize,
) -> Receiver<Result<Batch>> {
    let (sender, receiver) = sync_channel(BATCHES_AHEAD);
    scope.spawn(move || {
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.shuffle(&mut generator(seed, Stream::Order, epoch as u64));
        for members in order.chunks(settings.batch_size).skip(first) {
            let made = batch(inputs, members, &settings.augmentation, seed, epoch);
            // A closed channel means that training stopped: nothing is left to do.
            if sender.send(made).is_err() {
                return;
            }
        }
    });
    receiver
}

fn batch(
    inputs: &Inputs<'_>,
    members: &[usize],
    augmentation: &Augmentation,
    seed: u64,
    epoch: usize,
) -> Result<Batch> {
    let shape = inputs.shape();
    let mut pixels = vec![0.0; members.len() * shape.len()];
    pixels.par_chunks_mut(shape.len()).zip(members).try_for_each(|(output, &index)| -> Result<()> {
        let position = (epoch * inputs.len() + index) as u64;
        let mut random = generator(seed, Stream::Augmentation, position);
        augment(&inputs.get(index)?, shape, augmentation, &mut random, output);
        Ok(())
    })?;
    Ok(Batch { pixels, images: members.to_vec() })
}
