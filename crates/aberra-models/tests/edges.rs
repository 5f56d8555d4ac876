//! Where families are easily wrong: batches of one image, grids of one place, sides that are not square, several channels,
//! and operands rounded to bfloat16. The numbers themselves are compared with PyTorch's in `golden.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use aberra_kernels::InstructionSet;
use aberra_models::families::FAMILIES;
use aberra_models::measure::Want;
use aberra_models::network::Precision;
use aberra_models::train::{EpochRecord, Progress, SelectionCriterion, TrainSettings};
use aberra_models::{BackboneSource, Family, FitContext, Inputs, Settings, Shape, SharedMember};
use burn::tensor::Device;
use serde_json::json;

/// The families whose network reproduces images: those that multiply in a precision of one's choice.
fn reproducing() -> impl Iterator<Item = &'static dyn Family> {
    FAMILIES.iter().copied().filter(|family| family.schema().pointer("/properties/precision").is_some())
}

/// Two halving stages, in the given precision.
fn settings(family: &dyn Family, precision: &str) -> Settings {
    let settings = match family.name() {
        "vqvae" => json!({ "channels": [6, 8], "codes": 12, "code_dimensions": 4, "precision": precision }),
        "autoencoder" => json!({ "channels": [6, 8], "latent": 4, "noise_px": 3, "precision": precision }),
        _ => json!({ "channels": [6, 8], "latent": 4, "precision": precision }),
    };
    settings.as_object().unwrap().clone()
}

/// Bright squares on a ramp; where they are depends on the image.
fn images(shape: Shape, count: usize) -> Vec<Vec<f32>> {
    let Shape { height, width, channels } = shape;
    let pixel = |number: usize, at: usize| {
        let (y, x, channel) = (at / channels / width, at / channels % width, at % channels);
        let inside = (y + number) % height < height / 2 && (x + 2 * number) % width < width / 2;
        0.2 + 0.4 * (y + x) as f32 / (height + width) as f32
            + if inside { 0.1 * (channel + 2) as f32 } else { 0.0 }
    };
    (0..count).map(|number| (0..shape.len()).map(|at| pixel(number, at)).collect()).collect()
}

fn fit(
    family: &dyn Family,
    precision: &str,
    shape: Shape,
    images: &[Vec<f32>],
    train: &TrainSettings,
) -> (Vec<EpochRecord>, SharedMember) {
    let instructions = InstructionSet::widest();
    let settings = family.resolve(&settings(family, precision), shape, Some(Precision::F32)).unwrap();
    let inputs = Inputs::of_pixels(shape, images).unwrap();
    let mut records = Vec::new();
    let mut observe = |progress: Progress<'_>| {
        if let Progress::Epoch { record, .. } = progress {
            records.push(record.clone());
        }
        Ok(ControlFlow::Continue(()))
    };
    let mut context = FitContext {
        seed: 3,
        device: Device::flex(),
        backbone: BackboneSource::Embedded,
        instructions,
        train: train.clone().check().unwrap(),
        observe: &mut observe,
        checkpoints: None,
        resume: false,
        judge: None,
        draw_anomaly: None,
    };
    let member = family.fit(&settings, &mut context, &inputs, &inputs).unwrap().member;
    (records, member)
}

fn train(epochs: usize, batch_size: usize) -> TrainSettings {
    TrainSettings { epochs, batch_size, criterion: SelectionCriterion::Last, ..TrainSettings::default() }
}

/// Every number of the records and of what is inferred of each image alone is finite; among others, it is the same.
fn check(name: &str, shape: Shape, images: &[Vec<f32>], records: &[EpochRecord], member: &SharedMember) {
    for record in records {
        let terms = record.train.terms.values().chain(record.held_out.terms.values());
        assert!(
            terms.chain(record.figures.values()).all(|value| value.is_finite()),
            "{name} {shape}: {record:?}"
        );
    }
    for (weight, tensor) in member.tensors() {
        assert!(tensor.values.iter().all(|value| value.is_finite()), "{name} {shape}: {weight}");
    }
    let slices: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
    let together = member.infer(&slices, Want::ALL).unwrap();
    for (image, among) in slices.iter().zip(together) {
        let alone = member.infer(&[image], Want::ALL).unwrap().remove(0);
        assert_eq!(alone, among, "{name} {shape}");
        assert_eq!(alone.measurements.len(), member.descriptors().len(), "{name} {shape}");
        assert!(alone.measurements.iter().all(|value| value.is_finite()), "{name} {shape}: {alone:?}");
        let (map, reconstruction) = (alone.map.unwrap(), alone.reconstruction.unwrap());
        assert_eq!((map.len(), reconstruction.len()), (shape.area(), shape.len()), "{name}");
        assert!(map.iter().all(|value| value.is_finite()), "{name} {shape}");
        assert!(reconstruction.iter().all(|value| (0.0..=1.0).contains(value)), "{name} {shape}");
    }
}

