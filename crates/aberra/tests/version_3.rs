//! Detector files of version 3, which held one variational autoencoder, say what the program that wrote them said: scores
//! of every scorer, evidence, p-values, thresholds, verdicts and maps.
//!
//! `version_3/make.py` made the files, and `expected.json` with the numbers of the old program.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use aberra::image::{Image, Limits, read};
use aberra::wire::DetectorCard;
use aberra::{Detector, Verdict};
use flate2::read::GzDecoder;
use serde::Deserialize;

/// What the old program said of a detector.
#[derive(Deserialize)]
struct Expected {
    hash: String,
    scorer: String,
    threshold: f64,
    pixel_threshold: f64,
    images: BTreeMap<String, ExpectedImage>,
}

/// What it said of an image.
#[derive(Deserialize)]
struct ExpectedImage {
    score: f64,
    p_value: f64,
    anomalous: bool,
    anomalous_share: f64,
    scores: BTreeMap<String, f64>,
    evidence: BTreeMap<String, f64>,
    nearest: Vec<usize>,
}

/// Instruction sets differ in the order of sums, and where an operand is rounded to bfloat16 a last bit may become one of
/// its eight.
fn tolerance(detector: &str) -> f64 {
    if detector.contains("bf16") { 2e-2 } else { 1e-4 }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/version_3")
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_reader(File::open(folder().join("expected.json")).unwrap()).unwrap()
}

/// A detector's file, unpacked.
fn file(name: &str, to: &Path) -> PathBuf {
    let path = to.join(format!("{name}.aberra"));
    let packed = File::open(folder().join(format!("{name}.aberra.gz"))).unwrap();
    std::io::copy(&mut GzDecoder::new(packed), &mut File::create(&path).unwrap()).unwrap();
    path
}

fn image(name: &str) -> Image {
    read(&folder().join("images").join(name), &Limits::default()).unwrap()
}

fn verdict(detector: &Detector, name: &str) -> Verdict {
    detector.score(&[image(name)]).remove(0).unwrap()
}

/// Compares every number with what the old program said; `close` compares two of them.
fn compare(close: impl Fn(&str, f64, f64) -> bool) {
    let work = tempfile::tempdir().unwrap();
    let expected = expected();
    assert_eq!(expected.len(), 5);
    for (name, expected) in expected {
        let check = |what: &str, found: f64, wanted: f64| {
            assert!(close(&name, found, wanted), "{name}: {what}: expected {wanted}, found {found}");
        };
        let detector = Detector::load(&file(&name, work.path())).unwrap();
        assert_eq!(detector.hash(), Some(expected.hash.as_str()));
        assert_eq!(detector.scorer().unwrap().name(), expected.scorer);
        assert_eq!(detector.calibration().threshold, expected.threshold);
        assert_eq!(detector.pixel_threshold(), expected.pixel_threshold);
        assert_eq!(expected.images.len(), 7);
        for (name, image) in &expected.images {
            let verdict = verdict(&detector, name);
            check(name, verdict.score, image.score);
            assert_eq!(verdict.anomalous, image.anomalous, "{name}");
            assert_eq!(verdict.p_value, Some(image.p_value), "{name}");
            let scores: BTreeMap<&str, f64> = detector.scores_of(&verdict.evidence).collect();
            assert!(scores.keys().eq(image.scores.keys()), "{scores:?}");
            for (scorer, score) in scores {
                check(&format!("{name} {scorer}"), score, image.scores[scorer]);
            }
            let evidence: Vec<(&str, f64)> = verdict.evidence.named(detector.descriptors()).collect();
            assert_eq!(evidence.len(), image.evidence.len());
            for (measurement, value) in evidence {
                let (_, old) = measurement.split_once('.').unwrap();
                check(&format!("{name} {measurement}"), value, image.evidence[old]);
            }
            let story = detector.explain(&self::image(name)).unwrap();
            // A pixel more or less is above the threshold.
            let pixel = 1.0 / (story.window.height * story.window.width) as f64;
            check(
                &format!("{name} anomalous share"),
                story.anomalous_share.unwrap() / pixel,
                image.anomalous_share / pixel,
            );
            let nearest: Vec<usize> = story.nearest.iter().map(|near| near.normal).collect();
            assert_eq!(nearest, image.nearest, "{name}");
        }
    }
}

#[test]
fn a_detector_of_version_3_says_what_it_said() {
    compare(|detector, found, expected| {
        (found - expected).abs() <= tolerance(detector) * expected.abs().max(1.0)
    });
}

/// The kernels without instruction sets give the same bits wherever the mathematical library does (the numbers are those of
/// the GNU C library). Instructions are chosen once a process, so the test starts itself again with others.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_detector_of_version_3_says_it_to_the_last_bit() {
    const VARIABLE: &str = "ABERRA_KERNELS";
    if std::env::var_os(VARIABLE).is_some_and(|name| name == "portable") {
        assert_eq!(aberra::compute::instructions().unwrap().name(), "portable");
        return compare(|_, found, expected| found.to_bits() == expected.to_bits());
    }
    let test = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_detector_of_version_3_says_it_to_the_last_bit"])
        .env(VARIABLE, "portable")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&test.stdout);
    assert!(test.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_detector_of_version_3_can_be_saved_again() {
    let work = tempfile::tempdir().unwrap();
    for name in expected().into_keys() {
        let old = Detector::load(&file(&name, work.path())).unwrap();
        let path = work.path().join("again.aberra");
        let hash = old.save(&path).unwrap();
        let new = Detector::load(&path).unwrap();
        assert!(contains(&path, r#"\"version\":4"#));
        assert_eq!(new.hash(), Some(hash.as_str()));
        assert_ne!(new.hash(), old.hash());
        let name = "texture_patch/000.png";
        assert_eq!(verdict(&new, name), verdict(&old, name));
        assert_eq!(new.fitted_scorers(), old.fitted_scorers());
        assert_eq!((new.config(), new.normals()), (old.config(), old.normals()));
        assert_eq!(new.normal_embeddings(0), old.normal_embeddings(0));
        assert_eq!(new.kl_per_dimension(0), old.kl_per_dimension(0));
        let card =
            |detector: &Detector| DetectorCard { hash: None, ..DetectorCard::of(detector, "it").unwrap() };
        assert_eq!(card(&new), card(&old));
        // Where pictures of the normals are kept, they come along.
        let story = |detector: &Detector| detector.explain(&image(name)).unwrap().nearest;
        let pictures = |detector: &Detector| aberra::explain::find_normals(detector, &story(detector), &[]);
        assert_eq!(pictures(&new), pictures(&old));
        let kept = pictures(&new)[0].thumbnail.is_some();
        assert_eq!(kept, new.config().keep_thumbnails);
    }
}

#[test]
fn an_older_version_is_refused_with_the_reason() {
    let work = tempfile::tempdir().unwrap();
    let path = file("fusion", work.path());
    let bytes = fs::read(&path).unwrap();
    let (from, to) = (br#"\"version\":3"#, br#"\"version\":2"#);
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    fs::write(&path, [&bytes[..at], to, &bytes[at + from.len()..]].concat()).unwrap();
    let error = Detector::load(&path).unwrap_err();
    assert!(error.is_detector() && error.path() == Some(path.as_path()), "{error}");
    assert!(
        error.to_string().contains("expected version 3 to 4 of the detector file, found version 2"),
        "{error}"
    );
    assert!(error.to_string().contains("train again"), "{error}");
}

fn contains(path: &Path, text: &str) -> bool {
    fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}
