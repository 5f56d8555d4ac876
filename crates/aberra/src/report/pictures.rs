//! Pixels -> pictures within a report: JPEG and PNG as `data:` addresses, and the sheet of thumbnails.

use aberra_image::{Color, encode_jpeg, encode_png};
use aberra_models::Shape;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::detector::{Detector, Verdict};
use crate::thumbnail::THUMBNAIL_PX;
use crate::wire::{PicturesData, Thumbnails};
use crate::{Result, of_image};

/// JPEG quality of inputs and reconstructions, where a fine line may be what is looked for.
const PICTURE_QUALITY: u8 = 90;
/// JPEG quality of the slices of volumes.
const SLICE_QUALITY: u8 = 80;
/// JPEG quality of the thumbnails' sheet.
const SHEET_QUALITY: u8 = 80;
/// Thumbnails in a row of the sheet. 48 x 48 pixels are whole blocks of a JPEG, so that none bleeds into the next.
const SHEET_COLUMNS: usize = 40;
/// Error maps larger than this are JPEG: as PNG, noise alone would fill the report.
const LARGEST_PNG_PX: usize = 96;

/// Preprocessed images as pictures: sides and colour.
#[derive(Clone, Copy)]
pub struct PictureFormat {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub color: Color,
}

impl PictureFormat {
    /// The preprocessed images of a detector.
    pub fn of(detector: &Detector) -> Self {
        Self::of_shape(detector, detector.canvas_shape())
    }

    /// The images that a detector decodes from points of its embedding space: network inputs, which are tiles of the
    /// preprocessed images where these have several.
    pub fn of_decoded(detector: &Detector) -> Self {
        Self::of_shape(detector, detector.input_shape())
    }

    fn of_shape(detector: &Detector, Shape { height, width, .. }: Shape) -> Self {
        Self { height, width, color: detector.config().preprocessing.shown_as() }
    }

    /// The format of the thumbnails of [`find_normals`](crate::explain::find_normals).
    pub fn of_thumbnails(detector: &Detector) -> Self {
        Self { height: THUMBNAIL_PX, width: THUMBNAIL_PX, ..Self::of(detector) }
    }

    /// The pictures of a verdict: its input, and those of reconstruction and map that it has. A value of the map of
    /// `largest` is white.
    ///
    /// # Errors
    /// A verdict of another detector.
    pub fn triple(&self, verdict: &Verdict, largest: f64) -> Result<PicturesData> {
        Ok(PicturesData {
            input: self.picture(&verdict.input)?,
            reconstruction: verdict.reconstruction().map(|pixels| self.picture(pixels)).transpose()?,
            error: verdict.map.as_deref().map(|map| self.error(map, largest, PICTURE_QUALITY)).transpose()?,
            mask_path: None,
        })
    }

    /// The pictures of a slice of a volume: input and map, in less bytes, since there are many of them.
    ///
    /// # Errors
    /// A verdict of another detector.
    pub fn slice(&self, verdict: &Verdict, largest: f64) -> Result<PicturesData> {
        Ok(PicturesData {
            input: self.jpeg(&verdict.input, SLICE_QUALITY)?,
            reconstruction: None,
            error: verdict.map.as_deref().map(|map| self.error(map, largest, SLICE_QUALITY)).transpose()?,
            mask_path: None,
        })
    }

    /// The `data:` address of a picture of intensities 0 to 1, `[height, width, channels]`; of channels that are no colours those that
    /// [are shown](Color::showing).
    ///
    /// # Errors
    /// A picture of another size.
    pub fn picture(&self, intensities: &[f32]) -> Result<String> {
        self.jpeg(intensities, PICTURE_QUALITY)
    }

    fn jpeg(&self, intensities: &[f32], quality: u8) -> Result<String> {
        let shown = self.color.show(intensities, intensities.len() / (self.height * self.width).max(1));
        let jpeg = encode_jpeg(&bytes(&shown), self.height, self.width, self.color, quality);
        Ok(address("jpeg", &jpeg.map_err(of_image)?))
    }

