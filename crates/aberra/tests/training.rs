//! Training is reproducible bit for bit, whatever the threads and wherever it is cut, and stops cleanly.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra::calibrate::{Criterion, Labelled};
use aberra::dataset::{Dataset, OpenOptions};
use aberra::model::Precision;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::train::{EpochRecord, Progress};
use aberra::{Detector, Part, TrainConfig, TrainOptions};

/// Small, but with every part: batch normalisation, uncertainty decoder, warm-ups, augmentation, several steps an epoch.
const SETTINGS: &str = "
    seed = 11
    [preprocessing]
    size_px = 32
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    [train]
    epochs = 4
    batch_size = 8
    beta_warmup_epochs = 2
    variance_warmup_epochs = 1
    check_every_epochs = 2
    checkpoint_every_epochs = 1
    [split]
    test_share = 0.0
    [promise]
    false_alarm_rate = 0.1
";

fn config(more: &str) -> TrainConfig {
    let layers = [SETTINGS, more].map(|text| TrainConfig::parse_layer(text).unwrap());
    TrainConfig::from_layers(&layers).unwrap()
}

struct Fixture {
    folder: tempfile::TempDir,
    dataset: Dataset,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let phantoms = PhantomDataset {
            seed: 5,
            size_px: 32,
            train_normals: 60,
            test_normals: 0,
            anomalies_per_kind: 0,
        };
        write_dataset(&data, &phantoms).unwrap();
        let dataset = Dataset::open(&data, &OpenOptions::default()).unwrap();
        Self { folder, dataset }
    }

    /// A run in folder `name`, stopped after `steps` steps where that is given.
    fn run(
        &self,
        name: &str,
        config: &TrainConfig,
        resume: bool,
        stop_after: Option<usize>,
    ) -> aberra::Result<(PathBuf, Detector)> {
        let run = self.folder.path().join(name);
        fs::create_dir_all(&run).unwrap();
        let mut observe = |progress: Progress<'_>| match progress {
            Progress::Step { step, .. } if stop_after.is_some_and(|stop| step >= stop) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        let options =
            TrainOptions { folder: Some(&run), resume, observe: Some(&mut observe), ..Default::default() };
        let detector = Detector::train_with(&self.dataset, config, options)?;
        let path = run.join("detector.aberra");
        detector.save(&path)?;
        Ok((path, detector))
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn history(run: &Path) -> Vec<EpochRecord> {
    let text = fs::read_to_string(run.join("history.jsonl")).unwrap();
    text.lines()
        .map(|line| EpochRecord { images_per_s: 0.0, ..serde_json::from_str(line).unwrap() })
        .collect()
}

/// Names and contents of a run's snapshots.
fn snapshots(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(run.join("samples")).unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<_> =
        entries.map(|path| (PathBuf::from(path.file_name().unwrap()), bytes(&path))).collect();
    kept.sort();
    kept
}

#[test]
fn same_seed_gives_the_same_detector_for_any_number_of_threads() {
    let fixture = Fixture::new();
    let train = |name: &str, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fixture.run(name, &config(""), false, None)).unwrap().0
    };
    let first = bytes(&train("one", 1));
    assert!(first == bytes(&train("three", 3)), "detectors of one and of three threads differ");
    let (other, _) = fixture.run("other", &config("seed = 12"), false, None).unwrap();
    assert!(first != bytes(&other), "another seed gave the same detector");
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let fixture = Fixture::new();
    let (whole, _) = fixture.run("whole", &config(""), false, None).unwrap();
    let expected = history(whole.parent().unwrap());
    assert_eq!(expected.len(), 4);
    let pictures = snapshots(whole.parent().unwrap());
    assert_eq!(pictures.len(), 4, "each of four epochs has its snapshot");
    let steps_per_epoch = expected[0].step;
    assert!(steps_per_epoch > 2, "an epoch has {steps_per_epoch} steps");
    // In mid-epoch, at an epoch's very end, and twice.
    for (name, cuts) in [
        ("middle", vec![steps_per_epoch + 2]),
        ("end", vec![2 * steps_per_epoch]),
        ("twice", vec![1, 3 * steps_per_epoch - 1]),
    ] {
        for (index, cut) in cuts.into_iter().enumerate() {
            let error = fixture.run(name, &config(""), index > 0, Some(cut)).unwrap_err();
            assert!(error.is_interrupted(), "{error}");
        }
        let (resumed, _) = fixture.run(name, &config(""), true, None).unwrap();
        assert!(bytes(&whole) == bytes(&resumed), "{name}: resumed and uninterrupted detectors differ");
        assert_eq!(expected, history(resumed.parent().unwrap()), "{name}");
        assert!(pictures == snapshots(resumed.parent().unwrap()), "{name}: other snapshots");
    }
}

