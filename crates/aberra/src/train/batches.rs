//! Training images, decoded and preprocessed on other threads, ahead of the training step.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use aberra_image::{Limits, Preprocessing};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::augment::augment;
use super::{Augmentation, TrainSettings};
use crate::random::{Stream, generator};
use crate::{Result, of_image};

/// Batches ready before the training step asks for them.
const BATCHES_AHEAD: usize = 2;

/// The network inputs of a list of files; as many as fit in memory are kept.
pub(crate) struct Inputs {
    paths: Vec<PathBuf>,
    preprocessing: Preprocessing,
    limits: Limits,
    kept: Vec<Option<Vec<f32>>>,
    length: usize,
    digest: blake3::Hash,
}

impl Inputs {
    /// Decodes and preprocesses every file once; keeps what fits in `cache_bytes`.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub(crate) fn load(
        paths: Vec<PathBuf>,
        preprocessing: &Preprocessing,
        limits: &Limits,
        cache_bytes: usize,
    ) -> Result<Self> {
        let length = preprocessing.size_px * preprocessing.size_px * preprocessing.color.channels();
        let fitting = cache_bytes / (length * size_of::<f32>());
        let mut inputs = Self {
            paths,
            preprocessing: preprocessing.clone(),
            limits: *limits,
            kept: Vec::new(),
            length,
            digest: blake3::hash(b""),
        };
        let read = |index| {
            let pixels = inputs.read(index)?;
            let bytes: Vec<u8> = pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
            Ok((blake3::hash(&bytes), (index < fitting).then_some(pixels)))
        };
        let all: Vec<_> = (0..inputs.paths.len()).into_par_iter().map(read).collect::<Result<_>>()?;
        let mut hasher = blake3::Hasher::new();
        for (hash, pixels) in all {
            hasher.update(hash.as_bytes());
            inputs.kept.push(pixels);
        }
        inputs.digest = hasher.finalize();
        Ok(inputs)
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// The pixels of image `index`, `[size_px, size_px, channels]`.
    ///
    /// # Errors
    /// A file that could be read before and cannot be now.
    pub(crate) fn get(&self, index: usize) -> Result<std::borrow::Cow<'_, [f32]>> {
        match self.kept.get(index).and_then(Option::as_deref) {
            Some(pixels) => Ok(pixels.into()),
            None => self.read(index).map(Into::into),
        }
    }

    /// Hash of the preprocessed pixels of every image, in order.
    pub(crate) fn digest(&self) -> String {
        self.digest.to_hex().to_string()
    }

    /// Bytes of pixels kept in memory.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.iter().flatten().count() * self.length * size_of::<f32>()
    }

    fn read(&self, index: usize) -> Result<Vec<f32>> {
        let image = aberra_image::read(&self.paths[index], &self.limits).map_err(of_image)?;
        let input = self
            .preprocessing
            .apply(&image)
            .map_err(|error| of_image(error.with_path(&self.paths[index])))?;
        Ok(input.pixels)
    }
}

/// One step's images, `[images, size_px, size_px, channels]` flattened.
pub(super) struct Batch {
    pub(super) pixels: Vec<f32>,
    pub(super) images: usize,
}

/// The batches of `epoch` from the one numbered `first` on, made ahead on a thread of `scope`. Which images, in which
/// order and how changed depends on seed and epoch alone.
pub(super) fn batches<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    inputs: &'env Inputs,
    settings: &'env TrainSettings,
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
    inputs: &Inputs,
    members: &[usize],
    augmentation: &Augmentation,
    seed: u64,
    epoch: usize,
) -> Result<Batch> {
    let mut pixels = vec![0.0; members.len() * inputs.length];
    let size_px = inputs.preprocessing.size_px;
    let channels = inputs.preprocessing.color.channels();
    pixels.par_chunks_mut(inputs.length).zip(members).try_for_each(|(output, &index)| -> Result<()> {
        let position = (epoch * inputs.len() + index) as u64;
        let mut random = generator(seed, Stream::Augmentation, position);
        augment(&inputs.get(index)?, size_px, channels, augmentation, &mut random, output);
        Ok(())
    })?;
    Ok(Batch { pixels, images: members.len() })
}