    /// The address of a map, `[height, width]`, in grey: white is `largest` and above.
    fn error(&self, errors: &[f32], largest: f64, quality: u8) -> Result<String> {
        let shares: Vec<f32> = errors.iter().map(|&error| (f64::from(error) / largest) as f32).collect();
        let grey = bytes(&shares);
        Ok(match self.height.max(self.width) {
            ..=LARGEST_PNG_PX => {
                address("png", &encode_png(&grey, self.height, self.width, Color::Grey).map_err(of_image)?)
            }
            _ => address(
                "jpeg",
                &encode_jpeg(&grey, self.height, self.width, Color::Grey, quality).map_err(of_image)?,
            ),
        })
    }
}

/// The sheet of thumbnails, each `[THUMBNAIL_PX, THUMBNAIL_PX, channels]`; `None` if there are none.
pub(super) fn sheet(thumbnails: &[Vec<f32>], color: Color) -> Result<Option<Thumbnails>> {
    if thumbnails.is_empty() {
        return Ok(None);
    }
    let (side, channels) = (THUMBNAIL_PX, color.channels());
    let columns = SHEET_COLUMNS.min(thumbnails.len());
    let (width, height) = (columns * side, thumbnails.len().div_ceil(columns) * side);
    let mut pixels = vec![0_u8; width * height * channels];
    for (index, thumbnail) in thumbnails.iter().enumerate() {
        let (top, left) = (index / columns * side, index % columns * side);
        let shown = color.show(thumbnail, thumbnail.len() / (side * side));
        for (y, row) in bytes(&shown).chunks_exact(side * channels).enumerate() {
            let start = ((top + y) * width + left) * channels;
            pixels[start..start + row.len()].copy_from_slice(row);
        }
    }
    let jpeg = encode_jpeg(&pixels, height, width, color, SHEET_QUALITY).map_err(of_image)?;
    Ok(Some(Thumbnails { sheet: address("jpeg", &jpeg), side_px: side, columns }))
}

fn bytes(intensities: &[f32]) -> Vec<u8> {
    intensities.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect()
}

fn address(format: &str, bytes: &[u8]) -> String {
    format!("data:image/{format};base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use aberra_image::{Limits, decode};

    use super::*;

    fn pixels(address: &str) -> aberra_image::Image {
        let (_, base64) = address.split_once("base64,").unwrap();
        decode(&STANDARD.decode(base64).unwrap(), &Limits::default()).unwrap()
    }

    #[test]
    fn errors_are_grey_levels_of_the_scale() {
        let frame = PictureFormat { height: 8, width: 8, color: Color::Grey };
        let errors: Vec<f32> = (0..64).map(|at| at as f32 / 32.0).collect();
        let image = pixels(&frame.error(&errors, 1.0, PICTURE_QUALITY).unwrap());
        for (grey, error) in image.pixels.iter().zip(errors) {
            assert!((grey - error.min(1.0)).abs() <= 0.5 / 255.0 + 1e-6);
        }
    }

    #[test]
    fn every_thumbnail_has_its_place_on_the_sheet() {
        let plain = |value: f32| vec![value; THUMBNAIL_PX * THUMBNAIL_PX];
        let thumbnails: Vec<Vec<f32>> = (0..85).map(|at| plain(at as f32 / 100.0)).collect();
        let made = sheet(&thumbnails, Color::Grey).unwrap().unwrap();
        let image = pixels(&made.sheet);
        assert_eq!((image.width, image.height), (40 * 48, 3 * 48));
        for index in [0, 39, 40, 84] {
            let (x, y) = (index % made.columns * made.side_px + 24, index / made.columns * made.side_px + 24);
            assert!((image.pixels[y * image.width + x] - index as f32 / 100.0).abs() < 0.02, "{index}");
        }
        assert_eq!(sheet(&[], Color::Grey).unwrap(), None);
    }
}
