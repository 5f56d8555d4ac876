//! Reports of small detectors that are really trained, on phantoms: what they hold, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aberra::calibrate::Criterion;
use aberra::dataset::{Dataset, GroupBy, OpenOptions};
use aberra::evaluate::{EvaluateOptions, Evaluation, Metric};
use aberra::job::Job;
use aberra::metrics::bootstrap::BootstrapSettings;
use aberra::metrics::ranking::WeightedConfusion;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::report::{MOST_IN_FULL, Report, ReportOptions, RunSource};
use aberra::run::{Claim, RunFolder};
use aberra::{Detector, TrainConfig, TrainOptions};
use image::{ImageBuffer, Luma};

const SETTINGS: &str = "
    seed = 4
    [preprocessing]
    size_px = 32
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    beta_warmup_epochs = 1
    variance_warmup_epochs = 1
    [train]
    epochs = 3
    batch_size = 8
    check_every_epochs = 1
    [split]
    test_share = 0.0
    policy = \"layout\"
    [promise]
    false_alarm_rate = 0.1
";

/// A folder with phantoms in `data/` and a run in `run/`.
struct Made {
    folder: PathBuf,
    dataset: Dataset,
    detector: Detector,
    evaluation: Evaluation,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| make("report", ""))
}

fn make(name: &str, more: &str) -> Made {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    let phantoms =
        PhantomDataset { seed: 5, size_px: 32, train_normals: 60, test_normals: 12, anomalies_per_kind: 2 };
    write_dataset(&folder.join("data"), &phantoms).unwrap();
    let dataset = open(&folder.join("data"));
    let detector = train(&dataset, &folder.join("run"), more);
    let evaluation = evaluate(&detector, &dataset);
    Made { folder, dataset, detector, evaluation }
}

fn open(folder: &Path) -> Dataset {
    Dataset::open(folder, &OpenOptions::default()).unwrap()
}

fn train(dataset: &Dataset, run: &Path, more: &str) -> Detector {
    let folder = RunFolder::claim(run, Claim::Replace).unwrap();
    let layers = [SETTINGS, more].map(|text| TrainConfig::parse_layer(text).unwrap());
    let config = TrainConfig::from_layers(&layers).unwrap();
    let job = Job { folder: Some(&folder), ..Job::default() };
    let options = TrainOptions { job, ..TrainOptions::default() };
    let detector = Detector::train_with(dataset, &config, options).unwrap();
    detector.save(&folder.detector()).unwrap();
    Detector::load(&folder.detector()).unwrap()
}

fn evaluate(detector: &Detector, dataset: &Dataset) -> Evaluation {
    let bootstrap = BootstrapSettings { resamples: 100, ..BootstrapSettings::default() };
    detector.evaluate_with(dataset, EvaluateOptions { bootstrap, ..EvaluateOptions::default() }).unwrap()
}

fn report_of(detector: &Detector, dataset: &Dataset) -> Report {
    let evaluation = evaluate(detector, dataset);
    detector.report(dataset, &evaluation, ReportOptions { name: "it", ..Default::default() }).unwrap()
}

fn refusal(made: &Made, dataset: &Dataset, options: ReportOptions<'_>) -> String {
    let error = made.detector.report(dataset, &made.evaluation, options).unwrap_err();
    format!("{error} / {}", error.hint().unwrap_or("no hint"))
}

