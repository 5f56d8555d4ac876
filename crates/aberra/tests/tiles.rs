//! Large and long images: a grid of network inputs finds what one would not show, with one score and one map an image.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::ops::ControlFlow;
use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::explain::{find_normals, story_png};
use aberra::image::{Color, Limits, TileGrid, Tiles, decode, encode_png, read};
use aberra::job::{Event, Job};
use aberra::metrics::ranking::auroc;
use aberra::models::measure::Want;
use aberra::random::{Stream, generator};
use aberra::report::ReportOptions;
use aberra::{CheckedConfig, Detector, Part, TrainConfig, TrainOptions};
use rand::RngExt;

/// A brushed surface, `[height, width]`: lines along it, blotches and grain, different in every image.
fn surface(height: usize, width: usize, number: u64) -> Vec<f32> {
    let mut random = generator(7, Stream::Phantom, number);
    let mut wave = |period: f32| {
        let angle: f32 = random.random_range(0.0..std::f32::consts::TAU);
        (std::f32::consts::TAU / period / random.random_range(0.8..1.2), angle)
    };
    let lines = [5.0, 9.0, 17.0].map(&mut wave);
    let [across, down] = [wave(140.0), wave(230.0)];
    let sine = |(rate, phase): (f32, f32), at: usize| (rate * at as f32 + phase).sin();
    let of_columns: Vec<f32> = (0..width).map(|x| 0.05 * sine(across, x)).collect();
    let mut pixels = Vec::with_capacity(height * width);
    for y in 0..height {
        let line: f32 = 0.5 + 0.03 * lines.iter().map(|&line| sine(line, y)).sum::<f32>();
        let blotch = sine(down, y);
        pixels.extend(
            of_columns.iter().map(|column| line + column * blotch + random.random_range(-0.06..0.06)),
        );
    }
    pixels
}

/// A scratch of `length` x 3 pixels, steep, from `(top, left)` down.
fn scratch(pixels: &mut [f32], width: usize, length: usize, (top, left): (usize, usize)) {
    for step in 0..length {
        for across in 0..3 {
            pixels[(top + step) * width + left + step / 3 + across] = 0.2;
        }
    }
}

fn write(path: &Path, pixels: &[f32], height: usize, width: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bytes: Vec<u8> = pixels.iter().map(|value| (value * 255.0).clamp(0.0, 255.0) as u8).collect();
    std::fs::write(path, encode_png(&bytes, height, width, Color::Grey).unwrap()).unwrap();
}

/// Normals to train on, and pairs to test on: a surface without and with a scratch, and where that lies.
struct Surfaces {
    folder: tempfile::TempDir,
    size: (usize, usize),
    places: Vec<(usize, usize)>,
}

impl Surfaces {
    fn write(size: (usize, usize), normals: u64, tested: u64, length: usize) -> Self {
        let ((height, width), folder) = (size, tempfile::tempdir().unwrap());
        for number in 0..normals {
            let path = folder.path().join(format!("train/good/{number:03}.png"));
            write(&path, &surface(height, width, number), height, width);
        }
        let mut places = Vec::new();
        for number in 0..tested {
            let mut pixels = surface(height, width, 1_000 + number);
            write(&folder.path().join(format!("test/good/{number:03}.png")), &pixels, height, width);
            let mut random = generator(9, Stream::Lesion, number);
            let place =
                (random.random_range(4..height - length - 4), random.random_range(4..width - length - 4));
            scratch(&mut pixels, width, length, place);
            write(&folder.path().join(format!("test/scratched/{number:03}.png")), &pixels, height, width);
            let mut mask = vec![1.0; height * width];
            scratch(&mut mask, width, length, place);
            let mask: Vec<f32> = mask.into_iter().map(|value| f32::from(u8::from(value < 1.0))).collect();
            let path = folder.path().join(format!("ground_truth/scratched/{number:03}_mask.png"));
            write(&path, &mask, height, width);
            places.push((place.0 + length / 2, place.1 + length / 6));
        }
        Self { folder, size, places }
    }

