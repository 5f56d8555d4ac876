//! Detectors that look at a region of interest alone, or ignore areas of their images.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use aberra::calibrate::{Criterion, Promise};
use aberra::dataset::{Dataset, GroupBy, OpenOptions};
use aberra::image::{Image, Limits, RelativeRegion, read};
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::{Detector, TrainConfig, Verdict};

const SIZE_PX: usize = 32;

/// A detector of small phantoms.
fn trained(folder: &std::path::Path, preprocessing: &str) -> (Detector, Image) {
    let slices = PhantomDataset {
        seed: 1,
        size_px: SIZE_PX,
        train_normals: 60,
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(folder, &slices).unwrap();
    let dataset = Dataset::open(folder, &OpenOptions::default()).unwrap();
    let settings = format!(
        "preprocessing.size_px = {SIZE_PX}\npreprocessing.{preprocessing}\ntrain.epochs = 5\ntrain.least_steps = 0\n\
         split.by = 'none'\npromise.false_alarm_rate = 0.1\n\
         [model]\nfamily = 'autoencoder'\nprecision = 'f32'\nchannels = [8, 16]"
    );
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(&settings).unwrap()]).unwrap();
    let detector = Detector::train(&dataset, &config).unwrap();
    // What is saved looks at the same.
    let detector = Detector::from_bytes(&detector.to_bytes().unwrap()).unwrap();
    (detector, read(&dataset.samples[3].path, &Default::default()).unwrap())
}

/// The verdict on an image with a bright patch whose top left pixel is at these shares of the sides.
fn with_patch(detector: &Detector, image: &Image, top: f64, left: f64) -> Verdict {
    let (top, left) = ((top * image.height as f64) as usize, (left * image.width as f64) as usize);
    let mut pixels = image.pixels.clone();
    for y in top..top + 4 {
        pixels[y * image.width + left..][..4].fill(1.0);
    }
    let image = Image::from_pixels(pixels, image.height, image.width, 1).unwrap();
    detector.score(&[image]).remove(0).unwrap()
}

#[test]
fn what_lies_in_an_ignored_area_changes_nothing_and_has_no_map() {
    let folder = tempfile::tempdir().unwrap();
    let area = "ignore = [{ left = 0.25, top = 0.5, width = 0.5, height = 0.25 }]";
    let (detector, image) = trained(folder.path(), area);
    let plain = detector.score(std::slice::from_ref(&image)).remove(0).unwrap();
    let inside = with_patch(&detector, &image, 0.55, 0.4);
    assert_eq!((inside.score, &inside.map), (plain.score, &plain.map));
    let elsewhere = with_patch(&detector, &image, 0.3, 0.4);
    assert_ne!(elsewhere.score, plain.score);
    let map = elsewhere.map_at_image_size().unwrap();
    let at = |y: usize, x: usize| map[y * image.width + x];
    assert!((18..22).all(|y| (10..22).all(|x| at(y, x) == 0.0)));
    assert!((10..13).any(|y| (13..16).any(|x| at(y, x) > 0.0)));
}

#[test]
fn what_lies_beside_the_region_of_interest_is_not_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (detector, image) =
        trained(folder.path(), "region = { left = 0.0, top = 0.0, width = 1.0, height = 0.5 }");
    let plain = detector.score(std::slice::from_ref(&image)).remove(0).unwrap();
    assert_eq!(with_patch(&detector, &image, 0.6, 0.4).score, plain.score);
    let inside = with_patch(&detector, &image, 0.3, 0.4);
    assert_ne!(inside.score, plain.score);
    let map = inside.map_at_image_size().unwrap();
    assert!(map[image.width * 16..].iter().all(|value| *value == 0.0));
    assert!(map[..image.width * 16].iter().any(|value| *value > 0.0));
}

#[test]
fn a_detector_can_ignore_further_areas_and_is_calibrated_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (detector, image) = trained(folder.path(), "square_pad = true");
    let area = RelativeRegion { left: 0.25, top: 0.5, width: 0.5, height: 0.25 };
    let ignoring = detector.ignoring(&[area]).unwrap();
    let plain = ignoring.score(std::slice::from_ref(&image)).remove(0).unwrap();
    assert_eq!((plain.p_value, ignoring.calibration().promise), (None, Promise::Fixed));
    assert_ne!(plain.score, detector.score(std::slice::from_ref(&image)).remove(0).unwrap().score);
    assert_eq!(with_patch(&ignoring, &image, 0.55, 0.4).score, plain.score);
    assert_ne!(with_patch(&ignoring, &image, 0.3, 0.4).score, plain.score);

    let others = tempfile::tempdir().unwrap();
    let slices = PhantomDataset {
        seed: 2,
        size_px: SIZE_PX,
        train_normals: 30,
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(others.path(), &slices).unwrap();
    let dataset = Dataset::open(others.path(), &OpenOptions::default()).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    let new = ignoring.recalibrate(&dataset, &inspection, GroupBy::Exact, Criterion::at_rate(0.1)).unwrap();
    let new = Detector::from_bytes(&new.detector.to_bytes().unwrap()).unwrap();
    assert_eq!(new.config().preprocessing.ignore, [area]);
    // Its scores are those of its own normals without the area.
    let score = |sample: &aberra::dataset::Sample| {
        new.score(&[read(&sample.path, &Default::default()).unwrap()]).remove(0).unwrap().score
    };
    let mut scores: Vec<f64> = dataset.samples.iter().map(score).collect();
    scores.sort_by(f64::total_cmp);
    assert_eq!(new.calibration().scores, scores);

    let beyond = RelativeRegion { width: 0.9, ..area };
    let refused = detector.ignoring(&[beyond]).unwrap_err().to_string();
    assert!(refused.contains("`ignore`: expected left, top, width and height of a box"), "{refused}");
}
