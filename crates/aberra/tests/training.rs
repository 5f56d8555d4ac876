//! Training is reproducible bit for bit, whatever the threads and wherever it is cut, and stops cleanly.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aberra::calibrate::{Criterion, Labelled};
use aberra::compute::AutoPrecision;
use aberra::dataset::{Dataset, OpenOptions};
use aberra::job::{Event, Job};
use aberra::models::families::FAMILIES;
use aberra::models::network::Precision;
use aberra::models::train::{EpochRecord, Progress};
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::run::{Claim, RunFolder, read_history};
use aberra::score::ScorerInput;
use aberra::{CheckedConfig, Detector, Part, TrainConfig, TrainOptions};

/// Small, but with every part: augmentation, several steps an epoch, checks and checkpoints between epochs.
const SETTINGS: &str = "
    seed = 11
    [preprocessing]
    size_px = 32
    [train]
    epochs = 4
    batch_size = 8
    check_every_epochs = 2
    checkpoint_every_epochs = 1
    [split]
    test_share = 0.0
    [promise]
    false_alarm_rate = 0.1
";

/// With batch normalisation, an uncertainty decoder and warm-ups.
const VAE: &str = "
    channels = [4, 8]
    latent = 4
    hidden = 16
    beta_warmup_epochs = 2
    variance_warmup_epochs = 1
";

/// Small settings of each family, with every draw that it makes in training.
const FAMILY_SETTINGS: [(&str, &str); 6] = [
    ("vae", VAE),
    (
        "autoencoder",
        "channels = [4, 8]\nlatent = 4\nnoise = 0.1\nloss = { l1 = 1.0, ssim = 1.0, perceptual = 1.0 }",
    ),
    ("vqvae", "channels = [4, 8]\ncodes = 8\ncode_dimensions = 4"),
    ("features", "bank = 256\ndirections = 32"),
    ("feature-vae", "directions = 16\nwidths = [8, 8, 8]\nlatent = 4\nimages = 160\npictures = 40"),
    ("discriminator", "width = 16\ncontext = 8\nimages = 160"),
];

/// Members of different families, with and without a backbone, and two of one family.
const ENSEMBLES: [(&str, &str); 3] = [("vae", "autoencoder"), ("vae", "vae"), ("vae", "discriminator")];

fn configured(model: &str, more: &str) -> CheckedConfig {
    let layers = [SETTINGS, model, more].map(|text| TrainConfig::parse_layer(text).unwrap());
    TrainConfig::from_layers(&layers).unwrap()
}

fn config(more: &str) -> CheckedConfig {
    configured(&format!("[model]\n{VAE}"), more)
}

fn table(family: &str) -> String {
    let settings = FAMILY_SETTINGS.iter().find(|(name, _)| *name == family);
    let (_, settings) = settings.unwrap_or_else(|| panic!("give the family {family} small settings here"));
    format!("family = {family:?}\n{settings}")
}

/// A detector of one member for each family.
fn config_of_each_family() -> impl Iterator<Item = (&'static str, CheckedConfig)> {
    FAMILIES
        .iter()
        .map(|family| (family.name(), configured(&format!("[model]\n{}", table(family.name())), "")))
}

/// Whether the family of a detector's member trains a network that reproduces images, in a precision of one's choice.
fn reproduces(config: &CheckedConfig) -> bool {
    config.members()[0].settings.contains_key("precision")
}

fn config_of_two((first, second): (&str, &str)) -> CheckedConfig {
    configured(&format!("[[model]]\n{}\n[[model]]\nseed = 12\n{}", table(first), table(second)), "")
}

struct Fixture {
    folder: tempfile::TempDir,
    dataset: Dataset,
}

