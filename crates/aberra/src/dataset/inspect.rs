//! One look at every image: what its file is, its statistics, and the fingerprint by which copies are found.

use std::collections::BTreeSet;
use std::path::Path;

use aberra_image::{ColorMode, Format, Image, Images, Limits, Origin, Remark};
use rayon::prelude::*;

use super::kept_details::KeptDetail;
use super::likeness::Detail;
use super::{Dataset, Fingerprint, Remarks, Sample};
use crate::{Error, Result, of_image};

/// A pixel is dark below this share of the brightest value that the image's format can hold.
const DARK: f32 = 0.04;

/// Fewer different normals are nothing to learn from: two for each part of a split.
const MIN_DIFFERENT: usize = 6;

/// What was seen of every sample of a data set, in its order.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Per sample: what was seen, or why its file cannot be used.
    pub images: Vec<std::result::Result<Inspected, String>>,
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
    /// Names of channels that are no colours; else empty.
    pub channels: Vec<String>,
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
    pub(super) detail: KeptDetail,
    /// What was decided while decoding.
    pub remarks: Vec<Remark>,
    /// Whose image it is and with what it was taken, where a DICOM file says so; its hashes are of use within this program alone.
    pub(super) origin: Option<Origin>,
}

impl Dataset {
    /// Decodes every image once, in parallel; at most one decoded image per thread is held at a time. An image that
    /// cannot be used is an entry in the result, not an error. Of more than 8192 images, most of what finds copies, 21 KiB an
    /// image, goes into a temporary file where there is room for it.
    pub fn inspect(&self, limits: &Limits) -> Inspection {
        self.inspect_with(limits, || ())
    }

    /// As [`inspect`](Self::inspect), calling `done` after each image, on any thread.
    pub fn inspect_with(&self, limits: &Limits, done: impl Fn() + Sync) -> Inspection {
        let details = KeptDetail::file_for(self.samples.len());
        let look = |sample: &Sample| {
            let seen = sample.read(limits).and_then(|image| {
                aberra_image::check(&image).map_err(|error| of_image(error).with_path(&sample.path))?;
                let seen = Inspected::of(&image, &sample.path);
                Ok(match &details {
                    Some(file) => Inspected { detail: seen.detail.moved_to(file), ..seen },
                    None => seen,
                })
            });
            done();
            seen.map_err(|error| error.to_string())
        };
        Inspection { images: self.samples.par_iter().with_max_len(1).map(look).collect() }
    }
}

impl Inspection {
    /// What was seen of sample `index`, if its image can be used.
    pub fn get(&self, index: usize) -> Option<&Inspected> {
        self.images.get(index)?.as_ref().ok()
    }

    /// What was decided while decoding the samples of `dataset`.
    pub fn remarks(&self, dataset: &Dataset) -> Remarks {
        let mut remarks = Remarks::default();
        for (sample, seen) in dataset.samples.iter().zip(&self.images) {
            for remark in seen.iter().flat_map(|seen| &seen.remarks) {
                remarks.add(remark, &sample.name);
            }
        }
        remarks
    }

    /// Names of the channels of all images that can be used, where these are no colours; none of images in grey and in colours.
    ///
    /// # Errors
    /// Images of other channels than the first; the message names one.
    pub fn channels(&self, dataset: &Dataset) -> Result<Vec<String>> {
        let mut first: Option<(&Sample, &Inspected)> = None;
        for (sample, seen) in dataset.samples.iter().zip(&self.images) {
            let Ok(seen) = seen else { continue };
            let (example, expected) = *first.get_or_insert((sample, seen));
            if seen.channels != expected.channels {
                let [expected, found] = [expected, seen].map(|seen| match &seen.channels[..] {
                    [] => "grey or colours".to_owned(),
                    names => format!("the channels {}", names.join(", ")),
                });
                return Err(Error::data(format!(
                    "expected images of the same channels, found {expected} in {} and {found} in {}",
                    example.name, sample.name
                ))
                .with_path(&dataset.root)
                .with_hint("leave the others out, or train a detector of their own on them"));
            }
        }
        Ok(first.map_or_else(Vec::new, |(_, seen)| seen.channels.clone()))
    }

