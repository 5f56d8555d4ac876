//! A scorer written outside the library: one type with its parameters. It is fitted on a detector's normals and scores
//! verdicts, from measurements alone or from the map.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::sync::OnceLock;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::{Image, Limits, read};
use aberra::models::measure::Direction;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::score::{
    Evidence, FittedScorer, Kind, Normals, SCORERS, SavedScorer, Scorer, ScorerInput, ScorerKind,
};
use aberra::{Detector, Normal, Part, TrainConfig, Verdict};
use serde::{Deserialize, Serialize};

/// How many measurements lie above those of every normal.
struct Records;

/// The largest value of each measurement whose larger values are unusual, by full name.
#[derive(Serialize, Deserialize)]
struct Highest(Vec<(String, f64)>);

impl ScorerKind for Records {
    type Parameters = Highest;

    const NAME: &'static str = "records";
    const ABOUT: &'static str = "number of measurements above those of every normal";

    fn fit(normals: &Normals<'_>) -> aberra::Result<Highest> {
        let unusual = normals.descriptors.iter().filter(|one| one.direction == Direction::HigherIsUnusual);
        let highest = |name: &str| normals.samples().map(|one| one.get(name)).fold(f64::MIN, f64::max);
        Ok(Highest(unusual.map(|one| (one.name.to_string(), highest(&one.name))).collect()))
    }

    fn score(highest: &Highest, sample: &ScorerInput<'_>) -> f64 {
        highest.0.iter().filter(|(name, highest)| sample.get(name) > *highest).count() as f64
    }
}

/// The map's mean, in means of normals.
struct MapMean;

impl ScorerKind for MapMean {
    type Parameters = f64;

    const NAME: &'static str = "map-mean";
    const ABOUT: &'static str = "mean of the map over that of normals";
    const NEEDS_MAP: bool = true;

    fn fit(normals: &Normals<'_>) -> aberra::Result<f64> {
        Ok(normals.samples().map(|one| mean(one.map)).sum::<f64>() / normals.len() as f64)
    }

    fn score(usual: &f64, sample: &ScorerInput<'_>) -> f64 {
        mean(sample.map) / usual
    }
}

fn mean(map: Option<&[f32]>) -> f64 {
    let Some(map) = map else { return f64::NAN };
    map.iter().map(|&value| f64::from(value)).sum::<f64>() / map.len() as f64
}

const SETTINGS: &str = "
    seed = 4
    [preprocessing]
    size_px = 32
    [model]
    channels = [4, 8]
    latent = 4
    [train]
    epochs = 2
    batch_size = 8
    [split]
    test_share = 0.0
    [promise]
    false_alarm_rate = 0.1
";

struct Trained {
    detector: Detector,
    anomalies: Vec<Verdict>,
}

fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let phantoms = PhantomDataset {
            seed: 5,
            size_px: 32,
            train_normals: 60,
            test_normals: 0,
            anomalies_per_kind: 1,
        };
        write_dataset(folder.path(), &phantoms).unwrap();
        let dataset = Dataset::open(folder.path(), &OpenOptions::default()).unwrap();
        let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(SETTINGS).unwrap()]).unwrap();
        let detector = Detector::train(&dataset, &config).unwrap();
        let anomalies = dataset.samples.iter().filter(|sample| !sample.label.is_normal());
        let images: Vec<Image> =
            anomalies.map(|sample| read(&sample.path, &Limits::default()).unwrap()).collect();
        let anomalies = detector.score(&images).into_iter().map(Result::unwrap).collect();
        Trained { detector, anomalies }
    })
}

fn fit_normals(detector: &Detector) -> impl Iterator<Item = &Normal> {
    detector.normals().iter().filter(|normal| normal.part == Part::Fit)
}

