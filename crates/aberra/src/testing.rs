//! A detector of a family that is in no list, for the tests of this library and of the doors: its member has neither embedding
//! nor reconstruction, and a map only where it is asked for. Not part of the interface; the feature `testing` shows it.

#![allow(clippy::unwrap_used, reason = "a fixture of tests may panic")]

use std::path::Path;
use std::sync::Arc;

use aberra_metrics::calibrate::{Calibration, Criterion};
use aberra_models::measure::{Descriptor, Inference, Want};
use aberra_models::{Inputs, Member, Settings, Shape, Tensors};

use crate::dataset::{Dataset, OpenOptions, Sketch};
use crate::detector::{Detector, Document, MemberProvenance, Normal, Part, PartSize, Provenance};
use crate::image::read;
use crate::member_settings::{MemberSettings, Models};
use crate::members::{Members, NamedMember};
use crate::phantom::{PhantomDataset, write_dataset};
use crate::score::{FittedScorer, Kind, Normals, Sample, ScorerKind};
use crate::{Result, TrainConfig};

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
        Tensors::new()
    }

    fn parameter_count(&self) -> usize {
        self.mean.len()
    }
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

    fn score(usual: &f64, sample: &Sample<'_>) -> f64 {
        sample.get("grey.distance") / usual
    }
}

/// A detector of the first 30 samples, ten of each part.
pub fn detector(dataset: &Dataset, makes_map: bool) -> Detector {
    let settings = Settings::from_iter([("power".to_owned(), 1.0.into())]);
    let member = MemberSettings { name: "grey".to_owned(), family: FAMILY.to_owned(), seed: None, settings };
    let mut config = TrainConfig { scorer: Far::NAME.to_owned(), ..TrainConfig::default() };
    config.model = Models::new(vec![member]).unwrap();
    config.preprocessing.size_px = 32;
    let shape = config.input_shape();
    let pixels: Vec<Vec<f32>> = dataset.samples[..30]
        .iter()
        .map(|sample| {
            config.preprocessing.apply(&read(&sample.path, &config.limits).unwrap()).unwrap().pixels
        })
        .collect();
    let mean =
        (0..shape.len()).map(|at| pixels[..10].iter().map(|one| one[at]).sum::<f32>() / 10.0).collect();
    let member = Arc::new(MeanImage { mean, shape, makes_map });
    let named = NamedMember { name: "grey".to_owned(), family: FAMILY.to_owned(), member };
    let members = Members::new(vec![named], shape, None);
    let measured = members.measure_all(&Inputs::of_pixels(shape, &pixels).unwrap(), Want::MAP).unwrap();
    let evidence: Vec<_> = measured.iter().map(|one| one.evidence.clone()).collect();
    let normals = Normals::new(members.descriptors(), &evidence[10..20]);
    let far = FittedScorer::fit(&Kind::<Far>::SCORER, &normals).unwrap();
    let scores: Vec<f64> =
        evidence[20..].iter().map(|one| far.score(&Sample::new(members.descriptors(), one))).collect();
    let inspection = dataset.inspect(&config.limits);
    let part = |at: usize| [Part::Train, Part::Fit, Part::Calibration][at / 10];
    let normals = evidence.into_iter().enumerate().map(|(at, evidence)| {
        let sketch = Sketch::of(&inspection.get(at).unwrap().fingerprint);
        Normal { part: part(at), sketch, evidence }
    });
    let size = PartSize { images: 10, groups: 10 };
    let document = Document {
        config,
        measurements: members.descriptors().iter().map(|one| one.name.clone().into_owned()).collect(),
        map_scales: None,
        scorers: vec![far],
        calibration: Calibration::new(&scores, None, Criterion::at_rate(0.1)).unwrap(),
        pixel_threshold: 0.2,
        provenance: Provenance {
            aberra_version: "0".to_owned(),
            dataset: "it".to_owned(),
            train: size,
            fit: size,
            calibration: size,
            device: None,
            members: vec![MemberProvenance { parameters: 1024, best_epoch: 0, standardized_shift: None }],
        },
        normals: normals.collect(),
        near_copy_similarity: 0.999,
        kl_per_dimension: vec![Vec::new()],
    };
    Detector::assemble(document, members, vec![None], None)
}

/// Phantoms, written to `folder`: 30 normals to make a detector of come first, normals and anomalies for a test after them.
pub fn dataset(folder: &Path) -> Dataset {
    let phantoms =
        PhantomDataset { seed: 3, size_px: 32, train_normals: 30, test_normals: 6, anomalies_per_kind: 1 };
    write_dataset(folder, &phantoms).unwrap();
    let mut dataset = Dataset::open(folder, &OpenOptions::default()).unwrap();
    dataset.samples.sort_by_key(|sample| !sample.name.starts_with("train/"));
    dataset
}