/// When a run is stopped: at this member's step, counted over its epochs.
type Stop<'a> = (&'a str, usize);

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

    /// A run in folder `name`, stopped where that is given.
    fn run(
        &self,
        name: &str,
        config: &CheckedConfig,
        claim: Claim,
        stop: Option<Stop<'_>>,
    ) -> aberra::Result<(RunFolder, Detector)> {
        let folder = RunFolder::claim(&self.folder.path().join(name), claim)?;
        let mut watch = |event: Event<'_>| match (event, stop) {
            (Event::Fit { member, progress: Progress::Step { step, .. } }, Some((stopped, at)))
                if member == stopped && step >= at =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        };
        let job = Job { watch: Some(&mut watch), folder: Some(&folder), resume: claim == Claim::Resume };
        let detector =
            Detector::train_with(&self.dataset, config, TrainOptions { job, ..Default::default() })?;
        detector.save(&folder.detector())?;
        Ok((RunFolder::at(folder.path()), detector))
    }

    /// A whole run; the bytes of its detector file.
    fn trained(&self, name: &str, config: &CheckedConfig) -> Vec<u8> {
        bytes(&self.run(name, config, Claim::Replace, None).unwrap().0.detector())
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

/// The records of a member's epochs, without what the clock says.
fn history(run: &RunFolder, member: Option<&str>) -> Vec<EpochRecord> {
    let records = read_history(&run.history(member)).unwrap().into_iter();
    records.map(|record| EpochRecord { images_per_s: None, ..record }).collect()
}

/// Names and contents of a member's snapshots; none of a member that reproduces no images. Their folder also holds the marker
/// by which listings pass over it.
fn snapshots(run: &RunFolder, member: Option<&str>) -> Vec<(PathBuf, Vec<u8>)> {
    if !run.samples(member).exists() {
        return Vec::new();
    }
    assert!(RunFolder::is_one(&run.samples(member)));
    let entries = fs::read_dir(run.samples(member)).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| path.extension().is_some_and(|extension| extension == "png"));
    let mut kept: Vec<_> =
        entries.map(|path| (PathBuf::from(path.file_name().unwrap()), bytes(&path))).collect();
    kept.sort();
    kept
}

#[test]
fn same_seed_gives_the_same_detector_for_any_number_of_threads() {
    let fixture = Fixture::new();
    let ensembles = ENSEMBLES.map(|families| ("ensemble", config_of_two(families)));
    for (name, config) in config_of_each_family().chain(ensembles) {
        let train = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fixture.trained(&format!("{name}-{threads}"), &config))
        };
        let first = train(1);
        assert!(first == train(3), "{name}: detectors of one and of three threads differ");
        let other =
            fixture.trained("other", &TrainConfig { seed: 12, ..config.into_config() }.check().unwrap());
        assert!(first != other, "{name}: another seed gave the same detector");
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let fixture = Fixture::new();
    for (family, config) in config_of_each_family().filter(|(_, config)| reproduces(config)) {
        let (whole, _) = fixture.run(family, &config, Claim::New, None).unwrap();
        let expected = history(&whole, None);
        assert_eq!(expected.len(), 4);
        let pictures = snapshots(&whole, None);
        assert_eq!(pictures.len(), 4, "each of four epochs has its snapshot");
        let steps_per_epoch = expected[0].step;
        assert!(steps_per_epoch > 2, "an epoch has {steps_per_epoch} steps");
        // In mid-epoch, at an epoch's very end, and twice.
        for (name, cuts) in [
            ("middle", vec![steps_per_epoch + 2]),
            ("end", vec![2 * steps_per_epoch]),
            ("twice", vec![1, 3 * steps_per_epoch - 1]),
        ] {
            let name = format!("{family}-{name}");
            for (index, cut) in cuts.into_iter().enumerate() {
                let claim = if index == 0 { Claim::New } else { Claim::Resume };
                let error = fixture.run(&name, &config, claim, Some((family, cut))).unwrap_err();
                assert!(error.is_interrupted(), "{error}");
            }
            let (resumed, _) = fixture.run(&name, &config, Claim::Resume, None).unwrap();
            assert!(
                bytes(&whole.detector()) == bytes(&resumed.detector()),
                "{name}: resumed and uninterrupted detectors differ"
            );
            assert_eq!(expected, history(&resumed, None), "{name}");
            assert!(pictures == snapshots(&resumed, None), "{name}: other snapshots");
        }
    }
}

