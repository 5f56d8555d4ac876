//! A decoded image as a person is shown it: at its own resolution, in 256 levels.

use crate::resize::Plane;
use crate::{Color, Error, Format, Image, Preprocessing, Region};

/// An image as a person is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `[height, width, 1 or 3]`.
    pub pixels: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Grey, or red, green and blue.
    pub color: Color,
    /// Whether the levels are the file's own values, which 8 bits hold; otherwise values are scaled as those of the network input.
    pub is_as_stored: bool,
}

impl Preprocessing {
    /// An image as a person is shown it, all of it at its own resolution: files of 8 bits as they are, others by the window or the
    /// percentiles that scale the network input. Of channels that are no colours, the first, or the first three as red, green and blue.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn shown(&self, image: &Image) -> Result<Shown, Error> {
        let content = self.content(image)?;
        let windowed = self.window.map(|window| window.shown(image)).transpose()?;
        let image = windowed.as_ref().unwrap_or(image);
        let Image { height, width, channels, ref source, .. } = *image;
        let color = if channels == 3 { Color::Rgb } else { Color::showing(channels) };
        let kept = color.show(&image.pixels, channels);
        let kept_channels = kept.len() / (height * width);
        // NIfTI files give real values.
        let is_as_stored = windowed.is_none()
            && self.channels.is_empty()
            && source.format != Format::Nifti
            && (1..=8).contains(&source.bit_depth);
        let pixels = match (is_as_stored, self.channels.is_empty()) {
            (true, _) => kept.iter().map(|&value| level(value, [0.0, 1.0])).collect(),
            (false, true) => {
                let range = self.range_of(&part(&kept, width, kept_channels, content));
                kept.iter().map(|&value| level(value, range)).collect()
            }
            (false, false) => {
                let range = |channel| {
                    let plane: Vec<f32> = kept.iter().skip(channel).step_by(kept_channels).copied().collect();
                    self.range_of(&part(&plane, width, 1, content))
                };
                let ranges: Vec<[f32; 2]> = (0..kept_channels).map(range).collect();
                kept.iter().zip(ranges.iter().cycle()).map(|(&value, &range)| level(value, range)).collect()
            }
        };
        Ok(Shown { pixels, height, width, color, is_as_stored })
    }
}

fn part(pixels: &[f32], width: usize, channels: usize, of: Region) -> Plane<'_> {
    Plane::part(pixels, width, channels, (of.top, of.left), (of.height, of.width))
}

/// The level, 0 to 255, of a value in a range; 0 throughout in one without extent.
fn level(value: f32, [low, high]: [f32; 2]) -> u8 {
    if high <= low {
        return 0;
    }
    (255.0 * ((value - low) / (high - low)).clamp(0.0, 1.0)).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IntensityScaling, Source, Window};

    /// A ramp from left to right, 0 to `most`, of 16 x 32 pixels.
    fn ramp(most: f32, channels: usize, format: Format, bit_depth: u8) -> Image {
        let value = |at: usize| most * ((at / channels) % 32) as f32 / 31.0 / (at % channels + 1) as f32;
        Image {
            pixels: (0..16 * 32 * channels).map(value).collect(),
            height: 16,
            width: 32,
            channels,
            unscaled: None,
            not_finite: Vec::new(),
            source: Source { format, bit_depth, ..Source::default() },
        }
    }

    fn all() -> Preprocessing {
        let intensity = IntensityScaling { low_percentile: 0.0, high_percentile: 100.0 };
        Preprocessing { intensity, foreground_crop: None, ..Preprocessing::default() }
    }

    #[test]
    fn files_of_8_bits_are_shown_as_they_are_and_others_as_the_network_input_is_scaled() {
        let stored = all().shown(&ramp(0.5, 1, Format::Tiff, 8)).unwrap();
        assert!(stored.is_as_stored && stored.pixels[31] == 128 && stored.pixels[0] == 0);
        for (most, format, bits) in
            [(0.0625, Format::Tiff, 16), (4000.0, Format::Nifti, 8), (-3.0, Format::Numpy, 32)]
        {
            let shown = all().shown(&ramp(most, 1, format, bits)).unwrap();
            assert!(!shown.is_as_stored, "{format}");
            assert_eq!((shown.height, shown.width, shown.color), (16, 32, Color::Grey));
            let ends = if most > 0.0 { (0, 255) } else { (255, 0) };
            assert_eq!((shown.pixels[0], shown.pixels[31]), ends, "{format}");
        }
    }

    #[test]
    fn a_window_goes_before_the_bits() {
        let image = Image {
            unscaled: Some(ramp(300.0, 1, Format::Dicom, 8).pixels),
            ..ramp(1.0, 1, Format::Dicom, 8)
        };
        let window = Some(Window { center: 150.0, width: 100.0 });
        let shown = Preprocessing { window, ..all() }.shown(&image).unwrap();
        let at = |value: f32| shown.pixels[(value / 300.0 * 31.0).round() as usize];
        assert!(!shown.is_as_stored);
        assert_eq!((at(90.0), at(210.0)), (0, 255));
        assert!((110..146).contains(&at(150.0)), "{}", at(150.0));
    }

    #[test]
    fn colours_stay_together_and_other_channels_are_scaled_each_by_itself() {
        let colors = all().shown(&ramp(0.5, 3, Format::Tiff, 16)).unwrap();
        assert_eq!(colors.color, Color::Rgb);
        assert_eq!(colors.pixels[31 * 3..32 * 3], [255, 128, 85]);
        let names = ["t1", "t2", "flair", "dwi"].map(str::to_owned).to_vec();
        let channels = Preprocessing { channels: names, ..all() };
        let shown = channels.shown(&ramp(0.5, 4, Format::Numpy, 32)).unwrap();
        assert_eq!((shown.color, &shown.pixels[31 * 3..32 * 3]), (Color::Rgb, &[255; 3][..]));
        let two = Preprocessing { channels: vec!["a".to_owned(), "b".to_owned()], ..all() };
        let shown = two.shown(&ramp(0.5, 2, Format::Numpy, 32)).unwrap();
        assert_eq!((shown.color, shown.pixels.len()), (Color::Grey, 16 * 32));
        assert!(all().shown(&ramp(0.5, 4, Format::Numpy, 32)).is_err());
    }
}
