//! Judges a member while it is fitted: how far its scorer's scores rise when synthetic anomalies are drawn into the
//! held-out normals. No real anomaly is seen.

use aberra_metrics::Result;
use aberra_metrics::ranking::{average_precision, standardized_rise};
use aberra_models::measure::Want;
use aberra_models::{Inputs, Shape, SharedMember};
use rayon::prelude::*;

use crate::members::{Measured, Members, NamedMember};
use crate::phantom::{SyntheticKind, draw_anomaly};
use crate::score::{Evidence, FittedScorer, Normals, Scorer, ScorerInput};

/// Number of synthetic anomalies drawn into each held-out normal; the kinds alternate.
const ANOMALIES_PER_NORMAL: usize = 4;

/// The held-out normals, and the same with synthetic anomalies drawn in.
pub(crate) struct SyntheticJudge {
    normals: Vec<Vec<f32>>,
    anomalies: Vec<Vec<f32>>,
    shape: Shape,
    scorer: &'static dyn Scorer,
}

impl SyntheticJudge {
    /// # Errors
    /// An input that cannot be read.
    pub(crate) fn new(held_out: &Inputs<'_>, scorer: &'static dyn Scorer, seed: u64) -> Result<Self> {
        let normals: Vec<Vec<f32>> =
            (0..held_out.len()).map(|index| Ok(held_out.get(index)?.into_owned())).collect::<Result<_>>()?;
        let shape = held_out.shape();
        let anomalies = synthetic_anomalies(&normals, shape, seed);
        Ok(Self { normals, anomalies, shape, scorer })
    }

    /// The standardised mean shift of the scorer, fitted on the held-out normals, when an anomaly is drawn into them; `None`
    /// where it cannot be computed.
    ///
    /// # Errors
    /// Images that cannot be measured.
    pub(crate) fn shift(&self, name: &str, family: &str, member: SharedMember) -> Result<Option<f64>> {
        let named = NamedMember { name: name.to_owned(), family: family.to_owned(), member };
        let members = Members::new(vec![named], self.shape, None);
        let want = Want { map: self.scorer.needs_map(), ..Want::MEASUREMENTS };
        let measure = |pixels: &[Vec<f32>]| -> Result<(Vec<Evidence>, Vec<Vec<f32>>)> {
            let slices: Vec<&[f32]> = pixels.iter().map(Vec::as_slice).collect();
            let measured: Vec<Measured> =
                members.measure(&slices, want).into_iter().collect::<Result<_>>()?;
            Ok(measured.into_iter().map(|one| (one.evidence, one.map.unwrap_or_default())).unzip())
        };
        let (normals, normal_maps) = measure(&self.normals)?;
        let (anomalies, anomaly_maps) = measure(&self.anomalies)?;
        let descriptors = members.descriptors();
        let fit_on = Normals { maps: &normal_maps, ..Normals::new(descriptors, &normals) };
        let Ok(fitted) = FittedScorer::fit(self.scorer, &fit_on) else { return Ok(None) };
        let scores = |evidence: &[Evidence], maps: &[Vec<f32>]| -> Vec<f64> {
            let samples = evidence.iter().zip(maps);
            let samples =
                samples.map(|(evidence, map)| ScorerInput { descriptors, evidence, map: Some(map) });
            samples.map(|sample| fitted.score(&sample)).collect()
        };
        Ok(standardized_rise(&scores(&normals, &normal_maps), &scores(&anomalies, &anomaly_maps)))
    }
}

/// What the members of a detector see of synthetic anomalies.
pub(crate) struct SyntheticEvidence {
    /// The evidence on each held-out normal with [`ANOMALIES_PER_NORMAL`] anomalies drawn in, one a copy, the kinds in turn.
    pub(crate) evidence: Vec<Evidence>,
    /// What each member's map is multiplied by before all are added; `None` for a single member.
    pub(crate) map_weights: Option<Vec<f64>>,
}

