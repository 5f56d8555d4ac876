//! Volumes: found among files, judged as a whole, calibrated with one score each, and their maps put back into their grids. The
//! order and the grids of a folder of DICOM series are those that highdicom gives (`golden/series.json`, by
//! `golden/make_series.py`).

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod volume_cases;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use self::volume_cases::{judged, volume_of};
use aberra::calibrate::{Criterion, p_value};
use aberra::dataset::{Case, Dataset, GroupBy, OpenOptions, Volume, find_cases};
use aberra::image::{Images, Limits, count_pages, read_page};
use aberra::job::{Event, Job};
use aberra::models::measure::Want;
use aberra::phantom::{LesionKind, PhantomVolumes, VolumeShape, write_volumes};
use aberra::wire::{VolumeCard, VolumesCard};
use aberra::{Detector, TrainConfig, TrainOptions, VolumeMap, top_slices, volume_score};
use serde::Deserialize;

const SHAPE: VolumeShape = VolumeShape { size_px: 32, slices: 14 };
const TRAIN: usize = 32;

/// Phantom volumes, and a detector trained on those in `train`.
struct Trained {
    folder: tempfile::TempDir,
    dataset: Dataset,
    detector: Detector,
}

fn settings(more: &str) -> String {
    format!(
        "preprocessing.size_px = 32
         train.epochs = 3
         train.batch_size = 16
         scorer = 'mse'
         split.test_share = 0.0
         {more}
         [model]
         family = 'vae'
         channels = [4, 8]"
    )
}

fn train(dataset: &Dataset, more: &str, notified: &mut Vec<String>) -> Detector {
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(&settings(more)).unwrap()]).unwrap();
    let mut watch = |event: Event<'_>| {
        if let Event::VolumesNotCalibrated { error } = event {
            notified.push(error.to_string());
        }
        ControlFlow::Continue(())
    };
    let options = TrainOptions { job: Job::watched(&mut watch), ..TrainOptions::default() };
    Detector::train_with(dataset, &config, options).unwrap()
}

fn volumes_in(folder: &Path) -> Dataset {
    let every = OpenOptions { normal: vec!["*".to_owned()], ..OpenOptions::default() };
    Dataset::open(folder, &every).unwrap().by_volume(&Limits::default())
}

fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let settings = PhantomVolumes {
            seed: 5,
            shape: SHAPE,
            train_normals: TRAIN,
            test_normals: 12,
            anomalies_per_kind: 1,
        };
        write_volumes(folder.path(), &settings).unwrap();
        let dataset = volumes_in(&folder.path().join("train"));
        let mut notified = Vec::new();
        let trained = train(&dataset, "promise.false_alarm_rate = 0.1\nsplit.by = 'exact'", &mut notified);
        assert_eq!(notified, Vec::<String>::new());
        let file = folder.path().join("detector.aberra");
        trained.save(&file).unwrap();
        let detector = Detector::load(&file).unwrap();
        assert_eq!(detector.volume_calibration(), trained.volume_calibration());
        Trained { folder, dataset, detector }
    })
}

fn new_volume(name: &str) -> Volume {
    volume_of(trained().folder.path().join("test").join(name))
}

#[test]
fn training_on_volumes_calibrates_them_with_one_score_each() {
    let Trained { dataset, detector, .. } = trained();
    assert_eq!(dataset.volumes().len(), TRAIN);
    // Two slices of air, one at each end.
    assert!(dataset.volumes().iter().all(|(_, slices)| slices.len() == 12));
    let volumes = detector.volume_calibration().unwrap();
    let groups = detector.provenance().calibration.groups;
    assert_eq!((volumes.calibration.scores.len(), volumes.top_share), (groups, 0.05));
    // The promise is about volumes, and that about images stands beside it.
    let card = VolumesCard::of(volumes);
    assert!(
        card.promise.text.starts_with("at most 10 % false alarms on average on exchangeable normal volumes")
    );
    assert!(detector.calibration().promise.to_string().contains("normal images"));
    assert_eq!(card.threshold, volumes.calibration.threshold);
    let stricter = detector.calibrate_volumes(Criterion::Percentile { percentile: 100.0 }).unwrap();
    let largest = volumes.calibration.scores.last().copied();
    assert_eq!(stricter.volume_calibration().map(|volumes| volumes.calibration.threshold), largest);
    assert_eq!(stricter.calibration(), detector.calibration());
}

