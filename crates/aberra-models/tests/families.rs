//! What every family does alike: what it saves it loads, damaged tensors are refused, and an image's numbers do not depend on
//! those beside it.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::ops::ControlFlow;

use aberra_kernels::InstructionSet;
use aberra_models::families::FAMILIES;
use aberra_models::measure::Want;
use aberra_models::network::Precision;
use aberra_models::train::{Progress, TrainSettings};
use aberra_models::{
    BackboneSource, Family, FitContext, Inputs, Platform, Settings, Shape, SharedMember, Tensors, preset,
};
use burn::tensor::Device;

const SHAPE: Shape = Shape { height: 32, width: 64, channels: 1 };

fn images() -> Vec<Vec<f32>> {
    let image = |at: usize| (0..SHAPE.len()).map(|pixel| ((at + pixel * 7) % 11) as f32 / 11.0).collect();
    (0..8).map(image).collect()
}

/// Brightens a square: a synthetic anomaly.
fn draw_square(pixels: &mut [f32], shape: Shape, _: u64, index: u64) -> Vec<bool> {
    let first = index as usize % (shape.width - 12);
    let inside = |at: usize| {
        (8..20).contains(&(at / shape.width)) && (first..first + 12).contains(&(at % shape.width))
    };
    (0..shape.area())
        .map(|at| {
            let drawn = inside(at);
            if drawn {
                pixels[at * shape.channels..][..shape.channels].fill(1.0);
            }
            drawn
        })
        .collect()
}

/// A member of the family's default preset, after one epoch.
fn fitted(family: &dyn Family) -> (Settings, SharedMember) {
    let instructions = InstructionSet::widest();
    let mut settings = preset(family, family.default_preset()).unwrap();
    for taught in ["images", "pictures"] {
        settings.entry(taught).and_modify(|images| *images = 8.into());
    }
    let settings = family.resolve(&settings, SHAPE, Some(Precision::F32)).unwrap();
    let images = images();
    let inputs = Inputs::of_pixels(SHAPE, &images).unwrap();
    let mut observe = |_: Progress<'_>| Ok(ControlFlow::Continue(()));
    let mut context = FitContext {
        seed: 1,
        device: Device::flex(),
        backbone: BackboneSource::Embedded,
        instructions,
        train: TrainSettings { epochs: 1, ..TrainSettings::default() }.check().unwrap(),
        observe: &mut observe,
        checkpoints: None,
        resume: false,
        judge: None,
        draw_anomaly: Some(draw_square),
    };
    let member = family.fit(&settings, &mut context, &inputs, &inputs).unwrap().member;
    (settings, member)
}

#[test]
fn a_loaded_member_measures_the_same_and_one_image_as_among_others() {
    for family in FAMILIES {
        let (settings, member) = fitted(*family);
        let loaded = family.load(&settings, SHAPE, member.tensors(), &Platform::new(Device::flex())).unwrap();
        assert_eq!(loaded.tensors(), member.tensors(), "{}", family.name());
        let images = images();
        let images: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
        let together = member.infer(&images, Want::ALL).unwrap();
        for (image, among) in images.iter().zip(&together) {
            let alone = loaded.infer(&[image], Want::ALL).unwrap().remove(0);
            assert_eq!(alone.measurements.len(), member.descriptors().len());
            assert_eq!(alone.measurements, among.measurements, "{}", family.name());
            assert_eq!(alone.map, among.map, "{}", family.name());
        }
    }
}

#[test]
fn damaged_tensors_are_refused_by_name() {
    for family in FAMILIES {
        let (settings, member) = fitted(*family);
        let refusal = |damage: &dyn Fn(&mut Tensors)| {
            let mut tensors = member.tensors();
            damage(&mut tensors);
            let error = family.load(&settings, SHAPE, tensors, &Platform::new(Device::flex())).unwrap_err();
            assert!(error.is_detector(), "{}: {error}", family.name());
            error.to_string()
        };
        for name in member.tensors().keys() {
            let without = refusal(&|tensors| drop(tensors.remove(name)));
            assert!(without.contains(name) && without.contains("missing"), "{}: {without}", family.name());
            let wider = refusal(&|tensors| {
                let tensor = tensors.get_mut(name).unwrap();
                let last = tensor.shape.len() - 1;
                tensor.shape[last] += 1;
                let length = tensor.shape.iter().product();
                tensor.values.resize(length, 0.5);
            });
            assert!(wider.contains(name) && wider.contains("expected"), "{}: {wider}", family.name());
            let endless = refusal(&|tensors| tensors.get_mut(name).unwrap().values[0] = f32::INFINITY);
            assert!(endless.contains("finite"), "{} {name}: {endless}", family.name());
        }
    }
}
