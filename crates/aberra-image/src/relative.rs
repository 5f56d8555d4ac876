//! Parts of an image in shares of its sides: the region of interest, and areas that are ignored.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::{Error, Region};

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

impl FromStr for RelativeRegion {
    type Err = Error;

    /// Reads `left,top,width,height`, such as `0.1,0,0.8,1`; that it lies within the image is not checked.
    fn from_str(text: &str) -> Result<Self, Error> {
        let shares: Option<Vec<f64>> = text.split(',').map(|share| share.trim().parse().ok()).collect();
        match shares.as_deref() {
            Some(&[left, top, width, height]) => Ok(Self { left, top, width, height }),
            _ => Err(Error::new(
                Kind::Settings,
                format!(
                    "expected left,top,width,height as shares of the image's sides, such as 0.1,0,0.8,1, found {text:?}"
                ),
            )),
        }
    }
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

/// Which pixels of an image lie in one of the areas to `ignore`, `[height, width]`.
pub(crate) fn is_ignored(height: usize, width: usize, ignore: &[RelativeRegion]) -> Vec<bool> {
    let mut ignored = vec![false; height * width];
    for area in ignore {
        let Region { top, left, height: rows, width: columns } = area.of(height, width);
        for y in top..top + rows {
            ignored[y * width + left..][..columns].fill(true);
        }
    }
    ignored
}
