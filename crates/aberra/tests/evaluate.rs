//! Evaluation and scoring of files with a small detector that is really trained, on images drawn here.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aberra::dataset::{Dataset, Label, OpenOptions, image_files};
use aberra::evaluate::{EvaluateOptions, Evaluation, ImageOutcome, Metric};
use aberra::explain::{heat_map_png, sheet_png};
use aberra::image::testing::{TiffPage, tiff};
use aberra::image::{Image, ImageId, Limits, read};
use aberra::job::{Event, Job};
use aberra::metrics::bootstrap::{BootstrapInterval, BootstrapSettings};
use aberra::models::measure::Want;
use aberra::random::{Stream, generator};
use aberra::{Detector, Part, TrainConfig, Verdict};
use rand::RngExt;

const SIDE: usize = 32;
const NORMALS: u64 = 64;

const SETTINGS: &str = "
    seed = 3
    scorer = \"mse\"
    [preprocessing]
    size_px = 32
    [model]
    preset = \"small\"
    precision = \"f32\"
    normalization = \"none\"
    channels = [8, 16]
    latent = 8
    hidden = 32
    variance_warmup_epochs = 10
    [train]
    epochs = 40
    batch_size = 8
    criterion = \"last\"
    [split]
    test_share = 0.0
    [promise]
    false_alarm_rate = 0.1
";

/// A grey picture of smooth bumps, unlike any other of another seed, with a white corner: intensities are scaled by the
/// brightest, and an anomaly must not be what changes the scale.
fn picture(seed: u64) -> Vec<u8> {
    let mut random = generator(seed, Stream::Phantom, 0);
    let bumps: Vec<[f64; 4]> = (0..7)
        .map(|_| {
            let at = || -4.0..36.0;
            [
                random.random_range(at()),
                random.random_range(at()),
                random.random_range(3.0..7.0),
                random.random_range(0.2..0.9),
            ]
        })
        .collect();
    let value = |row: f64, column: f64| {
        let bump = |[y, x, width, height]: &[f64; 4]| {
            height * (-((row - y).powi(2) + (column - x).powi(2)) / (2.0 * width * width)).exp()
        };
        (0.1 + bumps.iter().map(bump).sum::<f64>() * 0.4).min(1.0)
    };
    let is_corner = |at: usize| at / SIDE < 3 && at % SIDE < 3;
    let byte = |at: usize| (value((at / SIDE) as f64, (at % SIDE) as f64) * 235.0) as u8;
    (0..SIDE * SIDE).map(|at| if is_corner(at) { 255 } else { byte(at) }).collect()
}

/// The same with a chequered square of `side` pixels, and the square's mask.
fn anomaly(seed: u64, side: usize) -> (Vec<u8>, Vec<u8>) {
    let mut pixels = picture(seed);
    let mut mask = vec![0; pixels.len()];
    for (row, column) in (0..side * side).map(|at| (10 + at / side, 12 + at % side)) {
        pixels[row * SIDE + column] = if (row + column) % 2 == 0 { 235 } else { 23 };
        mask[row * SIDE + column] = 255;
    }
    (pixels, mask)
}

/// Writes a square grey picture as an uncompressed 24-bit Windows bitmap.
fn write(path: &Path, pixels: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let length = 54 + pixels.len() * 3;
    let mut file = b"BM".to_vec();
    let words = [length as u32, 0, 54, 40, SIDE as u32, SIDE as u32, 1 | 24 << 16, 0, 0, 2835, 2835, 0, 0];
    file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    // Rows run from the bottom to the top.
    for row in pixels.chunks_exact(SIDE).rev() {
        file.extend(row.iter().flat_map(|&value| [value; 3]));
    }
    fs::write(path, file).unwrap();
}

struct Fixture {
    folder: tempfile::TempDir,
    detector: Detector,
    /// A folder in the MVTec layout: `good`, `large` with masks, `small` with a mask for one of two.
    test: Dataset,
    evaluation: Evaluation,
}

