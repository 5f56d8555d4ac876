//! The figures of volumes in an evaluation and in a report, against those of the volumes judged one by one; and volumes held in memory
//! against the same in files.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod volume_cases;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::volume_cases::{judged, volume_of};
use aberra::dataset::{Cases, Dataset, GroupBy, HeldFiles, OpenOptions, find_cases};
use aberra::evaluate::{EvaluateOptions, Evaluation, Metric, VolumeFigures};
use aberra::image::Limits;
use aberra::phantom::{LesionKind, PhantomVolumes, VolumeShape, write_volumes};
use aberra::report::ReportOptions;
use aberra::{Detector, TrainConfig, TrainOptions};

const SHAPE: VolumeShape = VolumeShape { size_px: 32, slices: 12 };
const NEW: usize = 9;

fn detector(folder: &Path) -> Detector {
    let every = OpenOptions { normal: vec!["*".to_owned()], ..OpenOptions::default() };
    let dataset = Dataset::open(&folder.join("train"), &every).unwrap().by_volume(&Limits::default());
    let settings = "preprocessing.size_px = 32
        train.epochs = 2
        train.batch_size = 16
        scorer = 'mse'
        split.test_share = 0.0
        split.by = 'exact'
        promise.false_alarm_rate = 0.1
        [model]
        family = 'vae'
        channels = [4, 8]";
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(settings).unwrap()]).unwrap();
    Detector::train_with(&dataset, &config, TrainOptions::default()).unwrap()
}