impl SyntheticEvidence {
    /// # Errors
    /// Images that cannot be read or measured.
    pub(crate) fn measure(members: &Members, normals: &Inputs<'_>, seed: u64) -> Result<Self> {
        /// Normals held in memory at once, with their copies.
        const CHUNK: usize = 8;
        let several = members.all().len() > 1;
        let want = if several { Want::MAP } else { Want::MEASUREMENTS };
        let shape = normals.shape();
        let mut evidence = Vec::with_capacity(normals.len() * ANOMALIES_PER_NORMAL);
        let mut maps = vec![MapPixels::default(); members.all().len()];
        normals.chunks(CHUNK, |inputs| {
            let first = evidence.len();
            let drawn: Vec<(Vec<f32>, Vec<bool>)> = (0..inputs.len() * ANOMALIES_PER_NORMAL)
                .into_par_iter()
                .map(|draw| {
                    let mut pixels = inputs[draw / ANOMALIES_PER_NORMAL].to_vec();
                    let index = first + draw;
                    let kind = SyntheticKind::ALL[index % SyntheticKind::ALL.len()];
                    let (width, channels) = (shape.width, shape.channels);
                    let mask = draw_anomaly(&mut pixels, width, channels, seed, index as u64, kind);
                    (pixels, mask)
                })
                .collect();
            let slices: Vec<&[f32]> = drawn.iter().map(|(pixels, _)| pixels.as_slice()).collect();
            for ((inferences, input), (_, mask)) in
                members.infer(&slices, want)?.into_iter().zip(&slices).zip(&drawn)
            {
                for (pixels, inference) in maps.iter_mut().zip(&inferences) {
                    pixels.add_anomalous(inference.map.as_deref(), mask, shape);
                }
                evidence.push(members.join(input, inferences)?.evidence);
            }
            if several {
                for inferences in members.infer(inputs, want)? {
                    for (pixels, inference) in maps.iter_mut().zip(&inferences) {
                        pixels.add_normal(inference.map.as_deref());
                    }
                }
            }
            Ok(())
        })?;
        let map_weights = several.then(|| {
            let precision: Vec<f64> = maps.iter().map(MapPixels::average_precision).collect();
            let squares: f64 = precision.iter().map(|precision| precision * precision).sum();
            let weight = |(pixels, precision): (&MapPixels, f64)| {
                if squares > 0.0 { precision * precision / squares / pixels.usual_maximum() } else { 0.0 }
            };
            maps.iter().zip(precision).map(weight).collect()
        });
        Ok(Self { evidence, map_weights })
    }
}

/// Pixels of one member's maps.
#[derive(Clone, Default)]
struct MapPixels {
    /// Of images with a synthetic anomaly, some of the pixels, and whether the anomaly covers them.
    values: Vec<f64>,
    masked: Vec<bool>,
    /// Of normals, the sum of their largest values, and how many there were.
    maxima: f64,
    normals: usize,
}

impl MapPixels {
    fn add_anomalous(&mut self, map: Option<&[f32]>, mask: &[bool], shape: Shape) {
        /// Pixels from one that is looked at to the next, in both directions.
        const STEP: usize = 4;
        let Some(map) = map else { return };
        for row in (0..shape.height).step_by(STEP) {
            for at in (row * shape.width..(row + 1) * shape.width).step_by(STEP) {
                self.values.push(f64::from(map[at]));
                self.masked.push(mask[at]);
            }
        }
    }

    fn add_normal(&mut self, map: Option<&[f32]>) {
        let Some(map) = map else { return };
        self.maxima += f64::from(map.iter().copied().fold(0.0, f32::max));
        self.normals += 1;
    }

    /// Of the pixels that anomalies cover against the others; 0 without a map.
    fn average_precision(&self) -> f64 {
        average_precision(&self.values, &self.masked, None).unwrap_or(0.0)
    }

    /// The mean over normals of the map's largest value; 1 where there is none.
    fn usual_maximum(&self) -> f64 {
        if self.maxima > 0.0 { self.maxima / self.normals as f64 } else { 1.0 }
    }
}

/// The kinds of synthetic anomalies that families train on: half of all, so that the others show what training did not see.
const TRAINING_KINDS: &[SyntheticKind] = &[
    SyntheticKind::BrightBlob,
    SyntheticKind::DarkBlob,
    SyntheticKind::Texture,
    SyntheticKind::PatchSwap,
    SyntheticKind::Scratch,
];

/// Draws an anomaly for families that train on them, the kinds in turn.
pub(crate) fn draw_training_anomaly(pixels: &mut [f32], shape: Shape, seed: u64, index: u64) -> Vec<bool> {
    let kind = TRAINING_KINDS[(index / 2) as usize % TRAINING_KINDS.len()];
    draw_anomaly(pixels, shape.width, shape.channels, seed, index, kind)
}

/// Each normal with [`ANOMALIES_PER_NORMAL`] different anomalies drawn in, one a copy.
fn synthetic_anomalies(normals: &[Vec<f32>], shape: Shape, seed: u64) -> Vec<Vec<f32>> {
    let draws: Vec<usize> = (0..normals.len() * ANOMALIES_PER_NORMAL).collect();
    let draw = |draw: usize| {
        let mut pixels = normals[draw / ANOMALIES_PER_NORMAL].clone();
        let kind = SyntheticKind::ALL[draw % SyntheticKind::ALL.len()];
        draw_anomaly(&mut pixels, shape.width, shape.channels, seed, draw as u64, kind);
        pixels
    };
    draws.into_par_iter().map(draw).collect()
}
