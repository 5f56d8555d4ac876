//! The canvas of a detector's images: one network input, or several that overlap, its tiles.

use std::borrow::Cow;

use aberra_image::{Preprocessing, Tiling};
use aberra_models::Shape;

use crate::{Result, of_image};

/// What a preprocessed image is: one network input, or a grid of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Canvas {
    /// Of a network input.
    input: Shape,
    /// Where there are several.
    tiling: Option<Tiling>,
    /// Names of channels that are no colours; else empty.
    channels: Vec<String>,
}

impl Canvas {
    /// A canvas that is one network input.
    pub(crate) fn single(input: Shape) -> Self {
        Self { input, tiling: None, channels: Vec::new() }
    }

    /// That of settings whose tiles are settled.
    ///
    /// # Errors
    /// They are not.
    pub(crate) fn of(preprocessing: &Preprocessing) -> Result<Self> {
        let tiling = preprocessing.tiling().map_err(of_image)?;
        let input = Shape::square(preprocessing.size_px, preprocessing.channel_count());
        let channels = preprocessing.channels.clone();
        Ok(Self { input, tiling: (tiling.count() > 1).then_some(tiling), channels })
    }

    /// The shape of the canvas.
    pub(crate) fn shape(&self) -> Shape {
        let Some(tiling) = &self.tiling else { return self.input };
        let grid = tiling.grid();
        Shape { height: grid.height_px, width: grid.width_px, channels: self.input.channels }
    }

    /// The shape of a network input.
    pub(crate) fn input(&self) -> Shape {
        self.input
    }

    /// Names of channels that are no colours; else empty.
    pub(crate) fn channels(&self) -> &[String] {
        &self.channels
    }

    /// The grid of network inputs, where there are several.
    pub(crate) fn tiling(&self) -> Option<&Tiling> {
        self.tiling.as_ref()
    }

    /// Number of network inputs.
    pub(crate) fn tiles(&self) -> usize {
        self.tiling.as_ref().map_or(1, Tiling::count)
    }

    /// As many images as hold at most `inputs` network inputs together; at least one.
    pub(crate) fn images(&self, inputs: usize) -> usize {
        (inputs / self.tiles()).max(1)
    }

    /// One of the network inputs of a canvas.
    pub(crate) fn cut<'a>(&self, canvas: &'a [f32], tile: usize) -> Cow<'a, [f32]> {
        match &self.tiling {
            Some(tiling) => tiling.cut(canvas, self.input.channels, tile).into(),
            None => canvas.into(),
        }
    }

    /// The canvas that maps or pictures of all its network inputs make, with so many channels.
    pub(crate) fn stitch(&self, mut tiles: Vec<Vec<f32>>, channels: usize) -> Vec<f32> {
        match &self.tiling {
            Some(tiling) => {
                let slices: Vec<&[f32]> = tiles.iter().map(Vec::as_slice).collect();
                tiling.stitch(&slices, channels)
            }
            None => tiles.pop().unwrap_or_default(),
        }
    }
}
