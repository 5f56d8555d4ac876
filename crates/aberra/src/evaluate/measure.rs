//! One pass over the images of an evaluation, a chunk at a time: read, recognise, score, compare with masks. Pixels are
//! dropped with their chunk; a row per image and counts of pixels remain.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use aberra_image::{FittedMask, Input, Limits, Remark};
use aberra_models::Shape;
use aberra_models::measure::Want;

use super::beside::{PooledMaps, pooled};
use super::content_window::ContentWindow;
use super::evaluation::{ImageOutcome, ScoredImage};
use super::leak::Known;
use crate::dataset::{Dataset, Inspected, Inspection, Remarks};
use crate::detector::{Detector, Verdict};
use crate::files::{FILES_CHUNK, in_chunks};
use crate::job::{Event, Job};
use crate::{Error, Result, of_image};
use aberra_metrics::calibrate::is_anomalous;
use aberra_metrics::pixel::{ImageTally, PixelTally};
use aberra_metrics::ranking::Confusion;

/// The result of one pass.
pub(super) struct Measured {
    /// Indices of the samples and their outcomes.
    pub(super) outcomes: Vec<(usize, ImageOutcome)>,
    /// The observations on the samples that were read.
    pub(super) inspection: Inspection,
    /// Where masks are looked at and there are any.
    pub(super) pixels: Option<PixelCounts>,
    /// Masks that could not be used, and why.
    pub(super) unusable_masks: Vec<String>,
    /// What was done to masks so that they fit, and what is odd about them.
    pub(super) mask_remarks: Remarks,
}

/// Pixels of error maps against their masks.
#[derive(Default)]
pub(super) struct PixelCounts {
    pub(super) tally: PixelTally,
    /// Anomalous images with a mask.
    pub(super) masked: usize,
    /// Normal images.
    pub(super) normals: usize,
    /// Anomalous images without one.
    pub(super) without_mask: usize,
    /// Their maps, pooled with and without what the masks show.
    pub(super) pooled: PooledMaps,
    /// Of each image with a usable mask, and of each normal image, by name: its pixels alone.
    pub(super) of_images: BTreeMap<String, (ImageTally, Confusion)>,
}

/// Measures the samples `members`.
pub(super) fn measure(
    detector: &Detector,
    dataset: &Dataset,
    members: &[usize],
    masks: bool,
    job: &mut Job<'_>,
) -> Result<Measured> {
    let known = Known::to(detector);
    let masks =
        masks && detector.gives().map && members.iter().any(|&index| dataset.samples[index].mask.is_some());
    let own_volumes = known.own_volumes(dataset, members, &detector.config().limits);
    let reader = Reader { detector, dataset, known: &known, own_volumes, masks };
    let not_read = || Err("not part of this evaluation".to_owned());
    let mut measured = Measured {
        outcomes: Vec::with_capacity(members.len()),
        inspection: Inspection { images: dataset.samples.iter().map(|_| not_read()).collect() },
        pixels: masks.then(PixelCounts::default),
        unusable_masks: Vec::new(),
        mask_remarks: Remarks::default(),
    };
    let mut failure = None;
    let ended = in_chunks(
        members.iter().copied(),
        detector.members.canvas().images(FILES_CHUNK),
        |index| reader.read(index),
        |chunk| {
            if let Err(error) = measured.add(detector, dataset, chunk) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            job.tell(Event::Images { done: measured.outcomes.len(), of: members.len() })
        },
    );
    match (failure, ended) {
        (Some(error), _) => Err(error),
        (None, ControlFlow::Break(())) => Err(Error::interrupted("the evaluation was stopped")),
        (None, ControlFlow::Continue(())) => Ok(measured),
    }
}

/// A sample, read.
struct Read {
    index: usize,
    seen: Result<Inspected, String>,
    state: State,
}

