//! What chooses the best checkpoint: the loss on held-out normals, and how far the scorer rises when synthetic
//! anomalies are drawn into them. No real anomaly is seen.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{Inputs, Run, scalar};
use crate::Result;
use crate::evaluate::metrics::standardized_rise;
use crate::model::{Loss, Model};
use crate::phantom::{SyntheticKind, draw_anomaly};
use crate::score::{Evidence, FittedScorer, LatentReference, respond, scorer};

/// Synthetic anomalies drawn into each held-out normal, of kinds taken in turn.
const ANOMALIES_PER_NORMAL: usize = 4;

/// Images of a forward pass.
const BATCH: usize = 32;

/// The held-out normals, and the same with synthetic anomalies drawn in.
pub(super) struct Selection<'a> {
    inputs: &'a Inputs,
    normals: Vec<Vec<f32>>,
    anomalies: Vec<Vec<f32>>,
    scorer: &'a str,
    size_px: usize,
    channels: usize,
}

impl<'a> Selection<'a> {
    pub(super) fn new(run: &Run<'a>, inputs: &'a Inputs, held_out: &Inputs) -> Result<Self> {
        let normals: Vec<Vec<f32>> =
            (0..held_out.len()).map(|index| Ok(held_out.get(index)?.into_owned())).collect::<Result<_>>()?;
        let anomalies = synthetic_anomalies(&normals, run.size_px, run.channels, run.seed);
        let (size_px, channels) = (run.size_px, run.channels);
        Ok(Self { inputs, normals, anomalies, scorer: run.scorer, size_px, channels })
    }

    /// Reconstruction and KL terms on the held-out normals at the posterior mean, nats per image.
    pub(super) fn held_out_loss(&self, model: &Model, predicts_variance: bool) -> Result<(f64, f64)> {
        let device = model.device();
        let (mut reconstruction, mut kl) = (0.0, 0.0);
        for normals in self.normals.chunks(BATCH) {
            let shape = [normals.len(), self.size_px, self.size_px, self.channels];
            let input = Tensor::<4>::from_data(TensorData::new(normals.concat(), shape), &device);
            let posterior = model.posterior(input.clone());
            let decoded = model.reconstruction(posterior.mean.clone());
            let loss = Loss::new(input, decoded, posterior, 0.0, predicts_variance);
            reconstruction += scalar(loss.reconstruction) * normals.len() as f64;
            kl += scalar(loss.kl) * normals.len() as f64;
        }
        let count = self.normals.len().max(1) as f64;
        Ok((reconstruction / count, kl / count))
    }

    /// How far the scorer, fitted on the held-out normals, rises when an anomaly is drawn into them, in standard deviations
    /// of their own scores ([`standardized_rise`]); `None` where it cannot be computed.
    pub(super) fn synthetic_rise(&self, model: &Model) -> Result<Option<f64>> {
        let reference = match scorer(self.scorer)?.needs_reference() {
            true => Some(self.reference(model)?),
            false => None,
        };
        let measure = |pixels: &[Vec<f32>]| self.evidence(model, pixels, reference.as_ref());
        let (normals, anomalies) = (measure(&self.normals)?, measure(&self.anomalies)?);
        let Ok(fitted) = FittedScorer::fit(self.scorer, &normals) else { return Ok(None) };
        let scores = |images: &[Evidence]| {
            images.iter().map(|evidence| fitted.score(evidence)).collect::<Result<Vec<_>>>()
        };
        Ok(standardized_rise(&scores(&normals)?, &scores(&anomalies)?))
    }

    fn reference(&self, model: &Model) -> Result<LatentReference> {
        let mut mu = Vec::new();
        for start in (0..self.inputs.len()).step_by(BATCH) {
            let members = start..(start + BATCH).min(self.inputs.len());
            let pixels = members.map(|index| self.inputs.get(index)).collect::<Result<Vec<_>>>()?;
            let slices: Vec<&[f32]> = pixels.iter().map(AsRef::as_ref).collect();
            mu.extend(respond(model, &slices)?.into_iter().map(|response| response.mu));
        }
        LatentReference::new(&mu)
    }

    fn evidence(
        &self,
        model: &Model,
        pixels: &[Vec<f32>],
        reference: Option<&LatentReference>,
    ) -> Result<Vec<Evidence>> {
        let slices: Vec<&[f32]> = pixels.iter().map(Vec::as_slice).collect();
        let responses = respond(model, &slices)?;
        pixels
            .par_iter()
            .zip(&responses)
            .map(|(pixels, response)| {
                let evidence = Evidence::measure(pixels, self.size_px, self.channels, response)?;
                reference.map_or(Ok(evidence), |reference| evidence.with_reference(reference, &response.mu))
            })
            .collect()
    }
}

/// Each normal with [`ANOMALIES_PER_NORMAL`] different anomalies drawn in, one a copy.
fn synthetic_anomalies(normals: &[Vec<f32>], size_px: usize, channels: usize, seed: u64) -> Vec<Vec<f32>> {
    let draws: Vec<usize> = (0..normals.len() * ANOMALIES_PER_NORMAL).collect();
    let draw = |draw: usize| {
        let mut pixels = normals[draw / ANOMALIES_PER_NORMAL].clone();
        let kind = SyntheticKind::ALL[draw % SyntheticKind::ALL.len()];
        draw_anomaly(&mut pixels, size_px, channels, seed, draw as u64, kind);
        pixels
    };
    draws.into_par_iter().map(draw).collect()
}
