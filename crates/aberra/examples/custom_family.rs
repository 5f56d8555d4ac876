//! A family of one's own: the mean of the normal images, and the distance of an image from it.
//!
//! It has no gradient training: `fit` looks at the training inputs once. A catalog makes it a choice of settings and detector
//! files, with a scorer that knows its measurement; a line in `aberra_models::families::FAMILIES` would make it one of the
//! command line.

use std::sync::Arc;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::Image;
use aberra::models::measure::{Descriptor, Inference, Want};
use aberra::models::{
    Family, FitContext, Fitted, Inputs, Member, Platform, Preset, Settings, Shape, SharedMember, Tensors,
    Weight,
};
use aberra::phantom::{LesionKind, PhantomDataset, lesion_slice, write_dataset};
use aberra::score::{Kind, Normals, ScorerInput, ScorerKind};
use aberra::{Catalog, Detector, Error, Result, TrainConfig, compute};

struct MeanImage;

const PRESETS: &[Preset] =
    &[Preset { name: "plain", about: "no settings", size_px: None, settings: Settings::new }];

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
        _: Option<aberra::models::network::Precision>,
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

    fn load(&self, _: &Settings, shape: Shape, mut tensors: Tensors, _: &Platform) -> Result<SharedMember> {
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
                ..Inference::default()
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

/// The scorer: the distance itself, under the full name of the measurement.
struct Distance;

impl ScorerKind for Distance {
    type Parameters = String;

    const NAME: &'static str = "distance";
    const ABOUT: &'static str = "distance from the mean of the normal images";

    fn fit(normals: &Normals<'_>) -> Result<String> {
        normals.require(Self::NAME, "distance")
    }

    fn score(parameters: &String, sample: &ScorerInput<'_>) -> f64 {
        sample.get(parameters)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let slices =
        PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 0, anomalies_per_kind: 0 };
    write_dataset(folder.path(), &slices)?;
    let dataset = Dataset::open(folder.path(), &OpenOptions::default())?;

    // The catalog is what settings and detector files may name.
    let catalog = Catalog::default().with_family(&MeanImage).with_scorer(&Kind::<Distance>::SCORER);
    let settings = TrainConfig::parse_layer(
        "scorer = 'distance'\npreprocessing.size_px = 32\nsplit.by = 'none'\n\
         promise.false_alarm_rate = 0.1\nmodel.family = 'mean-image'",
    )?;
    let config = TrainConfig::from_layers_with(&[settings], &catalog)?;
    let detector = Detector::train(&dataset, &config)?;

    // What is saved and loaded scores the same.
    let file = folder.path().join("detector.aberra");
    detector.save(&file)?;
    let loaded = Detector::load_with(&file, &compute::cpu(), &catalog)?;
    let lesion = lesion_slice(9, 0, 32, LesionKind::ALL[0]);
    let image = Image::from_pixels(lesion.pixels, 32, 32, 1).ok_or("32 x 32 values")?;
    let [fitted, loaded] =
        [detector, loaded].map(|detector| detector.score(std::slice::from_ref(&image)).remove(0));
    let (fitted, loaded) = (fitted?, loaded?);
    assert_eq!(fitted, loaded);
    assert_eq!(loaded.score, loaded.evidence.0[0]);
    Ok(())
}
