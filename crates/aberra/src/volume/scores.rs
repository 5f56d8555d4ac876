//! The scores of a volume's slices as they come in, until there are enough for a verdict on the whole.

use std::ops::ControlFlow;
use std::path::Path;

use aberra_models::measure::Want;

use super::verdict::VolumeVerdict;
use crate::dataset::Volume;
use crate::detector::{Detector, Verdict};
use crate::files::FILES_CHUNK;
use crate::{Error, Result};

/// The scores of a volume's slices, with what stood in the way of those that have none. `E` is the error of whoever scores them.
#[derive(Debug)]
pub struct SliceScores<E = Error> {
    name: String,
    is_empty: Vec<bool>,
    scores: Vec<Option<f64>>,
    failure: Option<E>,
}

impl<E: From<Error>> SliceScores<E> {
    /// Those of a volume, before any came in. `is_empty` is whether each slice shows nothing but air, as
    /// [`Volume::empty_slices`] does.
    pub fn of(volume: &Volume, is_empty: Vec<bool>) -> Self {
        Self { name: volume.name.clone(), is_empty, scores: vec![None; volume.slices.len()], failure: None }
    }

    /// The slices to score, by their numbers from 0: all but the empty ones.
    pub fn wanted(&self) -> Vec<usize> {
        (0..self.is_empty.len()).filter(|&number| !self.is_empty[number]).collect()
    }

    /// Takes in the score of a slice, or why it has none; the first such reason is kept.
    pub fn put(&mut self, number: usize, score: std::result::Result<f64, E>) {
        match score {
            Ok(score) => {
                if let Some(place) = self.scores.get_mut(number) {
                    *place = Some(score);
                }
            }
            Err(error) => self.failure = self.failure.take().or(Some(error)),
        }
    }

    /// The verdict on the volume.
    ///
    /// # Errors
    /// No slice has a score: all are empty, or none could be read.
    pub fn judged_by(self, detector: &Detector) -> std::result::Result<VolumeVerdict, E> {
        let empty = self.is_empty.iter().filter(|&&is_empty| is_empty).count();
        detector.judge_slices(self.scores, empty).ok_or_else(|| {
            self.failure.unwrap_or_else(|| {
                let text = match empty {
                    0 => "expected a volume with slices to score, found none".to_owned(),
                    _ => format!(
                        "expected a volume with slices to score, found {empty} that show nothing but air"
                    ),
                };
                Error::input(text).with_path(Path::new(&self.name)).into()
            })
        })
    }
}

impl Detector {
    /// Scores the slices of a volume one after another, those that are empty left out, and judges the whole. Each slice's verdict,
    /// by the detector's calibration of images, goes to `each` with its number from 0; maps are computed on request. A slice that
    /// cannot be read does not stop the others; `ControlFlow::Break` does.
    ///
    /// # Errors
    /// All slices are empty, or none can be read; a stop on request.
    pub fn score_volume(
        &self,
        volume: &Volume,
        want: Want,
        mut each: impl FnMut(usize, &Result<Verdict>) -> ControlFlow<()>,
    ) -> Result<VolumeVerdict> {
        let limits = self.config().limits;
        let mut scores = SliceScores::of(volume, volume.empty_slices(&limits));
        let numbers = scores.wanted();
        let image = |&number: &usize| (volume.slices[number].path.clone(), volume.slices[number].page);
        let images: Vec<_> = numbers.iter().map(image).collect();
        let mut numbers = numbers.into_iter();
        let mut is_stopped = false;
        self.score_pages(images.into_iter(), &limits, FILES_CHUNK, want, |_, verdict| {
            let Some(number) = numbers.next() else { return ControlFlow::Break(()) };
            let flow = each(number, &verdict);
            scores.put(number, verdict.map(|verdict| verdict.score));
            is_stopped |= flow.is_break();
            flow
        });
        if is_stopped {
            return Err(Error::interrupted("scoring was stopped"));
        }
        scores.judged_by(self)
    }
}