#[test]
fn the_score_is_the_mean_of_the_largest_scores_of_slices() {
    let Trained { detector, .. } = trained();
    let volume = new_volume("good/000.nii.gz");
    let verdict = judged(detector, &volume);
    assert_eq!((volume.slices.len(), verdict.empty, verdict.unreadable), (14, 2, 0));
    assert!(verdict.slices[0].is_none() && verdict.slices[13].is_none());
    let mut alone = Vec::new();
    let is_empty = volume.empty_slices(&Limits::default());
    let slices = volume.slices.iter().zip(is_empty).filter(|(_, is_empty)| !is_empty);
    let slices = slices.map(|(slice, _)| (slice.path.clone(), slice.page));
    detector.score_pages(slices, &Limits::default(), 64, Want::MEASUREMENTS, |_, verdict| {
        alone.push(verdict.unwrap().score);
        ControlFlow::Continue(())
    });
    assert_eq!(verdict.slices.iter().flatten().copied().collect::<Vec<_>>(), alone);
    let mut sorted = alone.clone();
    sorted.sort_by(f64::total_cmp);
    assert_eq!((verdict.score, verdict.top), (sorted[11], 1));
    assert_eq!(verdict.slices[verdict.worst], Some(sorted[11]));
    let calibration = &detector.volume_calibration().unwrap().calibration;
    assert_eq!(verdict.p_value, p_value(&calibration.scores, verdict.score));
    assert_eq!(verdict.anomalous(), Some(verdict.score > calibration.threshold));
    let card = serde_json::to_value(VolumeCard::of(&volume, &verdict)).unwrap();
    assert_eq!(
        (&card["worst"]["slice"], &card["worst"]["page"]),
        (&card["worst"]["page"], &(verdict.worst + 1).into())
    );
    assert_eq!(card["scores"].as_array().unwrap().len(), 14);
    // Generated heads are 120 mm high.
    assert!((card["slice_spacing_mm"].as_f64().unwrap() - 120.0 / 14.0).abs() < 1e-5, "{card}");
    // A larger share takes more of them.
    let inspection = trained().dataset.inspect(&Limits::default());
    let own = trained().dataset.clone();
    assert!(
        detector
            .recalibrate_volumes(&own, &inspection, GroupBy::Exact, Criterion::at_rate(0.1), Some(1.5))
            .is_err()
    );
    assert_eq!(volume_score(&alone, 0.25), Some(sorted[9..].iter().rev().sum::<f64>() / 3.0));
    assert_eq!(top_slices(12, 0.25), 3);
}

