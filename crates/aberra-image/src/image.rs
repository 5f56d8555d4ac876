//! The decoded image and where it came from.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::percentile::percentiles;
use crate::{ImageId, Remark};

/// Most channels of an image.
pub const MAX_CHANNELS: usize = 16;

/// Decoded pixels, `[height, width, channels]` (row-major, channels last), and where they came from.
///
/// Values are linear in the file's own: 8-bit files give 0 to 1 (value / 255), 16-bit files 0 to 1 (value / 65535),
/// in general value / largest value of the type (signed types: -1 to 1); float files their stored values. DICOM files give 0 to
/// 1 as a viewer shows them: through the first window or table of interest that the file has, or else all values that its
/// bits can have. NIfTI files give their real values, after slope and intercept. Alpha is
/// dropped after compositing over black, or at once if it is 0 everywhere. Palettes and CMYK become red, green, blue. EXIF
/// orientation has been applied. Of a file with several pages this is one of full resolution, of an animation the first
/// frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// `height * width * channels` values, all finite.
    pub pixels: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey), 3 (red, green, blue), or up to [`MAX_CHANNELS`] that are no colours.
    pub channels: usize,
    /// The grey values in the unit of the file, one a pixel, where the pixels are something else: a DICOM file's after rescaling,
    /// such as Hounsfield units, and whole numbers of a NumPy array. See [`measured`](Self::measured).
    pub unscaled: Option<Vec<f32>>,
    /// Which values the file has as NaN or infinite, `height * width * channels`, where [`Limits::not_finite`](crate::Limits) accepts
    /// them; empty if there are none. In `pixels` they are the lowest value of the image (of a NIfTI volume, of the volume).
    pub not_finite: Vec<bool>,
    /// Where the pixels came from.
    pub source: Source,
}

/// Where an image came from and how its file stored it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// The file, when there is one.
    pub path: Option<PathBuf>,
    /// Which image of which content it is.
    pub id: ImageId,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// What the content is, whatever the name says.
    pub format: Format,
    /// How the file stores colours.
    pub color_mode: ColorMode,
    /// Bits per channel as stored, 1 to 64; of a palette, bits per index.
    pub bit_depth: u8,
    /// How the file's pixels were turned to become upright, as EXIF numbers it: 1 to 8, 1 for not at all; 0 for an image
    /// made in memory.
    pub orientation: u8,
    /// Compression may have changed the values: JPEG, lossy WebP.
    pub is_lossy: bool,
    /// Millimetres from row to row and from column to column, where the file says (DICOM, NIfTI).
    pub spacing_mm: Option<[f32; 2]>,
    /// Names of channels that are no colours, in their order; empty where they have none, or are grey, or red, green and blue.
    pub channels: Vec<String>,
    /// What was decided while decoding that a person would want to know.
    pub remarks: Vec<Remark>,
}

/// A file format, recognised by content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG (JFIF or Exif).
    Jpeg,
    /// Tagged Image File Format.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// WebP.
    Webp,
    /// Graphics Interchange Format.
    Gif,
    /// Digital Imaging and Communications in Medicine.
    Dicom,
    /// NIfTI, version 1 or 2, as it is or compressed with gzip.
    Nifti,
    /// An array of NumPy (`.npy`).
    Numpy,
    /// Made in memory, not decoded.
    #[default]
    Memory,
}

/// How a file stores colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ColorMode {
    /// One channel.
    #[default]
    Grey,
    /// One channel and alpha.
    GreyAlpha,
    /// Three channels.
    Rgb,
    /// Three channels and alpha.
    Rgba,
    /// Indices into a table of colours.
    Palette,
    /// Four inks.
    Cmyk,
    /// Several channels that are no colours.
    Channels,
}

/// What a file's header says, without decoding its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// What the content is, whatever the name says.
    pub format: Format,
    /// How the file stores colours.
    pub color_mode: ColorMode,
    /// Bits per channel as stored, 1 to 64; of a palette, bits per index.
    pub bit_depth: u8,
    /// Rows, after EXIF orientation.
    pub height: usize,
    /// Columns, after EXIF orientation.
    pub width: usize,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Millimetres from row to row and from column to column, where the file says (DICOM, NIfTI).
    pub spacing_mm: Option<[f32; 2]>,
    /// Millimetres from one image of the file to the next, where it is a volume that says so (NIfTI).
    pub slice_spacing_mm: Option<f32>,
}

impl fmt::Display for ColorMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grey => "grey",
            Self::GreyAlpha => "grey + alpha",
            Self::Rgb => "RGB",
            Self::Rgba => "RGBA",
            Self::Palette => "palette",
            Self::Cmyk => "CMYK",
            Self::Channels => "several channels",
        })
    }
}

impl Image {
    /// An image made in memory from `[height, width, channels]` pixels; `None` if the length does not fit, a side is
    /// zero, `channels` is not 1 to [`MAX_CHANNELS`], or a value is not finite.
    pub fn from_pixels(pixels: Vec<f32>, height: usize, width: usize, channels: usize) -> Option<Self> {
        let fits = height > 0
            && width > 0
            && (1..=MAX_CHANNELS).contains(&channels)
            && height.checked_mul(width)?.checked_mul(channels)? == pixels.len();
        (fits && pixels.iter().all(|value| value.is_finite())).then(|| Self {
            pixels,
            height,
            width,
            channels,
            unscaled: None,
            not_finite: Vec::new(),
            source: Source::default(),
        })
    }