#[test]
fn a_resumed_run_keeps_the_best_snapshot_and_no_older_best_ones() {
    let fixture = Fixture::new();
    // Only the first, the last and the best epoch stay, and every epoch is measured.
    let config = config("[train]\nepochs = 9\nsnapshots = 1\ncheck_every_epochs = 1");
    let (whole, detector) = fixture.run("whole", &config, false, None).unwrap();
    let run = whole.parent().unwrap();
    let steps_per_epoch = history(run)[0].step;
    fixture.run("cut", &config, false, Some(6 * steps_per_epoch + 1)).unwrap_err();
    let (resumed, _) = fixture.run("cut", &config, true, None).unwrap();
    let kept = snapshots(run);
    assert!(kept == snapshots(resumed.parent().unwrap()));
    let epochs: std::collections::BTreeSet<usize> = [1, 9, detector.provenance().best_epoch].into();
    let names: Vec<PathBuf> = epochs.iter().map(|epoch| format!("epoch-{epoch:04}.png").into()).collect();
    assert_eq!(kept.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
    // Another run in the same folder leaves nothing of the one before.
    let short = crate::config("[train]\nepochs = 2");
    fixture.run("cut", &short, false, None).unwrap();
    assert_eq!(snapshots(resumed.parent().unwrap()).len(), 2);
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let fixture = Fixture::new();
    fixture.run("run", &config(""), false, Some(3)).unwrap_err();
    let error = fixture.run("run", &config("[train]\nlearning_rate = 0.002"), true, None).unwrap_err();
    assert!(error.is_settings() && error.to_string().contains("other train"), "{error}");
}

#[test]
fn a_diverging_run_stops_and_keeps_the_last_good_checkpoint() {
    let fixture = Fixture::new();
    fixture.run("run", &config(""), false, Some(9)).unwrap_err();
    let run = fixture.folder.path().join("run");
    let before = bytes(&run.join("checkpoint.safetensors"));
    let wild = config("[train]\nlearning_rate = 1.0\ngradient_clip = 0.0\nbeta = 1e6");
    let error = fixture.run("wild", &wild, false, None).unwrap_err();
    assert!(error.to_string().contains("no longer finite"), "{error}");
    assert_eq!(before, bytes(&run.join("checkpoint.safetensors")));
}

#[test]
fn what_is_saved_scores_the_same_when_loaded() {
    let fixture = Fixture::new();
    let (path, detector) = fixture.run("run", &config(""), false, None).unwrap();
    let loaded = Detector::load(&path).unwrap();
    let limits = detector.config().limits;
    let images: Vec<_> = fixture
        .dataset
        .samples
        .iter()
        .take(5)
        .map(|sample| aberra::image::read(&sample.path, &limits).unwrap())
        .collect();
    let together: Vec<f64> =
        detector.score(&images).into_iter().map(|verdict| verdict.unwrap().score).collect();
    for (image, expected) in images.iter().zip(together) {
        let again = loaded.score(std::slice::from_ref(image)).remove(0).unwrap();
        assert_eq!(again.score.to_bits(), expected.to_bits());
    }
}

#[test]
fn thumbnails_are_kept_only_on_request() {
    let fixture = Fixture::new();
    let length = |more: &str| bytes(&fixture.run("run", &config(more), false, None).unwrap().0).len();
    assert!(length("keep_thumbnails = true") > length("") + 50 * 48 * 48 * 4);
}

#[test]
fn the_threshold_comes_from_calibration_normals_alone() {
    let fixture = Fixture::new();
    let (_, detector) = fixture.run("run", &config(""), false, None).unwrap();
    let scorer = detector.scorer().unwrap();
    let mut scores: Vec<f64> = detector
        .normals()
        .iter()
        .filter(|normal| normal.part == Part::Calibration)
        .map(|normal| scorer.score(&normal.evidence).unwrap())
        .collect();
    scores.sort_by(f64::total_cmp);
    assert_eq!(scores, detector.calibration().scores);
    assert!(scores.contains(&detector.calibration().threshold));
    assert!(!detector.calibration().promise.saw_labels());
    let seen = |part: Part| detector.normals().iter().filter(move |normal| normal.part == part);
    for calibration in seen(Part::Calibration) {
        let learned = seen(Part::Train).chain(seen(Part::Fit));
        assert!(learned.into_iter().all(|normal| normal.sketch != calibration.sketch));
    }
    let labelled = Labelled { scores: &[0.0, 1.0, 2.0], anomalous: &[false, false, true] };
    let moved = detector.calibrate(Some(labelled), Criterion::LabelledF1Max).unwrap();
    assert!(moved.calibration().promise.saw_labels(), "a labelled threshold must say so");
}

#[test]
fn a_detector_of_any_likelihood_comes_back() {
    let fixture = Fixture::new();
    for likelihood in [
        "kind = \"gaussian\"\nvariance = 0.5",
        "kind = \"uncertainty\"",
        "kind = \"laplace\"\nscale = 0.1",
        "kind = \"bernoulli\"",
    ] {
        let config = config(&format!("[train]\nepochs = 1\n[model.likelihood]\n{likelihood}"));
        let (_, detector) = fixture.run("any", &config, false, None).unwrap();
        let file = fixture.folder.path().join("any.aberra");
        detector.save(&file).unwrap();
        assert_eq!(
            Detector::load(&file).unwrap().fitted_scorers(),
            detector.fitted_scorers(),
            "{likelihood}"
        );
    }
}

#[test]
fn a_detector_scores_with_the_precision_it_was_trained_with() {
    let fixture = Fixture::new();
    let path = &fixture.dataset.samples[0].path;
    let image = aberra::image::read(path, &aberra::image::Limits::default()).unwrap();
    let score = |detector: &Detector| detector.score(std::slice::from_ref(&image))[0].as_ref().unwrap().score;
    let mut scores = Vec::new();
    for wanted in [Precision::Auto, Precision::F32, Precision::Bf16] {
        let settings = config(&format!("[model]\nprecision = {:?}\n[train]\nepochs = 1", wanted.name()));
        let (_, detector) = fixture.run(wanted.name(), &settings, false, None).unwrap();
        assert_eq!(detector.config().model.precision, wanted.resolved().unwrap());
        assert_ne!(detector.config().model.precision, Precision::Auto);
        let file = fixture.folder.path().join(format!("{}.aberra", wanted.name()));
        detector.save(&file).unwrap();
        assert_eq!(score(&Detector::load(&file).unwrap()), score(&detector));
        scores.push(score(&detector));
    }
    let [_, f32, bf16] = scores[..] else { panic!("three scores") };
    assert_ne!(f32, bf16, "rounding the operands changes the weights and the score");
}