#[test]
fn a_finished_run_goes_on_for_more_epochs() {
    let fixture = Fixture::new();
    let of = |epochs: usize, more: &str| {
        let layers = [
            SETTINGS.to_owned(),
            format!("[model]\n{VAE}"),
            more.to_owned(),
            format!("train.epochs = {epochs}"),
        ];
        TrainConfig::from_layers(&layers.map(|text| TrainConfig::parse_layer(&text).unwrap())).unwrap()
    };
    let constant = "train.schedule = 'constant'";
    let whole = fixture.trained("whole", &of(8, constant));
    fixture.run("longer", &of(4, constant), Claim::New, None).unwrap();
    let (longer, _) = fixture.run("longer", &of(8, constant), Claim::Resume, None).unwrap();
    assert!(bytes(&longer.detector()) == whole, "four epochs and four more are not eight");
    assert_eq!(history(&longer, None).len(), 8);
    // What fell towards the fourth epoch is not as it would have been, and that is said.
    let fallen = fixture.trained("fallen", &of(8, ""));
    fixture.run("cosine", &of(4, ""), Claim::New, None).unwrap();
    let folder = RunFolder::claim(&fixture.folder.path().join("cosine"), Claim::Resume).unwrap();
    let mut told = None;
    let mut watch = |event: Event<'_>| {
        if let Event::Longer { before, is_as_at_once } = event {
            told = Some((before, is_as_at_once));
        }
        ControlFlow::Continue(())
    };
    let job = Job { watch: Some(&mut watch), folder: Some(&folder), resume: true };
    let options = TrainOptions { job, ..TrainOptions::default() };
    Detector::train_with(&fixture.dataset, &of(8, ""), options).unwrap().save(&folder.detector()).unwrap();
    assert_eq!(told, Some((4, false)));
    assert!(bytes(&folder.detector()) != fallen);
    drop(folder);
    // Fewer epochs than are done are refused, before anything is changed.
    let error = fixture.run("longer", &of(6, constant), Claim::Resume, None).unwrap_err();
    assert!(error.is_settings() && error.to_string().contains("at least the 8 epochs"), "{error}");
    assert!(bytes(&longer.detector()) == whole);
}

#[test]
fn few_images_are_passed_over_until_there_are_enough_steps() {
    let fixture = Fixture::new();
    let of = |more: &str| config(&format!("train.epochs = 2\n{more}"));
    // Some forty images, eight a step: two epochs have fewer than fifteen steps, and thirty steps are more epochs.
    let (given, _) = fixture.run("given", &of(""), Claim::New, None).unwrap();
    let (enough, _) = fixture.run("enough", &of("train.least_steps = 12"), Claim::New, None).unwrap();
    let (more, _) = fixture.run("more", &of("train.least_steps = 30"), Claim::New, None).unwrap();
    let epochs = |run: &RunFolder| history(run, None);
    let steps = epochs(&given)[0].step;
    assert!(2 * steps > 7 && 2 * steps < 15, "{steps}");
    assert_eq!(epochs(&given).len(), 2);
    assert_eq!(epochs(&enough).len(), 12_usize.div_ceil(steps).max(2));
    assert_eq!(epochs(&more).len(), 30_usize.div_ceil(steps));
    assert_eq!(snapshots(&more, None).len(), epochs(&more).len());
    // The least number of steps alone decides nothing where there are enough.
    if epochs(&enough).len() == 2 {
        assert_eq!(epochs(&given), epochs(&enough));
    }
}

#[test]
fn a_resumed_run_of_several_members_equals_an_uninterrupted_one() {
    let fixture = Fixture::new();
    for (at, families) in ENSEMBLES.into_iter().enumerate() {
        let config = config_of_two(families);
        let names: Vec<&str> = config.members().iter().map(|member| member.name.as_str()).collect();
        let (whole, _) = fixture.run(&format!("whole-{at}"), &config, Claim::New, None).unwrap();
        // In the first member, then in the second, whose predecessor is not fitted again.
        let name = format!("cut-{at}");
        fixture.run(&name, &config, Claim::New, Some((names[0], 5))).unwrap_err();
        fixture.run(&name, &config, Claim::Resume, Some((names[1], 7))).unwrap_err();
        let mut fitted = BTreeSet::new();
        let folder = RunFolder::claim(&fixture.folder.path().join(&name), Claim::Resume).unwrap();
        let mut watch = |event: Event<'_>| {
            if let Event::Fit { member, .. } = event {
                fitted.insert(member.to_owned());
            }
            ControlFlow::Continue(())
        };
        let job = Job { watch: Some(&mut watch), folder: Some(&folder), resume: true };
        let options = TrainOptions { job, ..TrainOptions::default() };
        let resumed = Detector::train_with(&fixture.dataset, &config, options).unwrap();
        resumed.save(&folder.detector()).unwrap();
        assert_eq!(fitted, BTreeSet::from([names[1].to_owned()]), "{families:?}");
        assert!(bytes(&whole.detector()) == bytes(&folder.detector()), "{families:?}: detectors differ");
        for member in names {
            assert_eq!(history(&whole, Some(member)), history(&folder, Some(member)), "{member}");
            assert!(
                snapshots(&whole, Some(member)) == snapshots(&folder, Some(member)),
                "{member}: other snapshots"
            );
        }
    }
}