#[test]
fn volumes_are_evaluated_and_reported_as_they_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        PhantomVolumes { seed: 6, shape: SHAPE, train_normals: 30, test_normals: NEW, anomalies_per_kind: 1 };
    write_volumes(folder.path(), &settings).unwrap();
    let detector = detector(folder.path());
    let limits = Limits::default();
    let test = Dataset::open(&folder.path().join("test"), &OpenOptions::default()).unwrap();
    let test = test.by_volume(&limits);
    let options = || EvaluateOptions { by: GroupBy::Exact, ..EvaluateOptions::default() };
    let evaluation = detector.evaluate_with(&test, options()).unwrap();
    let figures = evaluation.volumes.as_ref().unwrap();

    // Each volume is judged as it is alone.
    assert_eq!(figures.counts(), (NEW, LesionKind::ALL.len()));
    assert_eq!((figures.own, figures.unusable), (0, 0));
    let mut by_name = BTreeMap::new();
    for row in &figures.volumes {
        let verdict = judged(&detector, &volume_of(test.root.join(&row.name)));
        assert_eq!(
            (row.score, row.p_value, row.anomalous),
            (verdict.score, verdict.p_value, verdict.anomalous())
        );
        assert_eq!(row.slices, verdict.slices.iter().flatten().count());
        assert_eq!(row.label.is_normal(), row.name.starts_with("good/"));
        by_name.insert(row.name.clone(), verdict);
    }
    // AUROC is the share of pairs in the right order, and the matrix counts verdicts.
    let scores = |normal: bool| figures.volumes.iter().filter(move |row| row.label.is_normal() == normal);
    let pairs =
        scores(false).flat_map(|one| scores(true).map(move |other| one.score.total_cmp(&other.score)));
    let wins = pairs.map(|order| f64::from(order as i8 + 1) / 2.0).sum::<f64>();
    let auroc = figures.auroc.value().unwrap();
    assert!((auroc.estimate - wins / (NEW * LesionKind::ALL.len()) as f64).abs() < 1e-12);
    assert!(auroc.low <= auroc.estimate && auroc.estimate <= auroc.high && auroc.low < auroc.high);
    let called = |normal: bool| scores(normal).filter(|row| row.anomalous == Some(true)).count() as u64;
    let confusion = figures.confusion.value().unwrap();
    assert_eq!((confusion.true_positives, confusion.false_positives), (called(false), called(true)));
    let recall = figures.recall.value().unwrap();
    assert!((recall.rate - called(false) as f64 / LesionKind::ALL.len() as f64).abs() < 1e-12);
    assert_eq!(figures.false_alarms.promised, Some(0.1));
    assert_eq!(figures.false_alarms.groups, NEW);
    let text = evaluation.to_string();
    assert!(
        text.contains("Volumes, each judged as a whole")
            && text.contains("17 volumes: 9 normal, 8 anomalous")
    );

    // A row for each volume.
    let rows = evaluation.volumes_csv().unwrap();
    assert_eq!(rows.lines().count(), 1 + figures.volumes.len());
    let first = &figures.volumes[0];
    let found = format!(",{},{},{}", first.group, first.slices, first.score);
    assert!(rows.lines().nth(1).unwrap().contains(&found), "{rows}");

    // The file reads back; volumes of the detector's own are left out, and data without volumes have no such figures.
    let file = folder.path().join("evaluation.json");
    evaluation.save(&file).unwrap();
    assert_eq!(Evaluation::load(&file).unwrap(), evaluation);
    let all = Dataset::open(folder.path(), &OpenOptions::default()).unwrap().by_volume(&limits);
    // Masks are found beside compressed volumes, and compared slice by slice.
    let has_mask = |sample: &aberra::dataset::Sample| sample.mask.is_some() != sample.label.is_normal();
    assert!(all.samples.iter().all(has_mask), "{:?}", all.notes);
    let with_own = detector.evaluate_with(&all, options()).unwrap();
    let of_volumes = with_own.volumes.as_ref().unwrap();
    assert_eq!((of_volumes.own, of_volumes.volumes.len()), (30, figures.volumes.len()));
    // Their slices are no test either, also those that the detector was not made from.
    let beside_own = with_own.data.beside_own;
    assert_eq!(with_own.data.own.total() + beside_own, all.samples.len() - test.samples.len());
    assert!(beside_own > 0 && evaluation.data.beside_own == 0);
    let csv = with_own.scores_csv();
    assert_eq!(csv.matches(",beside_own,").count(), beside_own);
    // Slices of anomalous volumes whose masks mark nothing are in no figure of images, but in their volumes'.
    let mut unmarked = 0;
    for row in with_own.images.iter().filter(|row| row.scored().is_some()) {
        let sample = all.samples.iter().find(|sample| sample.name == row.name).unwrap();
        let marks = sample.mask.as_ref().is_some_and(|mask| {
            let mask = aberra::dataset::read_image(mask, sample.page, &limits).unwrap();
            mask.to_mask().contains(&true)
        });
        let expected = !row.label.is_normal() && !marks;
        assert_eq!(row.counted().is_none(), expected, "{}", row.name);
        unmarked += usize::from(expected);
    }
    assert!(unmarked > LesionKind::ALL.len());
    assert_eq!((with_own.data.unmarked, evaluation.data.unmarked), (unmarked, 0));
    let counted =
        |evaluation: &Evaluation| evaluation.data.labels.iter().map(|count| count.images).sum::<usize>();
    assert_eq!(counted(&with_own) + unmarked, counted(&evaluation));
    let confusion = with_own.verdicts.confusion;
    assert_eq!((confusion.normals() + confusion.anomalies()) as usize, counted(&with_own));
    assert_eq!(csv.matches(",unmarked,").count(), unmarked);
    let text = with_own.to_string();
    assert!(text.contains(&format!("Left out: {unmarked} slices of anomalous volumes")), "{text}");
    assert!(text.contains(&format!("Left out: {beside_own} slice")), "{text}");
    let scores = |figures: &VolumeFigures| figures.volumes.iter().map(|row| row.score).collect::<Vec<_>>();
    assert_eq!(scores(of_volumes), scores(figures));
    // They are recognised without figures of pixels, too.
    let plain = EvaluateOptions { masks: false, ..options() };
    assert_eq!(detector.evaluate_with(&all, plain).unwrap().data.unmarked, unmarked);
    // The report shows them as slices of their volumes, and counts them nowhere.
    let report = detector.report(&all, &with_own, ReportOptions::default()).unwrap();
    let data = report.data();
    assert_eq!(
        (data.evaluation.left_out_unmarked, data.evaluation.left_out_beside_own),
        (unmarked, beside_own)
    );
    assert_eq!(data.images.iter().filter(|image| image.weight == 0.0).count(), unmarked);
    assert_eq!(data.evaluation.figures.anomalies.images, confusion.anomalies() as usize);
    let slices = data.volumes.iter().flat_map(|volume| volume.slices.iter().flatten());
    assert_eq!(slices.count(), data.images.len());
    let plain = aberra::dataset::Sample { volume: None, ..test.samples[0].clone() };
    let images = Dataset { samples: vec![plain], ..test.clone() };
    let images = detector.evaluate_with(&images, options()).unwrap();
    assert_eq!((&images.volumes, images.volumes_csv()), (&None, None));

    // The report: the same verdicts, slices in their places, pictures of all that have room.
    let report = detector.report(&test, &evaluation, ReportOptions::default()).unwrap();
    let data = report.data();
    assert_eq!(data.volumes.len(), figures.volumes.len());
    for volume in &data.volumes {
        let verdict = &by_name[&volume.name];
        assert_eq!(
            (volume.score, volume.anomalous, volume.worst),
            (verdict.score, verdict.anomalous(), verdict.worst + 1)
        );
        assert_eq!((volume.slices.len(), volume.top), (SHAPE.slices, verdict.top));
        for (slice, score) in volume.slices.iter().zip(&verdict.slices) {
            let image = slice.map(|image| &data.images[image]);
            assert_eq!(image.map(|image| image.score), *score, "{}", volume.name);
            assert!(image.is_none_or(|image| image.pictures.is_some() && image.kind == volume.kind));
        }
    }
    assert!(data.summary.iter().any(|line| line.contains("Judged as a whole, volumes have an AUROC of")));
    let of_volumes = data.evaluation.volumes.as_ref().unwrap();
    assert_eq!((of_volumes.normals, of_volumes.anomalies), figures.counts());
    assert!(
        matches!(&of_volumes.auroc, Metric::Known(interval) if (interval.value - auroc.estimate).abs() < 1e-5)
    );
    let threshold = detector.volume_calibration().unwrap().calibration.threshold;
    assert_eq!(data.detector.volumes.as_ref().map(|volumes| volumes.threshold), Some(threshold));
}

