//! One image's story: the verdict, its evidence beside that of the calibration normals, and its nearest training normals.

use aberra_image::{Image, Region};

use super::embedding::{NearNormal, nearest};
use super::ranks::EvidenceRanks;
use crate::Result;
use crate::detector::{Detector, Verdict};
use crate::evaluate::content_window::ContentWindow;
use aberra_metrics::calibrate::is_anomalous;

/// Nearest training normals that a story names.
pub const NEAREST: usize = 5;

/// What there is to say of one image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Story {
    /// What the detector says.
    pub verdict: Verdict,
    /// Each measurement, in the order of the detector's [descriptors](Detector::descriptors).
    pub evidence: Vec<Measurement>,
    /// Share of the image's pixels whose map value lies above the pixel threshold, 0 to 1; `None` where no member makes a
    /// map.
    pub anomalous_share: Option<f64>,
    /// The part of the network input that shows the image, in its pixels: the rest is padding.
    pub window: Region,
    /// The nearest training normals in the embedding space, at most [`NEAREST`], nearest first; empty where no member has
    /// one.
    pub nearest: Vec<NearNormal>,
}

/// A measurement beside those of the calibration normals.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// Its full name.
    pub name: String,
    /// Its value, in its own units.
    pub value: f64,
    /// Its percentile among the calibration normals, 0 to 100; `None` if there are none.
    pub percentile: Option<f64>,
}

impl Detector {
    /// The story of one image.
    ///
    /// # Errors
    /// An image that cannot be used.
    pub fn explain(&self, image: &Image) -> Result<Story> {
        let mut verdicts = self.score(std::slice::from_ref(image));
        let verdict =
            verdicts.pop().unwrap_or_else(|| Err(crate::Error::input("the image was not scored")))?;
        self.story(verdict, &EvidenceRanks::of(self.normals()))
    }

    /// The story of a verdict of this detector; `ranks` are of its normals.
    ///
    /// # Errors
    /// A verdict of another detector.
    pub fn story(&self, verdict: Verdict, ranks: &EvidenceRanks) -> Result<Story> {
        let percentiles = ranks.percentiles(&verdict.evidence);
        let named = verdict.evidence.named(self.descriptors()).zip(percentiles);
        let evidence =
            named.map(|((name, value), percentile)| Measurement { name: name.to_owned(), value, percentile });
        Ok(Story {
            evidence: evidence.collect(),
            anomalous_share: anomalous_share(&verdict, self.pixel_threshold()),
            window: ContentWindow::of(&verdict.placement, verdict.shape).region(),
            nearest: match verdict.embedding() {
                Some(embedding) => nearest(self, embedding, NEAREST)?,
                None => Vec::new(),
            },
            verdict,
        })
    }
}

/// Share of the pixels that show the image whose map value lies above the pixel threshold; `None` without a map.
pub fn anomalous_share(verdict: &Verdict, pixel_threshold: f64) -> Option<f64> {
    let window = ContentWindow::of(&verdict.placement, verdict.shape);
    let pixels = window.cut(verdict.map.as_deref()?);
    let above = pixels.iter().filter(|&&error| is_anomalous(f64::from(error), pixel_threshold)).count();
    Some(above as f64 / pixels.len().max(1) as f64)
}