#[test]
fn other_volumes_calibrate_and_what_was_learnt_from_does_not() {
    let Trained { folder, dataset, detector } = trained();
    let good = volumes_in(&folder.path().join("test/good"));
    let limits = Limits::default();
    let inspection = good.inspect(&limits);
    let other = detector
        .recalibrate_volumes(&good, &inspection, GroupBy::Exact, Criterion::at_rate(0.1), Some(0.25))
        .unwrap();
    assert_eq!((other.groups, other.volumes, other.learnt_from.len(), other.anomalous), (12, 12, 0, 0));
    let volumes = other.detector.volume_calibration().unwrap();
    assert_eq!((volumes.top_share, volumes.calibration.scores.len()), (0.25, 12));
    let verdict = judged(&other.detector, &new_volume("good/000.nii.gz"));
    assert!(verdict.top == 3 && volumes.calibration.scores.contains(&verdict.score));

    // With too few volumes, the error states how many are needed.
    let refused =
        detector.recalibrate_volumes(&good, &inspection, GroupBy::Exact, Criterion::at_rate(0.05), None);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("at least 19 calibration groups for 5 % false alarms, found 12"), "{text}");
    // Anomalous volumes are not looked at.
    let test = Dataset::open(folder.path(), &OpenOptions::default()).unwrap().by_volume(&limits);
    let inspection = test.inspect(&limits);
    let mixed = detector
        .recalibrate_volumes(&test, &inspection, GroupBy::Exact, Criterion::at_rate(0.1), None)
        .unwrap();
    let parts = detector.provenance();
    let learnt = parts.train.groups + parts.fit.groups;
    assert_eq!((mixed.learnt_from.len(), mixed.anomalous), (learnt, LesionKind::ALL.len()));
    assert_eq!(mixed.volumes, TRAIN + 12 - learnt);
    // Those that the detector learnt from, alone, are none.
    let only: Vec<_> = dataset
        .samples
        .iter()
        .filter(|one| {
            let volume = one.volume.as_ref().map(|volume| volume.name.as_str());
            mixed.learnt_from.iter().any(|name| volume == name.strip_prefix("train/"))
        })
        .cloned()
        .collect();
    assert!(!only.is_empty());
    let only = Dataset { samples: only, ..dataset.clone() };
    let inspection = only.inspect(&limits);
    let refused =
        detector.recalibrate_volumes(&only, &inspection, GroupBy::Exact, Criterion::at_rate(0.1), None);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("expected normal volumes to calibrate on, found none"), "{text}");
}

#[test]
fn a_detector_of_images_scores_volumes_without_a_verdict() {
    let Trained { folder, dataset, .. } = trained();
    // Slices that belong to no volume, as those of a folder of pictures.
    let samples =
        dataset.samples.iter().map(|sample| aberra::dataset::Sample { volume: None, ..sample.clone() });
    let images = Dataset { samples: samples.collect(), ..dataset.clone() };
    let detector = train(&images, "promise.false_alarm_rate = 0.1\nsplit.by = 'exact'", &mut Vec::new());
    let file = folder.path().join("images.aberra");
    detector.save(&file).unwrap();
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"\"volumes\""), "files without volumes have no entry");
    let verdict = judged(&Detector::load(&file).unwrap(), &new_volume("good/001.nii.gz"));
    assert_eq!((verdict.anomalous(), verdict.threshold, verdict.p_value), (None, None, None));
    assert!(verdict.score.is_finite());
    let error = detector.calibrate_volumes(Criterion::at_rate(0.1)).unwrap_err();
    assert!(error.is_settings() && error.to_string().contains("calibrated on volumes"), "{error}");
    // Slices that are split one by one leave no volume whole to calibrate on, which is said.
    let mut notified = Vec::new();
    let detector = train(dataset, "promise.false_alarm_rate = 0.1\nsplit.by = 'none'", &mut notified);
    assert!(detector.volume_calibration().is_none());
    assert_eq!(notified.len(), 1, "{notified:?}");
}

