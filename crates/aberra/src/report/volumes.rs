//! The volumes of a report: of which of them the slices are drawn, and what is said of each.

use std::collections::HashMap;

use super::choose::{Candidate, ranked};
use super::metrics::{short_figure, short_rate};
use super::pictures::PictureFormat;
use crate::dataset::Dataset;
use crate::detector::Detector;
use crate::evaluate::{Evaluation, Metric, VolumeFigures, VolumeRow};
use crate::wire::{VolumeData, VolumesData, digits, short};

/// Most volumes whose slices are drawn.
pub const MOST_VOLUMES: usize = 24;
/// Bytes that all their slices may take together, about: larger slices leave room for fewer volumes.
const BYTES_OF_SLICES: f64 = 9e6;
/// Bytes that one pixel and channel of a slice takes, about, over its picture and its map.
const BYTES_PER_PIXEL: f64 = 0.3;

/// A volume of the evaluation, with its slices among the images of the report.
pub(super) struct Judged<'a> {
    row: &'a VolumeRow,
    /// For each of its slices, its number among the images; `None` where it was left out or not read.
    slices: Vec<Option<usize>>,
    scores: Vec<Option<f64>>,
    slice_spacing_mm: Option<f32>,
}

/// The volumes that an evaluation has judged. `members` are the samples of the report's images, `scores` their scores.
pub(super) fn judged<'a>(
    evaluation: &'a Evaluation,
    dataset: &Dataset,
    members: &[usize],
    scores: &[f64],
) -> Vec<Judged<'a>> {
    let mut slices_of: HashMap<&str, (Vec<Option<usize>>, Option<f32>)> = HashMap::new();
    for (image, &sample) in members.iter().enumerate() {
        let Some(place) = &dataset.samples[sample].volume else { continue };
        let (slices, _) = slices_of
            .entry(&place.name)
            .or_insert_with(|| (vec![None; place.slices], place.slice_spacing_mm));
        if let Some(slice) = slices.get_mut(place.slice) {
            *slice = Some(image);
        }
    }
    let rows = evaluation.volumes.iter().flat_map(|figures| &figures.volumes);
    rows.filter_map(|row| {
        let (slices, slice_spacing_mm) = slices_of.remove(row.name.as_str())?;
        let scores = slices.iter().map(|image| image.map(|image| scores[image])).collect();
        Some(Judged { row, slices, scores, slice_spacing_mm })
    })
    .collect()
}

/// Which images are drawn as slices: those of as many volumes as there is room for, mistakes, volumes nearest the threshold and those
/// with the highest scores in turn; these alone where volumes have no threshold. Of a volume that alone is too large, the slices about its worst are.
pub(super) fn drawn(
    judged: &[Judged<'_>],
    figures: Option<&VolumeFigures>,
    format: PictureFormat,
    images: usize,
) -> Vec<bool> {
    let pixels = (format.height * format.width * (format.color.channels() + 1)) as f64;
    let mut room = (BYTES_OF_SLICES / (pixels * BYTES_PER_PIXEL)).max(1.0) as usize;
    let candidates: Vec<Candidate> = judged
        .iter()
        .map(|volume| Candidate { score: volume.row.score, anomalous: !volume.row.label.is_normal() })
        .collect();
    let threshold = figures.and_then(|figures| figures.threshold);
    let mut drawn = vec![false; images];
    for (place, volume) in ranked(&candidates, threshold, MOST_VOLUMES).into_iter().enumerate() {
        let volume = &judged[volume];
        let mut slices: Vec<usize> =
            (0..volume.slices.len()).filter(|&at| volume.slices[at].is_some()).collect();
        if slices.len() > room {
            if place > 0 {
                continue;
            }
            let worst = volume.worst();
            slices.sort_by_key(|&at| at.abs_diff(worst));
            slices.truncate(room);
        }
        room -= slices.len();
        slices.into_iter().filter_map(|at| volume.slices[at]).for_each(|image| drawn[image] = true);
    }
    drawn
}

impl Judged<'_> {
    /// The slice with the largest score, from 0.
    fn worst(&self) -> usize {
        let largest = self.scores.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        self.scores.iter().position(|score| *score == Some(largest)).unwrap_or_default()
    }

    /// What is said of it.
    pub(super) fn data(&self, detector: &Detector) -> VolumeData {
        let row = self.row;
        VolumeData {
            name: row.name.clone(),
            kind: row.label.kind().map(str::to_owned),
            group: row.group,
            leaked: row.leaked,
            score: row.score,
            p_value: row.p_value.map(short),
            anomalous: row.anomalous,
            top: detector.top_of(row.slices),
            worst: self.worst() + 1,
            slices: self.slices.clone(),
            slice_spacing_mm: self.slice_spacing_mm,
        }
    }
}

/// The figures of volumes.
pub(super) fn figures(figures: &VolumeFigures) -> VolumesData {
    let (normals, anomalies) = figures.counts();
    VolumesData {
        normals,
        anomalies,
        auroc: short_figure(&figures.auroc),
        average_precision: short_figure(&figures.average_precision),
        average_precision_of_chance: match &figures.average_precision_of_chance {
            Metric::Known(share) => Metric::Known(digits(*share, 6)),
            other => other.clone(),
        },
        recall: short_rate(&figures.recall),
        realised_false_alarm_rate: short_rate(&figures.false_alarms.over_groups),
        left_out_own: figures.own,
        unusable: figures.unusable,
    }
}
