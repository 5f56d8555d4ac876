//! Grey or red, green and blue: what a network input has, and what a person is shown of several channels.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Channels of the network input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Color {
    /// One channel.
    #[default]
    Grey,
    /// Three channels.
    Rgb,
}

impl Color {
    /// Values for each pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }

    /// The colours in which so many channels are shown to a person: three or more in false colours, the first three as red, green
    /// and blue; two by the first alone, in grey.
    pub fn showing(channels: usize) -> Self {
        if channels < 3 { Self::Grey } else { Self::Rgb }
    }

    /// What of pixels `[height, width, channels]` is shown in these colours, `[height, width, 1 or 3]`: the first channels, or where
    /// these are too few for colours, the first in grey.
    pub fn show(self, pixels: &[f32], channels: usize) -> Cow<'_, [f32]> {
        let kept = self.channels();
        if channels == kept {
            return pixels.into();
        }
        let shown = |pixel: &[f32]| match pixel {
            [first, ..] if pixel.len() < kept => vec![*first; kept],
            _ => pixel[..kept].to_vec(),
        };
        pixels.chunks_exact(channels.max(1)).flat_map(shown).collect::<Vec<f32>>().into()
    }
}
