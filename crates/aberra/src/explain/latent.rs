//! What a detector's latent space holds: images decoded along a direction, images drawn from the prior, and the training
//! normals nearest to an image.

use aberra_metrics::pca::{Pca, pca};
use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::detector::{Detector, Part};
use crate::model::Model;
use crate::score::{FORWARD_BATCH, rows};
use crate::{Error, Result};

/// A training normal near an image in latent space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearNormal {
    /// Its number among the detector's [`normals`](Detector::normals).
    pub normal: usize,
    /// Distance in latent space, each dimension in standard deviations of the training normals.
    pub distance: f64,
}

/// The training normals nearest to a posterior mean `[latent]`, at most `count`, nearest first.
///
/// # Errors
/// A latent of another length, or one that is not finite.
pub fn nearest(detector: &Detector, mu: &[f32], count: usize) -> Result<Vec<NearNormal>> {
    check_latent(detector.model(), mu)?;
    let train: Vec<usize> = detector
        .normals()
        .iter()
        .enumerate()
        .filter(|(_, normal)| normal.part == Part::Train)
        .map(|(index, _)| index)
        .collect();
    let near = detector.latent_reference().nearest(mu, count)?.into_iter();
    Ok(near.map(|near| NearNormal { normal: train[near.index], distance: near.distance }).collect())
}

/// The images that the decoder makes of `latents`, each `[latent]`: expected pixels `[size_px, size_px, channels]`, 0 to 1.
///
/// # Errors
/// A latent of another length, or one that is not finite.
pub fn decode(model: &Model, latents: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    latents.iter().try_for_each(|latent| check_latent(model, latent))?;
    let mut images = Vec::with_capacity(latents.len());
    for latents in latents.chunks(FORWARD_BATCH) {
        let data = TensorData::new(latents.concat(), [latents.len(), model.latent()]);
        let reconstruction = model.reconstruction(Tensor::<2>::from_data(data, &model.device()));
        images.extend(rows(reconstruction.mean(), latents.len()));
    }
    Ok(images)
}

/// Images decoded along a straight line in latent space: at `origin + position * step` for each of `positions`.
///
/// # Errors
/// As [`decode`]; a step of another length.
pub fn traversal(model: &Model, origin: &[f64], step: &[f64], positions: &[f64]) -> Result<Vec<Vec<f32>>> {
    if origin.len() != step.len() {
        return Err(wrong_latent(origin.len(), step.len()));
    }
    let at = |position: &f64| {
        origin.iter().zip(step).map(|(origin, step)| (origin + position * step) as f32).collect()
    };
    let latents: Vec<Vec<f32>> = positions.iter().map(at).collect();
    decode(model, &latents)
}

/// `count` latents, each `[latent]`, drawn from the prior N(0, I).
pub fn draw_latents(model: &Model, random: &mut impl Rng, count: usize) -> Vec<Vec<f32>> {
    let values: Vec<f32> = StandardNormal.sample_iter(random).take(count * model.latent()).collect();
    values.chunks_exact(model.latent()).map(<[f32]>::to_vec).collect()
}

/// Images decoded from `count` latents drawn from the prior N(0, I).
///
/// # Errors
/// A model that gives values that are not finite.
pub fn prior_samples(model: &Model, random: &mut impl Rng, count: usize) -> Result<Vec<Vec<f32>>> {
    decode(model, &draw_latents(model, random, count))
}

/// The principal components of a detector's training normals in latent space, at most `most`.
///
/// # Errors
/// Normals that the model puts all in one place.
pub fn principal_components(detector: &Detector, most: usize) -> Result<Pca> {
    pca(&posterior_means(detector, Part::Train), most)
}

/// Posterior means of the normals of one part, each `[latent]`, in the order of the detector's
/// [`normals`](Detector::normals).
pub fn posterior_means(detector: &Detector, part: Part) -> Vec<Vec<f32>> {
    let normals = detector.normals().iter().zip(detector.normals_mu());
    normals.filter(|(normal, _)| normal.part == part).map(|(_, mu)| mu.clone()).collect()
}

fn check_latent(model: &Model, latent: &[f32]) -> Result<()> {
    if latent.len() != model.latent() {
        return Err(wrong_latent(model.latent(), latent.len()));
    }
    if latent.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::data("expected a finite latent, found NaN or infinity"))
}

fn wrong_latent(expected: usize, found: usize) -> Error {
    Error::data(format!("expected a latent of {expected} numbers, found one of {found}"))
}
