//! Images in colours: training sees that they are, and what differs in colour alone is found.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::ops::ControlFlow;
use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::image::{Color, InputColor, Limits, encode_png, read};
use aberra::job::{Event, Job};
use aberra::metrics::ranking::auroc;
use aberra::random::{Stream, generator};
use aberra::{CheckedConfig, Detector, TrainConfig, TrainOptions};
use rand::RngExt;

const SIDE: usize = 64;
const BROWN: [f32; 3] = [0.5, 0.4, 0.3];
/// As bright as brown: 0.299 red + 0.587 green + 0.114 blue is 0.4185.
const GREENISH: [f32; 3] = [0.35, 0.4765, 0.3];

/// A grained plate in brown, with a round stain or without.
fn plate(number: u64, stain: bool) -> Vec<[f32; 3]> {
    let mut random = generator(3, Stream::Phantom, number);
    let middle: [f32; 2] = [0, 1].map(|_| random.random_range(16.0..48.0));
    let pixel = |at: usize| {
        let grain: f32 = random.random_range(0.9..1.1);
        let away = ((at % SIDE) as f32 - middle[0]).hypot((at / SIDE) as f32 - middle[1]);
        (if stain && away < 9.0 { GREENISH } else { BROWN }).map(|value| value * grain)
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

fn write(path: &Path, pixels: &[[f32; 3]]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bytes: Vec<u8> = pixels.iter().flatten().map(|value| (value * 255.0).round() as u8).collect();
    std::fs::write(path, encode_png(&bytes, SIDE, SIDE, Color::Rgb).unwrap()).unwrap();
}

/// Plates, of which every `grey_each`-th is grey in three channels.
fn plates(normals: u64, is_grey: impl Fn(u64) -> bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..normals {
        let mut pixels = plate(number, false);
        if is_grey(number) {
            pixels.iter_mut().for_each(|pixel| *pixel = [pixel[1]; 3]);
        }
        write(&folder.path().join(format!("train/good/{number:03}.png")), &pixels);
    }
    folder
}

fn config(more: &str) -> CheckedConfig {
    let settings = "split.by = 'none'\nsplit.test_share = 0.0\npromise.false_alarm_rate = 0.1\n\
         model = { family = 'features', bank = 256, directions = 32 }\npreprocessing.size_px = 64";
    let layers = [settings, more].map(|text| TrainConfig::parse_layer(text).unwrap());
    TrainConfig::from_layers(&layers).unwrap()
}

/// The detector, and what was told of colours.
fn train(folder: &Path, settings: &str) -> (Detector, Vec<String>) {
    let dataset = Dataset::open(&folder.join("train"), &OpenOptions::default()).unwrap();
    let mut told = Vec::new();
    let mut watch = |event: Event<'_>| {
        if let Event::Colors(found) = event {
            told.push(format!(
                "{} of {}, {}, {}",
                found.in_color,
                found.looked_at,
                found.example,
                found.grey_example.unwrap_or("none grey")
            ));
        }
        ControlFlow::Continue(())
    };
    let options = TrainOptions { job: Job::watched(&mut watch), ..TrainOptions::default() };
    (Detector::train_with(&dataset, &config(settings), options).unwrap(), told)
}

/// AUROC of 12 plates without and 12 with a stain.
fn finds_stains(detector: &Detector, folder: &Path) -> f64 {
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    for number in 500..524 {
        let (path, stain) = (folder.join(format!("{number}.png")), number % 2 == 1);
        write(&path, &plate(number, stain));
        let image = read(&path, &Limits::default()).unwrap();
        scores.push(detector.score(&[image]).pop().unwrap().unwrap().score);
        labels.push(stain);
    }
    auroc(&scores, &labels, None).unwrap()
}

#[test]
fn a_stain_as_bright_as_its_plate_is_found_by_its_colour() {
    let folder = plates(40, |_| false);
    let (detector, told) = train(folder.path(), "");
    assert_eq!(detector.config().preprocessing.color, InputColor::Rgb);
    let looked_at = told[0].split(',').next().unwrap().to_owned();
    let all = detector.normals().iter().filter(|normal| normal.part == aberra::Part::Train).count();
    assert_eq!((told.len(), looked_at), (1, format!("{all} of {all}")));
    assert!(told[0].ends_with("none grey"), "{told:?}");
    let found = finds_stains(&detector, folder.path());
    assert!(found > 0.95, "{found}");

    let (grey, told) = train(folder.path(), "preprocessing.color = 'grey'");
    assert_eq!((grey.config().preprocessing.color, told.len()), (InputColor::Grey, 0));
    let missed = finds_stains(&grey, folder.path());
    assert!(missed < 0.85, "{missed}");
}

#[test]
fn most_of_the_training_images_decide() {
    let folder = plates(40, |number| number % 4 != 0);
    let (detector, told) = train(folder.path(), "");
    assert_eq!(detector.config().preprocessing.color, InputColor::Grey);
    assert!(told.len() == 1 && told[0].contains("good/") && !told[0].ends_with("none grey"), "{told:?}");

    let folder = plates(40, |_| true);
    let (detector, told) = train(folder.path(), "");
    assert_eq!((detector.config().preprocessing.color, told.len()), (InputColor::Grey, 0));
}