/// The page sums weights in the order of the images, as this does: `web/tests/golden.test.ts` compares the two.
#[test]
fn weights_of_a_report_give_the_rates_of_the_evaluation_to_the_last_bit() {
    let made = made();
    let mut dataset = made.dataset.clone();
    for (index, sample) in dataset.samples.iter_mut().enumerate() {
        // Three images a group, normal and anomalous ones in some.
        sample.group = Some((index / 3).to_string());
    }
    let bootstrap = BootstrapSettings { resamples: 20, ..BootstrapSettings::default() };
    let options = EvaluateOptions { by: GroupBy::Manifest, bootstrap, ..EvaluateOptions::default() };
    let evaluation = made.detector.evaluate_with(&dataset, options).unwrap();
    let report = made.detector.report(&dataset, &evaluation, ReportOptions::default()).unwrap();
    let data = report.data();
    let column = |of: fn(&aberra::wire::ImageData) -> f64| data.images.iter().map(of).collect::<Vec<_>>();
    let anomalous: Vec<bool> = data.images.iter().map(|image| image.kind.is_some()).collect();
    let (scores, weights) = (column(|image| image.score), column(|image| image.weight));
    assert!(weights.iter().any(|weight| *weight < 1.0), "{weights:?}");
    let at = WeightedConfusion::at(&scores, &anomalous, Some(&weights), data.detector.threshold).unwrap();
    let verdicts = &evaluation.verdicts;
    let expected = [&verdicts.recall, &verdicts.precision, &verdicts.f1, &verdicts.specificity];
    assert_eq!(
        [at.recall(), at.precision(), at.f1(), at.specificity()],
        expected.map(|one| one.value().copied())
    );
}

