//! A comparison of recipes on phantoms: the same folds for all of them, finished cells that are taken over, and a table.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aberra::comparison::{Comparison, ComparisonOptions, Recipe};
use aberra::dataset::{Dataset, OpenOptions};
use aberra::evaluate::Metric;
use aberra::job::{Event, Job};
use aberra::metrics::bootstrap::BootstrapSettings;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::run::{Claim, RunFolder};
use aberra::wire::ComparisonData;
use aberra::{Detector, TrainConfig};

const SETTINGS: &str = "
    seed = 3
    [preprocessing]
    size_px = 32
    [model]
    channels = [4, 8]
    latent = 4
    hidden = 16
    [train]
    epochs = 1
    batch_size = 8
    [promise]
    false_alarm_rate = 0.2
";

fn recipe(name: &str, more: &str) -> Recipe {
    let layers = [SETTINGS, more].map(|text| TrainConfig::parse_layer(text).unwrap());
    Recipe { name: name.to_owned(), config: TrainConfig::from_layers(&layers).unwrap() }
}

/// Two recipes on two folds.
fn comparison() -> Comparison {
    let recipes = vec![recipe("vae", ""), recipe("autoencoder", "[model]\nfamily = \"autoencoder\"")];
    Comparison::new(recipes, 2, 1).unwrap()
}

fn data() -> &'static Dataset {
    static DATA: OnceLock<Dataset> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("comparison");
        let _ = fs::remove_dir_all(&folder);
        let phantoms = PhantomDataset {
            seed: 5,
            size_px: 32,
            train_normals: 50,
            test_normals: 10,
            anomalies_per_kind: 2,
        };
        write_dataset(&folder, &phantoms).unwrap();
        Dataset::open(&folder, &OpenOptions::default()).unwrap()
    })
}

/// What a run did.
#[derive(Default)]
struct Watched {
    /// Whether each part was finished before, by name.
    parts: Vec<(String, bool)>,
    /// Steps of training.
    steps: usize,
}

/// Runs in `folder`, stopping in the part of that number where that is given.
fn run(
    comparison: &Comparison,
    folder: &Path,
    stop_in: Option<usize>,
    keep_detectors: bool,
) -> (aberra::Result<ComparisonData>, Watched) {
    let folder = RunFolder::claim(folder, Claim::Extend).unwrap();
    let mut watched = Watched::default();
    let mut watch = |event: Event<'_>| {
        match event {
            Event::Part { name, done, of, finished_before } => {
                assert_eq!((done, of), (watched.parts.len(), 4));
                watched.parts.push((name.to_owned(), finished_before));
            }
            Event::Fit { progress: aberra::models::train::Progress::Step { .. }, .. } => watched.steps += 1,
            _ => {}
        }
        match stop_in.is_some_and(|part| watched.parts.len() > part && watched.steps > 0) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let job = Job { watch: Some(&mut watch), folder: Some(&folder), resume: true };
    let bootstrap = BootstrapSettings { resamples: 50, ..BootstrapSettings::default() };
    let options = ComparisonOptions { keep_detectors, bootstrap, job, ..ComparisonOptions::default() };
    let result = comparison.run(data(), options);
    (result, watched)
}

/// A table without what the clock says.
fn without_times(mut table: ComparisonData) -> ComparisonData {
    for row in &mut table.rows {
        (row.training_secs, row.ms_per_image) = (Metric::Known(0.0), Metric::Known(0.0));
        for cell in &mut row.cells {
            (cell.training_secs, cell.ms_per_image) = (0.0, Metric::Known(0.0));
        }
    }
    table
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder.join("cells")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn an_interrupted_comparison_continues_and_gives_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
    let (expected, watched) = run(&comparison(), &whole, None, false);
    let expected = expected.unwrap();
    assert!(watched.parts.iter().all(|(_, before)| !before));
    assert_eq!(watched.parts[1].0, "autoencoder, fold 1 of 2, seed 3");
    let steps_per_cell = watched.steps / 4;

    let (stopped, _) = run(&comparison(), &cut, Some(2), false);
    let stopped = stopped.unwrap_err();
    assert!(stopped.is_interrupted() && stopped.to_string().contains("2 of 4 cells"), "{stopped}");
    let kept = files(&cut);
    assert_eq!(kept.len(), 2);
    let before: Vec<Vec<u8>> = kept.iter().map(|path| fs::read(path).unwrap()).collect();

    let (resumed, watched) = run(&comparison(), &cut, None, false);
    let finished_before: Vec<bool> = watched.parts.iter().map(|(_, before)| *before).collect();
    assert_eq!(finished_before, [true, true, false, false]);
    assert_eq!(watched.steps, 2 * steps_per_cell);
    assert!(kept.iter().map(|path| fs::read(path).unwrap()).eq(before));
    assert_eq!(without_times(resumed.unwrap()), without_times(expected.clone()));

    // A comparison that is finished trains nothing and gives the same table, times included.
    let (again, watched) = run(&comparison(), &whole, None, false);
    assert_eq!(watched.steps, 0);
    assert_eq!(again.unwrap(), expected);
}