fn quick<'a>() -> EvaluateOptions<'a> {
    EvaluateOptions {
        bootstrap: BootstrapSettings { resamples: 200, ..Default::default() },
        ..Default::default()
    }
}

fn open(folder: &Path) -> Dataset {
    Dataset::open(folder, &OpenOptions::default()).unwrap()
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: String| folder.path().join(name);
        for seed in 0..NORMALS {
            write(&at(format!("train/{seed:02}.bmp")), &picture(seed));
        }
        let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(SETTINGS).unwrap()]).unwrap();
        let trained = Detector::train(&open(&at("train".to_owned())), &config).unwrap();
        let file = at("small.aberra".to_owned());
        trained.save(&file).unwrap();
        let detector = Detector::load(&file).unwrap();

        for seed in 100..130 {
            write(&at(format!("data/test/good/{seed}.bmp")), &picture(seed));
        }
        for seed in 200..220 {
            let (pixels, mask) = anomaly(seed, 8);
            write(&at(format!("data/test/large/{seed}.bmp")), &pixels);
            write(&at(format!("data/ground_truth/large/{seed}_mask.bmp")), &mask);
        }
        for seed in 300..310 {
            let (pixels, mask) = anomaly(seed, 3);
            write(&at(format!("data/test/small/{seed}.bmp")), &pixels);
            if seed % 2 == 0 {
                write(&at(format!("data/ground_truth/small/{seed}_mask.bmp")), &mask);
            }
        }
        // The detector's own: the same file twice, once with a comma in its name. A leak: one of its images, mirrored.
        for (name, seed) in [("5.bmp", 5), ("6, a copy.bmp", 6)] {
            write(&at(format!("data/train/good/{name}")), &picture(seed));
        }
        let mirrored: Vec<u8> = picture(7)
            .chunks_exact(SIDE)
            .flat_map(|row| row.iter().rev().copied().collect::<Vec<_>>())
            .collect();
        write(&at("data/test/good/leak, mirrored.bmp".to_owned()), &mirrored);
        fs::write(at("data/test/good/broken.png".to_owned()), "not a picture").unwrap();
        let test = open(&at("data".to_owned()));
        let evaluation = detector.evaluate_with(&test, quick()).unwrap();
        Fixture { folder, detector, test, evaluation }
    })
}

/// A data set of the fixture's test images whose names start so.
fn only(prefixes: &[&str]) -> Dataset {
    let mut dataset = fixture().test.clone();
    dataset.samples.retain(|sample| prefixes.iter().any(|prefix| sample.name.starts_with(prefix)));
    dataset
}

fn evaluate(prefixes: &[&str]) -> Evaluation {
    fixture().detector.evaluate_with(&only(prefixes), quick()).unwrap()
}

fn paths() -> Vec<PathBuf> {
    fixture().test.samples.iter().map(|sample| sample.path.clone()).collect()
}

/// What must agree bit for bit.
fn bits(verdict: &Verdict) -> (u64, Option<u64>, Vec<u64>, Vec<u32>) {
    let map = verdict.map().unwrap().iter().map(|value| value.to_bits()).collect();
    let evidence = verdict.evidence.0.iter().map(|value| value.to_bits()).collect();
    (verdict.score.to_bits(), verdict.p_value.map(f64::to_bits), evidence, map)
}

