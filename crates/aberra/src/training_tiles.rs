//! Training on large and long images: which of their tiles members are fitted to.

use aberra_metrics::random::{Stream, generator};
use aberra_models::Inputs;
use rand::RngExt;

use crate::Result;
use crate::canvas::Canvas;
use crate::config::TrainConfig;
use crate::member_settings::MemberSettings;

/// Memory for what is preprocessed, in bytes.
pub(crate) struct Cache {
    /// Of the training and of the calibration normals.
    pub(crate) images: usize,
    pub(crate) held_out: usize,
    /// Of the tiles that members are fitted to, where images have several.
    pub(crate) tiles: usize,
}

impl Cache {
    pub(crate) fn of(config: &TrainConfig, canvas: &Canvas) -> Self {
        let tiles = config.train.cache_mib << 20;
        match canvas.tiling() {
            None => Self { images: tiles, held_out: usize::MAX, tiles },
            // Training goes over the tiles again and again, over the images once or twice.
            Some(_) => Self { images: tiles / 2, held_out: tiles / 2, tiles },
        }
    }
}

/// Most tiles that members are fitted to, and most held-out ones that choose a checkpoint; at least one of each image. More
/// would make training as much slower as an image has tiles.
const MOST_TILES_SEEN: usize = 2048;
const MOST_TILES_HELD_OUT: usize = 512;

/// The tiles of each image that members are fitted to: the same number of each, others of each.
pub(crate) struct TrainingTiles<'a> {
    canvas: &'a Canvas,
    pub(crate) seen: usize,
    seed: u64,
}

impl<'a> TrainingTiles<'a> {
    /// Of training normals.
    pub(crate) fn of(canvas: &'a Canvas, images: usize, seed: u64) -> Self {
        Self::at_most(MOST_TILES_SEEN, canvas, images, seed)
    }

    /// Of held-out normals.
    pub(crate) fn held_out(canvas: &'a Canvas, images: usize, seed: u64) -> Self {
        Self::at_most(MOST_TILES_HELD_OUT, canvas, images, seed)
    }

    fn at_most(most: usize, canvas: &'a Canvas, images: usize, seed: u64) -> Self {
        Self { canvas, seen: (most / images.max(1)).clamp(1, canvas.tiles()), seed }
    }

    /// The network inputs that members are fitted to.
    ///
    /// # Errors
    /// Images that cannot be read.
    pub(crate) fn cut<'b>(&self, images: &'b Inputs<'b>, cache_bytes: usize) -> Result<Seen<'b>>
    where
        'a: 'b,
    {
        if self.canvas.tiling().is_none() {
            return Ok(Seen::Given(images));
        }
        let (canvas, seen, seed, all) = (self.canvas, self.seen, self.seed, self.canvas.tiles());
        let cut = move |pixels: &[f32], image: usize, part: usize| {
            let first = generator(seed, Stream::Tiles, image as u64).random_range(0..all);
            canvas.cut(pixels, (first + part * all / seen) % all).into_owned()
        };
        Ok(Seen::Made(images.parts(seen, canvas.input(), cache_bytes, cut)?))
    }
}

/// Inputs that members are fitted to: those that were given, or others made of them.
pub(crate) enum Seen<'a> {
    Given(&'a Inputs<'a>),
    Made(Inputs<'a>),
}

impl<'a> Seen<'a> {
    /// What a member with these settings is fitted to: its channel of the inputs, or all, at its size.
    ///
    /// # Errors
    /// As [`Inputs::at`].
    pub(crate) fn by(inputs: &'a Inputs<'a>, settings: &MemberSettings) -> Result<Self> {
        let shape = settings.shape(inputs.shape());
        Ok(match &settings.channel {
            Some(channel) => Self::Made(inputs.channel(channel.number, shape)?),
            None if inputs.shape() == shape => Self::Given(inputs),
            None => Self::Made(inputs.at(shape)?),
        })
    }

    pub(crate) fn get(&self) -> &Inputs<'a> {
        match self {
            Self::Given(inputs) => inputs,
            Self::Made(inputs) => inputs,
        }
    }
}