#[test]
fn a_scorer_from_outside_is_fitted_and_scores() {
    let Trained { detector, anomalies } = trained();
    let evidence: Vec<Evidence> = fit_normals(detector).map(|normal| normal.evidence.clone()).collect();
    let normals = Normals::new(detector.descriptors(), &evidence);
    let fitted = FittedScorer::fit(&Kind::<Records>::SCORER, &normals).unwrap();
    assert_eq!((fitted.name(), fitted.about(), fitted.needs_map()), (Records::NAME, Records::ABOUT, false));
    // No normal that it was fitted on is above itself.
    assert!(normals.samples().all(|sample| fitted.score(&sample) == 0.0));
    let mut seen = 0.0;
    for verdict in anomalies {
        let score = fitted.score(&ScorerInput::new(detector.descriptors(), &verdict.evidence));
        let columns = detector.descriptors().iter().enumerate();
        let records = columns.filter(|(at, descriptor)| {
            descriptor.direction == Direction::HigherIsUnusual
                && evidence.iter().all(|normal| normal.0[*at] < verdict.evidence.0[*at])
        });
        assert_eq!(score, records.count() as f64);
        seen += score;
    }
    assert!(seen > 0.0, "no anomaly has a measurement above the normals'");
}

#[test]
fn a_scorer_from_outside_pools_the_map_itself() {
    let Trained { detector, anomalies } = trained();
    let evidence: Vec<Evidence> = anomalies.iter().map(|verdict| verdict.evidence.clone()).collect();
    let maps: Vec<Vec<f32>> = anomalies.iter().map(|verdict| verdict.map().unwrap().to_vec()).collect();
    let normals = Normals { maps: &maps, ..Normals::new(detector.descriptors(), &evidence) };
    let fitted = FittedScorer::fit(&Kind::<MapMean>::SCORER, &normals).unwrap();
    assert!(fitted.needs_map());
    let scores: Vec<f64> = normals.samples().map(|sample| fitted.score(&sample)).collect();
    assert!((scores.iter().sum::<f64>() / scores.len() as f64 - 1.0).abs() < 1e-12);
    assert!(fitted.score(&ScorerInput::new(detector.descriptors(), &evidence[0])).is_nan());
}

#[test]
fn its_parameters_are_kept_as_they_are_and_checked() {
    let Trained { detector, .. } = trained();
    let evidence: Vec<Evidence> = fit_normals(detector).map(|normal| normal.evidence.clone()).collect();
    let normals = Normals::new(detector.descriptors(), &evidence);
    let scorer: &dyn Scorer = &Kind::<Records>::SCORER;
    let kept = serde_json::to_value(FittedScorer::fit(&Kind::<Records>::SCORER, &normals).unwrap()).unwrap();
    assert_eq!(kept["name"], "records");
    let parameters = scorer.parameters(kept["parameters"].clone()).unwrap();
    let mut high = evidence[0].clone();
    high.0.iter_mut().for_each(|value| *value += 1e3);
    let unusual = |one: &&aberra::models::measure::Descriptor| one.direction == Direction::HigherIsUnusual;
    let count = detector.descriptors().iter().filter(unusual).count();
    assert_eq!(scorer.score(&parameters, &ScorerInput::new(detector.descriptors(), &high)), count as f64);
    let error = scorer.parameters(serde_json::json!({ "mean": 3 })).err().unwrap();
    assert!(error.is_detector() && error.to_string().contains("records"), "{error}");
    // A file that names it is refused by a program that does not know it, with those that it knows.
    let saved: SavedScorer = serde_json::from_value(kept.clone()).unwrap();
    let known = saved.clone().load(&[&Kind::<Records>::SCORER]).unwrap();
    assert_eq!(serde_json::to_value(known).unwrap(), kept);
    let error = saved.load(SCORERS).unwrap_err();
    assert!(error.to_string().contains("expected one of mse"), "{error}");
}

#[test]
fn evidence_that_is_not_finite_cannot_be_fitted() {
    let Trained { detector, .. } = trained();
    let broken = vec![Evidence(vec![f64::INFINITY; detector.descriptors().len()])];
    let error = FittedScorer::fit(&Kind::<Records>::SCORER, &Normals::new(detector.descriptors(), &broken))
        .unwrap_err();
    assert!(error.is_data() && error.to_string().contains("not finite"), "{error}");
}