#[test]
fn the_table_reads_well() {
    println!("{}", fixture().evaluation);
    let text = fixture().evaluation.to_string();
    for section in [
        "Images: data",
        "AUROC",
        "Verdicts",
        "False alarms",
        "By kind",
        "Scorers",
        "Where",
        "Lesion",
        "Warnings",
    ] {
        assert!(text.contains(section), "{section} in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120 && line.trim_end() == line), "{text}");
}

#[test]
fn beside_their_anomalies_images_are_as_usual_unless_they_come_from_elsewhere() {
    let pixels = evaluate(&["test/good/1", "test/large"]).pixels;
    let auroc = |metric: &Metric<BootstrapInterval>| metric.value().unwrap().estimate;
    let peak = &pixels.value().unwrap().beside[0];
    assert!(auroc(&peak.auroc) > 0.8 && auroc(&peak.beside_auroc) < 0.65, "{peak:?}");

    // Small anomalies on images that have stripes all over.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    for seed in 100..115 {
        write(&at(format!("test/good/{seed}.bmp")), &picture(seed));
        let (pixels, mask) = anomaly(seed, 3);
        let striped = |(at, &value): (usize, &u8)| match at % SIDE / 8 % 2 {
            0 => value.saturating_add(90),
            _ => value.saturating_sub(90),
        };
        let striped: Vec<u8> = pixels.iter().enumerate().map(striped).collect();
        write(&at(format!("test/other/{seed}.bmp")), &striped);
        write(&at(format!("ground_truth/other/{seed}_mask.bmp")), &mask);
    }
    let evaluation = fixture().detector.evaluate_with(&open(folder.path()), quick()).unwrap();
    let mean = &evaluation.pixels.value().unwrap().beside[2];
    assert!(auroc(&mean.beside_auroc) > 0.9, "{mean:?}");
    let told = evaluation.warnings.iter().any(|warning| warning.starts_with("Beside their masked anomalies"));
    assert!(told, "{:?}", evaluation.warnings);
}

#[test]
fn the_detectors_own_images_are_left_out_and_counted() {
    let evaluation = &fixture().evaluation;
    assert_eq!(evaluation.data.own.total(), 2);
    let parts: BTreeMap<ImageId, Part> =
        fixture().detector.normals().iter().map(|normal| (normal.sketch.id, normal.part)).collect();
    for row in evaluation.images.iter().filter(|row| row.name.starts_with("train/")) {
        assert_eq!(row.outcome, ImageOutcome::Own(parts[&id_of(&row.name)]), "{}", row.name);
    }
    // None of them is in a figure.
    assert_eq!(evaluation.verdicts.confusion.normals(), 31);
}

/// The identity of an image of the fixture, as decoding reports it.
fn id_of(name: &str) -> ImageId {
    let path = fixture().folder.path().join("data").join(name);
    read(&path, &Limits::default()).unwrap().source.id
}

#[test]
fn leaked_images_are_found_and_both_figures_given() {
    let evaluation = &fixture().evaluation;
    let leaked: Vec<&str> = evaluation
        .images
        .iter()
        .filter(|row| row.scored().is_some_and(|scored| scored.leaked))
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(leaked, ["test/good/leak, mirrored.bmp"]);
    let without = evaluation.without_leaked.as_ref().unwrap();
    assert_eq!((without.normals, without.anomalies), (30, 30));
    let alone = evaluate(&["test/good/1", "test/large", "test/small"]);
    assert!(alone.without_leaked.is_none());
    let estimates = |metric: &Metric<BootstrapInterval>| metric.value().map(|interval| interval.estimate);
    assert_eq!(estimates(&without.auroc), estimates(&alone.ranking.auroc));
    assert_eq!(without.false_alarms.over_images, alone.false_alarms.over_images);
    assert!(
        evaluation.warnings.iter().any(|warning| warning.contains("near-duplicate")),
        "{:?}",
        evaluation.warnings
    );
}

#[test]
fn what_is_unreadable_is_counted_and_the_rest_evaluated() {
    let evaluation = &fixture().evaluation;
    assert_eq!(evaluation.data.unusable, 1);
    let row = evaluation.images.iter().find(|row| row.name == "test/good/broken.png").unwrap();
    assert!(
        matches!(&row.outcome, ImageOutcome::Unusable(reason) if reason.contains("broken.png")),
        "{row:?}"
    );
    assert_eq!(evaluation.images.len(), fixture().test.samples.len());
    let error = fixture().detector.evaluate_with(&only(&["test/good/broken"]), quick()).unwrap_err();
    assert!(error.is_data() && error.to_string().contains("at least one image"), "{error}");
    let error = fixture().detector.evaluate_with(&only(&["train/"]), quick()).unwrap_err();
    assert!(error.to_string().contains("2 that the detector was made from"), "{error}");
}

#[test]
fn figures_follow_from_the_rows() {
    let evaluation = &fixture().evaluation;
    let scored: Vec<_> = evaluation.images.iter().filter_map(|row| Some((row, row.scored()?))).collect();
    let scores: Vec<f64> = scored.iter().map(|(_, scored)| scored.score).collect();
    let anomalous: Vec<bool> = scored.iter().map(|(row, _)| !row.label.is_normal()).collect();
    let groups: Vec<u64> = scored.iter().map(|(row, _)| row.group as u64).collect();
    let weights = aberra::metrics::weights::group_weights(&groups, &anomalous);
    let auroc = aberra::metrics::ranking::auroc(&scores, &anomalous, Some(&weights)).unwrap();
    let interval = evaluation.ranking.auroc.value().unwrap();
    assert_eq!(interval.estimate, auroc);
    assert!(interval.low <= auroc && auroc <= interval.high);
    assert!(auroc > 0.7, "{auroc}");
    let called = |label: &Label| {
        scored
            .iter()
            .filter(|(row, scored)| row.label == *label && scored.score > evaluation.detector.threshold)
            .count()
    };
    for row in &evaluation.kinds {
        let found = called(&Label::Anomalous { kind: row.kind.clone() });
        assert_eq!(row.recall, Metric::Known(found as f64 / row.images as f64));
        assert!(row.recall.value().unwrap().is_sign_positive(), "{}", row.kind);
    }
    assert_eq!(evaluation.verdicts.confusion.false_positives as usize, called(&Label::Normal));
    // Every scorer, the detector's own with the same AUROC as the detector, and the difference of each to it.
    assert_eq!(evaluation.scorers.len(), fixture().detector.fitted_scorers().len());
    for row in &evaluation.scorers {
        let estimate = row.auroc.value().unwrap().estimate;
        match row.is_own {
            true => assert!(estimate == auroc && row.own_minus_this.value().is_none()),
            false => {
                let difference = row.own_minus_this.value().unwrap().estimate;
                assert!((difference - (auroc - estimate)).abs() < 1e-12);
            }
        }
    }
    assert!(!evaluation.shortcuts.is_empty());
}

#[test]
fn a_missing_mask_is_not_an_empty_mask() {
    let pixels = fixture().evaluation.pixels.value().unwrap();
    assert_eq!((pixels.masked, pixels.normals, pixels.without_mask), (25, 31, 5));
    // The masks are 8 x 8 and 3 x 3 pixels at the network's own resolution.
    let masked = 20 * 64 + 5 * 9;
    assert_eq!(pixels.regions, 25);
    assert!((pixels.anomalous_share - f64::from(masked) / (56.0 * 1024.0)).abs() < 1e-12);
    assert!(pixels.auroc.value().unwrap().value > 0.8);
    assert!(pixels.dice.value().unwrap() <= &pixels.oracle_dice.value().unwrap().dice.value);
    let ignored = EvaluateOptions { masks: false, ..quick() };
    let ignored = fixture().detector.evaluate_with(&fixture().test, ignored).unwrap();
    assert!(ignored.pixels.reason().is_some());
    assert_eq!(ignored.ranking, fixture().evaluation.ranking);
}

#[test]
fn a_mask_that_cannot_be_used_leaves_its_image_in_the_other_figures() {
    let mut dataset = only(&["test/good/10", "test/large/20"]);
    let broken = fixture().folder.path().join("data/test/good/broken.png");
    let sample = dataset.samples.iter_mut().find(|sample| sample.mask.is_some()).unwrap();
    sample.mask = Some(broken);
    let evaluation = fixture().detector.evaluate_with(&dataset, quick()).unwrap();
    assert_eq!(evaluation.pixels.value().unwrap().without_mask, 1);
    assert_eq!(evaluation.verdicts.confusion.anomalies(), 10);
    assert!(evaluation.warnings.iter().any(|warning| warning.contains("1 mask could not be used")));
}

#[test]
fn without_anomalies_metrics_are_unavailable_and_never_zero() {
    let evaluation = evaluate(&["test/good/1"]);
    assert_eq!(evaluation.ranking.auroc.reason(), Some("no anomalous images"));
    assert_eq!(evaluation.ranking.average_precision.reason(), Some("no anomalous images"));
    assert!(evaluation.ranking.tpr_at_fpr.iter().all(|at| at.value.reason() == Some("no anomalous images")));
    assert!(
        evaluation.ranking.fpr_at_95_tpr.value().is_none() && evaluation.ranking.oracle_f1.value().is_none()
    );
    assert!(evaluation.verdicts.recall.value().is_none() && evaluation.verdicts.f1.value().is_none());
    assert!(evaluation.verdicts.balanced_accuracy.value().is_none());
    assert!(evaluation.scorers.iter().all(|row| row.auroc.value().is_none()));
    assert!(
        evaluation.kinds.is_empty() && evaluation.shortcuts.is_empty() && evaluation.pixels.value().is_none()
    );
    // What normals alone support is there.
    assert!(evaluation.verdicts.specificity.value().is_some());
    assert_eq!(evaluation.false_alarms.groups, 30);
    assert!(evaluation.to_string().contains("no anomalous images"));
}

#[test]
fn without_normals_or_with_one_image_metrics_are_unavailable_and_never_zero() {
    for prefixes in [&["test/large"][..], &["test/large/200"], &["test/good/100"]] {
        let evaluation = evaluate(prefixes);
        assert!(evaluation.ranking.auroc.value().is_none(), "{prefixes:?}");
        let reason = evaluation.ranking.auroc.reason().unwrap();
        assert!(reason == "no normal images" || reason == "no anomalous images", "{reason}");
        if prefixes[0].contains("large") {
            assert!(evaluation.false_alarms.over_images.value().is_none());
            assert!(evaluation.false_alarms.over_groups.value().is_none());
            assert!(evaluation.verdicts.specificity.value().is_none());
        }
        assert!(!evaluation.to_string().is_empty());
        let json: serde_json::Value = serde_json::from_str(&evaluation.to_json()).unwrap();
        assert!(json["evaluation"]["ranking"]["auroc"]["unavailable"].is_string());
    }
}

#[test]
fn ties_are_ties() {
    // The same picture as a normal and as an anomaly.
    let mut dataset = only(&["test/good/100", "test/large/200"]);
    dataset.samples[1].path = dataset.samples[0].path.clone();
    let evaluation = fixture().detector.evaluate_with(&dataset, quick()).unwrap();
    assert_eq!(evaluation.ranking.auroc.value().unwrap().estimate, 0.5);
}

#[test]
fn the_evaluation_file_reads_back_as_it_was() {
    let path = fixture().folder.path().join("evaluation.json");
    fixture().evaluation.save(&path).unwrap();
    assert_eq!(Evaluation::load(&path).unwrap(), fixture().evaluation);
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, expected) in [
        ("\"version\": 2", "\"version\": 1", "found version 1"),
        ("\"version\": 2", "\"version\": 3", "found version 3"),
        ("aberra evaluation", "aberra detector", "kind"),
        ("\"ranking\"", "\"rankings\"", "changed"),
        ("\"evidence\": [", "\"evidence\": [0.5,", "measurements"),
        ("\"anomalous\": false", "\"anomalous\": true", "is not that of its score"),
    ] {
        let other = fixture().folder.path().join("other.json");
        fs::write(&other, text.replacen(from, to, 1)).unwrap();
        let error = Evaluation::load(&other).unwrap_err();
        assert!(error.is_data() && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn the_csv_has_a_row_per_image_and_parses_back() {
    let evaluation = &fixture().evaluation;
    let text = evaluation.scores_csv();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), evaluation.images.len());
    for (record, row) in records.iter().zip(&evaluation.images) {
        let field = |name: &str| &record[header.iter().position(|found| found == name).unwrap()];
        assert_eq!(field("name"), row.name);
        assert_eq!(field("kind"), row.label.kind().unwrap_or_default());
        match (&row.outcome, row.scored()) {
            (_, Some(scored)) => {
                assert_eq!(field("score").parse::<f64>().unwrap(), scored.score);
                assert_eq!(field("anomalous"), scored.anomalous.to_string());
                assert_eq!(field("score_residual").parse::<f64>().unwrap(), scored.scores["residual"]);
                let evidence: BTreeMap<&str, f64> = scored.evidence.named(&evaluation.measurements).collect();
                assert_eq!(field("score_mse").parse::<f64>().unwrap(), evidence["vae.squared_error"]);
                for (name, value) in evidence {
                    assert_eq!(field(name).parse::<f64>().unwrap(), value, "{name}");
                }
            }
            (ImageOutcome::Unusable(reason), _) => {
                assert_eq!((field("state"), field("error")), ("unusable", reason.as_str()));
            }
            _ => assert!(field("state").starts_with("own_") && field("score").is_empty()),
        }
    }
    assert!(text.contains("\"test/good/leak, mirrored.bmp\""));
}

#[test]
fn the_same_data_give_the_same_evaluation_for_any_number_of_threads() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = pool.install(|| fixture().detector.evaluate_with(&fixture().test, quick())).unwrap();
    assert_eq!(again, fixture().evaluation);
}

