//! Parts of an image in shares of its sides: the region of interest, and areas that are ignored.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::{Error, Placement, Region};

/// A box of an image in shares of its sides, so that it is the same part of images of any size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelativeRegion {
    /// Left edge, as a share of the width.
    pub left: f64,
    /// Top edge, as a share of the height.
    pub top: f64,
    /// Share of the width, above 0.
    pub width: f64,
    /// Share of the height, above 0.
    pub height: f64,
}

impl RelativeRegion {
    /// # Errors
    /// It reaches beyond the image, or is empty; the message names the setting.
    pub(crate) fn validate(&self, setting: &str) -> Result<(), Error> {
        let Self { left, top, width, height } = *self;
        // Shares that were computed may add up to a little more than 1.
        let fits = |start: f64, length: f64| start >= 0.0 && length > 0.0 && start + length <= 1.0 + 1e-9;
        if fits(left, width) && fits(top, height) {
            return Ok(());
        }
        let message = format!(
            "preprocessing setting `{setting}`: expected left, top, width and height of a box within the image, as shares \
             from 0 to 1 of its sides, found {left}, {top}, {width}, {height}"
        );
        Err(Error::new(Kind::Settings, message))
    }

    /// The same of an image of so many pixels: from the pixels whose edges are nearest.
    pub(crate) fn of(&self, height: usize, width: usize) -> Region {
        let span = |start: f64, length: f64, side: usize| {
            let edge = |share: f64| ((share * side as f64 + 0.5).floor() as usize).min(side);
            let first = edge(start);
            (first, edge(start + length) - first)
        };
        let (top, rows) = span(self.top, self.height, height);
        let (left, columns) = span(self.left, self.width, width);
        Region { top, left, height: rows, width: columns }
    }
}

/// `pixels [height, width, channels]` with the areas to `ignore` at the darkest value that each channel has elsewhere in
/// `region`: after preprocessing they are as dark as background.
///
/// # Errors
/// The areas leave nothing of the region.
pub(crate) fn without_ignored<'a>(
    pixels: &'a [f32],
    (height, width, channels): (usize, usize, usize),
    region: Region,
    ignore: &[RelativeRegion],
) -> Result<Cow<'a, [f32]>, Error> {
    if ignore.is_empty() {
        return Ok(pixels.into());
    }
    let ignored = is_ignored(height, width, ignore);
    let mut darkest = vec![f32::INFINITY; channels];
    for y in region.top..region.top + region.height {
        for x in region.left..region.left + region.width {
            let at = y * width + x;
            if !ignored[at] {
                let pixel = &pixels[at * channels..][..channels];
                darkest.iter_mut().zip(pixel).for_each(|(least, value)| *least = least.min(*value));
            }
        }
    }
    if darkest.iter().any(|least| least.is_infinite()) {
        let message =
            "preprocessing setting `ignore`: expected areas that leave a part of the image, found none left";
        return Err(Error::new(Kind::Settings, message));
    }
    let mut painted = pixels.to_vec();
    for (pixel, ignored) in painted.chunks_exact_mut(channels).zip(ignored) {
        if ignored {
            pixel.copy_from_slice(&darkest);
        }
    }
    Ok(painted.into())
}

/// Which pixels of an image lie in one of the areas, `[height, width]`.
fn is_ignored(height: usize, width: usize, ignore: &[RelativeRegion]) -> Vec<bool> {
    let mut ignored = vec![false; height * width];
    for area in ignore {
        let Region { top, left, height: rows, width: columns } = area.of(height, width);
        for y in top..top + rows {
            ignored[y * width + left..][..columns].fill(true);
        }
    }
    ignored
}

/// Sets what lies in one of the areas in a map or mask of the preprocessed image, `[rows, columns]` or with channels behind, to
/// nothing: the pixels whose centre it covers.
pub(crate) fn clear_ignored<T: Copy + Default>(
    values: &mut [T],
    (rows, columns): (usize, usize),
    placement: &Placement,
    ignore: &[RelativeRegion],
) {
    let areas: Vec<Region> =
        ignore.iter().map(|area| area.of(placement.image_height, placement.image_width)).collect();
    let centre = |at: usize, side: usize, start: i64, covered: usize| {
        start as f64 + (at as f64 + 0.5) * covered as f64 / side as f64
    };
    let within = |at: f64, start: usize, length: usize| (start as f64..(start + length) as f64).contains(&at);
    let channels = values.len() / (rows * columns).max(1);
    for (y, row) in values.chunks_exact_mut((columns * channels).max(1)).enumerate() {
        let y = centre(y, rows, placement.top, placement.height);
        for area in areas.iter().filter(|area| within(y, area.top, area.height)) {
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                if within(centre(x, columns, placement.left, placement.width), area.left, area.width) {
                    pixel.fill(T::default());
                }
            }
        }
    }
}
