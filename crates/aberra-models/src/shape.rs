//! The shape of a network input.

use aberra_metrics::{Error, Result};
use serde::{Deserialize, Serialize};

/// The shape of a network input, `[height, width, channels]`. It need not be square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// Values of each pixel.
    pub channels: usize,
}

impl Shape {
    /// A square input.
    pub fn square(side_px: usize, channels: usize) -> Self {
        Self { height: side_px, width: side_px, channels }
    }

    /// Pixels: height x width.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// Values: height x width x channels.
    pub fn len(self) -> usize {
        self.area() * self.channels
    }

    /// Whether it has no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The shorter side, in pixels.
    pub fn shorter_side(self) -> usize {
        self.height.min(self.width)
    }

    /// Rejects an input of another length.
    ///
    /// # Errors
    /// A settings error that names the shape and the length found.
    pub fn check(self, input: &[f32]) -> Result<()> {
        if input.len() == self.len() {
            return Ok(());
        }
        Err(Error::settings(format!("expected an input of {self} values, found {}", input.len())))
    }

    /// The mean over channels of `[height, width, channels]`: `[height, width]`.
    pub fn grey(self, pixels: &[f32]) -> Vec<f32> {
        let channels = self.channels;
        pixels
            .chunks_exact(channels.max(1))
            .map(|pixel| pixel.iter().sum::<f32>() / channels as f32)
            .collect()
    }
}

/// One channel of `[height, width, channels]`: `[height, width]`.
pub fn channel_of(pixels: &[f32], channel: usize, channels: usize) -> Vec<f32> {
    pixels.iter().skip(channel).step_by(channels.max(1)).copied().collect()
}

/// Writes one channel, `[height, width]`, to `[height, width, channels]`.
pub fn set_channel(pixels: &mut [f32], channel: usize, channels: usize, plane: &[f32]) {
    let places = pixels.iter_mut().skip(channel).step_by(channels.max(1));
    places.zip(plane).for_each(|(place, value)| *place = *value);
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} x {}", self.height, self.width, self.channels)
    }
}
