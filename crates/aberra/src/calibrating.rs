//! Calibrates a detector on normal images: their scores give the threshold, and the largest values of their maps that of
//! single pixels.

use aberra_metrics::calibrate::{Calibration, Criterion, pixel_threshold};
use aberra_models::Inputs;
use aberra_models::measure::Want;

use crate::Result;
use crate::members::{Measured, Members};
use crate::score::{FittedScorer, ScorerInput};

/// Images held in memory at once, with their maps.
const CHUNK: usize = 64;

/// What calibration normals give.
pub(crate) struct Calibrated {
    pub(crate) calibration: Calibration,
    /// In the units of the map.
    pub(crate) pixel_threshold: f64,
    /// For each member, the mean over images of each dimension's KL divergence; empty if the embedding is no distribution.
    pub(crate) kl_per_dimension: Vec<Vec<f64>>,
    /// What was measured of each image, without its map.
    pub(crate) measured: Vec<Measured>,
}

impl Calibrated {
    /// Measures `normals`, one image of each group, and derives the thresholds; `pixel_rate` is the share of normal images that
    /// may hold a pixel above its threshold.
    pub(crate) fn on(
        normals: &Inputs<'_>,
        members: &Members,
        scorer: &FittedScorer,
        criterion: Criterion,
        pixel_rate: f64,
    ) -> Result<Self> {
        let mut measured: Vec<Measured> = Vec::with_capacity(normals.len());
        let (mut scores, mut largest) = (Vec::new(), Vec::new());
        normals.chunks(members.canvas().images(CHUNK), |chunk| {
            for one in members.measure(chunk, Want::MAP) {
                let one = one?;
                let map = one.map.as_deref();
                let sample = ScorerInput { map, ..ScorerInput::new(members.descriptors(), &one.evidence) };
                scores.push(scorer.score(&sample));
                largest.push(
                    map.unwrap_or_default().iter().fold(0.0, |most, &value| f64::max(most, f64::from(value))),
                );
                measured.push(Measured { map: None, ..one });
            }
            Ok(())
        })?;
        Ok(Self {
            calibration: Calibration::new(&scores, None, criterion)?,
            pixel_threshold: pixel_threshold(&largest, pixel_rate)?,
            kl_per_dimension: mean_kl(&measured, members.all().len()),
            measured,
        })
    }
}

fn mean_kl(images: &[Measured], members: usize) -> Vec<Vec<f64>> {
    let of_member = |member: usize| {
        let divergences: Vec<Vec<f64>> = images
            .iter()
            .filter_map(|image| {
                let embedding = image.inferences.get(member)?.embedding.as_ref()?;
                Some(embedding.kl_per_dimension()?.collect())
            })
            .collect();
        let dimensions = divergences.first().map_or(0, Vec::len);
        let mean = |dimension: usize| {
            divergences.iter().map(|one| one[dimension]).sum::<f64>() / divergences.len() as f64
        };
        (0..dimensions).map(mean).collect()
    };
    (0..members).map(of_member).collect()
}