#[test]
fn another_setting_is_another_cell() {
    let folder = tempfile::tempdir().unwrap();
    run(&comparison(), folder.path(), None, false).0.unwrap();
    let recipes = vec![
        recipe("vae", "[train]\nlearning_rate = 0.002"),
        recipe("autoencoder", "[model]\nfamily = \"autoencoder\""),
    ];
    let changed = Comparison::new(recipes, 2, 1).unwrap();
    let (_, watched) = run(&changed, folder.path(), None, false);
    let finished_before: Vec<bool> = watched.parts.iter().map(|(_, before)| *before).collect();
    assert_eq!(finished_before, [false, true, false, true]);
    assert_eq!(files(folder.path()).len(), 6);
}

#[test]
fn detectors_are_kept_on_request_and_score_as_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let one_fold = || {
        let recipes = ["a", "b", "c", "d"].map(|name| recipe(name, "")).to_vec();
        Comparison::new(recipes, 2, 1).unwrap().on_folds(&[1]).unwrap()
    };
    run(&one_fold(), folder.path(), None, false).0.unwrap();
    assert!(files(folder.path()).iter().all(|path| path.extension().unwrap() == "json"));
    // A cell whose detector is missing is not finished where detectors are to be kept.
    let (table, watched) = run(&one_fold(), folder.path(), None, true);
    assert!(watched.parts.iter().all(|(_, before)| !before));
    let detectors: Vec<PathBuf> =
        files(folder.path()).into_iter().filter(|path| path.extension().unwrap() == "aberra").collect();
    assert_eq!(detectors.len(), 4);
    let detector = Detector::load(&detectors[0]).unwrap();
    let parameters = detector.provenance().parameters();
    assert_eq!(table.unwrap().rows[0].parameters, Metric::Known(parameters));
}

#[test]
fn the_table_holds_every_recipe_on_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let table = run(&comparison(), folder.path(), None, false).0.unwrap();
    assert_eq!(table.normals.images, 60);
    assert_eq!(table.rows.iter().map(|row| row.recipe.as_str()).collect::<Vec<_>>(), ["vae", "autoencoder"]);
    for (a, b) in table.rows[0].cells.iter().zip(&table.rows[1].cells) {
        assert_eq!((a.fold, a.seed, a.normals, a.anomalies), (b.fold, b.seed, b.normals, b.anomalies));
    }
    for row in &table.rows {
        let auroc = row.auroc.value().unwrap();
        assert!(auroc.low <= auroc.value && auroc.value <= auroc.high);
        let cells = row.cells.iter().map(|cell| *cell.auroc.value().unwrap());
        assert!((cells.sum::<f64>() / 2.0 - auroc.value).abs() < 1e-9);
        assert!(*row.ms_per_image.value().unwrap() > 0.0 && *row.training_secs.value().unwrap() > 0.0);
        assert!(row.pixel_average_precision.value().is_some_and(|value| (0.0..=1.0).contains(value)));
        assert!(row.scorers.contains_key("fusion") && row.scorers.contains_key("mse"));
        assert!(row.settings_toml.contains("epochs = 1"));
    }
    let text = table.to_string();
    for words in ["vae", "autoencoder", "minus vae", "2 folds, seed 3", "seconds to train"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&table.to_json()).unwrap();
    assert_eq!(json["rows"][1]["recipe"], "autoencoder");
}

#[test]
fn a_damaged_cell_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(&comparison(), folder.path(), None, false).0.unwrap();
    let first = files(folder.path()).into_iter().next().unwrap();
    fs::write(&first, "{}").unwrap();
    let error = run(&comparison(), folder.path(), None, false).0.unwrap_err();
    assert!(error.is_data() && error.hint().unwrap().contains("delete the file"), "{error}");
    assert_eq!(error.path(), Some(first.as_path()));
}
