//! Every random draw of the library: a generator per purpose and position, so that a run can be cut anywhere and
//! resumed, and so that no draw depends on how many threads there are.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What the draws are for. Streams of one seed are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stream {
    /// Initial weights.
    Weights = 1,
    /// Order of the training images; index = epoch.
    Order = 2,
    /// Augmentation; index = epoch x images + image.
    Augmentation = 3,
    /// Noise of the reparameterised sample; index = step.
    Latent = 4,
    /// Division of groups into splits.
    Split = 5,
    /// Representative of a group; index = group.
    Representative = 6,
    /// Phantom anatomy; index = image.
    Phantom = 7,
    /// Lesions and other synthetic anomalies; index = image.
    Lesion = 8,
    /// Bootstrap resamples; index = resample.
    Bootstrap = 9,
    /// Latents drawn from the prior.
    Prior = 10,
    /// Codes of a codebook that restart; index = step.
    Codebook = 11,
    /// Noise that a denoising autoencoder is to remove; index = step.
    Corruption = 12,
    /// Patches for a bank; index = training image.
    Patches = 13,
    /// Tiles of an image: those that training sees, and those with a synthetic anomaly; index = image or anomaly.
    Tiles = 14,
    /// A kind of generated images; index 0 = the kind, then its images.
    World = 15,
    /// Directions by which images are divided to find those that look alike; index = tree.
    Neighbours = 16,
}

/// What draws: the same numbers on every machine.
pub type Generator = ChaCha8Rng;

/// The generator of `stream` at `index` under `seed`.
pub fn generator(seed: u64, stream: Stream, index: u64) -> Generator {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16] = stream as u8;
    ChaCha8Rng::from_seed(key)
}
