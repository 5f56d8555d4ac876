//! Batches of augmented training images, and what a step needs beside them, on other threads ahead of it.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use aberra_metrics::Result;
use aberra_metrics::random::{Stream, generator};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::augment::augment;
use super::{Augmentation, Preparation, Step, TrainSettings};
use crate::inputs::Inputs;

/// Number of batches that are prepared ahead of the training step.
const BATCHES_AHEAD: usize = 2;

/// One step's images, `[images, height, width, channels]` flattened.
pub(super) struct Batch<T> {
    pub(super) pixels: Vec<f32>,
    /// Their numbers among the inputs.
    pub(super) images: Vec<usize>,
    /// What the loss needs beside them.
    pub(super) prepared: T,
}

/// Where in a run batches begin.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) seed: u64,
    pub(super) epoch: usize,
    /// Steps of the epoch that were taken before, and of the whole run.
    pub(super) step_in_epoch: usize,
    pub(super) step: usize,
}

/// The batches of an epoch from `start` on, made ahead on a thread of `scope`. Which images, in which order and how changed
/// depends on seed and epoch alone.
pub(super) fn batches<'scope, 'data, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'data>,
    inputs: &'data Inputs<'data>,
    settings: &'data TrainSettings,
    preparation: Preparation<T>,
    start: Start,
) -> Receiver<Result<Batch<T>>> {
    let Start { seed, epoch, step_in_epoch, step: first } = start;
    let (sender, receiver) = sync_channel(BATCHES_AHEAD);
    scope.spawn(move || {
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.shuffle(&mut generator(seed, Stream::Order, epoch as u64));
        for (step, members) in (first..).zip(order.chunks(settings.batch_size).skip(step_in_epoch)) {
            let made = augmented(inputs, members, &settings.augmentation, seed, epoch).map(|mut pixels| {
                let step = Step { seed, step, epoch, images: members };
                let prepared = preparation(&mut pixels, &step);
                Batch { pixels, images: members.to_vec(), prepared }
            });
            // A closed channel means that training stopped: nothing is left to do.
            if sender.send(made).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Images of a batch, each changed in its own way.
fn augmented(
    inputs: &Inputs<'_>,
    members: &[usize],
    augmentation: &Augmentation,
    seed: u64,
    epoch: usize,
) -> Result<Vec<f32>> {
    let shape = inputs.shape();
    let mut pixels = vec![0.0; members.len() * shape.len()];
    pixels.par_chunks_mut(shape.len()).zip(members).try_for_each(|(output, &index)| -> Result<()> {
        let position = (epoch * inputs.len() + index) as u64;
        let mut random = generator(seed, Stream::Augmentation, position);
        augment(&inputs.get(index)?, shape, augmentation, &mut random, output);
        Ok(())
    })?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::shape::Shape;

    #[test]
    fn what_is_left_of_an_epoch_is_prepared_as_in_the_whole() {
        let shape = Shape { height: 8, width: 8, channels: 1 };
        let images: Vec<Vec<f32>> = (0..10).map(|image| vec![image as f32 / 10.0; shape.len()]).collect();
        let inputs = Inputs::of_pixels(shape, &images).unwrap();
        let settings = TrainSettings { batch_size: 4, ..TrainSettings::default() };
        let prepared = |start: Start| -> Vec<(usize, Vec<usize>)> {
            let preparation: Preparation<(usize, Vec<usize>)> = Arc::new(|pixels, step| {
                pixels[0] = 7.0;
                (step.step, step.images.to_vec())
            });
            std::thread::scope(|scope| {
                let batches = batches(scope, &inputs, &settings, preparation, start).into_iter();
                let check = |batch: Result<Batch<(usize, Vec<usize>)>>| {
                    let batch = batch.unwrap();
                    assert_eq!((batch.pixels[0], &batch.images), (7.0, &batch.prepared.1));
                    batch.prepared
                };
                batches.map(check).collect()
            })
        };
        let whole = prepared(Start { seed: 3, epoch: 1, step_in_epoch: 0, step: 3 });
        assert_eq!(
            whole.iter().map(|(step, images)| (*step, images.len())).collect::<Vec<_>>(),
            [(3, 4), (4, 4), (5, 2)]
        );
        assert_eq!(prepared(Start { seed: 3, epoch: 1, step_in_epoch: 1, step: 4 }), whole[1..]);
    }
}
