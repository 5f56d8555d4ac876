//! Grey or red, green and blue: what images show, what a network input has, and what a person is shown of several channels.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::{Error, Image};

/// The channels of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Color {
    /// One.
    #[default]
    Grey,
    /// Three.
    Rgb,
}

/// Channels of the network input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum InputColor {
    /// Three where most of a detector's training images are in colours, one otherwise.
    Auto,
    /// One channel.
    #[default]
    Grey,
    /// Three channels.
    Rgb,
}

impl InputColor {
    /// One or the other: [`Auto`](Self::Auto) settled by the training images.
    #[must_use]
    pub fn settled(self, most_in_color: bool) -> Self {
        match (self, most_in_color) {
            (Self::Auto, true) => Self::Rgb,
            (Self::Auto, false) => Self::Grey,
            (settled, _) => settled,
        }
    }

    /// The colours.
    ///
    /// # Errors
    /// They have not been [settled](Self::settled).
    pub fn color(self) -> Result<Color, Error> {
        match self {
            Self::Grey => Ok(Color::Grey),
            Self::Rgb => Ok(Color::Rgb),
            Self::Auto => Err(Error::new(
                Kind::Settings,
                "preprocessing setting `color`: expected grey or rgb, found auto, which is settled when a detector is trained",
            )),
        }
    }
}

impl From<Color> for InputColor {
    fn from(color: Color) -> Self {
        match color {
            Color::Grey => Self::Grey,
            Color::Rgb => Self::Rgb,
        }
    }
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

impl Image {
    /// Whether it shows colours, not only grey in three channels: whether in some part of it red, green and blue differ by more
    /// than noise and compression make them.
    pub fn shows_color(&self) -> bool {
        /// Cells along each side at most ...
        const CELLS: usize = 32;
        /// ... of so many pixels at least, over which noise vanishes.
        const LEAST_PX: usize = 8;
        /// A cell is in colours when its channels differ by more than this share of the brightest cell.
        const DIFFERENCE: f32 = 0.05;
        /// Share of the cells from which on the image is: less is a label, or an arrow.
        const LEAST_SHARE: f32 = 0.02;
        if self.channels != 3 || !self.is_grey_or_rgb() {
            return false;
        }
        let [rows, columns] = [self.height, self.width].map(|side| (side / LEAST_PX).clamp(1, CELLS));
        let mut cells = vec![[0.0_f32; 4]; rows * columns];
        for (y, row) in self.pixels.chunks_exact(3 * self.width).enumerate() {
            for (x, pixel) in row.chunks_exact(3).enumerate() {
                let cell = &mut cells[y * rows / self.height * columns + x * columns / self.width];
                let [red, green, blue] =
                    [pixel[0], pixel[1], pixel[2]].map(|value| if value.is_finite() { value } else { 0.0 });
                *cell = [cell[0] + red, cell[1] + green, cell[2] + blue, cell[3] + 1.0];
            }
        }
        let means = cells.iter().map(|[red, green, blue, count]| [red / count, green / count, blue / count]);
        let ranges: Vec<[f32; 2]> =
            means.map(|[red, green, blue]| [red.min(green).min(blue), red.max(green).max(blue)]).collect();
        let brightest = ranges.iter().map(|[_, high]| *high).fold(0.0, f32::max);
        let colored = ranges.iter().filter(|[low, high]| high - low > DIFFERENCE * brightest).count();
        brightest > 0.0 && colored as f32 >= LEAST_SHARE * ranges.len() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(pixel: impl Fn(usize, usize) -> [f32; 3]) -> Image {
        let pixels = (0..300 * 260).flat_map(|at| pixel(at / 260, at % 260)).collect();
        Image::from_pixels(pixels, 300, 260, 3).unwrap()
    }

    #[test]
    fn colors_are_told_from_grey_in_three_channels() {
        let grey = |y: usize, x: usize| (y * 13 + x * 7) as f32 % 90.0 / 100.0;
        // What chroma subsampling and a sensor's noise leave in grey pictures.
        let noise = |at: usize| ((at * 7919 % 101) as f32 / 101.0 - 0.5) * 0.2;
        assert!(!picture(|y, x| [grey(y, x); 3]).shows_color());
        assert!(
            !picture(|y, x| [0, 1, 2].map(|c| grey(y, x) + 0.5 + noise(3 * (260 * y + x) + c))).shows_color()
        );
        assert!(!picture(|_, _| [0.0; 3]).shows_color());
        let arrow = |y: usize, x: usize| (30..33).contains(&y) && (10..20).contains(&x);
        assert!(!picture(|y, x| if arrow(y, x) { [0.0, 0.9, 0.0] } else { [grey(y, x); 3] }).shows_color());
        let part = |y: usize, x: usize| (100..180).contains(&y) && (100..180).contains(&x);
        assert!(picture(|y, x| if part(y, x) { [0.4, 0.3, 0.2] } else { [0.9; 3] }).shows_color());
        // Dark pictures of 16 bits are as much in colours as bright ones.
        assert!(picture(|y, x| if part(y, x) { [0.004, 0.003, 0.002] } else { [0.009; 3] }).shows_color());
        assert!(!Image::from_pixels(vec![0.5; 64], 8, 8, 1).unwrap().shows_color());
    }
}