#[test]
fn batches_of_one_train_down_to_grids_of_one_place() {
    for family in reproducing() {
        // At 4 x 4 pixels the last stage has one value a channel: its variance over the batch is 0.
        for shape in [Shape::square(16, 1), Shape::square(4, 1)] {
            let images = images(shape, 5);
            let (records, member) = fit(family, "f32", shape, &images, &train(3, 1));
            assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [5, 10, 15]);
            check(family.name(), shape, &images, &records, &member);
        }
    }
}

#[test]
fn a_last_batch_of_one_counts_as_one_image() {
    let shape = Shape::square(16, 1);
    for family in reproducing() {
        let images = images(shape, 5);
        let (records, member) = fit(family, "f32", shape, &images, &train(2, 4));
        assert_eq!(records.iter().map(|record| record.step).collect::<Vec<_>>(), [2, 4]);
        check(family.name(), shape, &images, &records, &member);
    }
}

#[test]
fn sides_that_are_not_square_and_several_channels() {
    for family in reproducing() {
        for (height, width, channels) in [(12, 20, 3), (28, 4, 1), (4, 36, 2)] {
            let shape = Shape { height, width, channels };
            let images = images(shape, 6);
            let (records, member) = fit(family, "f32", shape, &images, &train(2, 4));
            check(family.name(), shape, &images, &records, &member);
        }
    }
}

#[test]
fn sides_that_the_stages_do_not_divide_are_refused() {
    for family in reproducing() {
        for (height, width) in [(17, 16), (16, 18)] {
            let shape = Shape { height, width, channels: 1 };
            let error = family.resolve(&settings(family, "f32"), shape, None).unwrap_err().to_string();
            assert!(
                error.contains("a multiple of 4") && error.contains("found 1"),
                "{}: {error}",
                family.name()
            );
        }
    }
}

/// bfloat16 keeps 8 bits: a product of rounded operands is off by up to 2^-8 of its size.
#[test]
fn bf16_trains_as_f32_up_to_rounding() {
    /// Largest relative difference of an epoch's loss, and of the mean squared error after training.
    const TOLERANCE: f64 = 0.01;
    let shape = Shape { height: 16, width: 24, channels: 3 };
    let images = images(shape, 8);
    let slices: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
    for family in reproducing() {
        let [single, rounded] =
            ["f32", "bf16"].map(|precision| fit(family, precision, shape, &images, &train(10, 4)));
        check(family.name(), shape, &images, &rounded.0, &rounded.1);
        assert!(rounded.0[9].train.total < rounded.0[0].train.total, "{} does not learn", family.name());
        assert_ne!(single.0[9].train.total, rounded.0[9].train.total, "{} is not rounded", family.name());
        let near = |what: &str, rounded: f64, single: f64| {
            assert!(
                (rounded - single).abs() <= TOLERANCE * single.abs(),
                "{} {what}: {rounded} with bf16, {single} with f32",
                family.name()
            );
        };
        for (single, rounded) in single.0.iter().zip(&rounded.0) {
            near("loss", rounded.train.total, single.train.total);
            near("held-out loss", rounded.held_out.total, single.held_out.total);
        }
        let squared_error = |member: &SharedMember| {
            let inferred = member.infer(&slices, Want::MEASUREMENTS).unwrap();
            inferred.iter().map(|image| image.measurements[0]).sum::<f64>() / images.len() as f64
        };
        assert_eq!(single.1.descriptors()[0].name, "squared_error");
        near("squared error", squared_error(&rounded.1), squared_error(&single.1));
    }
}