#[test]
fn an_evaluation_can_be_watched_and_stopped() {
    let mut seen = Vec::new();
    let mut watch = |event: Event<'_>| {
        if let Event::Images { done, of } = event {
            seen.push((done, of));
        }
        ControlFlow::Break(())
    };
    let options = EvaluateOptions { job: Job::watched(&mut watch), ..quick() };
    let error = fixture().detector.evaluate_with(&fixture().test, options).unwrap_err();
    assert!(error.is_interrupted());
    let count = fixture().test.samples.len();
    assert!(matches!(seen[..], [(done, of)] if (1..=count).contains(&done) && of == count), "{seen:?}");
}

#[test]
fn a_split_of_other_data_is_refused() {
    use aberra::dataset::{GroupBy, Grouping, Split, SplitSettings};
    let inspection = fixture().test.inspect(&Limits::default());
    let grouping = Grouping::of(&fixture().test, &inspection, GroupBy::Near).unwrap();
    let settings = SplitSettings { rate: 0.2, test_share: 0.3, ..Default::default() };
    let split = Split::of(&fixture().test, &inspection, &grouping, &settings).unwrap();
    let evaluation = fixture()
        .detector
        .evaluate_with(&fixture().test, EvaluateOptions { split: Some(&split), ..quick() })
        .unwrap();
    let names = |indices: &[usize]| -> Vec<String> {
        indices.iter().map(|&index| fixture().test.samples[index].name.clone()).collect()
    };
    let mut expected = split.test.clone();
    expected.extend(&split.unreadable);
    expected.sort_unstable();
    let found: Vec<String> = evaluation.images.iter().map(|row| row.name.clone()).collect();
    assert_eq!(found, names(&expected));
    let other = only(&["test/good"]);
    let error = fixture()
        .detector
        .evaluate_with(&other, EvaluateOptions { split: Some(&split), ..quick() })
        .unwrap_err();
    assert!(error.is_data() && error.hint().is_some(), "{error}");
}