    fn train(&self, settings: &str) -> (Detector, Vec<String>) {
        let dataset = Dataset::open(&self.folder.path().join("train"), &OpenOptions::default()).unwrap();
        let mut told = Vec::new();
        let mut watch = |event: Event<'_>| {
            if let Event::Tiles { tiling, seen, limited } = event {
                told.push(format!("{} {seen} {limited}", tiling.count()));
            }
            ControlFlow::Continue(())
        };
        let options = TrainOptions { job: Job::watched(&mut watch), ..TrainOptions::default() };
        let detector = Detector::train_with(&dataset, &config(settings), options).unwrap();
        (detector, told)
    }

    /// AUROC on the pairs, and in how many scratched images the largest value of the map lies at the scratch.
    fn test(&self, detector: &Detector) -> (f64, usize) {
        let (mut scores, mut labels, mut found) = (Vec::new(), Vec::new(), 0);
        for (class, anomalous) in [("good", false), ("scratched", true)] {
            for (number, place) in self.places.iter().enumerate() {
                let path = self.folder.path().join(format!("test/{class}/{number:03}.png"));
                let image = read(&path, &Limits::default()).unwrap();
                let verdict = detector.score(&[image]).pop().unwrap().unwrap();
                scores.push(verdict.score);
                labels.push(anomalous);
                if anomalous {
                    let map = verdict.map_at_image_size().unwrap();
                    assert_eq!(map.len(), self.size.0 * self.size.1);
                    let largest = (0..map.len()).max_by(|&a, &b| map[a].total_cmp(&map[b])).unwrap();
                    let (y, x) = (largest / self.size.1, largest % self.size.1);
                    found += usize::from(y.abs_diff(place.0) < 45 && x.abs_diff(place.1) < 45);
                }
            }
        }
        (auroc(&scores, &labels, None).unwrap(), found)
    }
}

fn config(more: &str) -> CheckedConfig {
    let settings = "split.by = 'none'\nsplit.test_share = 0.0\npromise.false_alarm_rate = 0.1\n\
         preprocessing.foreground_crop = { threshold = 0.0, margin = 0.0 }";
    let layers = [settings, more].map(|text| TrainConfig::parse_layer(text).unwrap());
    TrainConfig::from_layers(&layers).unwrap()
}

#[test]
fn a_scratch_on_a_long_surface_is_found_with_tiles() {
    let surfaces = Surfaces::write((500, 1_250), 40, 12, 12);
    let settings = |tiles: &str| {
        format!(
            "model = {{ family = 'features', bank = 512 }}\npreprocessing.size_px = 256\npreprocessing.tiles = '{tiles}'"
        )
    };
    let (tiled, told) = surfaces.train(&settings("auto"));
    let (whole, silent) = surfaces.train(&settings("none"));
    assert_eq!((told, silent), (vec!["3 3 false".to_owned()], Vec::new()));
    let grid = TileGrid { rows: 1, columns: 3, height_px: 256, width_px: 640 };
    assert_eq!(tiled.config().preprocessing.tiles, Tiles::Grid(grid));
    assert_eq!(whole.config().preprocessing.tiles, Tiles::None);

    let (with, found) = surfaces.test(&tiled);
    let (without, found_without) = surfaces.test(&whole);
    assert!(with > 0.95 && found >= 11, "{with} {found}");
    assert!(without < with && found_without + 3 <= found, "{without} {found_without}");
}

