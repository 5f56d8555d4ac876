//! From images to scores: what the model makes of an image, the evidence drawn from it, and the scorers that turn
//! evidence into one number. Scoring uses the posterior mean, never a sample: it is deterministic.

mod evidence;
mod fusion;
mod latent;
mod scorer;
mod typicality;

use burn::tensor::Tensor;

pub(crate) use self::evidence::kl_per_dimension;
pub use self::evidence::{ErrorMap, Evidence};
pub use self::latent::{LatentReference, NEIGHBOURS};
pub use self::scorer::{DEFAULT_SCORER, FittedScorer, SCORERS, Scorer, scorer};

use crate::Result;
use crate::model::Model;

/// Images a forward pass takes at once.
pub(crate) const FORWARD_BATCH: usize = 16;

/// What the model makes of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// Posterior mean, `[latent]`.
    pub mu: Vec<f32>,
    /// Posterior log-variance, `[latent]`.
    pub log_variance: Vec<f32>,
    /// Reconstruction at the posterior mean, `[height, width, channels]`, 0 to 1.
    pub mean: Vec<f32>,
    /// Log-variance of each pixel, where the decoder predicts it.
    pub pixel_log_variance: Option<Vec<f32>>,
}

/// The model's response to each of `inputs`, `[height, width, channels]` flattened.
///
/// # Errors
/// An input whose length does not fit the model.
pub fn respond(model: &Model, inputs: &[&[f32]]) -> Result<Vec<Response>> {
    let mut responses = Vec::with_capacity(inputs.len());
    for inputs in inputs.chunks(FORWARD_BATCH) {
        let posterior = model.posterior(model.batch(inputs)?);
        let reconstruction = model.reconstruction(posterior.mean.clone());
        let mu = rows(posterior.mean, inputs.len());
        let log_variance = rows(posterior.log_variance, inputs.len());
        let mean = rows(reconstruction.mean(), inputs.len());
        let pixel = reconstruction.log_variance().map(|tensor| rows(tensor, inputs.len()));
        let mut pixel = pixel.into_iter().flatten();
        for ((mu, log_variance), mean) in mu.into_iter().zip(log_variance).zip(mean) {
            responses.push(Response { mu, log_variance, mean, pixel_log_variance: pixel.next() });
        }
    }
    Ok(responses)
}

/// The model's output for `[batch, latent]` latents: means `[height, width, channels]`.
pub(crate) fn rows<const D: usize>(tensor: Tensor<D>, count: usize) -> Vec<Vec<f32>> {
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    values.chunks_exact(values.len() / count).map(<[f32]>::to_vec).collect()
}