/// Files, one at a time.
fn scored_files(detector: &Detector, chunk: usize) -> Vec<(PathBuf, aberra::Result<Verdict>)> {
    let mut scored = Vec::new();
    detector.score_files(paths().into_iter(), &Limits::default(), chunk, Want::ALL, |path, verdict| {
        scored.push((path, verdict));
        ControlFlow::Continue(())
    });
    scored
}

#[test]
fn score_files_gives_the_bits_of_score() {
    let detector = &fixture().detector;
    let mut failed = 0;
    for (path, verdict) in scored_files(detector, 1) {
        match (verdict, read(&path, &Limits::default())) {
            (Ok(verdict), Ok(image)) => {
                let image: Image = image;
                let again = detector.score(&[image]).remove(0).unwrap();
                assert!(bits(&verdict) == bits(&again), "{}", path.display());
            }
            (Err(error), Err(_)) => {
                assert!(error.path().is_some() || error.to_string().contains("broken"));
                failed += 1;
            }
            (verdict, image) => panic!("{}: {} {}", path.display(), verdict.is_ok(), image.is_ok()),
        }
    }
    assert_eq!(failed, 1);
}

#[test]
fn scoring_is_deterministic_whatever_the_chunk_and_the_threads() {
    let detector = &fixture().detector;
    let one = scored_files(detector, 1);
    assert_eq!(one.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), paths());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for (chunk, again) in [
        (1, pool.install(|| scored_files(detector, 1))),
        (7, scored_files(detector, 7)),
        (64, scored_files(detector, 64)),
    ] {
        assert_eq!(again.len(), one.len());
        for ((path, first), (_, second)) in one.iter().zip(&again) {
            match (first, second) {
                (Ok(first), Ok(second)) => {
                    assert!(bits(first) == bits(second), "{} in chunks of {chunk}", path.display());
                }
                (first, second) => assert!(first.is_err() && second.is_err()),
            }
        }
    }
}