#[test]
fn a_map_lies_in_the_volumes_own_grid() {
    let Trained { detector, .. } = trained();
    let volume = new_volume("cyst/000.nii.gz");
    let (mut map, mut planes) = (VolumeMap::new(&volume), vec![vec![0.0; 32 * 32]; 14]);
    let verdict = detector
        .score_volume(&volume, Want::MAP, |number, verdict| {
            let verdict = verdict.as_ref().unwrap();
            map.put(number, verdict).unwrap();
            planes[number] = verdict.map_at_image_size().unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(verdict.anomalous().is_some());
    let limits = Limits::default();
    let bytes = map.to_nifti(&limits).unwrap();
    let images = Images::open(&bytes, &limits).unwrap();
    assert_eq!(images.count().unwrap(), 14);
    for (page, plane) in (0..).zip(&planes) {
        assert_eq!(&images.decode(page).unwrap().pixels, plane, "slice {page}");
    }
    assert!(
        planes[0].iter().all(|&value| value == 0.0) && planes[verdict.worst].iter().any(|&value| value > 0.0)
    );
    let original = fs::read(volume.file().unwrap()).unwrap();
    let spacing = |bytes: &[u8]| Images::open(bytes, &limits).unwrap().header(0).unwrap().spacing_mm;
    assert_eq!(spacing(&bytes), spacing(&original));
}

#[derive(Deserialize)]
struct Series {
    files: Vec<String>,
    affine: [[f64; 4]; 3],
}

/// An array file of an image in grey.
fn array(pixels: &[f32], height: usize, width: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    header.push_str(&" ".repeat(64 - (header.len() + 11) % 64));
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    let values = pixels.iter().flat_map(|value| value.to_le_bytes());
    b"\x93NUMPY\x01\x00".iter().copied().chain(length).chain(header.into_bytes()).chain(values).collect()
}

/// The slices of a volume as files of their own, some numbers with zeros before them: the same volume.
#[test]
fn numbered_images_are_the_volume_that_they_were_taken_from() {
    let (trained, limits) = (trained(), Limits::default());
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("scan")).unwrap();
    let file = trained.folder.path().join("test/good/000.nii.gz");
    for page in 0..count_pages(&file, &limits).unwrap() {
        let image = read_page(&file, page, &limits).unwrap();
        let name = if page % 3 == 0 {
            format!("scan/slice {page}.npy")
        } else {
            format!("scan/slice {page:03}.npy")
        };
        fs::write(folder.path().join(name), array(&image.pixels, image.height, image.width)).unwrap();
    }
    fs::write(folder.path().join("scan/slice 99.npy"), b"no array").unwrap();
    let files = aberra::dataset::image_files(folder.path()).map(Result::unwrap).collect();
    let found = find_cases(files, &limits);
    let [Case::Volume(volume), Case::Image { path, page: None }] = &found.cases[..] else {
        panic!("{:?}", found.cases)
    };
    assert!(path.ends_with("slice 99.npy"));
    assert!(volume.name.ends_with("/scan/slice"), "{}", volume.name);
    assert!(
        found.notes.iter().any(|note| note.starts_with("1 volume is made of numbered images")),
        "{:?}",
        found.notes
    );
    let (expected, whole) =
        (judged(&trained.detector, &volume_of(file.clone())), judged(&trained.detector, volume));
    assert_eq!((whole.score, whole.p_value), (expected.score, expected.p_value));
    // In a data set they are a group.
    let dataset = volumes_in(folder.path());
    let volumes = dataset.volumes();
    assert_eq!((volumes.len(), volumes[0].0), (1, "scan/slice"));
    assert_eq!(volumes[0].1.len(), volumes_in(file.parent().unwrap()).volumes()[0].1.len());
    // They lie one above the other as far as is known.
    assert!(VolumeMap::new(volume).to_nifti(&limits).is_ok());
}

fn series() -> (PathBuf, Vec<Series>) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let series = serde_json::from_slice(&fs::read(golden.join("series.json")).unwrap()).unwrap();
    (golden.join("series"), series)
}

fn names(volume: &Volume) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    volume.slices.iter().map(|slice| name(&slice.path)).collect()
}