#[test]
fn a_member_is_the_same_alone_and_beside_another() {
    let fixture = Fixture::new();
    let (_, alone) = fixture.run("alone", &config(""), Claim::New, None).unwrap();
    let both = ENSEMBLES.map(|families| {
        let (_, detector) = fixture.run("both", &config_of_two(families), Claim::Replace, None).unwrap();
        detector
    });
    let own = alone.members()[0].member.descriptors().len();
    for both in &both {
        assert_eq!(both.members().len(), 2);
        let names: BTreeSet<&str> = both.descriptors().iter().map(|one| one.name.as_ref()).collect();
        assert_eq!(names.len(), both.descriptors().len(), "every measurement has a name of its own");
        for (one, other) in alone.normals().iter().zip(both.normals()) {
            assert_eq!(one.evidence.0[..own], other.evidence.0[..own]);
            // The image's own measurements stand last.
            assert_eq!(one.evidence.0[own..], other.evidence.0[other.evidence.0.len() - 2..]);
        }
    }
    // Two of one family differ by their seeds.
    let [_, twins, _] = both;
    assert_ne!(twins.normal_embeddings(0), twins.normal_embeddings(1));
    assert_eq!(twins.members().iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["vae", "vae-2"]);
}

#[test]
fn a_resumed_run_keeps_the_best_snapshot_and_no_older_best_ones() {
    let fixture = Fixture::new();
    // Only the first, the last and the best epoch stay, and every epoch is measured.
    let config = config("[train]\nepochs = 9\nsnapshots = 1\ncheck_every_epochs = 1");
    let (whole, detector) = fixture.run("whole", &config, Claim::New, None).unwrap();
    let steps_per_epoch = history(&whole, None)[0].step;
    fixture.run("cut", &config, Claim::New, Some(("vae", 6 * steps_per_epoch + 1))).unwrap_err();
    let (resumed, _) = fixture.run("cut", &config, Claim::Resume, None).unwrap();
    let kept = snapshots(&whole, None);
    assert!(kept == snapshots(&resumed, None));
    let epochs = BTreeSet::from([1, 9, detector.provenance().members[0].best_epoch]);
    let names: Vec<PathBuf> = epochs.iter().map(|epoch| format!("epoch-{epoch:04}.png").into()).collect();
    assert_eq!(kept.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
    // Another run in the same folder leaves nothing of the one before.
    let short = crate::config("[train]\nepochs = 2");
    fixture.run("cut", &short, Claim::Replace, None).unwrap();
    assert_eq!(snapshots(&resumed, None).len(), 2);
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let fixture = Fixture::new();
    fixture.run("run", &config(""), Claim::New, Some(("vae", 3))).unwrap_err();
    for (more, what) in [
        ("[train]\nlearning_rate = 0.002", "other train"),
        ("[model]\nbeta = 2.0", "other model"),
        ("scorer = \"mse\"", "other scorer"),
        ("seed = 3", "other seed"),
        ("backbone = \"none\"", "other backbone"),
    ] {
        let error = fixture.run("run", &config(more), Claim::Resume, None).unwrap_err();
        assert!(error.is_settings() && error.to_string().contains(what), "{error}");
    }
    fixture.run("run", &config(""), Claim::Resume, None).unwrap();
}

#[test]
fn a_diverging_run_stops_and_keeps_the_last_good_checkpoint() {
    let fixture = Fixture::new();
    fixture.run("run", &config(""), Claim::New, Some(("vae", 9))).unwrap_err();
    let run = RunFolder::at(&fixture.folder.path().join("run"));
    let before = bytes(&run.checkpoint(None));
    let wild = config("[train]\nlearning_rate = 1.0\ngradient_clip = 0.0\n[model]\nbeta = 1e6");
    let error = fixture.run("wild", &wild, Claim::New, None).unwrap_err();
    assert!(error.to_string().contains("no longer finite"), "{error}");
    assert_eq!(before, bytes(&run.checkpoint(None)));
}

#[test]
fn what_is_saved_scores_the_same_when_loaded() {
    let fixture = Fixture::new();
    let ensembles = ENSEMBLES.map(|families| ("ensemble", config_of_two(families)));
    for (name, config) in config_of_each_family().chain(ensembles) {
        let (run, detector) = fixture.run(name, &config, Claim::Replace, None).unwrap();
        let loaded = Detector::load(&run.detector()).unwrap();
        let limits = detector.config().limits;
        let images: Vec<_> = fixture
            .dataset
            .samples
            .iter()
            .take(5)
            .map(|sample| aberra::image::read(&sample.path, &limits).unwrap())
            .collect();
        let together: Vec<_> = detector.score(&images).into_iter().map(Result::unwrap).collect();
        for (image, expected) in images.iter().zip(together) {
            let again = loaded.score(std::slice::from_ref(image)).remove(0).unwrap();
            assert_eq!(again, expected, "{name}");
        }
        assert_eq!(loaded.descriptors(), detector.descriptors());
        assert_eq!(loaded.fitted_scorers(), detector.fitted_scorers());
        assert_eq!(loaded.normal_embeddings(0), detector.normal_embeddings(0));
        assert_eq!(loaded.provenance(), detector.provenance());
        // Saved again it is the same file.
        let again = run.path().join("again.aberra");
        loaded.save(&again).unwrap();
        assert!(bytes(&again) == bytes(&run.detector()), "{name}: saved again, the file differs");
    }
}

#[test]
fn thumbnails_are_kept_only_on_request() {
    let fixture = Fixture::new();
    let length = |more: &str| fixture.trained("run", &config(more)).len();
    assert!(length("keep_thumbnails = true") > length("") + 50 * 48 * 48 * 4);
}

#[test]
fn the_threshold_comes_from_calibration_normals_alone() {
    let fixture = Fixture::new();
    let (_, detector) = fixture.run("run", &config(""), Claim::New, None).unwrap();
    let scorer = detector.scorer().unwrap();
    let mut scores: Vec<f64> = detector
        .normals()
        .iter()
        .filter(|normal| normal.part == Part::Calibration)
        .map(|normal| scorer.score(&ScorerInput::new(detector.descriptors(), &normal.evidence)))
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
        let (run, detector) = fixture.run("any", &config, Claim::Replace, None).unwrap();
        let loaded = Detector::load(&run.detector()).unwrap();
        assert_eq!(loaded.fitted_scorers(), detector.fitted_scorers(), "{likelihood}");
    }
}

