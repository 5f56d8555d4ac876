//! What families that reproduce images have in common: forward passes in batches, and the measurements of each image's
//! reconstruction and embedding.

use aberra_metrics::{Error, Result};
use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::inputs::Inputs;
use crate::measure::reconstruction::{Errors, Reconstruction, error_map};
use crate::measure::reference::Reference;
use crate::measure::{Embedding, Inference, Want};
use crate::network::FORWARD_BATCH;
use crate::shape::Shape;

/// A network's output for one image.
pub(super) struct Reproduced {
    /// The reconstruction, `[height, width, channels]`, 0 to 1.
    pub(super) mean: Vec<f32>,
    /// Log-variance of each pixel, where it is predicted.
    pub(super) log_variance: Option<Vec<f32>>,
    pub(super) embedding: Embedding,
    /// Measurements that the family alone makes.
    pub(super) own: Vec<f64>,
}

/// A fitted network that reproduces images.
pub(super) trait Reproduce: Sync {
    fn shape(&self) -> Shape;

    /// The network's outputs for a batch that fits in one forward pass.
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<Reproduced>>;
}

/// The network's outputs for any number of inputs, `FORWARD_BATCH` at a time.
pub(super) fn forward(network: &impl Reproduce, inputs: &[&[f32]]) -> Result<Vec<Reproduced>> {
    let mut outputs = Vec::with_capacity(inputs.len());
    for inputs in inputs.chunks(FORWARD_BATCH) {
        outputs.extend(network.forward(inputs)?);
    }
    Ok(outputs)
}

/// Infers from inputs: `measurements` orders the errors, the family's own measurements and the distances to the training
/// normals as its descriptors do.
pub(super) fn infer(
    network: &impl Reproduce,
    reference: &Reference,
    inputs: &[&[f32]],
    want: Want,
    measurements: impl Fn(&Errors, &[f64], [f64; 2]) -> Vec<f64> + Sync,
) -> Result<Vec<Inference>> {
    let shape = network.shape();
    let outputs = forward(network, inputs)?;
    let infer = |(input, output): (&&[f32], Reproduced)| {
        let Reproduced { mean, log_variance, embedding, own } = output;
        let reconstruction = Reconstruction { mean: &mean, log_variance: log_variance.as_deref() };
        let errors = Errors::measure(input, shape, reconstruction)?;
        let distances = reference.measure(&embedding.mean)?;
        let map = want.map.then(|| error_map(input, shape, reconstruction)).transpose()?;
        Ok(Inference {
            measurements: measurements(&errors, &own, distances),
            map,
            embedding: Some(embedding),
            reconstruction: want.reconstruction.then_some(mean),
        })
    };
    inputs.par_iter().zip(outputs).map(infer).collect()
}

/// The reconstructions of inputs alone.
pub(super) fn reconstructions(network: &impl Reproduce, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
    Ok(forward(network, inputs)?.into_iter().map(|output| output.mean).collect())
}

/// The training normals in the network's embedding space.
pub(super) fn reference(network: &impl Reproduce, train: &Inputs<'_>) -> Result<Reference> {
    /// Images held in memory at once.
    const CHUNK: usize = 64;
    let mut embeddings = Vec::with_capacity(train.len());
    train.chunks(CHUNK, |inputs| {
        embeddings.extend(forward(network, inputs)?.into_iter().map(|output| output.embedding.mean));
        Ok(())
    })?;
    Reference::new(embeddings)
}

/// Points of an embedding space as one tensor `[points, dimensions]`.
///
/// # Errors
/// A point of another length, or one that is not finite.
pub(super) fn points(
    points: &[Vec<f32>],
    dimensions: usize,
    device: &burn::tensor::Device,
) -> Result<Tensor<2>> {
    for point in points {
        if point.len() != dimensions {
            return Err(Error::data(format!(
                "expected a latent of {dimensions} numbers, found one of {}",
                point.len()
            )));
        }
        if point.iter().any(|value| !value.is_finite()) {
            return Err(Error::data("expected a finite latent, found NaN or infinity"));
        }
    }
    let data = burn::tensor::TensorData::new(points.concat(), [points.len(), dimensions]);
    Ok(Tensor::from_data(data, device))
}

/// Name of the tensor that holds the training normals' embeddings in a member's tensors.
pub(super) const REFERENCE: &str = "reference";
