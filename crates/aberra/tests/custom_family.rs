//! A family written outside the library: the mean of the normals. It is fitted with what every family is given, loads from
//! its tensors, and measures images of any shape.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::ops::ControlFlow;

use aberra::compute;
use aberra::metrics::filter::median_filter_5x5;
use aberra::metrics::random::{Stream, generator};
use aberra::models::measure::{Descriptor, Inference, Want};
use aberra::models::network::Precision;
use aberra::models::train::{Progress, TrainSettings};
use aberra::models::{
    BackboneSource, Family, FitContext, Fitted, Inputs, Member, Platform, Preset, Settings, Shape,
    SharedMember, Tensors, Weight, find, parse, preset, schema_of, to_settings,
};
use aberra::{Error, Result};
use proptest::prelude::*;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The family.
struct MeanImage;

/// Its settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MeanImageSettings {
    /// The power to which differences are raised.
    power: f64,
}

impl Default for MeanImageSettings {
    fn default() -> Self {
        Self { power: 2.0 }
    }
}

/// The mean of the normals.
#[derive(Debug)]
struct MeanMember {
    power: f64,
    mean: Vec<f32>,
    shape: Shape,
}

const DISTANCE: &[Descriptor] =
    &[Descriptor::unusual("distance", "intensity^power", "mean difference from the mean image")];

impl Family for MeanImage {
    fn name(&self) -> &'static str {
        "mean-image"
    }

    fn about(&self) -> &'static str {
        "the mean of the normals"
    }

    fn presets(&self) -> &'static [Preset] {
        &[
            Preset {
                name: "square",
                about: "squared differences",
                size_px: None,
                settings: || to_settings(&MeanImageSettings::default()),
            },
            Preset {
                name: "plain",
                about: "differences",
                size_px: None,
                settings: || to_settings(&MeanImageSettings { power: 1.0 }),
            },
        ]
    }

    fn schema(&self) -> serde_json::Value {
        schema_of::<MeanImageSettings>()
    }

    fn resolve(&self, settings: &Settings, _shape: Shape, _auto: Option<Precision>) -> Result<Settings> {
        let settings: MeanImageSettings = parse(settings)?;
        match settings.power > 0.0 {
            true => Ok(to_settings(&settings)),
            false => Err(Error::settings(format!("model.power: expected above 0, found {}", settings.power))),
        }
    }

    fn fit(
        &self,
        settings: &Settings,
        context: &mut FitContext<'_>,
        train: &Inputs<'_>,
        _held_out: &Inputs<'_>,
    ) -> Result<Fitted> {
        let MeanImageSettings { power } = parse(settings)?;
        let mut sum = vec![0.0_f64; train.shape().len()];
        train.chunks(2, |inputs| {
            for input in inputs {
                sum.iter_mut().zip(*input).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            Ok(())
        })?;
        let mean = sum.into_iter().map(|sum| (sum / train.len() as f64) as f32).collect();
        let member = MeanMember { power, mean, shape: train.shape() };
        if let Some(judge) = context.judge {
            judge(std::sync::Arc::new(MeanMember { mean: member.mean.clone(), ..member }))?;
        }
        Ok(Fitted::at_once(member))
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        mut tensors: Tensors,
        _: &Platform,
    ) -> Result<SharedMember> {
        let MeanImageSettings { power } = parse(settings)?;
        let mean = tensors.remove("mean").ok_or_else(|| Error::detector("the tensor mean is missing"))?;
        shape.check(&mean.values)?;
        Ok(std::sync::Arc::new(MeanMember { power, mean: mean.values, shape }))
    }
}

impl Member for MeanMember {
    fn descriptors(&self) -> &[Descriptor] {
        DISTANCE
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        let infer = |input: &&[f32]| {
            self.shape.check(input)?;
            let differences: Vec<f32> = input.iter().zip(&self.mean).map(|(x, m)| (x - m).abs()).collect();
            let sum: f64 = differences.iter().map(|&difference| f64::from(difference).powf(self.power)).sum();
            let map =
                || median_filter_5x5(&self.shape.grey(&differences), self.shape.height, self.shape.width);
            Ok(Inference {
                measurements: vec![sum / differences.len() as f64],
                map: want.map.then(map).transpose()?,
                ..Inference::default()
            })
        };
        inputs.iter().map(infer).collect()
    }

    fn tensors(&self) -> Tensors {
        let Shape { height, width, channels } = self.shape;
        let mean = Weight { shape: vec![height, width, channels], values: self.mean.clone() };
        Tensors::from([("mean".to_owned(), mean)])
    }

    fn parameter_count(&self) -> usize {
        self.mean.len()
    }
}

fn pictures(shape: Shape, count: u64) -> Vec<Vec<f32>> {
    let picture = |index| {
        let mut random = generator(1, Stream::Phantom, index);
        (0..shape.len()).map(|_| random.random::<f32>()).collect()
    };
    (0..count).map(picture).collect()
}

fn auto() -> aberra::models::network::Precision {
    compute::AutoPrecision::of_machine().unwrap().precision
}

