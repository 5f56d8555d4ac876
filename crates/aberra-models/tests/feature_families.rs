//! Families on frozen features: what they say of an image with an anomaly that they have never seen, on inputs that are not
//! square, and in a member of smaller inputs than its detector's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use aberra_kernels::InstructionSet;
use aberra_metrics::random::{Stream, generator};
use aberra_models::families::FAMILIES;
use aberra_models::measure::Want;
use aberra_models::network::Precision;
use aberra_models::train::{Progress, TrainSettings};
use aberra_models::{BackboneSource, Family, FitContext, Inputs, Shape, SharedMember, find, preset, scaled};
use burn::tensor::Device;
use rand::RngExt;

const SHAPE: Shape = Shape { height: 64, width: 96, channels: 1 };

/// Soft waves that differ in phase and strength.
fn images(count: u64) -> Vec<Vec<f32>> {
    let image = |index: u64| {
        let mut random = generator(7, Stream::Phantom, index);
        let (phase, strength) = (6.3 * random.random::<f32>(), 0.1 + 0.1 * random.random::<f32>());
        let value = |at: usize| {
            let (y, x) = ((at / SHAPE.width) as f32, (at % SHAPE.width) as f32);
            0.5 + strength * (0.2 * x + phase).sin() + 0.1 * (0.15 * y - phase).cos()
        };
        (0..SHAPE.len()).map(value).collect()
    };
    (0..count).map(image).collect()
}

/// Darkens or brightens a disc of radius 6 around a place that the index decides.
fn draw_disc(pixels: &mut [f32], shape: Shape, seed: u64, index: u64) -> Vec<bool> {
    let mut random = generator(seed, Stream::Lesion, index);
    let (y, x) = (random.random_range(8..shape.height - 8), random.random_range(8..shape.width - 8));
    let amount = if random.random_bool(0.5) { 0.3 } else { -0.3 };
    disc(pixels, shape, (y, x), amount)
}

fn disc(pixels: &mut [f32], shape: Shape, (y, x): (usize, usize), amount: f32) -> Vec<bool> {
    let inside =
        |at: usize| (at / shape.width).abs_diff(y).pow(2) + (at % shape.width).abs_diff(x).pow(2) <= 36;
    (0..shape.area())
        .map(|at| {
            let drawn = inside(at);
            if drawn {
                pixels[at] = (pixels[at] + amount).clamp(0.0, 1.0);
            }
            drawn
        })
        .collect()
}

fn fit(
    family: &dyn Family,
    own: &[(&str, usize)],
    backbone: BackboneSource,
    images: &[Vec<f32>],
) -> SharedMember {
    let mut settings = preset(family, family.default_preset()).unwrap();
    settings.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    settings.entry("images").and_modify(|images| *images = 640.into());
    settings.entry("bank").and_modify(|bank| *bank = 512.into());
    let settings = family.resolve(&settings, SHAPE, Some(Precision::F32)).unwrap();
    let inputs = Inputs::of_pixels(SHAPE, images).unwrap();
    let mut observe = |_: Progress<'_>| Ok(ControlFlow::Continue(()));
    let mut context = FitContext {
        seed: 1,
        device: Device::flex(),
        backbone,
        instructions: InstructionSet::widest(),
        train: TrainSettings { batch_size: 8, ..TrainSettings::default() }.check().unwrap(),
        observe: &mut observe,
        checkpoints: None,
        resume: false,
        judge: None,
        draw_anomaly: Some(draw_disc),
    };
    family.fit(&settings, &mut context, &inputs, &inputs).unwrap().member
}

