//! One look at every image: what its file is, its statistics, and the fingerprint by which copies are found.

use std::path::Path;

use aberra_image::{ColorMode, Format, Image, Limits};
use rayon::prelude::*;

use super::likeness::Detail;
use super::{Dataset, Fingerprint};

/// A pixel is dark below this share of the brightest value that the image's format can hold.
const DARK: f32 = 0.04;

/// What was seen of every sample of a data set, in its order.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Per sample: what was seen, or why its file cannot be used.
    pub images: Vec<Result<Inspected, String>>,
}

/// What was seen of one image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inspected {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// What the content is.
    pub format: Format,
    /// How the file stores colours.
    pub color_mode: ColorMode,
    /// Bits per channel.
    pub bit_depth: u8,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// The file's name promises another format than its content has.
    pub is_misnamed: bool,
    /// Mean grey value, in the image's own units (0 to 1 but for float files).
    pub mean: f64,
    /// Standard deviation of the grey values.
    pub standard_deviation: f64,
    /// Share of pixels darker than 4 % of full scale.
    pub dark_fraction: f64,
    /// By which copies are found.
    pub fingerprint: Fingerprint,
    /// What distinguishes copies from like things.
    pub(super) detail: Detail,
}

impl Dataset {
    /// Decodes every image once, in parallel; at most one decoded image per thread is held at a time. An image that
    /// cannot be used is an entry in the result, not an error.
    pub fn inspect(&self, limits: &Limits) -> Inspection {
        self.inspect_with(limits, || ())
    }

    /// As [`inspect`](Self::inspect), calling `done` after each image, on any thread.
    pub fn inspect_with(&self, limits: &Limits, done: impl Fn() + Sync) -> Inspection {
        let look = |path: &Path| {
            let seen = aberra_image::read(path, limits).and_then(|image| {
                aberra_image::check(&image)?;
                Ok(Inspected::of(&image, path))
            });
            done();
            seen.map_err(|error| error.to_string())
        };
        Inspection {
            images: self.samples.par_iter().with_max_len(1).map(|sample| look(&sample.path)).collect(),
        }
    }
}

impl Inspection {
    /// What was seen of sample `index`, if its image can be used.
    pub fn get(&self, index: usize) -> Option<&Inspected> {
        self.images.get(index)?.as_ref().ok()
    }

    /// Numbers of the samples whose image cannot be used.
    pub fn unreadable(&self) -> Vec<usize> {
        (0..self.images.len()).filter(|&index| self.get(index).is_none()).collect()
    }
}

impl Inspected {
    /// Looks at a decoded image; `path` only for the format that its name promises.
    pub fn of(image: &Image, path: &Path) -> Self {
        let grey = image.to_grey();
        let count = grey.len().max(1) as f64;
        let mean = grey.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = grey.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
        let dark = grey.iter().filter(|&&v| v < DARK).count() as f64;
        let promised = Format::of_name(path);
        Self {
            height: image.height,
            width: image.width,
            format: image.source.format,
            color_mode: image.source.color_mode,
            bit_depth: image.source.bit_depth,
            bytes: image.source.bytes,
            is_misnamed: promised.is_some_and(|promised| promised != image.source.format),
            mean,
            standard_deviation: variance.sqrt(),
            dark_fraction: dark / count,
            fingerprint: Fingerprint::with_grey(image, &grey),
            detail: Detail::of(&grey, image.height, image.width),
        }
    }
}
