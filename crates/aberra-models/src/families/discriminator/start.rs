//! The weights that training begins with: what a discriminator has learnt from generated images of many kinds.
//!
//! They lie in the crate, in the folder `discriminator/` beside `src/`, with the script that made them.

use aberra_metrics::Result;
use include_flate::flate;

use super::{Network, Start};
use crate::backbone::BackboneSource;
use crate::tensors::{Weight, load_weights, read_safetensors};

// For features by the weights trained on ImageNet. Compressed, as training alone reads them, like the next.
flate!(static ON_IMAGENET: [u8] from "discriminator/start.safetensors");

// For features by the weights that learnt from generated images, too.
flate!(static ON_GENERATED: [u8] from "discriminator/start-generated.safetensors");

/// The weights of the first layer on pixels.
const FIRST: &str = "detail.halve.0.weight";

/// A network with the weights that training begins with; on a user's own backbone they stay random.
///
/// # Errors
/// None: the tests show that the weights fit.
pub(super) fn begin(network: Network, start: Start, backbone: &BackboneSource) -> Result<Network> {
    let file = match (start, backbone) {
        (Start::Generated, BackboneSource::Embedded) => &ON_IMAGENET,
        (Start::Generated, BackboneSource::Generated) => &ON_GENERATED,
        _ => return Ok(network),
    };
    let mut generated = read_safetensors("start of a discriminator", file)?;
    if network.extractor.shape.channels == 1
        && let Some(first) = generated.remove(FIRST)
    {
        generated.insert(FIRST.to_owned(), of_grey(first));
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

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::{Discriminator, DiscriminatorSettings, Reference};
    use super::*;
    use crate::backbone::Platform;
    use crate::family::{Family, to_settings};
    use crate::features::Extractor;
    use crate::inputs::Inputs;
    use crate::shape::Shape;
    use crate::tensors::{Tensors, weights};

    fn begun(source: &BackboneSource, channels: usize, start: Start) -> (Tensors, Tensors) {
        let (shape, device) = (Shape { height: 32, width: 32, channels }, Device::flex());
        let platform = Platform { device: device.clone(), backbone: source.clone() };
        let pixels = vec![(0..shape.len()).map(|at| (at % 7) as f32 / 7.0).collect()];
        let inputs = Inputs::of_pixels(shape, &pixels).unwrap();
        let extractor = Extractor::of(platform.backbone().unwrap(), &inputs).unwrap();
        let reference = Reference::of(&extractor, &inputs, 8, 0, &device).unwrap();
        let settings = DiscriminatorSettings::default();
        let random = Network::init(&settings, Some(0), extractor, reference, &device);
        (weights(&random), weights(&begin(random, start, source).unwrap()))
    }

    #[test]
    fn networks_begin_with_what_was_learnt() {
        for source in [BackboneSource::Embedded, BackboneSource::Generated] {
            for channels in [1, 3] {
                let (random, found) = begun(&source, channels, Start::Generated);
                assert!(random.iter().all(|(name, weight)| found[name] != *weight), "{source:?}, {channels}");
                assert_eq!(begun(&source, channels, Start::Random).1, random);
            }
        }
    }

    #[test]
    fn settings_of_other_sizes_say_that_training_begins_with_random_weights() {
        let (shape, family) = (Shape { height: 32, width: 32, channels: 1 }, Discriminator);
        for (width, start) in [(96, "generated"), (32, "random")] {
            let settings = to_settings(&DiscriminatorSettings { width, ..DiscriminatorSettings::default() });
            assert_eq!(family.resolve(&settings, shape, None).unwrap()["start"], start);
        }
    }

    #[test]
    fn a_layer_on_grey_is_the_sum_of_those_on_colours() {
        let weight = Weight { shape: vec![1, 2, 3, 2], values: (0..12).map(|at| at as f32).collect() };
        let grey = of_grey(weight);
        assert_eq!((grey.shape, grey.values), (vec![1, 2, 1, 2], vec![6.0, 9.0, 24.0, 27.0]));
    }
}
