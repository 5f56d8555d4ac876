//! A family, a measurement and a scorer that nothing else knows go through scoring, evaluation, explanation, wire and report
//! by what they say of themselves. The member has neither embedding nor reconstruction.

use std::sync::Arc;

use aberra_metrics::calibrate::{Calibration, Criterion};
use aberra_models::measure::{Descriptor, Inference, Want};
use aberra_models::{Inputs, Member, Settings, Shape, Tensors};

use crate::dataset::{Dataset, OpenOptions, Sketch};
use crate::detector::{Detector, Document, MemberProvenance, Normal, Part, PartSize, Provenance};
use crate::evaluate::Evaluation;
use crate::explain::{EvidenceRanks, find_normals, heat_map_png, network_input, sheet_png, story_png};
use crate::image::{Limits, decode, read};
use crate::member_settings::{MemberSettings, Models};
use crate::members::{Members, NamedMember};
use crate::phantom::{PhantomDataset, write_dataset};
use crate::report::ReportOptions;
use crate::score::{FittedScorer, Kind, Normals, Sample, ScorerKind};
use crate::wire::{DetectorCard, Explanation};
use crate::{Result, TrainConfig};

/// The family.
const FAMILY: &str = "mean-image";

/// Its one measurement.
const DISTANCE: &[Descriptor] =
    &[Descriptor::unusual("distance", "intensity", "mean difference from the mean image")];

#[derive(Debug)]
struct MeanImage {
    mean: Vec<f32>,
    shape: Shape,
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
            Inference { measurements, map: want.map.then_some(map), ..Inference::default() }
        };
        self.shape.check(inputs[0])?;
        Ok(inputs.iter().map(infer).collect())
    }

    fn tensors(&self) -> Tensors {
        Tensors::new()
    }

    fn parameter_count(&self) -> usize {
        self.mean.len()
    }
}

/// The scorer: the distance, in distances of normals.
struct Far;

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
fn detector(dataset: &Dataset) -> Detector {
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
    let member = Arc::new(MeanImage { mean, shape });
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

fn dataset(folder: &std::path::Path) -> Dataset {
    let phantoms =
        PhantomDataset { seed: 3, size_px: 32, train_normals: 30, test_normals: 6, anomalies_per_kind: 1 };
    write_dataset(folder, &phantoms).unwrap();
    let mut dataset = Dataset::open(folder, &OpenOptions::default()).unwrap();
    dataset.samples.sort_by_key(|sample| !sample.name.starts_with("train/"));
    dataset
}

#[test]
fn what_is_not_in_the_lists_goes_through_everything() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let detector = detector(&dataset);
    let anomaly = dataset.samples.iter().find(|sample| !sample.label.is_normal()).unwrap();
    let image = read(&anomaly.path, &Limits::default()).unwrap();
    let names: Vec<&str> = detector.descriptors().iter().map(|one| one.name.as_ref()).collect();
    assert_eq!(names, ["grey.distance", "image.gradient_energy", "image.standard_deviation"]);

    let story = detector.explain(&image).unwrap();
    assert_eq!(story.verdict.score, Far::score(&1.0, &sample(&detector, &story.verdict)) / usual(&detector));
    assert!(story.verdict.embedding().is_none() && story.verdict.reconstruction().is_none());
    assert!(story.nearest.is_empty() && story.evidence[0].name == "grey.distance");
    assert!(story.evidence.iter().all(|one| one.percentile.is_some()));
    assert_eq!(EvidenceRanks::of(detector.normals()).percentiles(&story.verdict.evidence).len(), 3);
    let pictures = [
        story_png(&detector, &story, &find_normals(&detector, &story.nearest, &[])).unwrap(),
        sheet_png(&[&story.verdict], detector.pixel_threshold(), 1, 2).unwrap(),
        heat_map_png(&story.verdict, detector.pixel_threshold()).unwrap(),
    ];
    assert!(pictures.iter().all(|png| decode(png, &Limits::default()).is_ok()));
    let explanation = Explanation::of(&detector, &story, 1.0).unwrap();
    assert!(explanation.evidence.contains_key("grey.distance") && explanation.embedding.is_empty());
    assert_eq!(explanation.scores["far"], story.verdict.score);
    assert!(network_input(&detector, &anomaly.path).is_ok());

    let card = serde_json::to_value(DetectorCard::of(&detector, "it").unwrap()).unwrap();
    assert_eq!((&card["members"][0]["family"], &card["scorer"]), (&FAMILY.into(), &Far::NAME.into()));
    assert!(card["members"][0]["embedding_dimensions"].is_null());

    let evaluation = detector.evaluate(&dataset).unwrap();
    assert!(evaluation.ranking.auroc.value().is_some() && evaluation.data.own.total() == 30);
    assert!(evaluation.to_string().contains(Far::NAME), "{evaluation}");
    let header = evaluation.scores_csv().lines().next().unwrap().to_owned();
    assert!(header.contains(",score_far,") && header.contains(",grey.distance,"), "{header}");
    let file = folder.path().join("evaluation.json");
    evaluation.save(&file).unwrap();
    assert_eq!(Evaluation::load(&file).unwrap(), evaluation);

    let report = detector.report(&dataset, &evaluation, ReportOptions::default()).unwrap();
    let data = report.data();
    assert!(data.latent.reason().is_some() && data.images.iter().all(|image| image.pca.is_empty()));
    assert!(data.images.iter().all(|image| image.evidence_percentiles.contains_key("grey.distance")));
    assert_eq!(data.measurements, detector.descriptors());
    assert_eq!(data.compare.rows[0].name, Far::NAME);
    let page = report.html();
    for text in ["grey.distance", "mean difference from the mean image", FAMILY, Far::NAME] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!report.figures().unwrap().is_empty());
}

#[test]
fn a_file_of_a_family_that_is_not_in_the_list_is_refused_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it.aberra");
    detector(&dataset(folder.path())).save(&path).unwrap();
    let error = Detector::load(&path).unwrap_err();
    assert!(error.path() == Some(&path) && error.to_string().contains("expected one of"), "{error}");
}

fn sample<'a>(detector: &'a Detector, verdict: &'a crate::Verdict) -> Sample<'a> {
    Sample::new(detector.descriptors(), &verdict.evidence)
}

/// The mean distance of the normals that the scorer was fitted on.
fn usual(detector: &Detector) -> f64 {
    let fit = detector.normals().iter().filter(|normal| normal.part == Part::Fit);
    fit.map(|normal| normal.evidence.0[0]).sum::<f64>() / 10.0
}