enum State {
    /// It needs no verdict: the detector's own, or not usable.
    Settled(ImageOutcome),
    Ready {
        input: Box<Input>,
        leaked: bool,
        mask: Mask,
        /// A slice of an anomalous volume whose mask marks nothing.
        unmarked: bool,
    },
}

enum Mask {
    /// Masks are not looked at.
    Ignored,
    /// An anomaly without one.
    Missing,
    Unusable(String),
    /// At the size of the preprocessed image.
    Present(FittedMask),
}

struct Reader<'a> {
    detector: &'a Detector,
    dataset: &'a Dataset,
    known: &'a Known,
    own_volumes: BTreeSet<&'a str>,
    masks: bool,
}

impl Reader<'_> {
    fn read(&self, index: usize) -> Read {
        let sample = &self.dataset.samples[index];
        let path = &sample.path;
        let config = self.detector.config();
        let image = match sample.read(&config.limits) {
            Ok(image) => image,
            Err(error) => {
                let reason = error.to_string();
                return Read {
                    index,
                    seen: Err(reason.clone()),
                    state: State::Settled(ImageOutcome::Unusable(reason)),
                };
            }
        };
        let seen = Inspected::of(&image, path);
        let state = match self.known.part_of(&seen.fingerprint) {
            Some(part) => State::Settled(ImageOutcome::Own(part)),
            None if sample
                .volume
                .as_ref()
                .is_some_and(|place| self.own_volumes.contains(place.name.as_str())) =>
            {
                State::Settled(ImageOutcome::BesideOwn)
            }
            None => match config.preprocessing.apply(&image) {
                Ok(input) => {
                    let (mask, unmarked) = self.mask(index, &input, &config.limits);
                    let leaked = self.known.has_copy_of(&seen.fingerprint);
                    State::Ready { leaked, mask, unmarked, input: Box::new(input) }
                }
                Err(error) => State::Settled(ImageOutcome::Unusable(error.with_path(path).to_string())),
            },
        };
        Read { index, seen: Ok(seen), state }
    }

    /// The mask of a sample, and whether it is that of a slice of an anomalous volume and marks nothing: it says how slices count, so it
    /// is read even where maps are not compared with masks.
    fn mask(&self, index: usize, input: &Input, limits: &Limits) -> (Mask, bool) {
        let sample = &self.dataset.samples[index];
        let is_slice = sample.volume.is_some() && !sample.label.is_normal();
        if !self.masks && !is_slice {
            return (Mask::Ignored, false);
        }
        let shape = self.detector.canvas_shape();
        let mask = match &sample.mask {
            _ if sample.label.is_normal() => {
                Mask::Present(FittedMask { foreground: vec![false; shape.area()], remarks: Vec::new() })
            }
            None => Mask::Missing,
            Some(path) => match read_mask(path, sample.page, limits, input, shape) {
                Ok(mut mask) if is_slice && mask.remarks.contains(&Remark::MaskEmpty) => {
                    // Nothing is odd about it in a slice.
                    mask.remarks.retain(|remark| *remark != Remark::MaskEmpty);
                    return (Mask::Present(mask), true);
                }
                Ok(mut mask) => {
                    input.clear_unseen(&mut mask.foreground);
                    Mask::Present(mask)
                }
                Err(error) => Mask::Unusable(error.to_string()),
            },
        };
        (mask, false)
    }
}

/// A mask at the size of the preprocessed image `input`.
pub(crate) fn read_mask(
    path: &Path,
    page: Option<u32>,
    limits: &Limits,
    input: &Input,
    shape: Shape,
) -> Result<FittedMask> {
    let placement = &input.placement;
    let (height, width) = (placement.image_height, placement.image_width);
    let mask = aberra_image::read_page(path, page.unwrap_or(0), limits).map_err(of_image)?;
    let fitted = mask.into_mask_of(height, width, input.source.orientation).and_then(|mask| {
        let size = (shape.height, shape.width);
        let foreground = placement.project_mask(&mask.foreground, height, width, size)?;
        Ok(FittedMask { foreground, ..mask })
    });
    fitted.map_err(|error| of_image(error.with_path(path)))
}