#[test]
fn dicom_series_are_put_together_by_position() {
    let (folder, series) = series();
    let files = aberra::dataset::image_files(&folder).map(Result::unwrap).collect();
    let found = find_cases(files, &Limits::default());
    let volumes: Vec<&Volume> = found
        .cases
        .iter()
        .map(|case| match case {
            Case::Volume(volume) => volume,
            Case::Image { path, .. } => panic!("{path:?} is in no volume"),
        })
        .collect();
    let mut expected: Vec<&Vec<String>> = series.iter().map(|series| &series.files).collect();
    let mut names: Vec<Vec<String>> = volumes.iter().map(|volume| names(volume)).collect();
    expected.sort();
    names.sort();
    assert_eq!(names.iter().collect::<Vec<_>>(), expected);
    let notes = found.notes.join("\n");
    assert!(notes.contains("4 volumes") && notes.contains("16 slices"), "{notes}");
    assert!(notes.contains("1 overview (localizer) is dropped") && notes.contains("overview.dcm"), "{notes}");
    assert!(!notes.contains("PLANTED"), "{notes}");
    let axial = volumes.iter().find(|volume| volume.slices.len() == 8).unwrap();
    assert_eq!(
        axial.empty_slices(&Limits::default()),
        [true, true, false, false, false, false, false, false]
    );
    let told: Vec<&str> = volumes.iter().map(|volume| volume.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(told, [", series 1", ", series 2", ", series 3", ", series 4"]);

    let dataset = volumes_in(&folder);
    assert_eq!(dataset.samples.len(), 14);
    let notes = dataset.notes.join("\n");
    assert!(notes.contains("2 of 16 slices show nothing but air and are left out"), "{notes}");
    assert_eq!(dataset.volumes().iter().map(|(_, slices)| slices.len()).collect::<Vec<_>>(), [6, 3, 3, 2]);
    let in_volume =
        |sample: &aberra::dataset::Sample| sample.volume.as_ref().map(|volume| volume.name.clone());
    assert!(dataset.samples.iter().all(|sample| sample.group == in_volume(sample)));
    assert_eq!(dataset.samples[0].name, "a.dcm");
}

/// The grid that highdicom computes from positions and directions.
#[test]
fn the_grid_of_a_series_is_that_of_its_positions() {
    let (folder, series) = series();
    let files = aberra::dataset::image_files(&folder).map(Result::unwrap).collect();
    let limits = Limits::default();
    for case in find_cases(files, &limits).cases {
        let Case::Volume(volume) = case else { continue };
        let expected = series.iter().find(|series| series.files == names(&volume)).unwrap();
        let bytes = VolumeMap::new(&volume).to_nifti(&limits).unwrap();
        let mut header = vec![0; 352];
        std::io::Read::read_exact(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut header).unwrap();
        let sides: Vec<i16> =
            (0..3).map(|axis| i16::from_le_bytes([header[42 + 2 * axis], header[43 + 2 * axis]])).collect();
        assert_eq!(sides, [10, 12, volume.slices.len() as i16]);
        let step = expected.affine.iter().map(|row| row[2] * row[2]).sum::<f64>().sqrt();
        let found = f64::from(volume.slice_spacing_mm.unwrap());
        assert!((found - step).abs() < 1e-4, "{}: {found} {step}", volume.name);
        for (index, expected) in expected.affine.iter().flatten().enumerate() {
            let at = 280 + 4 * index;
            let found = f32::from_le_bytes(header[at..at + 4].try_into().unwrap());
            assert!(
                (f64::from(found) - expected).abs() < 1e-5,
                "{}: {index}: {found} {expected}",
                volume.name
            );
        }
    }
}

#[test]
fn slices_that_fill_no_grid_have_no_map_and_unreadable_ones_are_counted() {
    let room = tempfile::tempdir().unwrap();
    let (folder, series) = series();
    let copy = |name: &str| fs::copy(folder.join(name), room.path().join(name)).unwrap();
    let axial = &series.iter().find(|series| series.files.len() == 8).unwrap().files;
    // Without its fourth slice, and with another whose pixels are cut off.
    axial.iter().enumerate().filter(|(slice, _)| *slice != 3).for_each(|(_, name)| {
        copy(name);
    });
    let limits = Limits::default();
    let found = || {
        let files = aberra::dataset::image_files(room.path()).map(Result::unwrap).collect();
        match find_cases(files, &limits).cases.remove(0) {
            Case::Volume(volume) => volume,
            Case::Image { path, .. } => panic!("{path:?}"),
        }
    };
    let uneven = found();
    assert_eq!(uneven.slice_spacing_mm, None);
    let error = VolumeMap::new(&uneven).to_nifti(&limits).unwrap_err();
    assert!(error.to_string().contains("its slices are not evenly spaced"), "{error}");
    copy(&axial[3]);
    fs::copy(folder.join(&axial[4]), room.path().join("copy.dcm")).unwrap();
    let repeated = found();
    assert!(repeated.has_repeated_positions && repeated.slices.len() == 9);
    assert_eq!(repeated.slice_spacing_mm, None);
    let error = VolumeMap::new(&repeated).to_nifti(&limits).unwrap_err();
    assert!(error.to_string().contains("several of its slices lie at one place"), "{error}");

    fs::remove_file(room.path().join("copy.dcm")).unwrap();
    let whole = found();
    let cut = room.path().join(&axial[5]);
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 20]).unwrap();
    let verdict = judged(&trained().detector, &whole);
    assert_eq!((verdict.unreadable, verdict.empty, verdict.slices[5]), (1, 2, None));
    fs::write(&cut, bytes).unwrap();
    // Air alone is no volume to judge.
    let mut air = whole;
    air.slices.truncate(2);
    let error = trained()
        .detector
        .score_volume(&air, Want::MEASUREMENTS, |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(error.to_string().contains("found 2 that show nothing but air"), "{error}");
}