#[test]
fn large_images_are_scored_as_one_whatever_the_chunk_and_the_threads() {
    let surfaces = Surfaces::write((1_200, 1_600), 26, 3, 40);
    // A scratch of 40 x 3 px would have 3 x 0.2 px of one network input.
    let features = "preprocessing.size_px = 128\npreprocessing.tiles = '3x4'\n\
        [[model]]\nfamily = 'features'\nbank = 1024\ndirections = 32\n";
    let (detector, told) = surfaces.train(features);
    assert_eq!(told, ["12 12 false"]);
    let (auroc, found) = surfaces.test(&detector);
    assert!(auroc > 0.99 && found == 3, "{auroc} {found}");

    // With a member that has an embedding and a reconstruction.
    let vae = "[[model]]\nfamily = 'vae'\nsize_px = 32\nchannels = [4, 8]\nlatent = 4";
    let (detector, _) = surfaces.train(&format!("train.epochs = 1\n{features}{vae}"));

    // Evidence, embeddings and calibration are those of images, and a reference is of their tiles.
    let count = detector.normals().len();
    assert_eq!(count, 26);
    let train = detector.normals().iter().filter(|normal| normal.part == Part::Train).count();
    assert_eq!(detector.normal_embeddings(1).unwrap().len(), count);
    assert_eq!(detector.reference().unwrap().embeddings().len(), train * 12);
    assert_eq!(
        detector.calibration().scores.len(),
        count - train - detector.normals().iter().filter(|normal| normal.part == Part::Fit).count()
    );

    // Saved and loaded, on other threads and in other chunks: the same verdicts, bit for bit.
    let file = surfaces.folder.path().join("it.aberra");
    detector.save(&file).unwrap();
    let loaded = Detector::load(&file).unwrap();
    assert_eq!(loaded.normal_embeddings(1), detector.normal_embeddings(1));
    let paths: Vec<_> = ["test/scratched/000.png", "test/good/000.png", "test/scratched/001.png"]
        .map(|name| surfaces.folder.path().join(name))
        .to_vec();
    let verdicts = |detector: &Detector, threads: usize, chunk: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut verdicts = Vec::new();
        pool.install(|| {
            detector.score_files(
                paths.clone().into_iter(),
                &Limits::default(),
                chunk,
                Want::ALL,
                |_, verdict| {
                    verdicts.push(verdict.unwrap());
                    ControlFlow::Continue(())
                },
            );
        });
        verdicts
    };
    let first = verdicts(&detector, 1, 1);
    for (threads, chunk) in [(2, 64), (4, 1)] {
        let others = verdicts(&loaded, threads, chunk);
        assert!(first == others, "{threads} threads, {chunk} at once");
    }

    // A canvas of the image's proportions, and everything of an explanation.
    let shape = detector.canvas_shape();
    assert_eq!(detector.input_shape().height, 128);
    assert!((shape.width as f64 / shape.height as f64 - 4.0 / 3.0).abs() < 0.01, "{shape}");
    let verdict = &first[0];
    assert_eq!((verdict.shape, verdict.input.len()), (shape, shape.len()));
    assert_eq!(verdict.reconstruction().unwrap().len(), shape.len());
    assert_eq!(verdict.map().unwrap().len(), shape.area());
    let story = loaded.explain(&read(&paths[0], &Limits::default()).unwrap()).unwrap();
    assert_eq!(story.nearest.len(), 5);
    let normals: std::collections::BTreeSet<usize> = story.nearest.iter().map(|near| near.normal).collect();
    assert_eq!(normals.len(), 5, "each normal once, whatever the number of its tiles");
    assert!(story.anomalous_share.unwrap() > 0.0 && story.anomalous_share.unwrap() < 0.1);
}

#[test]
fn an_image_that_cannot_be_used_does_not_stop_the_others() {
    let surfaces = Surfaces::write((100, 300), 26, 2, 20);
    let settings = "model = { family = 'features', bank = 128, directions = 16 }\n\
        preprocessing.size_px = 64\npreprocessing.tiles = 'auto'";
    let (detector, _) = surfaces.train(settings);
    assert_eq!(detector.tiling().unwrap().count(), 4);
    let good = read(&surfaces.folder.path().join("test/good/000.png"), &Limits::default()).unwrap();
    let mut bad = good.clone();
    bad.pixels[5] = f32::NAN;
    let verdicts = detector.score(&[good.clone(), bad, good.clone()]);
    assert!(verdicts[1].is_err());
    let alone = detector.score(&[good]).pop().unwrap().unwrap();
    assert_eq!(verdicts[0].as_ref().unwrap().score, alone.score);
    assert_eq!(verdicts[2].as_ref().unwrap(), &alone);
}