#[test]
fn a_report_holds_what_the_evaluation_says_and_a_picture_of_everything() {
    let made = made();
    let run = made.folder.join("run");
    let options = ReportOptions { name: "it", run: RunSource::Given(&run), ..Default::default() };
    let report = made.detector.report(&made.dataset, &made.evaluation, options).unwrap();
    let data = report.data();
    let scored: Vec<_> = made.evaluation.images.iter().filter_map(|row| row.scored()).collect();
    assert_eq!(data.images.len(), scored.len());
    assert_eq!(data.images.len(), data.images_in_all);
    for (at, (image, scored)) in data.images.iter().zip(scored).enumerate() {
        assert_eq!((image.id, image.score, image.anomalous), (at, scored.score, scored.anomalous));
        assert_eq!((image.width, image.height), (32, 32));
        assert_eq!(image.evidence.len(), made.detector.descriptors().len());
        assert!(image.evidence_percentiles.values().all(|value| (0.0..=100.0).contains(value)));
        let pictures = image.pictures.as_ref().unwrap();
        assert!(pictures.input.starts_with("data:image/jpeg;base64,"));
        assert!(pictures.error.as_ref().unwrap().starts_with("data:image/png;base64,"));
        // Phantoms have masks for lesions alone. A lesion smaller than a pixel leaves none.
        assert!(image.kind.is_some() || pictures.mask_path.is_none());
        // The training images lie in the same folder, so each is named and shown.
        assert_eq!(image.nearest.len(), 5);
        let named = |near: &aberra::wire::NearData| {
            near.name.as_ref().is_some_and(|name| name.starts_with("train/good/")) && near.thumbnail.is_some()
        };
        assert!(image.nearest.iter().all(named), "{:?}", image.nearest);
    }
    assert!(data.images.iter().any(|image| image.pictures.as_ref().unwrap().mask_path.is_some()));
    let numbers: Vec<usize> = data.images.iter().filter_map(|image| image.thumbnail).collect();
    assert_eq!(numbers, (0..data.images.len()).collect::<Vec<_>>());

    let [training] = &data.training.value().unwrap()[..] else { panic!("one member") };
    assert_eq!(training.member, "vae");
    let best_epoch = made.detector.provenance().members[0].best_epoch;
    assert_eq!((training.epochs.len(), training.best_epoch), (3, best_epoch));
    let snapshots = &training.snapshots;
    assert_eq!(snapshots.epochs.iter().map(|kept| kept.epoch).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(snapshots.epochs.iter().all(|kept| kept.reconstructions.len() == snapshots.inputs.len()));
    let latent = data.latent.value().unwrap();
    assert_eq!((latent.components, latent.kl_per_dimension.len()), (4, 4));
    assert_eq!(latent.traversals.len(), 8);
    assert!(latent.traversals.iter().all(|strip| strip.pictures.len() == strip.positions.len()));
    assert_eq!(data.evaluation.figures.auroc.value().unwrap().value.to_string().len().min(4), 4);
    assert_eq!(data.evaluation.figures.roc.fpr.len(), data.evaluation.figures.roc.tpr_high.len());
    assert_eq!(data.compare.rows.len(), made.detector.fitted_scorers().len());
    assert!(data.compare.rows[0].difference.is_none() && data.compare.rows[0].name == "combined");
    assert_eq!(report.figures().unwrap().len(), 7);
}

#[test]
fn the_same_report_comes_out_again_and_from_a_saved_evaluation() {
    let made = made();
    let file = made.folder.join("evaluation.json");
    made.evaluation.save(&file).unwrap();
    let saved = Evaluation::load(&file).unwrap();
    let options = || ReportOptions { name: "it", ..Default::default() };
    let first = made.detector.report(&made.dataset, &made.evaluation, options()).unwrap();
    assert_eq!(made.detector.report(&made.dataset, &saved, options()).unwrap(), first);
    let page = made.folder.join("report.html");
    let bytes = first.save(&page).unwrap();
    assert_eq!(fs::read_to_string(&page).unwrap(), first.html());
    assert_eq!(bytes, first.html().len() as u64);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let made = made();
    let moved = made.detector.calibrate(None, Criterion::at_rate(0.2)).unwrap();
    let error = moved.report(&made.dataset, &made.evaluation, ReportOptions::default()).unwrap_err();
    assert!(
        error.is_data() && error.to_string().contains("expected an evaluation of this detector"),
        "{error}"
    );

    let other = make("report-other-images", "");
    let first = &made.dataset.samples[0].path;
    let without = Dataset { samples: made.dataset.samples[20..].to_vec(), ..made.dataset.clone() };
    assert!(
        refusal(made, &without, ReportOptions::default()).contains("give the data set that was evaluated")
    );
    // A test image is replaced by another.
    let test = other.dataset.samples.iter().find(|sample| sample.name.starts_with("test/good")).unwrap();
    fs::copy(first, &test.path).unwrap();
    assert!(refusal(&other, &other.dataset, ReportOptions::default()).contains("evaluate again"));

    let options = ReportOptions { run: RunSource::Given(&made.folder), ..Default::default() };
    assert!(refusal(made, &made.dataset, options).contains("history.jsonl"));
    let options = ReportOptions { run: RunSource::Perhaps(&made.folder), ..Default::default() };
    let report = made.detector.report(&made.dataset, &made.evaluation, options).unwrap();
    assert!(report.data().training.reason().unwrap().contains("--run"));
}

#[test]
fn another_detector_is_compared_on_images_that_neither_was_made_from() {
    let made = made();
    let second = train(&made.dataset, &made.folder.join("second"), "seed = 9");
    // A detector that was made from some of the test images.
    let pooled =
        train(&made.dataset, &made.folder.join("pooled"), "[split]\npolicy = \"pool\"\ntest_share = 0.3");
    let same = ("same".to_owned(), made.detector.clone());
    let compare = [same, ("second".to_owned(), second), ("pooled".to_owned(), pooled)];
    let options = ReportOptions { compare: &compare, ..Default::default() };
    let report = made.detector.report(&made.dataset, &made.evaluation, options).unwrap();
    let compared = &report.data().compare;
    let row = |name: &str| compared.rows.iter().find(|row| row.name == name).unwrap();
    let difference = |name: &str| *row(name).difference.as_ref().unwrap().value().unwrap();
    assert_eq!([difference("same").value, difference("same").low, difference("same").high], [0.0; 3]);
    let second = difference("second");
    assert!(second.low <= second.value && second.value <= second.high && second.low < second.high);
    let expected = row("second").auroc.value().unwrap().value - row("combined").auroc.value().unwrap().value;
    assert!((second.value - expected).abs() < 1e-5);
    assert!(
        compared.note.as_ref().unwrap().contains("none of the detectors was made from"),
        "{:?}",
        compared.note
    );
}

#[test]
fn without_anomalies_or_with_one_image_the_rest_is_still_said() {
    let made = made();
    let normals = Dataset {
        samples: made.dataset.samples.iter().filter(|sample| sample.label.is_normal()).cloned().collect(),
        ..made.dataset.clone()
    };
    let report = report_of(&made.detector, &normals);
    let data = report.data();
    assert_eq!(
        data.evaluation.figures.auroc,
        Metric::Unavailable { unavailable: "no anomalous images".to_owned() }
    );
    assert!(data.evaluation.figures.roc.fpr.is_empty() && data.evaluation.figures.pr.recall.is_empty());
    assert!(data.evaluation.figures.realised_false_alarm_rate.value().is_some());
    assert!(data.summary.iter().any(|line| line.contains("cannot be said")), "{:?}", data.summary);
    let names: Vec<&str> = report.figures().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["scores", "latent", "kl", "triples"]);

    let one = made.dataset.samples.iter().find(|sample| !sample.label.is_normal()).unwrap().clone();
    let report = report_of(&made.detector, &Dataset { samples: vec![one], ..made.dataset.clone() });
    assert_eq!(report.data().images.len(), 1);
    assert!(report.data().evaluation.figures.realised_false_alarm_rate.value().is_none());
    assert!(report.figures().is_ok());
}