#[test]
fn a_secondary_capture_shows_the_marked_slices_with_the_map_over_them() {
    let Trained { detector, .. } = trained();
    let (folder, _) = series();
    let files = aberra::dataset::image_files(&folder).map(Result::unwrap).collect();
    let limits = Limits::default();
    let axial = find_cases(files, &limits).cases.into_iter().find_map(|case| match case {
        Case::Volume(volume) if volume.slices.len() == 8 => Some(volume),
        _ => None,
    });
    let volume = axial.unwrap();
    let (mut map, mut planes) = (VolumeMap::new(&volume), vec![vec![0.0; 12 * 10]; 8]);
    let put = |number: usize, verdict: &aberra::Result<aberra::Verdict>| {
        let verdict = verdict.as_ref().unwrap();
        map.put(number, verdict).unwrap();
        planes[number] = verdict.map_at_image_size().unwrap();
        ControlFlow::Continue(())
    };
    detector.score_volume(&volume, Want::MAP, put).unwrap();
    let peak = |plane: &Vec<f32>| f64::from(plane.iter().copied().fold(0.0, f32::max));
    let mut peaks: Vec<f64> = planes.iter().map(peak).collect();
    let worst = (0..8).max_by(|&one, &other| peaks[one].total_cmp(&peaks[other])).unwrap();
    let by_number = peaks.clone();
    peaks.sort_by(f64::total_cmp);
    // Two slices lie above the third largest peak, and none above the largest: then the worst alone is shown.
    for (threshold, count) in [(peaks[5], 2), (peaks[7], 1)] {
        let bytes = map.to_secondary_capture(threshold, 0, &limits).unwrap().unwrap();
        let images = Images::open(&bytes, &limits).unwrap();
        assert_eq!(images.count().unwrap(), count);
        let shown: Vec<usize> = match count {
            1 => vec![worst],
            _ => (0..8).filter(|&slice| by_number[slice] > threshold).collect(),
        };
        for (page, slice) in (0..).zip(shown) {
            let (picture, source) = (images.decode(page).unwrap(), &volume.slices[slice]);
            let grey = read_page(&source.path, source.page.unwrap_or(0), &limits).unwrap();
            assert_eq!((picture.height, picture.width, picture.channels), (12, 10, 3));
            let pixels = picture.pixels.chunks_exact(3).zip(&grey.pixels).zip(&planes[slice]);
            for ((color, &grey), &value) in pixels {
                let grey = (255.0 * grey).round() as u8;
                let expected = match f64::from(value) > threshold {
                    true => aberra::explain::heat_color(value, threshold).map(|heat| grey.midpoint(heat)),
                    false => [grey; 3],
                };
                let found = [0, 1, 2].map(|channel| (255.0 * color[channel]).round() as u8);
                assert_eq!(found, expected, "slice {slice}");
            }
        }
    }
    let objects = map.to_dicom(peaks[5], 0, &limits).unwrap().unwrap();
    assert_eq!(Images::open(&objects.segmentation, &limits).and_then(|images| images.count()).ok(), Some(2));
    // What is no series of DICOM files has none.
    let other = new_volume("cyst/000.nii.gz");
    assert!(VolumeMap::new(&other).to_secondary_capture(1.0, 0, &limits).unwrap().is_none());
}
