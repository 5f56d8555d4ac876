//! The weights that training begins with: what a discriminator has learnt from generated images of many kinds.
//!
//! They lie in the crate, in the folder `discriminator/` beside `src/`, with the script that made them.

use aberra_metrics::Result;

use super::{Network, Start};
use crate::backbone::BackboneSource;
use crate::tensors::{Weight, load_weights, read_safetensors, weights};

/// For features by the weights trained on ImageNet.
const ON_IMAGENET: &[u8] = include_bytes!("../../../discriminator/start.safetensors");

/// For features by the weights that learnt from generated images, too.
const ON_GENERATED: &[u8] = include_bytes!("../../../discriminator/start-generated.safetensors");

/// The weights of the first layer on pixels.
const FIRST: &str = "detail.halve.0.weight";

/// A network with the weights that training begins with.
///
/// # Errors
/// None: the tests show that the weights fit.
pub(super) fn begin(network: Network, start: Start, backbone: &BackboneSource) -> Result<Network> {
    let file = match (start, backbone) {
        (Start::Generated, BackboneSource::Embedded) => ON_IMAGENET,
        (Start::Generated, BackboneSource::Generated) => ON_GENERATED,
        _ => return Ok(network),
    };
    let mut generated = read_safetensors("start of a discriminator", file)?;
    if network.shape.channels == 1
        && let Some(first) = generated.remove(FIRST)
    {
        generated.insert(FIRST.to_owned(), of_grey(first));
    }
    let random = weights(&network);
    let fits =
        |(name, weight): (&String, &Weight)| generated.get(name).is_some_and(|own| own.shape == weight.shape);
    if generated.len() != random.len() || !random.iter().all(fits) {
        return Ok(network);
    }
    load_weights(network, generated)
}

/// A layer on red, green and blue as one on grey, which is all three alike.
fn of_grey(weight: Weight) -> Weight {
    let [height, width, inputs, outputs] = weight.shape[..] else { return weight };
    let mut values = vec![0.0; height * width * outputs];
    for (at, value) in weight.values.iter().enumerate() {
        values[at / (inputs * outputs) * outputs + at % outputs] += value;
    }
    Weight { shape: vec![height, width, 1, outputs], values }
}