#[test]
fn small_latents_have_as_many_components() {
    for latent in [1, 2] {
        let made = make(&format!("report-latent-{latent}"), &format!("[model]\nlatent = {latent}"));
        let report = report_of(&made.detector, &made.dataset);
        let found = report.data().latent.value().unwrap();
        assert_eq!((found.components, found.ellipse.is_some()), (latent, latent == 2));
        assert!(report.data().images.iter().all(|image| image.pca.len() == latent));
        assert_eq!(report.figures().unwrap().iter().any(|(name, _)| *name == "latent"), latent == 2);
    }
}

#[test]
fn wide_16_bit_images_with_hostile_names_and_no_masks() {
    let made = made();
    let folder = made.folder.join("odd");
    let kind = "<img src=x onerror=alert(1)>";
    let folders = [folder.join("good"), folder.join(kind)];
    for (class, folder) in folders.iter().enumerate() {
        fs::create_dir_all(folder).unwrap();
        for at in 0..3_u32 {
            let pixel =
                |x: u32, y: u32| Luma([(x * 900 + y * (500 + at * 300) + class as u32 * 9_000) as u16]);
            let image: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(48, 20, pixel);
            image.save(folder.join(format!("\"&lt;script>{at}.png"))).unwrap();
        }
    }
    let report = report_of(&made.detector, &open(&folder));
    let data = report.data();
    assert!(data.images.iter().all(|image| (image.width, image.height) == (48, 20)));
    assert!(data.evaluation.pixels.reason().is_some_and(|reason| reason.contains("no masks")));
    assert!(data.images.iter().any(|image| image.kind.as_deref() == Some(kind)));
    assert!(!report.html().contains("<img src=x"));
    assert!(report.html().contains("\\u003cimg src=x onerror=alert(1)>"));
    assert_eq!(data.images.iter().filter(|image| image.pictures.is_some()).count().min(MOST_IN_FULL), 6);
}

#[test]
fn snapshots_can_be_turned_off() {
    let made = made();
    let run = made.folder.join("quiet");
    let detector = train(&made.dataset, &run, "[train]\nsnapshots = 0");
    assert!(!run.join("samples").exists());
    let evaluation = evaluate(&detector, &made.dataset);
    let options = ReportOptions { run: RunSource::Given(&run), ..Default::default() };
    let report = detector.report(&made.dataset, &evaluation, options).unwrap();
    assert!(report.data().training.value().unwrap()[0].snapshots.epochs.is_empty());
}