impl Measured {
    fn add(&mut self, detector: &Detector, dataset: &Dataset, chunk: Vec<Read>) -> Result<()> {
        let mut settled = Vec::new();
        let (mut ready, mut inputs) = (Vec::new(), Vec::new());
        for read in chunk {
            self.inspection.images[read.index] = read.seen;
            match read.state {
                State::Settled(outcome) => settled.push((read.index, outcome)),
                State::Ready { input, leaked, mask, unmarked } => {
                    ready.push((read.index, leaked, mask, unmarked));
                    inputs.push(Ok(*input));
                }
            }
        }
        let want = Want { map: self.pixels.is_some(), ..Want::MEASUREMENTS };
        let verdicts = detector.score_inputs(inputs, want);
        for ((index, leaked, mask, unmarked), verdict) in ready.into_iter().zip(verdicts) {
            let outcome = match verdict {
                Ok(verdict) => {
                    let masked = self.compare(detector, &verdict, mask, &dataset.samples[index].name)?;
                    let normal = dataset.samples[index].label.is_normal();
                    if let (true, Some(pixels)) = (masked, &mut self.pixels) {
                        if normal { pixels.normals += 1 } else { pixels.masked += 1 }
                    }
                    ImageOutcome::Scored(Box::new(ScoredImage {
                        unmarked,
                        ..scored(detector, verdict, leaked, masked)
                    }))
                }
                Err(error) => {
                    ImageOutcome::Unusable(error.with_path(&dataset.samples[index].path).to_string())
                }
            };
            settled.push((index, outcome));
        }
        settled.sort_by_key(|(index, _)| *index);
        self.outcomes.extend(settled);
        Ok(())
    }

    /// Counts the pixels of an image, if it has a mask; says whether it has.
    fn compare(&mut self, detector: &Detector, verdict: &Verdict, mask: Mask, name: &str) -> Result<bool> {
        let (Some(pixels), Some(map)) = (&mut self.pixels, &verdict.map) else { return Ok(false) };
        let mask = match mask {
            Mask::Present(mask) => {
                mask.remarks.iter().for_each(|remark| self.mask_remarks.add(remark, name));
                mask.foreground
            }
            Mask::Ignored => return Ok(false),
            Mask::Missing => {
                pixels.without_mask += 1;
                return Ok(false);
            }
            Mask::Unusable(reason) => {
                pixels.without_mask += 1;
                self.unusable_masks.push(reason);
                return Ok(false);
            }
        };
        let window = ContentWindow::of(&verdict.placement, verdict.shape);
        if window.pixels() == 0 {
            return Ok(false);
        }
        let (map, mask) = (window.cut(map), window.cut(&mask));
        let tally = pixels.tally.add(&map, &mask, window.columns())?;
        pixels.pooled.extend(pooled(&map, &mask, window.columns()).map(|pooled| (name.to_owned(), pooled)));
        let mut confusion = Confusion::default();
        for (&value, &anomalous) in map.iter().zip(&mask) {
            confusion.count(is_anomalous(f64::from(value), detector.pixel_threshold()), anomalous);
        }
        pixels.of_images.insert(name.to_owned(), (tally, confusion));
        Ok(true)
    }
}

fn scored(detector: &Detector, verdict: Verdict, leaked: bool, masked: bool) -> ScoredImage {
    let scores = detector.scores_of(&verdict.evidence).map(|(name, score)| (name.to_owned(), score));
    ScoredImage {
        score: verdict.score,
        p_value: verdict.p_value,
        anomalous: verdict.anomalous,
        leaked,
        masked,
        unmarked: false,
        scores: scores.collect(),
        evidence: verdict.evidence,
    }
}
