//! One image's story: the verdict, its evidence beside that of the calibration normals, and its nearest training normals.

use aberra_image::{Image, Region};

use super::heatmap::filtered;
use super::latent::{NearNormal, nearest};
use super::ranks::{EvidenceRanks, MEASUREMENTS};
use crate::Result;
use crate::calibrate::is_anomalous;
use crate::detector::{Detector, Verdict};
use crate::evaluate::window::Window;

/// Nearest training normals that a story names.
pub const NEAREST: usize = 5;

/// What there is to say of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// What the detector says.
    pub verdict: Verdict,
    /// Each measurement, in the order of [`Evidence::named`](crate::score::Evidence::named).
    pub evidence: Vec<Measurement>,
    /// Share of the image's pixels whose filtered error lies above the pixel threshold, 0 to 1.
    pub anomalous_share: f64,
    /// The part of the network input that shows the image, in its pixels: the rest is padding.
    pub window: Region,
    /// The nearest training normals in latent space, at most [`NEAREST`], nearest first.
    pub nearest: Vec<NearNormal>,
}

/// A measurement beside those of the calibration normals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Its name.
    pub name: &'static str,
    /// Its value, in its own units.
    pub value: f64,
    /// Its percentile among the calibration normals, 0 to 100.
    pub percentile: f64,
}

impl Detector {
    /// The story of one image.
    ///
    /// # Errors
    /// An image that cannot be used.
    pub fn explain(&self, image: &Image) -> Result<Story> {
        let mut verdicts = self.score(std::slice::from_ref(image));
        let verdict =
            verdicts.pop().unwrap_or_else(|| Err(crate::Error::input("the model gave no response")))?;
        self.story(verdict, &EvidenceRanks::of(self.normals()))
    }

    /// The story of a verdict of this detector; `ranks` are of its normals.
    ///
    /// # Errors
    /// A verdict of another detector.
    pub fn story(&self, verdict: Verdict, ranks: &EvidenceRanks) -> Result<Story> {
        let percentiles = ranks.percentiles(&verdict.evidence).unwrap_or([f64::NAN; MEASUREMENTS]);
        let named = verdict.evidence.named().into_iter().zip(percentiles);
        Ok(Story {
            evidence: named
                .map(|((name, value), percentile)| Measurement { name, value, percentile })
                .collect(),
            anomalous_share: anomalous_share(&verdict, self.pixel_threshold())?,
            window: Window::of(&verdict.placement, verdict.error_map.size_px).region(),
            nearest: nearest(self, &verdict.response.mu, NEAREST)?,
            verdict,
        })
    }
}

/// Share of the pixels that show the image whose filtered error lies above the pixel threshold.
///
/// # Errors
/// A map that is not finite or does not fit its size; only verdicts made by hand have one.
pub fn anomalous_share(verdict: &Verdict, pixel_threshold: f64) -> Result<f64> {
    let window = Window::of(&verdict.placement, verdict.error_map.size_px);
    let pixels = window.cut(&filtered(verdict)?);
    let above = pixels.iter().filter(|&&error| is_anomalous(f64::from(error), pixel_threshold)).count();
    Ok(above as f64 / pixels.len().max(1) as f64)
}
