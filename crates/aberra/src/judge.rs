//! Judges a member while it is fitted: how far its scorer's scores rise when synthetic anomalies are drawn into the
//! held-out normals. No real anomaly is seen.

use aberra_metrics::Result;
use aberra_metrics::random::{Stream, generator};
use aberra_metrics::ranking::standardized_rise;
use aberra_models::measure::Want;
use aberra_models::{Inputs, Shape, SharedMember, channel_of, set_channel};
use rand::RngExt;
use rayon::prelude::*;

use crate::canvas::Canvas;
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
        let members = Members::new(vec![named], Canvas::single(self.shape), None);
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

/// The evidence on each of `normals` with [`ANOMALIES_PER_NORMAL`] synthetic anomalies drawn in, one a copy, the kinds in turn.
/// `measured` is what was measured on them. In an image with tiles, an anomaly lies in one of them, drawn at random.
///
/// # Errors
/// Images that cannot be read or measured.
pub(crate) fn synthetic_evidence(
    members: &Members,
    normals: &Inputs<'_>,
    measured: &[Measured],
    seed: u64,
) -> Result<Vec<Evidence>> {
    /// Normals held in memory at once, with their copies.
    const CHUNK: usize = 8;
    let (canvas, shape) = (members.canvas(), members.canvas().input());
    let mut evidence = Vec::with_capacity(normals.len() * ANOMALIES_PER_NORMAL);
    normals.chunks(CHUNK, |images| {
        let first = evidence.len();
        let draw = |draw: usize| {
            let index = first + draw;
            let tile = match canvas.tiles() {
                1 => 0,
                tiles => generator(seed, Stream::Tiles, index as u64).random_range(0..tiles),
            };
            let mut pixels = canvas.cut(images[draw / ANOMALIES_PER_NORMAL], tile).into_owned();
            let kind = SyntheticKind::ALL[index % SyntheticKind::ALL.len()];
            match canvas.channels().len() {
                0 => {
                    draw_anomaly(&mut pixels, shape.width, shape.channels, seed, index as u64, kind);
                }
                // What is unusual in one of several channels is to be found: the channels in turn, each with every kind.
                channels => {
                    let channel = index / SyntheticKind::ALL.len() % channels;
                    let mut plane = channel_of(&pixels, channel, channels);
                    draw_anomaly(&mut plane, shape.width, 1, seed, index as u64, kind);
                    set_channel(&mut pixels, channel, channels, &plane);
                }
            }
            (tile, pixels)
        };
        let drawn: Vec<(usize, Vec<f32>)> =
            (0..images.len() * ANOMALIES_PER_NORMAL).into_par_iter().map(draw).collect();
        let slices: Vec<&[f32]> = drawn.iter().map(|(_, pixels)| pixels.as_slice()).collect();
        for ((tile, _), own) in drawn.iter().zip(members.measure_inputs(&slices)?) {
            let mut tiles = measured[evidence.len() / ANOMALIES_PER_NORMAL].tiles.clone();
            match tiles.get_mut(*tile) {
                Some(before) => {
                    *before = own;
                    evidence.push(members.pool(&tiles));
                }
                None => evidence.push(own),
            }
        }
        Ok(())
    })?;
    Ok(evidence)
}

/// Draws an anomaly for families that train on them, the kinds in turn.
pub(crate) fn draw_training_anomaly(pixels: &mut [f32], shape: Shape, seed: u64, index: u64) -> Vec<bool> {
    let kinds = SyntheticKind::TRAINING;
    let kind = kinds[index as usize % kinds.len()];
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
