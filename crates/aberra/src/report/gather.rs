//! One pass over the images of a report, a chunk at a time: each is scored again, and what will be shown of it is drawn.
//! Pixels are dropped with their chunk.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra_image::{Input, Limits, Region};
use aberra_models::measure::Want;
use rayon::prelude::*;

use super::pictures::PictureFormat;
use crate::dataset::Dataset;
use crate::detector::{Detector, Verdict};
use crate::evaluate::content_window::ContentWindow;
use crate::evaluate::read_mask;
use crate::explain::{NearNormal, anomalous_share, find_normals, outline};
use crate::files::{FILES_CHUNK, in_chunks};
use crate::job::{Event, Job};
use crate::thumbnail::shrink;
use crate::wire::PicturesData;
use crate::{Error, Result};

/// An image to look at, and what will be shown of it.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Its number in the data set.
    pub(super) sample: usize,
    /// What the evaluation says.
    pub(super) score: f64,
    pub(super) thumbnail: bool,
    pub(super) pictures: Wished,
}

/// Which pictures are drawn of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wished {
    None,
    /// Those of a slice of a volume: input and map, in less bytes.
    Slice,
    /// All that there are.
    Full,
}

/// What is kept of an image.
pub(super) struct Seen {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) spacing_mm: Option<[f32; 2]>,
    /// The pixels of the network input that show it, and the part of it that they show.
    pub(super) window: Region,
    pub(super) content: Region,
    /// Where it lies in the embedding space that is shown.
    pub(super) embedding: Option<Vec<f32>>,
    /// Share of its pixels above the pixel threshold; `None` without a map.
    pub(super) anomalous_share: Option<f64>,
    pub(super) thumbnail: Option<Vec<f32>>,
    pub(super) pictures: Option<PicturesData>,
}

/// What is drawn in which way.
pub(super) struct Gather<'a> {
    pub(super) detector: &'a Detector,
    pub(super) dataset: &'a Dataset,
    pub(super) format: PictureFormat,
    /// The error that is white.
    pub(super) error_scale_max: f64,
}

/// Scores differ by this much between machines whose instruction sets differ; by more where image or detector do.
const SCORE_TOLERANCE: f64 = 1e-3;

impl Gather<'_> {
    /// Looks at `wanted`, in their order.
    ///
    /// # Errors
    /// An image that can no longer be read, or whose score is not the evaluation's; a stop on request.
    pub(super) fn look(&self, wanted: &[Wanted], job: &mut Job<'_>) -> Result<Vec<Seen>> {
        let mut seen = Vec::with_capacity(wanted.len());
        let mut failure = None;
        let ended = in_chunks(
            wanted.iter().copied(),
            self.detector.members.canvas().images(FILES_CHUNK),
            |wanted| self.read(wanted),
            |chunk| {
                match self.draw(chunk) {
                    Ok(drawn) => seen.extend(drawn),
                    Err(error) => {
                        failure = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                job.tell(Event::Images { done: seen.len(), of: wanted.len() })
            },
        );
        match (failure, ended) {
            (Some(error), _) => Err(error),
            (None, ControlFlow::Break(())) => Err(Error::interrupted("the report was stopped")),
            (None, ControlFlow::Continue(())) => Ok(seen),
        }
    }

    fn read(&self, wanted: Wanted) -> (Wanted, Result<Input>, Option<String>) {
        let sample = &self.dataset.samples[wanted.sample];
        let input = self.detector.read_sample(sample);
        let mask = input.as_ref().ok().filter(|_| wanted.pictures != Wished::None).and_then(|input| {
            let path = sample.mask.as_deref().filter(|_| !sample.label.is_normal())?;
            // The evaluation has warned of masks that cannot be used.
            read_mask(path, sample.page, &self.limits(), input, self.detector.canvas_shape()).ok()
        });
        (wanted, input, mask.map(|mask| outline(&mask.foreground, self.format.width)))
    }

    fn draw(&self, chunk: Vec<(Wanted, Result<Input>, Option<String>)>) -> Result<Vec<Seen>> {
        let (mut asked, mut inputs) = (Vec::new(), Vec::new());
        for (wanted, input, mask) in chunk {
            asked.push((wanted, mask));
            inputs.push(input);
        }
        let verdicts = self.detector.score_inputs(inputs, Want::ALL);
        let drawn = asked.into_par_iter().zip(verdicts).map(|((wanted, mask), verdict)| {
            let path = &self.dataset.samples[wanted.sample].path;
            let verdict = verdict.map_err(|error| error.with_path(path))?;
            if (verdict.score - wanted.score).abs() > SCORE_TOLERANCE * wanted.score.abs().max(1.0) {
                let message =
                    format!("expected the evaluation's score {}, found {}", wanted.score, verdict.score);
                return Err(Error::data(message).with_path(path).with_hint(
                    "the image has changed since, or the evaluation is of another detector: evaluate again",
                ));
            }
            self.seen(&wanted, &verdict, mask)
        });
        drawn.collect()
    }

    fn seen(&self, wanted: &Wanted, verdict: &Verdict, mask_path: Option<String>) -> Result<Seen> {
        let pictures = match wanted.pictures {
            Wished::None => None,
            Wished::Slice => Some(self.format.slice(verdict, self.error_scale_max)?),
            Wished::Full => Some(self.format.triple(verdict, self.error_scale_max)?),
        };
        let mask_path = mask_path.filter(|path| !path.is_empty());
        Ok(Seen {
            width: verdict.placement.image_width,
            height: verdict.placement.image_height,
            spacing_mm: verdict.spacing_mm,
            window: ContentWindow::of(&verdict.placement, verdict.shape).region(),
            content: verdict.placement.content,
            anomalous_share: anomalous_share(verdict, self.detector.pixel_threshold()),
            thumbnail: wanted.thumbnail.then(|| shrink(&verdict.input, verdict.shape)),
            pictures: pictures.map(|pictures| PicturesData { mask_path, ..pictures }),
            embedding: verdict.embedding().map(<[f32]>::to_vec),
        })
    }

    /// Names and thumbnails of some of the detector's normals, where the data set holds them or the detector keeps pictures
    /// of them. Samples in `scored` are none of them.
    pub(super) fn normals(
        &self,
        wanted: &BTreeSet<usize>,
        scored: &BTreeSet<usize>,
    ) -> BTreeMap<usize, (Option<String>, Option<Vec<f32>>)> {
        let samples = self.dataset.samples.iter().enumerate();
        // Files are recognised by their first pages.
        let others = samples
            .filter(|(index, sample)| !scored.contains(index) && sample.page.is_none_or(|page| page == 0))
            .map(|(_, sample)| sample);
        let names: HashMap<&Path, &str> =
            others.map(|sample| (sample.path.as_path(), sample.name.as_str())).collect();
        let mut files: Vec<PathBuf> = names.keys().map(|path| (*path).to_owned()).collect();
        files.sort();
        let wanted: Vec<NearNormal> =
            wanted.iter().map(|&normal| NearNormal { normal, distance: 0.0 }).collect();
        let found = find_normals(self.detector, &wanted, &files).into_iter();
        let named = found.map(|found| {
            let name = found.path.and_then(|path| names.get(path.as_path()).map(|name| (*name).to_owned()));
            (found.normal, (name, found.thumbnail))
        });
        named.collect()
    }

    fn limits(&self) -> Limits {
        self.detector.config().limits
    }
}