#[test]
fn a_detector_with_tiles_is_evaluated_and_reported() {
    let surfaces = Surfaces::write((100, 300), 26, 4, 20);
    let settings = "preprocessing.size_px = 64\npreprocessing.tiles = 'auto'\ntrain.epochs = 1\nkeep_thumbnails = true\n\
        [[model]]\nfamily = 'features'\nbank = 128\ndirections = 16\n\
        [[model]]\nfamily = 'vae'\nchannels = [4, 8]\nlatent = 4";
    let (detector, _) = surfaces.train(settings);
    let dataset = Dataset::open(surfaces.folder.path(), &OpenOptions::default()).unwrap();
    let evaluation = detector.evaluate(&dataset).unwrap();
    assert!(evaluation.ranking.auroc.value().unwrap().estimate > 0.9);
    let pixels = evaluation.pixels.value().unwrap();
    assert_eq!((pixels.masked, pixels.input), (4, detector.canvas_shape()));
    assert!(pixels.auroc.value().unwrap().value > 0.9, "{:?}", pixels.auroc);

    let report = detector.report(&dataset, &evaluation, ReportOptions::default()).unwrap();
    let data = report.data();
    let tiles = data.detector.tiles.unwrap();
    assert_eq!((tiles.rows, tiles.columns, tiles.size_px), (1, 4, 64));
    assert_eq!(data.detector.input, detector.canvas_shape());
    assert_eq!(data.latent.value().unwrap().traversals[0].pictures.len(), 7);
    assert!(data.images.iter().any(|image| image.pictures.is_some()));
    assert!(!report.figures().unwrap().is_empty());

    let image = read(
        &dataset.samples.iter().find(|sample| !sample.label.is_normal()).unwrap().path,
        &Limits::default(),
    );
    let story = detector.explain(&image.unwrap()).unwrap();
    let near = find_normals(&detector, &story.nearest, &[]);
    assert!(near.iter().all(|near| near.thumbnail.is_some()));
    let png = story_png(&detector, &story, &near).unwrap();
    assert!(decode(&png, &Limits::default()).is_ok());
}

#[test]
fn settings_of_tiles_are_checked_and_a_file_without_them_has_none() {
    for (text, expected) in [
        (
            "preprocessing.tiles = 'many'",
            "expected auto, none, or rows and columns such as 2x3, found \"many\"",
        ),
        ("preprocessing.tiles = '9x9'", "expected 1 to 48 tiles in all, found 9 x 9"),
        ("preprocessing.tiles = 4", "expected auto, none, rows and columns such as 2x3"),
        ("preprocessing.tiles = '2x2'\npreprocessing.square_pad = false", "with square_pad = false"),
    ] {
        let layer = TrainConfig::parse_layer(text).unwrap();
        let error = TrainConfig::from_layers(&[layer]).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert_eq!(CheckedConfig::default().preprocessing.tiles, Tiles::Auto);
    let own = TrainConfig::parse_layer("model.family = 'vae'").unwrap();
    assert_eq!(TrainConfig::from_layers(&[own]).unwrap().preprocessing.tiles, Tiles::None);
    let printed = config("preprocessing.tiles = { rows = 1, columns = 3, height_px = 256, width_px = 640 }");
    let again = TrainConfig::parse_layer(&printed.to_toml().unwrap()).unwrap();
    assert_eq!(TrainConfig::from_layers(&[again]).unwrap(), printed);
}