    /// Looks at whether the normals of `dataset` have any content to learn.
    ///
    /// # Errors
    /// None of them can be read, each has the same value in every pixel, or all are the same image or copies of a few.
    pub fn check_normals(&self, dataset: &Dataset) -> Result<Remarks> {
        let normals = dataset.samples.iter().zip(&self.images).filter(|(sample, _)| sample.label.is_normal());
        let seen: Vec<(&str, &Inspected)> = normals
            .clone()
            .filter_map(|(sample, seen)| Some((sample.name.as_str(), seen.as_ref().ok()?)))
            .collect();
        let wrong =
            |text: String, hint: &str| Err(Error::data(text).with_path(&dataset.root).with_hint(hint));
        let Some((example, first)) = seen.first() else {
            let text = match normals.count() {
                0 => {
                    format!("expected normal images, found none: all {} are anomalous", dataset.samples.len())
                }
                count => format!("expected normal images, found {count} that cannot be read"),
            };
            return wrong(
                text,
                "a detector learns from normal images alone: add some, or name their class with --normal",
            );
        };
        if seen.iter().all(|(_, seen)| seen.is_constant()) {
            let text = format!(
                "expected normal images with content, found {}, each of the same value in every pixel (such as {example})",
                seen.len()
            );
            return wrong(text, "look at the images: they may be empty, or all transparent");
        }
        if seen.len() > 1 && seen.iter().all(|(_, seen)| seen.fingerprint.pixels == first.fingerprint.pixels)
        {
            let text = format!(
                "expected different normal images, found {} that are equal in every pixel (such as {example})",
                seen.len()
            );
            return wrong(
                text,
                "give images of different pieces: there is nothing to learn from copies of one",
            );
        }
        // Sets of even fewer images are left to the split, which says how many groups are needed.
        let with_content = seen.iter().filter(|(_, seen)| !seen.is_constant());
        let different: BTreeSet<_> = with_content.map(|(_, seen)| &seen.fingerprint.pixels).collect();
        if different.len() < MIN_DIFFERENT && seen.len() >= MIN_DIFFERENT {
            let text = format!(
                "expected at least {MIN_DIFFERENT} different normal images with content, found {} in {} (such as {example})",
                different.len(),
                seen.len()
            );
            return wrong(
                text,
                "look at the images: they are copies of a few, or of the same value in every pixel",
            );
        }
        let mut remarks = Remarks::default();
        for (name, _) in seen.iter().filter(|(_, seen)| seen.is_constant()) {
            remarks
                .add("normal, but of the same value in every pixel: a detector would learn emptiness", name);
        }
        Ok(remarks)
    }

    /// Numbers of the samples whose image cannot be used.
    pub fn unreadable(&self) -> Vec<usize> {
        (0..self.images.len()).filter(|&index| self.get(index).is_none()).collect()
    }
}

impl Inspected {
    /// Whether every pixel has the same value.
    pub fn is_constant(&self) -> bool {
        self.standard_deviation == 0.0
    }

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
            channels: image.channel_names(),
            bit_depth: image.source.bit_depth,
            bytes: image.source.bytes,
            is_misnamed: promised.is_some_and(|promised| promised != image.source.format),
            mean,
            standard_deviation: variance.sqrt(),
            dark_fraction: dark / count,
            fingerprint: Fingerprint::with_grey(image, &grey),
            detail: KeptDetail::Here(Detail::of(&grey, image.height, image.width)),
            remarks: image.source.remarks.clone(),
            origin: origin(image),
        }
    }
}

/// Where an image comes from, with hashes that are compared and never written.
fn origin(image: &Image) -> Option<Origin> {
    const KEY: &[u8; 32] = b"aberra: images of one patient  1";
    let path = image.source.path.as_ref().filter(|_| image.source.format == Format::Dicom)?;
    let (bytes, limits) = (std::fs::read(path).ok()?, Limits::default());
    let images = Images::open(&bytes, &limits).ok()?;
    images.origin(image.source.id.frame, KEY).ok()
}
