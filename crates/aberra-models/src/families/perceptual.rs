//! The perceptual loss: how far the frozen features of an expected image are from those of the image, relative to these
//! (Johnson et al., *Perceptual losses for real-time style transfer*, 2016; the relative form: Shvetsova et al., *Anomaly
//! detection in medical imaging with deep perceptual autoencoders*, 2021).
//!
//! Pixels that are a little out of place cost little, a texture or a part that is missing costs much. The backbone takes part in
//! training alone: a fitted member does not need it.

use std::sync::Arc;

use aberra_metrics::Result;
use burn::tensor::{Device, Tensor};

use crate::backbone::{Backbone, BackboneSource};
use crate::shape::Shape;

/// Added to the variance of a feature over an image: one that hardly varies there is not made to count more than others.
const LEAST_VARIANCE: f64 = 0.01;

/// The backbone of a perceptual loss, with autodiff and without.
#[derive(Clone, Debug)]
pub(super) struct Perceptual {
    learning: Arc<Backbone>,
    judging: Arc<Backbone>,
}

impl Perceptual {
    /// # Errors
    /// A backbone that cannot be read.
    pub(super) fn of(source: &BackboneSource, device: &Device) -> Result<Self> {
        let learning = source.on(&device.clone().autodiff())?;
        Ok(Self { learning, judging: source.on(device)? })
    }

    /// Values that its gradient holds for an image.
    pub(super) fn activations_per_image(shape: Shape) -> usize {
        Backbone::activations_per_image(shape)
    }

    /// The mean over the batch of the L1 distance of features, relative to the size of the target's, shape `[1]`; the mean of
    /// three blocks, in each of which a feature counts in its standard deviations over the target image.
    ///
    /// # Shapes
    /// `expected` and `target` `[batch, height, width, channels]`, 1 or 3 channels of at least 32 x 32 pixels, 0 to 1.
    pub(super) fn distance(&self, expected: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
        let backbone =
            if expected.device() == *self.judging.device() { &self.judging } else { &self.learning };
        // The shape was checked with the settings: there is nothing of another to measure.
        let (Ok(expected), Ok(target)) = (backbone.features(expected), backbone.features(target)) else {
            return Tensor::zeros([1], backbone.device());
        };
        let blocks = expected.into_iter().zip(target);
        let of_block = |(expected, target): (Tensor<4>, Tensor<4>)| {
            let target = target.detach();
            let over_image = |values: Tensor<4>| values.mean_dims(&[1, 2]);
            let mean = over_image(target.clone());
            let centred = target.clone() - mean;
            let variance = over_image(centred.clone().powi_scalar(2));
            let deviation = (variance + LEAST_VARIANCE).sqrt();
            let difference = ((expected - target) / deviation.clone()).abs();
            let size = (centred / deviation).abs();
            (over_image(difference).mean_dim(3) / over_image(size).mean_dim(3)).mean()
        };
        let distances = blocks.map(of_block).collect();
        Tensor::cat(distances, 0).mean()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use burn::tensor::TensorData;
    use serde::Deserialize;

    use super::*;

    /// What `make_perceptual.py` writes.
    #[derive(Deserialize)]
    struct Golden {
        distance: f32,
        /// Largest value of the gradient.
        largest: f32,
        /// Values from one of the gradient's samples to the next.
        every: usize,
        gradient: Vec<f32>,
    }

    const DIMS: [usize; 4] = [2, 48, 37, 3];

    /// What the script draws, too.
    fn images(phase: f64, device: &Device) -> Tensor<4> {
        let value =
            |at: usize| (0.5 + 0.45 * (at as f64 * 0.37 + phase).sin() * (at as f64 * 0.011).cos()) as f32;
        let values: Vec<f32> = (0..DIMS.iter().product()).map(value).collect();
        Tensor::from_data(TensorData::new(values, DIMS), device)
    }

    #[test]
    fn distance_and_gradient_are_those_of_pytorch() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/golden/perceptual.json")).unwrap();
        let device = Device::flex();
        let perceptual = Perceptual::of(&BackboneSource::Embedded, &device).unwrap();
        let judged = perceptual.distance(images(0.0, &device), images(0.8, &device));
        let judged: f32 = judged.into_scalar();
        assert!((judged - golden.distance).abs() < 1e-4 * golden.distance, "{judged}");

        let device = device.autodiff();
        let expected = images(0.0, &device).require_grad();
        let learnt = perceptual.distance(expected.clone(), images(0.8, &device));
        assert_eq!(learnt.clone().into_scalar::<f32>(), judged);
        let gradient = expected.grad(&learnt.backward()).unwrap();
        let gradient: Vec<f32> = gradient.into_data().iter::<f32>().collect();
        for (found, wanted) in gradient.iter().step_by(golden.every).zip(&golden.gradient) {
            assert!((found - wanted).abs() < 2e-3 * golden.largest, "{found} {wanted}");
        }
    }

    #[test]
    fn a_users_own_backbone_is_found_with_and_without_autodiff() {
        let device = Device::flex();
        let file =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/backbone/efficientnet-lite0-10.safetensors"));
        let mut own = file.unwrap();
        // Spaces in the header make it a file that the crate does not have.
        let header = u64::from_le_bytes(own[..8].try_into().unwrap());
        own[..8].copy_from_slice(&(header + 8).to_le_bytes());
        let end = 8 + header as usize;
        own.splice(end..end, [b' '; 8]);
        let backbone = Arc::new(Backbone::from_safetensors(&own, &device).unwrap());
        assert!(backbone.own_weights().is_some());
        let own = Perceptual::of(&BackboneSource::Own(backbone), &device).unwrap();
        let embedded = Perceptual::of(&BackboneSource::Embedded, &device).unwrap();
        let learning = device.clone().autodiff();
        for device in [device, learning] {
            let [own, embedded] = [&own, &embedded].map(|perceptual| {
                perceptual.distance(images(0.0, &device), images(0.8, &device)).into_scalar::<f32>()
            });
            assert_eq!(own, embedded);
        }
    }
}