#[test]
fn the_evaluation_holds_the_scores_of_score_files() {
    for ((path, verdict), row) in
        scored_files(&fixture().detector, 64).iter().zip(&fixture().evaluation.images)
    {
        if let (Ok(verdict), Some(scored)) = (verdict, row.scored()) {
            assert_eq!(verdict.score.to_bits(), scored.score.to_bits(), "{}", path.display());
        }
    }
}

#[test]
fn image_files_lists_folders_and_takes_a_named_file_as_it_is() {
    let data = fixture().folder.path().join("data");
    let listed: Vec<PathBuf> = image_files(&data.join("test/small")).map(Result::unwrap).collect();
    assert_eq!(listed.len(), 10);
    assert!(listed.is_sorted());
    let file = fixture().folder.path().join("small.aberra");
    assert_eq!(image_files(&file).map(Result::unwrap).collect::<Vec<_>>(), [file]);
    let missing: Vec<_> = image_files(&data.join("nowhere")).collect();
    assert!(matches!(&missing[..], [Err(error)] if error.is_io()));
}

#[test]
fn pictures_of_verdicts_decode_at_their_size() {
    let detector = &fixture().detector;
    let (pixels, _) = anomaly(400, 8);
    // Three columns wider than high, so that rows and columns cannot be mixed up.
    let wide: Vec<f32> = (0..SIDE * (SIDE + 3))
        .map(|at| f32::from(pixels[at / (SIDE + 3) * SIDE + (at % (SIDE + 3)).min(SIDE - 1)]) / 255.0)
        .collect();
    let image = Image::from_pixels(wide, SIDE, SIDE + 3, 1).unwrap();
    let verdict = detector.score(&[image]).remove(0).unwrap();
    let decoded = |png: &[u8]| {
        let image = aberra::image::decode(png, &Limits::default()).unwrap();
        (image.height, image.width, image.channels)
    };
    assert_eq!(decoded(&heat_map_png(&verdict, detector.pixel_threshold()).unwrap()), (SIDE, SIDE + 3, 3));
    let sheet = sheet_png(&[&verdict, &verdict, &verdict], detector.pixel_threshold(), 2, 2).unwrap();
    assert_eq!(decoded(&sheet), (2 * (64 + 12) + 6, 2 * (3 * 64 + 4 + 12) + 6, 3));
    assert!(sheet_png(&[], 0.1, 2, 2).unwrap_err().is_settings());
    assert!(sheet_png(&[&verdict], 0.1, 1, usize::MAX).unwrap_err().is_settings());
}

