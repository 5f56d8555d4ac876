//! Image -> network input: the ordered, recorded steps, the same in training and in scoring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::{Error, Image};

/// The steps from image to network input, in this order: grey or colour, foreground crop, square pad, resize,
/// intensity scaling. Recorded in the detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// Side of the square network input, 16 to 1024.
    pub size_px: usize,
    /// Channels of the network input.
    pub color: Color,
    /// Cuts away dark borders; `None` keeps the whole image.
    pub foreground_crop: Option<ForegroundCrop>,
    /// Pads the shorter side with black to a square before resizing; otherwise the sides are stretched.
    pub square_pad: bool,
    /// How intensities come to 0..1.
    pub intensity: IntensityScaling,
}

/// Channels of the network input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One channel.
    #[default]
    Grey,
    /// Three channels.
    Rgb,
}

/// What counts as foreground.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForegroundCrop {
    /// A pixel is foreground above this share of the image's 99.5th percentile.
    pub threshold: f32,
    /// Share of the box's side added on each side.
    pub margin: f32,
}

/// Percentiles that become 0 and 1. Values outside are clamped to 0..1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IntensityScaling {
    /// The percentile that becomes 0; 0 keeps the darkest value at 0 intensity.
    pub low_percentile: f32,
    /// The percentile that becomes 1.
    pub high_percentile: f32,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Self {
            size_px: 128,
            color: Color::Grey,
            foreground_crop: Some(ForegroundCrop::default()),
            square_pad: true,
            intensity: IntensityScaling::default(),
        }
    }
}

impl Default for ForegroundCrop {
    fn default() -> Self {
        Self { threshold: 0.08, margin: 0.02 }
    }
}

impl Default for IntensityScaling {
    fn default() -> Self {
        Self { low_percentile: 0.0, high_percentile: 99.5 }
    }
}

/// A network input and the way back to the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `[size_px, size_px, channels]`, values 0 to 1.
    pub pixels: Vec<f32>,
    /// Side.
    pub size_px: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Where in the image the input came from.
    pub placement: Placement,
}

/// Where in the image a network input came from: the square (or box) of the image, in image pixels, that the input
/// covers; it may reach outside the image where it was padded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Image rows.
    pub image_height: usize,
    /// Image columns.
    pub image_width: usize,
    /// First row covered.
    pub top: i64,
    /// First column covered.
    pub left: i64,
    /// Rows covered.
    pub height: usize,
    /// Columns covered.
    pub width: usize,
}

impl Preprocessing {
    /// c
    pub fn channels(&self) -> usize {
        match self.color {
            Color::Grey => 1,
            Color::Rgb => 3,
        }
    }
    /// c
    pub fn check(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Applies the steps.
    ///
    /// # Errors
    /// The image is smaller than 8 x 8 pixels.
    pub fn apply(&self, image: &Image) -> Result<Input, Error> {
        if image.height < 8 || image.width < 8 {
            return Err(Error::new(Kind::Pixels, "expected at least 8 x 8 pixels"));
        }
        let side = image.height.max(image.width);
        let (top, left) = ((side - image.height) / 2, (side - image.width) / 2);
        let grey = image.to_grey();
        let n = self.size_px;
        let mut pixels = vec![0.0; n * n];
        for y in 0..n {
            for x in 0..n {
                let (iy, ix) = ((y * side / n).wrapping_sub(top), (x * side / n).wrapping_sub(left));
                if iy < image.height && ix < image.width {
                    pixels[y * n + x] = grey[iy * image.width + ix].clamp(0.0, 1.0);
                }
            }
        }
        Ok(Input {
            pixels,
            size_px: n,
            channels: 1,
            placement: Placement {
                image_height: image.height,
                image_width: image.width,
                top: -(top as i64),
                left: -(left as i64),
                height: side,
                width: side,
            },
        })
    }
}

impl Placement {
    /// Resamples a map of the network input, `[size_px, size_px]`, to the image's own `[image_height, image_width]`;
    /// 0 where the input does not reach.
    pub fn restore(&self, map: &[f32], size_px: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.image_height * self.image_width];
        for y in 0..self.image_height {
            for x in 0..self.image_width {
                let my = (y as i64 - self.top) * size_px as i64 / self.height as i64;
                let mx = (x as i64 - self.left) * size_px as i64 / self.width as i64;
                if (0..size_px as i64).contains(&my) && (0..size_px as i64).contains(&mx) {
                    out[y * self.image_width + x] = map[my as usize * size_px + mx as usize];
                }
            }
        }
        out
    }
}
