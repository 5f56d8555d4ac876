//! Stories told by a small detector that is really trained.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::path::PathBuf;
use std::sync::OnceLock;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::explain::{decode, find_normals, nearest, prior_samples, story_png, traversal};
use aberra::image::{Limits, read};
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::random::{Stream, generator};
use aberra::{Detector, Part, TrainConfig};

const SETTINGS: &str = "
    seed = 4
    keep_thumbnails = false
    [preprocessing]
    size_px = 32
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    beta_warmup_epochs = 1
    variance_warmup_epochs = 1
    [train]
    epochs = 2
    batch_size = 8
    [split]
    test_share = 0.0
    [promise]
    false_alarm_rate = 0.1
";

struct Trained {
    dataset: Dataset,
    detector: Detector,
}

fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("explain");
        let phantoms = PhantomDataset {
            seed: 5,
            size_px: 32,
            train_normals: 60,
            test_normals: 0,
            anomalies_per_kind: 1,
        };
        let _ = std::fs::remove_dir_all(&folder);
        write_dataset(&folder, &phantoms).unwrap();
        let dataset = Dataset::open(&folder, &OpenOptions::default()).unwrap();
        let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(SETTINGS).unwrap()]).unwrap();
        let detector = Detector::train(&dataset, &config).unwrap();
        Trained { dataset, detector }
    })
}

/// The evidence of the normals of one part.
fn evidence(detector: &Detector, part: Part) -> impl Iterator<Item = &[f64]> {
    let normals = detector.normals().iter().filter(move |normal| normal.part == part);
    normals.map(|normal| normal.evidence.0.as_slice())
}

#[test]
fn a_story_says_what_the_verdict_rests_on() {
    let Trained { dataset, detector } = trained();
    let anomaly = dataset.samples.iter().find(|sample| !sample.label.is_normal()).unwrap();
    let image = read(&anomaly.path, &Limits::default()).unwrap();
    let story = detector.explain(&image).unwrap();
    let verdict = detector.score(std::slice::from_ref(&image)).remove(0).unwrap();
    assert_eq!(story.verdict, verdict);
    assert!((0.0..=1.0).contains(&story.anomalous_share.unwrap()));
    assert_eq!(story.nearest.len(), 5);
    assert!(story.nearest.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
    let is_train = |near: &aberra::explain::NearNormal| detector.normals()[near.normal].part == Part::Train;
    assert!(story.nearest.iter().all(is_train));
    // The neighbour distance is the mean of these very five.
    let mean = story.nearest.iter().map(|near| near.distance).sum::<f64>() / 5.0;
    let value = |name: &str| story.evidence.iter().find(|row| row.name == name).unwrap().value;
    assert!((mean - value("vae.neighbour_distance")).abs() < 1e-9);
    for (at, row) in story.evidence.iter().enumerate() {
        assert_eq!(
            (row.name.as_str(), row.value),
            (&*detector.descriptors()[at].name, verdict.evidence.0[at])
        );
        let calibration: Vec<f64> = evidence(detector, Part::Calibration).map(|values| values[at]).collect();
        let below = calibration.iter().filter(|&&value| value < row.value).count();
        // No image was measured twice: none is equal.
        assert_eq!(row.percentile, Some(below as f64 / calibration.len() as f64 * 100.0), "{}", row.name);
    }
}

#[test]
fn a_training_image_is_its_own_nearest_normal_and_is_found_by_content() {
    let Trained { dataset, detector } = trained();
    let files: Vec<PathBuf> = dataset.samples.iter().map(|sample| sample.path.clone()).collect();
    let (index, mu) = detector
        .normal_embeddings(0)
        .unwrap()
        .iter()
        .enumerate()
        .find(|(index, _)| detector.normals()[*index].part == Part::Train)
        .unwrap();
    let near = nearest(detector, mu, 3).unwrap();
    assert_eq!((near[0].normal, near[0].distance), (index, 0.0));
    let found = find_normals(detector, &near, &files);
    let image = read(found[0].path.as_ref().unwrap(), &Limits::default()).unwrap();
    assert_eq!(image.source.id, detector.normals()[index].sketch.id);
    assert_eq!(found[0].thumbnail.as_ref().map(Vec::len), Some(48 * 48));
    let nowhere = find_normals(detector, &near, &[]);
    assert!(nowhere.iter().all(|found| found.path.is_none() && found.thumbnail.is_none()));
}

#[test]
fn a_picture_of_a_story_is_drawn_with_and_without_nearest_normals() {
    let Trained { dataset, detector } = trained();
    let image = read(&dataset.samples[0].path, &Limits::default()).unwrap();
    let story = detector.explain(&image).unwrap();
    for files in [vec![], vec![dataset.samples[0].path.clone()]] {
        let near = find_normals(detector, &story.nearest, &files);
        let png = story_png(detector, &story, &near).unwrap();
        let drawn = aberra::image::decode(&png, &Limits::default()).unwrap();
        assert!(drawn.width > 1_000 && drawn.pixels.iter().any(|&value| value < 0.3));
    }
}

#[test]
fn decoding_is_what_the_model_makes_of_a_latent() {
    let detector = &trained().detector;
    let latents: Vec<Vec<f32>> = (0..20).map(|at| vec![at as f32 / 10.0, 0.5, -0.5, 0.0]).collect();
    let together = decode(detector, &latents).unwrap();
    assert_eq!((together.len(), together[0].len()), (20, 32 * 32));
    assert_eq!(decode(detector, &latents[7..8]).unwrap()[0], together[7]);
    let origin = [0.0, 0.5, -0.5, 0.0];
    let along = traversal(detector, &origin, &[1.0, 0.0, 0.0, 0.0], &[0.0, 0.7, 1.9]).unwrap();
    assert_eq!([&along[0], &along[1], &along[2]], [&together[0], &together[7], &together[19]]);
    assert!(decode(detector, &[vec![0.0; 3]]).is_err_and(|error| error.is_data()));
    assert!(decode(detector, &[vec![f32::NAN; 4]]).is_err_and(|error| error.is_data()));
    assert!(traversal(detector, &origin, &[1.0], &[0.0]).is_err_and(|error| error.is_data()));
}

#[test]
fn prior_samples_follow_from_the_generator() {
    let detector = &trained().detector;
    let draw =
        |seed: u64| prior_samples(detector, &mut generator(seed, Stream::Prior, 0), 6).unwrap().unwrap();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_eq!(draw(1).len(), 6);
}

#[test]
fn kl_of_each_dimension_adds_up_to_the_calibration_normals_mean() {
    let detector = &trained().detector;
    let kl = detector.descriptors().iter().position(|one| one.name == "vae.kl").unwrap();
    let calibration: Vec<f64> = evidence(detector, Part::Calibration).map(|values| values[kl]).collect();
    let mean = calibration.iter().sum::<f64>() / calibration.len() as f64;
    assert_eq!(detector.kl_per_dimension(0).len(), 4);
    assert!((detector.kl_per_dimension(0).iter().sum::<f64>() - mean).abs() < 1e-9 * mean.max(1.0));
}