/// Writes a grey picture of 8 bits as a TIFF that is turned by EXIF `orientation`.
fn write_tiff(path: &Path, pixels: &[u8], width: usize, orientation: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let page = TiffPage::new(width as u32, (pixels.len() / width) as u32, pixels.to_vec());
    fs::write(path, tiff(&[page.with(274, &[orientation])])).unwrap();
}

/// Normals and anomalies of `rows` rows, turned by `orientation`, with masks written by `mask` at a path.
fn evaluate_with_masks(rows: usize, orientation: u32, mask: impl Fn(&Path, &[u8])) -> Evaluation {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    for seed in 100..110 {
        write_tiff(&at(format!("test/good/{seed}.tif")), &picture(seed)[..rows * SIDE], SIDE, orientation);
        let (pixels, square) = anomaly(seed + 100, 8);
        write_tiff(&at(format!("test/bad/{seed}.tif")), &pixels[..rows * SIDE], SIDE, orientation);
        let path = at(format!("ground_truth/bad/{seed}_mask.tif"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        mask(&path, &square[..rows * SIDE]);
    }
    fixture().detector.evaluate_with(&open(folder.path()), quick()).unwrap()
}

#[test]
fn masks_of_any_labels_and_sizes_give_the_same_figures_and_say_so() {
    let binary = evaluate_with_masks(SIDE, 1, |path, mask| write_tiff(path, mask, SIDE, 1));
    assert_eq!(binary.pixels.value().unwrap().masked, 10);
    assert!(!binary.warnings.iter().any(|warning| warning.contains("mask")), "{:?}", binary.warnings);
    // Labels 1 and 4, left and right.
    let labels = evaluate_with_masks(SIDE, 1, |path, mask| {
        let label = |(at, &value): (usize, &u8)| value.min(if at % SIDE < 15 { 1 } else { 4 });
        write_tiff(path, &mask.iter().enumerate().map(label).collect::<Vec<_>>(), SIDE, 1);
    });
    assert_eq!(labels.pixels, binary.pixels);
    let doubled = evaluate_with_masks(SIDE, 1, |path, mask| {
        let rows =
            mask.chunks_exact(SIDE).map(|row| row.iter().flat_map(|&value| [value; 2]).collect::<Vec<_>>());
        write_tiff(path, &rows.flat_map(|row| [row.clone(), row].concat()).collect::<Vec<_>>(), 2 * SIDE, 1);
    });
    assert_eq!(doubled.pixels, binary.pixels);
    let said =
        "10 images: the mask has another size than its image and is resampled (such as test/bad/100.tif).";
    assert!(doubled.warnings.iter().any(|warning| warning == said), "{:?}", doubled.warnings);
    // Of other proportions: not used, and said.
    let stretched = evaluate_with_masks(SIDE, 1, |path, mask| write_tiff(path, &mask[..16 * SIDE], SIDE, 1));
    assert!(stretched.pixels.value().is_none_or(|pixels| pixels.masked == 0));
    let said = stretched.warnings.iter().find(|warning| warning.starts_with("10 masks could not be used"));
    assert!(said.unwrap().contains("found 32 x 16"), "{said:?}");
}

#[test]
fn masks_that_lie_as_the_files_pixels_do_are_turned_with_the_image() {
    const ROWS: usize = 24;
    // Orientation 6: the first stored row is the last column.
    let upright = evaluate_with_masks(ROWS, 6, |path, mask| {
        let turned = (0..SIDE * ROWS).map(|at| mask[(ROWS - 1 - at % ROWS) * SIDE + at / ROWS]);
        write_tiff(path, &turned.collect::<Vec<_>>(), ROWS, 1);
    });
    let stored = evaluate_with_masks(ROWS, 6, |path, mask| write_tiff(path, mask, SIDE, 1));
    assert_eq!(upright.pixels.value().unwrap().masked, 10);
    assert_eq!(stored.pixels, upright.pixels);
    let turned = |evaluation: &Evaluation| {
        evaluation.warnings.iter().any(|warning| warning.contains("is turned as its image"))
    };
    assert!(turned(&stored) && !turned(&upright), "{:?}", stored.warnings);
}