    /// As [`from_pixels`](Self::from_pixels), where values that are not finite were [not measured](Self::not_finite); `None` if there
    /// are no others, too.
    pub fn from_measurements(
        mut pixels: Vec<f32>,
        height: usize,
        width: usize,
        channels: usize,
    ) -> Option<Self> {
        let not_finite = replace_not_finite(&mut pixels, None)?;
        let image = Self::from_pixels(pixels, height, width, channels)?;
        Some(Self { not_finite, ..image })
    }

    /// Whether the channels are grey, or red, green and blue, rather than others with [names](Source::channels) of their own.
    pub fn is_grey_or_rgb(&self) -> bool {
        let are_colors = self.channels == 3 && self.source.color_mode != ColorMode::Channels;
        (self.channels == 1 || are_colors) && self.source.channels.is_empty()
    }

    /// Whether the channels are colours as a file of a format for pictures says it; those of an array may be anything.
    pub(crate) fn is_picture_in_colors(&self) -> bool {
        self.channels > 1
            && self.source.channels.is_empty()
            && self.source.color_mode != ColorMode::Channels
            && !matches!(self.source.format, Format::Memory | Format::Numpy)
    }

    /// Names of channels that are no colours: their own, or else numbers from 1. Empty where they are grey, or red, green and blue.
    pub fn channel_names(&self) -> Vec<String> {
        match self.is_grey_or_rgb() || !self.source.channels.is_empty() {
            true => self.source.channels.clone(),
            false => (1..=self.channels).map(|number| number.to_string()).collect(),
        }
    }

    /// The grey values in the unit that the file gives them, `[height, width]`: Hounsfield units of a CT. `None` of what has no unit:
    /// pictures, DICOM files that state no rescaling, and what is not grey.
    pub fn measured(&self) -> Option<&[f32]> {
        let are_pixels = match self.source.format {
            Format::Nifti | Format::Memory => true,
            // Floating-point numbers; whole ones of more than a byte are unscaled, bytes are shares of 255.
            Format::Numpy => self.source.bit_depth > 8,
            _ => false,
        };
        self.unscaled.as_deref().or_else(|| (are_pixels && self.channels == 1).then_some(&self.pixels[..]))
    }

    /// One channel, `[height, width]`.
    pub fn channel(&self, channel: usize) -> Vec<f32> {
        self.pixels.iter().skip(channel).step_by(self.channels.max(1)).copied().collect()
    }

    /// Grey values, `[height, width]`: the pixels themselves, or Rec. 601 luma of red, green and blue. Where the three
    /// are equal, exactly that value. Of other channels the mean, each scaled to 0..1 by itself.
    pub fn to_grey(&self) -> Vec<f32> {
        match self.channels {
            1 => self.pixels.clone(),
            _ if !self.is_grey_or_rgb() => overview(self),
            _ => self.pixels.chunks_exact(3).map(luma).collect(),
        }
    }

    /// The image in [grey](Self::to_grey), in the memory of its colours.
    #[must_use]
    pub fn into_grey(mut self) -> Self {
        if !self.is_grey_or_rgb() {
            self.pixels = overview(&self);
            self.not_finite = any_of_pixel(&self.not_finite, self.channels);
            (self.channels, self.source.channels) = (1, Vec::new());
        } else if self.channels != 1 {
            self.not_finite = any_of_pixel(&self.not_finite, 3);
            let count = self.pixels.len() / 3;
            for pixel in 0..count {
                self.pixels[pixel] = luma(&self.pixels[3 * pixel..3 * pixel + 3]);
            }
            self.pixels.truncate(count);
            self.channels = 1;
        }
        self
    }
}

/// Whether none is NaN or infinite: by blocks, without a branch for each value.
pub(crate) fn are_finite(values: &[f32]) -> bool {
    values.chunks(1024).all(|block| block.iter().fold(true, |all, value| all & value.is_finite()))
}

/// Puts `lowest`, or else the lowest of the values, in place of those that are NaN or infinite, and returns which these were: empty if
/// none. `None` if there are no others.
pub(crate) fn replace_not_finite(values: &mut [f32], lowest: Option<f32>) -> Option<Vec<bool>> {
    if are_finite(values) {
        return Some(Vec::new());
    }
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let lowest = lowest.or_else(|| finite().reduce(f32::min))?;
    let not_finite = values.iter().map(|value| !value.is_finite()).collect();
    values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = lowest);
    Some(not_finite)
}

/// The percentiles of a channel that [`overview`] shows as black and white.
const OVERVIEW_PERCENTILES: [f64; 2] = [0.0, 99.5];

/// All channels in one plane, `[height, width]`, 0 to 1: the mean of the channels, each between percentiles of its own, so that none
/// outweighs the others by its unit. For what looks at an image as a whole: the foreground, and copies of images.
pub(crate) fn overview(image: &Image) -> Vec<f32> {
    let mut sum = vec![0.0; image.height * image.width];
    for channel in 0..image.channels {
        let plane = image.channel(channel);
        let [low, high] = percentiles([&plane[..]].into_iter(), OVERVIEW_PERCENTILES).unwrap_or_default();
        if high > low {
            let share = |value: f32| ((value - low) / (high - low)).clamp(0.0, 1.0) / image.channels as f32;
            sum.iter_mut().zip(plane).for_each(|(sum, value)| *sum += share(value));
        }
    }
    sum
}

fn any_of_pixel(values: &[bool], channels: usize) -> Vec<bool> {
    values.chunks_exact(channels).map(|pixel| pixel.contains(&true)).collect()
}

pub(crate) fn luma(rgb: &[f32]) -> f32 {
    match *rgb {
        [red, green, blue] if red == green && green == blue => red,
        [red, green, blue] => 0.299 * red + 0.587 * green + 0.114 * blue,
        _ => 0.0,
    }
}