#[test]
fn an_anomaly_raises_every_local_measurement_and_the_map_where_it_is() {
    let train = images(32);
    let (embedded, generated) = (BackboneSource::Embedded, BackboneSource::Generated);
    for (name, own, measurement, backbone) in [
        ("features", &[][..], "patch_peak", &embedded),
        ("features", &[], "patch_peak", &generated),
        ("feature-vae", &[], "peak_error", &embedded),
        ("feature-vae", &[], "peak_error", &generated),
        ("discriminator", &[], "peak_logit", &embedded),
        ("discriminator", &[], "peak_logit", &generated),
        ("discriminator", &[("detail", 0)], "peak_logit", &embedded),
    ] {
        let member = fit(find(FAMILIES, name).unwrap(), own, backbone.clone(), &train);
        if name == "discriminator" {
            let looks_at_pixels = member.tensors().keys().any(|tensor| tensor.starts_with("detail"));
            assert_eq!(looks_at_pixels, own.is_empty());
        }
        let at = member.descriptors().iter().position(|one| one.name == measurement).unwrap();
        for normal in images(36).split_off(32) {
            let mut changed = normal.clone();
            disc(&mut changed, SHAPE, (40, 24), 0.35);
            let [before, after] =
                [&normal, &changed].map(|pixels| member.infer(&[pixels], Want::MAP).unwrap().remove(0));
            let [low, high] = [&before, &after].map(|one| one.measurements[at]);
            assert!(high > low, "{name}: {low} before, {high} after");
            let (map, before) = (after.map.unwrap(), before.map.unwrap());
            let rise = |at: usize| map[at] - before[at];
            let highest = (0..map.len()).max_by(|&a, &b| rise(a).total_cmp(&rise(b))).unwrap();
            let (y, x) = (highest / SHAPE.width, highest % SHAPE.width);
            // Each place of these features sees all of an image this small.
            let local = !matches!((name, &backbone), ("features", BackboneSource::Generated));
            let near = y.abs_diff(40) <= 16 && x.abs_diff(24) <= 16;
            assert!(near || !local, "{name}: the map rises most at {y}, {x}");
            let mean = (0..map.len()).map(rise).sum::<f32>() / map.len() as f32;
            assert!(
                rise(40 * SHAPE.width + 24) > mean.max(0.0),
                "{name}: the map does not rise at the anomaly"
            );
            assert!(map.iter().all(|&value| value >= 0.0 && value.is_finite()), "{name}");
        }
    }
}

#[test]
fn pictures_show_what_is_normal_and_change_no_measurement() {
    let (train, family) = (images(32), find(FAMILIES, "feature-vae").unwrap());
    let [without, with] =
        [0, 1_600].map(|pictures| fit(family, &[("pictures", pictures)], BackboneSource::Embedded, &train));
    assert!(!without.gives().reconstruction && with.gives().reconstruction);
    assert!(with.parameter_count() > without.parameter_count());
    let normals = images(40).split_off(32);
    let slices: Vec<&[f32]> = normals.iter().map(Vec::as_slice).collect();
    let [plain, drawn] = [&without, &with].map(|member| member.infer(&slices, Want::ALL).unwrap());
    let squared = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64
    };
    let [mut error, mut of_grey] = [0.0; 2];
    for ((normal, plain), drawn) in slices.iter().zip(plain).zip(drawn) {
        assert_eq!((plain.measurements, plain.map), (drawn.measurements, drawn.map));
        assert!(plain.reconstruction.is_none());
        let picture = drawn.reconstruction.unwrap();
        assert!(picture.iter().all(|value| (0.0..=1.0).contains(value)));
        error += squared(&picture, normal);
        of_grey += squared(&vec![normal.iter().sum::<f32>() / normal.len() as f32; normal.len()], normal);
    }
    assert!(error < 0.9 * of_grey, "{error} against {of_grey} of one grey each");
    let silent = with.infer(&slices, Want::MAP).unwrap();
    assert!(silent.iter().all(|inference| inference.reconstruction.is_none()));
}

#[test]
fn a_member_of_smaller_inputs_enlarges_what_it_gives() {
    let train = images(8);
    let own = Shape { height: 32, width: 48, channels: 1 };
    let inputs = Inputs::of_pixels(SHAPE, &train).unwrap();
    let small = inputs.at(own).unwrap();
    assert_eq!((small.len(), small.shape()), (8, own));
    let family = find(FAMILIES, "vae").unwrap();
    let settings = preset(family, "small").unwrap();
    let settings = family.resolve(&settings, own, Some(Precision::F32)).unwrap();
    let mut observe = |_: Progress<'_>| Ok(ControlFlow::Continue(()));
    let mut context = FitContext {
        seed: 1,
        device: Device::flex(),
        backbone: BackboneSource::Embedded,
        instructions: InstructionSet::widest(),
        train: TrainSettings { epochs: 1, ..TrainSettings::default() }.check().unwrap(),
        observe: &mut observe,
        checkpoints: None,
        resume: false,
        judge: None,
        draw_anomaly: None,
    };
    let member = family.fit(&settings, &mut context, &small, &small).unwrap().member;
    let outer = scaled(member.clone(), own, SHAPE);
    let inferred = outer.infer(&[&train[3]], Want::ALL).unwrap().remove(0);
    let alone = member.infer(&[&small.get(3).unwrap()], Want::ALL).unwrap().remove(0);
    assert_eq!(inferred.measurements, alone.measurements);
    assert_eq!(inferred.map.unwrap().len(), SHAPE.area());
    assert_eq!(inferred.reconstruction.unwrap().len(), SHAPE.len());
    let points = vec![inferred.embedding.unwrap().mean];
    assert_eq!(outer.decoder().unwrap().decode(&points).unwrap()[0].len(), SHAPE.len());
    assert!(outer.infer(&[&train[3][1..]], Want::ALL).is_err());
}