fn fit(family: &dyn Family, settings: &Settings, shape: Shape, pixels: &[Vec<f32>]) -> Result<Fitted> {
    let inputs = Inputs::of_pixels(shape, pixels)?;
    let train = TrainSettings { epochs: 1, batch_size: 4, ..TrainSettings::default() }.check()?;
    let mut observe = |_: Progress<'_>| Ok(ControlFlow::Continue(()));
    let instructions = compute::instructions()?;
    let mut context = FitContext {
        seed: 1,
        device: compute::cpu(),
        backbone: BackboneSource::Embedded,
        instructions,
        train: train.clone(),
        observe: &mut observe,
        checkpoints: None,
        resume: false,
        judge: Some(&|member| Ok(Some(member.parameter_count() as f64))),
        draw_anomaly: Some(|_, shape, _, index| {
            (0..shape.area() as u64).map(|at| at % 7 == index % 7).collect()
        }),
    };
    let settings = family.resolve(settings, shape, Some(auto()))?;
    family.fit(&settings, &mut context, &inputs, &inputs)
}

#[test]
fn a_family_from_outside_is_found_fitted_loaded_and_measures() {
    let families: [&dyn Family; 1] = [&MeanImage];
    let family = find(&families, "mean-image").unwrap();
    assert_eq!(family.default_preset(), "square");
    assert!(find(&families, "vae").err().unwrap().to_string().contains("expected one of mean-image"));
    assert!(preset(family, "other").unwrap_err().to_string().contains("square, plain"));
    let settings = preset(family, "plain").unwrap();
    let unknown = serde_json::json!({ "powers": 1.0 }).as_object().unwrap().clone();
    let shape = Shape { height: 6, width: 17, channels: 2 };
    assert!(
        family.resolve(&unknown, shape, None).unwrap_err().to_string().contains("power, found \"powers\"")
    );
    assert!(family.schema().pointer("/properties/power").is_some());

    let pixels = pictures(shape, 5);
    let fitted = fit(family, &settings, shape, &pixels).unwrap();
    assert_eq!((fitted.epoch, fitted.standardized_shift, fitted.member.parameter_count()), (0, None, 204));
    let tensors = fitted.member.tensors();
    let loaded = family.load(&settings, shape, tensors, &Platform::new(compute::cpu())).unwrap();
    let inputs: Vec<&[f32]> = pixels.iter().map(Vec::as_slice).collect();
    let inferred = loaded.infer(&inputs, Want::MAP).unwrap();
    assert_eq!(inferred, fitted.member.infer(&inputs, Want::MAP).unwrap());
    for (input, inference) in pixels.iter().zip(&inferred) {
        let difference = |at: usize| {
            let mean = pixels.iter().map(|other| f64::from(other[at])).sum::<f64>() / 5.0;
            (f64::from(input[at]) - mean).abs()
        };
        let expected = (0..shape.len()).map(difference).sum::<f64>() / shape.len() as f64;
        assert!((inference.measurements[0] - expected).abs() < 1e-6);
        assert_eq!(inference.map.as_ref().unwrap().len(), 6 * 17);
        assert!(inference.embedding.is_none() && inference.reconstruction.is_none());
    }
    assert!(loaded.reference().is_none() && loaded.decoder().is_none() && loaded.prior().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Every family takes inputs that are not square, with any number of channels (those on a backbone 1 or 3, and sides of
    /// 32 pixels or more), and comes back from its tensors.
    #[test]
    fn families_take_any_shape(height in 2_usize..5, width in 2_usize..7, channels in 1_usize..4) {
        let shape = Shape { height: 8 * height, width: 8 * width, channels };
        let pixels = pictures(shape, 6);
        let inputs: Vec<&[f32]> = pixels.iter().map(Vec::as_slice).collect();
        let own: [&dyn Family; 1] = [&MeanImage];
        for family in aberra::models::families::FAMILIES.iter().copied().chain(own) {
            let mut settings = preset(family, family.default_preset()).unwrap();
            if settings.contains_key("channels") {
                settings.insert("channels".to_owned(), serde_json::json!([4, 8]));
            }
            if settings.contains_key("images") {
                settings.insert("images".to_owned(), 8.into());
            }
            let resolved = family.resolve(&settings, shape, Some(auto()));
            let on_a_backbone = !settings.contains_key("channels") && family.name() != own[0].name();
            if on_a_backbone && (shape.shorter_side() < 32 || channels == 2) {
                prop_assert!(resolved.unwrap_err().to_string().contains("at least 32 x 32 pixels"));
                continue;
            }
            let settings = resolved.unwrap();
            let fitted = fit(family, &settings, shape, &pixels).unwrap();
            let inferred = fitted.member.infer(&inputs, Want::ALL).unwrap();
            let squared = fitted.member.descriptors().iter().position(|one| one.name == "squared_error");
            for (input, inference) in pixels.iter().zip(&inferred) {
                prop_assert_eq!(inference.measurements.len(), fitted.member.descriptors().len());
                prop_assert!(inference.measurements.iter().all(|value| value.is_finite()));
                prop_assert_eq!(inference.map.as_ref().unwrap().len(), shape.area());
                if let (Some(reconstruction), Some(squared)) = (&inference.reconstruction, squared) {
                    let squares = input.iter().zip(reconstruction).map(|(x, m)| f64::from(x - m).powi(2));
                    let mean = squares.sum::<f64>() / shape.len() as f64;
                    prop_assert!((inference.measurements[squared] - mean).abs() < 1e-12);
                }
            }
            let loaded = family.load(&settings, shape, fitted.member.tensors(), &Platform::new(compute::cpu())).unwrap();
            prop_assert_eq!(loaded.infer(&inputs, Want::ALL).unwrap(), inferred);
            let wrong = vec![0.0; shape.len() + channels];
            prop_assert!(loaded.infer(&[&wrong], Want::ALL).is_err());
        }
    }
}
