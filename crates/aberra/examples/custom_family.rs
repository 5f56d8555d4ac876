//! A family of one's own: the mean of the normal images, and the distance of an image from it.
//!
//! It has no gradient training: `fit` looks at the training inputs once. A line in `aberra_models::families::FAMILIES` would
//! make it a choice of the command line.

use std::ops::ControlFlow;
use std::sync::Arc;

use aberra::models::measure::{Descriptor, Inference, Want};
use aberra::models::train::{Progress, TrainSettings};
use aberra::models::{
    Family, FitContext, Fitted, Inputs, Member, Preset, Settings, Shape, SharedMember, Tensors, Weight,
};
use aberra::phantom::{LesionKind, lesion_slice, slice};
use aberra::{Error, Result, compute};

struct MeanImage;

const PRESETS: &[Preset] = &[Preset { name: "plain", about: "no settings", settings: Settings::new }];

const DESCRIPTORS: &[Descriptor] =
    &[Descriptor::unusual("distance", "intensity", "mean absolute difference from the mean of the normals")];

impl Family for MeanImage {
    fn name(&self) -> &'static str {
        "mean-image"
    }

    fn about(&self) -> &'static str {
        "distance from the mean of the normal images"
    }

    fn presets(&self) -> &'static [Preset] {
        PRESETS
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({ "type": "object", "properties": {} })
    }

    fn resolve(
        &self,
        settings: &Settings,
        _: Shape,
        _: Option<aberra::compute::InstructionSet>,
    ) -> Result<Settings> {
        match settings.keys().next() {
            None => Ok(Settings::new()),
            Some(name) => Err(Error::settings(format!("model.{name}: mean-image has no settings"))),
        }
    }

    fn fit(
        &self,
        _: &Settings,
        _: &mut FitContext<'_>,
        train: &Inputs<'_>,
        _: &Inputs<'_>,
    ) -> Result<Fitted> {
        let mut mean = vec![0.0; train.shape().len()];
        train.chunks(64, |inputs| {
            for input in inputs {
                mean.iter_mut().zip(*input).for_each(|(sum, value)| *sum += value / train.len() as f32);
            }
            Ok(())
        })?;
        Ok(Fitted::at_once(MeanMember { mean, shape: train.shape() }))
    }

    fn load(
        &self,
        _: &Settings,
        shape: Shape,
        mut tensors: Tensors,
        _: &aberra::compute::Device,
    ) -> Result<SharedMember> {
        let mean = tensors.remove("mean").ok_or_else(|| Error::detector("the tensor mean is missing"))?;
        shape.check(&mean.values)?;
        Ok(Arc::new(MeanMember { mean: mean.values, shape }))
    }
}

#[derive(Debug)]
struct MeanMember {
    mean: Vec<f32>,
    shape: Shape,
}

impl Member for MeanMember {
    fn descriptors(&self) -> &[Descriptor] {
        DESCRIPTORS
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        let infer = |input: &&[f32]| {
            self.shape.check(input)?;
            let difference: Vec<f32> = input.iter().zip(&self.mean).map(|(x, m)| (x - m).abs()).collect();
            let distance =
                difference.iter().map(|&value| f64::from(value)).sum::<f64>() / difference.len() as f64;
            Ok(Inference {
                measurements: vec![distance],
                map: want.map.then(|| self.shape.grey(&difference)),
                reconstruction: want.reconstruction.then(|| self.mean.clone()),
                embedding: None,
            })
        };
        inputs.iter().map(infer).collect()
    }

    fn tensors(&self) -> Tensors {
        let Shape { height, width, channels } = self.shape;
        let weight = Weight { shape: vec![height, width, channels], values: self.mean.clone() };
        Tensors::from([("mean".to_owned(), weight)])
    }

    fn parameter_count(&self) -> usize {
        self.mean.len()
    }
}

fn main() -> Result<()> {
    let shape = Shape::square(32, 1);
    let normals: Vec<Vec<f32>> = (0..40).map(|index| slice(1, index, 32).pixels).collect();
    let (train, held_out) = normals.split_at(32);
    let (train, held_out) = (Inputs::of_pixels(shape, train)?, Inputs::of_pixels(shape, held_out)?);
    let mut observe = |_: Progress<'_>| Ok(ControlFlow::Continue(()));
    let mut context = FitContext {
        seed: 0,
        device: compute::cpu(),
        instructions: compute::instructions()?,
        train: &TrainSettings::default(),
        observe: &mut observe,
        checkpoints: None,
        resume: false,
        judge: None,
    };
    let settings = MeanImage.resolve(&Settings::new(), shape, None)?;
    let fitted = MeanImage.fit(&settings, &mut context, &train, &held_out)?;

    // What is saved and loaded infers the same.
    let loaded = MeanImage.load(&settings, shape, fitted.member.tensors(), &compute::cpu())?;
    let lesion = lesion_slice(9, 0, 32, LesionKind::ALL[0]).pixels;
    let [fitted, loaded] = [fitted.member, loaded].map(|member| member.infer(&[&lesion], Want::ALL));
    assert_eq!(fitted?, loaded?);
    Ok(())
}