#[test]
fn a_detector_scores_with_the_precision_it_was_trained_with() {
    let fixture = Fixture::new();
    let path = &fixture.dataset.samples[0].path;
    let image = aberra::image::read(path, &aberra::image::Limits::default()).unwrap();
    let score = |detector: &Detector| detector.score(std::slice::from_ref(&image))[0].as_ref().unwrap().score;
    for (family, _) in config_of_each_family().filter(|(_, config)| reproduces(config)) {
        let mut scores = Vec::new();
        for wanted in [Precision::Auto, Precision::F32, Precision::Bf16] {
            let layer = format!("[model]\n{}\nprecision = {:?}", table(family), wanted.name());
            let config = configured(&layer, "[train]\nepochs = 1");
            let (run, detector) = fixture.run(wanted.name(), &config, Claim::Replace, None).unwrap();
            let held = &detector.config().members()[0].settings["precision"];
            assert_eq!(
                held,
                wanted.resolved(AutoPrecision::of_machine().unwrap().precision).name(),
                "{family}"
            );
            assert_ne!(held, "auto");
            assert_eq!(score(&Detector::load(&run.detector()).unwrap()), score(&detector));
            scores.push(score(&detector));
        }
        let [_, f32, bf16] = scores[..] else { panic!("three scores") };
        assert_ne!(f32, bf16, "{family}: rounding the operands changes the weights and the score");
    }
}
