//! A detector of a family that is in no list, for the tests of this library and of the doors: its member has neither embedding
//! nor reconstruction, and a map only where it is asked for. Not part of the interface; the feature `testing` shows it.

#![allow(clippy::unwrap_used, reason = "a fixture of tests may panic")]

use std::path::Path;
use std::sync::Arc;

use aberra_models::measure::{Descriptor, Inference, Want};
use aberra_models::network::Precision;
use aberra_models::{
    Family, FitContext, Fitted, Inputs, Member, Platform, Preset, Settings, Shape, SharedMember, Tensors,
    Weight,
};

use crate::dataset::{Dataset, OpenOptions};
use crate::detector::Detector;
use crate::phantom::{PhantomDataset, write_dataset};
use crate::score::{Kind, Normals, ScorerInput, ScorerKind};
use crate::{Catalog, Error, Result, TrainConfig};

/// The family.
pub const FAMILY: &str = "mean-image";

/// Its one measurement.
const DISTANCE: &[Descriptor] =
    &[Descriptor::unusual("distance", "intensity", "mean difference from the mean image")];

#[derive(Debug)]
struct MeanImage {
    mean: Vec<f32>,
    shape: Shape,
    makes_map: bool,
}

impl Member for MeanImage {
    fn descriptors(&self) -> &[Descriptor] {
        DISTANCE
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        let infer = |input: &&[f32]| {
            let map: Vec<f32> = input.iter().zip(&self.mean).map(|(x, m)| (x - m).abs()).collect();
            let sum: f64 = map.iter().map(|&difference| f64::from(difference)).sum();
            let measurements = vec![sum / map.len() as f64];
            let map = (want.map && self.makes_map).then_some(map);
            Inference { measurements, map, ..Inference::default() }
        };
        self.shape.check(inputs[0])?;
        Ok(inputs.iter().map(infer).collect())
    }

    fn gives(&self) -> Want {
        Want { map: self.makes_map, ..Want::MEASUREMENTS }
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

/// The family itself. Its one setting, `map`, says whether a member makes maps.
struct MeanFamily;

impl Family for MeanFamily {
    fn name(&self) -> &'static str {
        FAMILY
    }

    fn about(&self) -> &'static str {
        "the mean of the normals"
    }

    fn presets(&self) -> &'static [Preset] {
        &[Preset { name: "plain", about: "the only one", size_px: None, settings: Settings::new }]
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({ "type": "object", "properties": { "map": { "type": "boolean" } } })
    }

    fn resolve(&self, settings: &Settings, _: Shape, _: Option<Precision>) -> Result<Settings> {
        Ok(settings.clone())
    }

    fn fit(
        &self,
        settings: &Settings,
        _: &mut FitContext<'_>,
        train: &Inputs<'_>,
        _: &Inputs<'_>,
    ) -> Result<Fitted> {
        let mut mean = vec![0.0; train.shape().len()];
        for at in 0..train.len() {
            mean.iter_mut()
                .zip(train.get(at)?.iter())
                .for_each(|(sum, value)| *sum += value / train.len() as f32);
        }
        Ok(Fitted::at_once(MeanImage { mean, shape: train.shape(), makes_map: makes_map(settings) }))
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        mut tensors: Tensors,
        _: &Platform,
    ) -> Result<SharedMember> {
        let mean = tensors.remove("mean").ok_or_else(|| Error::detector("the tensor mean is missing"))?;
        Ok(Arc::new(MeanImage { mean: mean.values, shape, makes_map: makes_map(settings) }))
    }
}

fn makes_map(settings: &Settings) -> bool {
    settings.get("map").and_then(serde_json::Value::as_bool).unwrap_or(true)
}

/// The scorer: the distance, in distances of normals.
#[derive(Debug)]
pub struct Far;

impl ScorerKind for Far {
    type Parameters = f64;

    const NAME: &'static str = "far";
    const ABOUT: &'static str = "distance over that of normals";

    fn fit(normals: &Normals<'_>) -> Result<f64> {
        let distance = normals.require(Self::NAME, "distance")?;
        Ok(normals.samples().map(|one| one.get(&distance)).sum::<f64>() / normals.len() as f64)
    }

    fn score(usual: &f64, sample: &ScorerInput<'_>) -> f64 {
        sample.get("grey.distance") / usual
    }
}

/// The library's families and scorers, and these.
pub fn catalog() -> Catalog {
    Catalog::default().with_family(&MeanFamily).with_scorer(&Kind::<Far>::SCORER)
}

/// A detector of that family and scorer, trained as any other.
pub fn detector(dataset: &Dataset, makes_map: bool) -> Detector {
    let settings = format!(
        "scorer = 'far'
        preprocessing.size_px = 32
        split.by = 'none'
        promise.false_alarm_rate = 0.1
        model = {{ family = '{FAMILY}', name = 'grey', map = {makes_map} }}"
    );
    let layers = [TrainConfig::parse_layer(&settings).unwrap()];
    assert!(TrainConfig::from_layers(&layers).unwrap_err().to_string().contains("expected one of"));
    let config = TrainConfig::from_layers_with(&layers, &catalog()).unwrap();
    Detector::train(dataset, &config).unwrap()
}

/// Phantoms, written to `folder`: 60 normals to train on, and normals and anomalies for a test.
pub fn dataset(folder: &Path) -> Dataset {
    let phantoms =
        PhantomDataset { seed: 3, size_px: 32, train_normals: 60, test_normals: 6, anomalies_per_kind: 1 };
    write_dataset(folder, &phantoms).unwrap();
    Dataset::open(folder, &OpenOptions::default()).unwrap()
}