#[test]
fn volumes_held_in_memory_are_those_of_their_files() {
    let series = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/series");
    let mut paths: Vec<PathBuf> = aberra::dataset::image_files(&series).map(Result::unwrap).collect();
    paths.sort();
    let limits = Limits::default();
    let named = |path: &PathBuf| path.to_string_lossy().into_owned();
    let mut files: Vec<(String, Vec<u8>)> =
        paths.iter().map(|path| (named(path), fs::read(path).unwrap())).collect();
    files.push(("broken.nii".to_owned(), b"no volume".to_vec()));
    let (held, refused) = HeldFiles::open(files, limits, limits.max_bytes);
    assert_eq!(refused.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["broken.nii"]);
    let Cases { cases, notes, .. } = held.cases();
    let expected = find_cases(paths, &limits);
    assert_eq!((&cases, &notes), (&expected.cases, &expected.notes));
    let (volumes, _) = HeldFiles::volumes(cases);
    assert!(volumes.len() > 1);
    for volume in &volumes {
        assert_eq!(held.empty_slices(volume), volume.empty_slices(&limits), "{}", volume.name);
        for slice in &volume.slices {
            let image = aberra::dataset::read_image(&slice.path, slice.page, &limits).unwrap();
            assert_eq!(held.read(slice).unwrap().pixels, image.pixels, "{}", slice.path.display());
        }
    }
    let mut other = volumes[0].slices[0].clone();
    other.path = PathBuf::from("elsewhere.dcm");
    assert!(held.read(&other).unwrap_err().to_string().contains("expected a slice of these files"));
}

#[test]
fn a_series_of_files_without_a_folder_is_called_by_the_first() {
    let series = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/series");
    let paths = aberra::dataset::image_files(&series).map(Result::unwrap);
    let bare =
        |path: PathBuf| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap());
    let mut files: Vec<(String, Vec<u8>)> = paths.map(bare).collect();
    files.sort();
    files.dedup_by(|one, other| one.0 == other.0);
    let (held, _) = HeldFiles::open(files, Limits::default(), u64::MAX);
    let (volumes, _) = HeldFiles::volumes(held.cases().cases);
    let named =
        |volume: &aberra::dataset::Volume| volume.name.contains(" and ") && volume.name.contains(" more");
    let series = || volumes.iter().filter(|volume| volume.slices.iter().all(|slice| slice.page.is_none()));
    assert!(series().count() > 0 && series().all(named), "{volumes:?}");
}
