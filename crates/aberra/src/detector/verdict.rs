//! The verdict on one image, with what it rests on.

use aberra_image::{Placement, Remark};
use aberra_models::measure::Inference;
use aberra_models::{Shape, channel_of};

use crate::decode_error::of_image;
use crate::score::Evidence;
use crate::{Error, Result};

/// The verdict on one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How anomalous the image is; in the scorer's own units, never clamped or rescaled.
    pub score: f64,
    /// Share of normal images at least this anomalous, by the calibration split; `None` if it has no scores.
    pub p_value: Option<f64>,
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Whether the score is above the threshold.
    pub anomalous: bool,
    /// The measurements, in the order of the detector's [descriptors](crate::Detector::descriptors).
    pub evidence: Evidence,
    /// Where it is unusual, `[height, width]` of the preprocessed image, filtered as it is thresholded; `None` if it was
    /// not requested or no member gives one. Of an image with tiles, it is put together from theirs.
    pub map: Option<Vec<f32>>,
    /// Where each channel is unusual, `[height, width, channels]` as the map; `None` of images in grey or in colours.
    pub channel_maps: Option<Vec<f32>>,
    /// The preprocessed image, `[height, width, channels]`: the network input, or the canvas of several.
    pub input: Vec<f32>,
    /// The shape of the preprocessed image.
    pub shape: Shape,
    /// The output of each member, in the members' order: embedding, and the reconstruction if requested. Of an image with
    /// tiles, the embedding is that of the tile that the member finds most unusual, by the first of its measurements, and
    /// the reconstruction is put together from all.
    pub inferences: Vec<Inference>,
    /// The placement of the preprocessed image in the image.
    pub placement: Placement,
    /// Millimetres from row to row and from column to column of the image, where its file says (DICOM, NIfTI).
    pub spacing_mm: Option<[f32; 2]>,
    /// What was decided while decoding the image: that one page of several was read, or alpha ignored.
    pub remarks: Vec<Remark>,
}

impl Verdict {
    /// The map at the image's own size, `[height, width]`; 0 outside what the network saw.
    ///
    /// # Errors
    /// There is no map, or it does not fit the placement.
    pub fn map_at_image_size(&self) -> Result<Vec<f32>> {
        self.placement.restore(self.map()?, self.shape.height, self.shape.width).map_err(of_image)
    }

    /// The map.
    ///
    /// # Errors
    /// It was not requested, or no member gives one.
    pub fn map(&self) -> Result<&[f32]> {
        self.map.as_deref().ok_or_else(|| {
            Error::input("expected a verdict with a map, found one without").with_hint(
                "score the image with a map, by a detector that makes one: a member of it has to give one",
            )
        })
    }

    /// The map of one channel, by its number from 0, `[height, width]`.
    ///
    /// # Errors
    /// The channels are colours or grey, or there is no such channel.
    pub fn channel_map(&self, channel: usize) -> Result<Vec<f32>> {
        let maps =
            self.channel_maps.as_deref().filter(|_| channel < self.shape.channels).ok_or_else(|| {
                Error::input(format!("expected a map of channel {}, found none", channel + 1)).with_hint(
                    "maps of single channels are those of detectors of several channels that are no colours",
                )
            })?;
        Ok(channel_of(maps, channel, self.shape.channels))
    }

    /// The reconstruction of the first member that gives one, `[height, width, channels]`, 0 to 1.
    pub fn reconstruction(&self) -> Option<&[f32]> {
        self.inferences.iter().find_map(|inference| inference.reconstruction.as_deref())
    }

    /// The embedding by the first member that gives one, `[dimensions]`.
    pub fn embedding(&self) -> Option<&[f32]> {
        self.inferences.iter().find_map(|inference| Some(inference.embedding.as_ref()?.mean.as_slice()))
    }
}
