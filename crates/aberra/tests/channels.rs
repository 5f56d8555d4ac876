//! Samples of several files: two-channel phantoms with an anomaly in one channel, which the verdict names and localises.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::explain::{sheet_png, story_png};
use aberra::export::{Axis, ExportOptions};
use aberra::image::{Color, Image, InvalidValue, Limits, decode, encode_nifti, encode_png};
use aberra::models::measure::Want;
use aberra::phantom::{MASK_TOLERANCE, slice};
use aberra::random::{Stream, generator};
use aberra::report::ReportOptions;
use aberra::{Detector, TrainConfig, Verdict};
use rand::RngExt;

const SIZE_PX: usize = 64;
/// Voxels of a millimetre, in RAS+.
const UPRIGHT: [[f64; 4]; 3] = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
/// How much a lesion changes the intensity of its channel.
const CHANGE: f32 = 0.33;

/// Another contrast of the same head: what is bright in the first channel is dark in the second.
fn second(first: &[f32]) -> Vec<f32> {
    first.iter().map(|&value| (1.0 - value) * ((value - 0.04) / 0.1).clamp(0.0, 1.0)).collect()
}

/// Both channels of a head, with a lesion in one of them or none, and where it lies.
struct Case {
    channels: [Vec<f32>; 2],
    lesion: Option<(usize, Vec<bool>)>,
}

impl Case {
    fn normal(index: u64) -> Self {
        let first = slice(11, index, SIZE_PX).pixels;
        Self { channels: [first.clone(), second(&first)], lesion: None }
    }

    /// A round lesion of 4 to 7 pixels of radius somewhere in the head, brighter or darker by a third, in one channel alone.
    fn with_lesion(index: u64) -> Self {
        let mut case = Self::normal(index);
        let mut random = generator(5, Stream::Lesion, index);
        let is_inside = |x: usize, y: usize| case.channels.iter().all(|one| one[y * SIZE_PX + x] > 0.12);
        let (x, y) = loop {
            let (x, y) = (random.random_range(12..SIZE_PX - 12), random.random_range(12..SIZE_PX - 12));
            if is_inside(x, y) {
                break (x as f32, y as f32);
            }
        };
        let (radius, channel) = (random.random_range(4.0..7.0_f32), index as usize % 2);
        let change = if random.random() { CHANGE } else { -CHANGE };
        let before = case.channels[channel].clone();
        for (at, value) in case.channels[channel].iter_mut().enumerate() {
            let distance = ((at % SIZE_PX) as f32 - x).hypot((at / SIZE_PX) as f32 - y);
            *value = (*value + change * (radius + 0.5 - distance).clamp(0.0, 1.0)).clamp(0.0, 1.0);
        }
        let changed = before.iter().zip(&case.channels[channel]);
        let mask = changed.map(|(a, b)| (a - b).abs() > MASK_TOLERANCE).collect();
        case.lesion = Some((channel, mask));
        case
    }

    fn write(&self, folder: &Path, name: &str) {
        std::fs::create_dir_all(folder).unwrap();
        for (number, channel) in self.channels.iter().enumerate() {
            let bytes: Vec<u8> = channel.iter().map(|value| (value * 255.0).round() as u8).collect();
            let png = encode_png(&bytes, SIZE_PX, SIZE_PX, Color::Grey).unwrap();
            std::fs::write(folder.join(format!("{name}_{number:04}.png")), png).unwrap();
        }
    }

    fn image(&self) -> Image {
        let pixels: Vec<f32> =
            self.channels[0].iter().zip(&self.channels[1]).flat_map(|(a, b)| [*a, *b]).collect();
        let quantised = pixels.iter().map(|value| (value * 255.0).round() / 255.0).collect();
        Image::from_pixels(quantised, SIZE_PX, SIZE_PX, 2).unwrap()
    }
}

fn settings(model: &str, epochs: usize) -> aberra::CheckedConfig {
    let text = format!(
        "{model}\n[preprocessing]\nsize_px = {SIZE_PX}\n[train]\nepochs = {epochs}\n\
         [promise]\nfalse_alarm_rate = 0.1"
    );
    let layers = [TrainConfig::parse_layer(&text).unwrap()];
    let mut config = TrainConfig::from_layers(&layers).unwrap().into_config();
    config.preprocessing.foreground_crop = None;
    config.check().unwrap()
}

fn open(folder: &Path) -> Dataset {
    Dataset::open(folder, &OpenOptions { cases: true, ..OpenOptions::default() }).unwrap()
}

/// Cases below `train/good` and `test`.
fn folder_of(normals: u64, anomalous: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..normals {
        Case::normal(index).write(&folder.path().join("train/good"), &format!("case{index:04}"));
    }
    for index in 0..anomalous {
        let number = 10_000 + index;
        Case::with_lesion(number).write(&folder.path().join("test/lesion"), &format!("case{number}"));
    }
    folder
}

/// Whether the verdict names the channel of the lesion, and the highest place of that channel's map lies in the lesion.
fn is_localised(detector: &Detector, verdict: &Verdict, case: &Case) -> (bool, bool) {
    let (channel, mask) = case.lesion.as_ref().unwrap();
    let map = verdict.channel_map(*channel).unwrap();
    let highest = (0..map.len()).max_by(|&a, &b| map[a].total_cmp(&map[b])).unwrap();
    (detector.most_unusual_channel(&verdict.evidence) == Some(*channel), mask[highest])
}

/// The detector as a model: evidence and maps of both channels agree.
fn exports(detector: &Detector, case: &Case) {
    let options = ExportOptions { evidence: true, images: vec![case.image()] };
    let description = detector.export(&options).unwrap().description;
    let output = |name: &str| description.outputs.iter().find(|output| output.name == name).unwrap();
    let side = Axis::Length(SIZE_PX);
    assert_eq!(output("channel_maps").shape, [Axis::Free("batch"), side, side, Axis::Length(2)]);
    assert_eq!(output("evidence").shape[1], Axis::Length(detector.descriptors().len()));
    assert_eq!(
        description.steps[0],
        "the channels 0000, 0001, in this order; integers are divided by the largest value of their type"
    );
    assert!(description.proof.unwrap().map_difference.is_some_and(|difference| difference > 0.0));
}

fn localised_share(detector: &Detector, count: u64) -> (f64, f64) {
    let cases: Vec<Case> = (0..count).map(|index| Case::with_lesion(10_000 + index)).collect();
    let images: Vec<Image> = cases.iter().map(Case::image).collect();
    let verdicts = detector.score(&images);
    let found =
        cases.iter().zip(verdicts).map(|(case, verdict)| is_localised(detector, &verdict.unwrap(), case));
    let (named, localised): (Vec<bool>, Vec<bool>) = found.unzip();
    let share = |found: &[bool]| found.iter().filter(|&&one| one).count() as f64 / count as f64;
    (share(&named), share(&localised))
}

#[test]
fn an_anomaly_in_one_channel_is_localised_in_it_by_every_path() {
    let folder = folder_of(120, 4);
    let dataset = open(folder.path());
    assert_eq!((dataset.counts(), dataset.channel_files()), ((120, 4), vec!["0000", "0001"]));
    assert!(dataset.notes.iter().any(|note| note.contains("channels 0000, 0001")), "{:?}", dataset.notes);
    let config = settings("model.preset = \"small\"\nmodel.beta = 0.1", 60);
    let trained = Detector::train(&dataset, &config).unwrap();
    let detector = Detector::from_bytes(&trained.to_bytes().unwrap()).unwrap();
    assert_eq!(detector.channels(), ["0000", "0001"]);
    let names: Vec<&str> = detector.descriptors().iter().map(|one| one.name.as_ref()).collect();
    assert!(names.contains(&"channel.0000") && names.contains(&"channel.0001"), "{names:?}");

    // More epochs find more; these are few, so that the test is short.
    let (named, localised) = localised_share(&detector, 60);
    assert!(named >= 0.7 && localised >= 0.7, "named {named}, localised {localised}");

    // From files, by the first of a case, and from memory: the same bits.
    let case = Case::with_lesion(10_000);
    let path = folder.path().join("test/lesion/case10000_0000.png");
    let from_memory = detector.score_one(&case.image()).unwrap();
    let from_file = detector.score_one(&path).unwrap();
    let sample = dataset.samples.iter().find(|sample| sample.path == path).unwrap();
    let from_sample = detector.score_inputs(vec![detector.read_sample(sample)], Want::ALL).remove(0).unwrap();
    for other in [&from_file, &from_sample] {
        assert_eq!(other.score.to_bits(), from_memory.score.to_bits());
        assert_eq!(other.channel_maps, from_memory.channel_maps);
    }
    assert_eq!(from_file.channel_maps.as_ref().unwrap().len(), 2 * SIZE_PX * SIZE_PX);

    exports(&detector, &case);

    // What a person is shown.
    let story = detector.explain(&case.image()).unwrap();
    assert!(decode(&story_png(&detector, &story, &[]).unwrap(), &Limits::default()).is_ok());
    assert!(sheet_png(&[&from_file], detector.pixel_threshold(), 1, 1).is_ok());
    let tested = Dataset::open(
        &folder.path().join("test"),
        &OpenOptions { normal: vec!["*".into()], cases: detector.takes_cases() },
    );
    let tested = tested.unwrap();
    let evaluation = detector.evaluate(&tested).unwrap();
    let report = detector.report(&tested, &evaluation, ReportOptions::default()).unwrap();
    // The report names what the pictures do not show.
    let shown = report.data().detector.pictures_show.as_deref();
    assert_eq!(shown, detector.config().preprocessing.shown_in_words().as_deref());
    assert!(shown.is_some_and(|text| text.contains("pictures show the channel")));

    // Other images are refused with what was expected.
    let grey = Image::from_pixels(case.channels[0].clone(), SIZE_PX, SIZE_PX, 1).unwrap();
    let refused = detector.score_one(&grey).unwrap_err().to_string();
    assert!(refused.contains("channels 0000, 0001, found an image of 1 channel without names"), "{refused}");
    let alone = detector.score_one(&folder.path().join("test/lesion/case10000_0001.png")).unwrap_err();
    assert!(alone.to_string().contains("expected an image of the channels 0000, 0001"), "{alone}");
    let more = folder.path().join("test/lesion/case10000_0002.png");
    std::fs::copy(&path, &more).unwrap();
    let refused = detector.score_one(&path).unwrap_err().to_string();
    assert!(refused.contains("of the channels 0000, 0001 alone, found case10000_0002.png, too"), "{refused}");
}

#[test]
fn a_volume_of_channels_has_as_many_slices_in_each() {
    let folder = tempfile::tempdir().unwrap();
    for (file, slices) in [("a_0000.nii", 6), ("a_0001.nii", 6), ("b_0000.nii", 6), ("b_0001.nii", 5)] {
        let voxels: Vec<f32> = (0..24 * 24 * slices).map(|at| (at * 7 % 251) as f32).collect();
        let nifti = encode_nifti(&voxels, [24, 24, slices], UPRIGHT).unwrap();
        std::fs::write(folder.path().join(file), nifti).unwrap();
    }
    let dataset = open(folder.path()).by_volume(&Limits::default());
    let read = |name: &str| {
        let sample = dataset.samples.iter().find(|sample| sample.name.starts_with(name)).unwrap();
        sample.read(&Limits::default())
    };
    assert_eq!(read("a.").unwrap().channels, 2);
    let refused = read("b.").unwrap_err().to_string();
    assert!(refused.contains("same number of slices, found 6 in 0000 and 5 in 0001"), "{refused}");
}

#[test]
fn families_of_the_backbone_see_each_channel_by_itself() {
    let folder = folder_of(70, 0);
    let config = settings("model.family = \"features\"", 1);
    let trained = Detector::train(&open(folder.path()), &config).unwrap();
    let detector = Detector::from_bytes(&trained.to_bytes().unwrap()).unwrap();
    let names: Vec<&str> = detector.members().iter().map(|named| named.name.as_str()).collect();
    assert_eq!(names, ["features-0000", "features-0001"]);
    let case = Case::with_lesion(10_001);
    let (before, after) =
        (trained.score_one(&case.image()).unwrap(), detector.score_one(&case.image()).unwrap());
    assert_eq!(
        (before.score.to_bits(), before.channel_maps),
        (after.score.to_bits(), after.channel_maps.clone())
    );
    // A change of the second channel changes nothing in the map of the first.
    let normal = detector.score_one(&Case::normal(10_001).image()).unwrap();
    assert_eq!(after.channel_map(0).unwrap(), normal.channel_map(0).unwrap());
    assert_ne!(after.channel_map(1).unwrap(), normal.channel_map(1).unwrap());
    exports(&detector, &case);
}

#[test]
fn a_manifest_names_the_channels_and_what_does_not_fit_is_said() {
    let folder = folder_of(2, 0);
    let root = folder.path();
    let list = |rows: &str| {
        std::fs::write(root.join("list.csv"), rows).unwrap();
        Dataset::open(&root.join("list.csv"), &OpenOptions::default())
    };
    let row = "train/good/case0000_0000.png,train/good/case0000_0001.png,normal\n";
    let dataset = list(&format!("path_t1,path_flair,label\n{row}")).unwrap();
    assert_eq!(dataset.channel_files(), ["t1", "flair"]);
    let image = dataset.samples[0].read(&Limits::default()).unwrap();
    assert_eq!(
        (image.channels, image.source.channels.as_slice()),
        (2, &["t1".to_owned(), "flair".to_owned()][..])
    );
    assert_eq!(image.pixels, Case::normal(0).image().pixels);

    for (rows, expected) in [
        ("path_t1,label\na.png,normal\n".to_owned(), "expected a column `path`, or instead of it several"),
        (
            format!("path,path_t1,path_flair\na.png,{}", &row[..row.len() - 8]),
            "expected a column `path`, or instead",
        ),
        (
            "path_t1,path_flair,label\na.png,,normal\n".to_owned(),
            "line 2: expected a file for the channel flair",
        ),
        (
            "path_t1,path_t1,label\na.png,b.png,normal\n".to_owned(),
            "expected one column `path_t1`, found several",
        ),
    ] {
        let refused = list(&rows).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }

    // An image by all of its files, and the file that is missing by its name.
    let other = "train/good/case0000_0000.png,train/good/case0001_0001.png,normal\n";
    assert_eq!(list(&format!("path_t1,path_flair,label\n{row}{other}")).unwrap().samples.len(), 2);
    let lost =
        list(&format!("path_t1,path_flair,label\n{row}train/good/case0001_0000.png,lost.png,normal\n"));
    let notes = lost.unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("does not exist (lost.png)")), "{notes:?}");

    // Another size.
    let small = encode_png(&[0; 32 * 32], 32, 32, Color::Grey).unwrap();
    std::fs::write(root.join("small.png"), small).unwrap();
    let other = list("path_t1,path_flair\ntrain/good/case0000_0000.png,small.png\n").unwrap();
    let refused = other.samples[0].read(&Limits::default()).unwrap_err().to_string();
    assert!(refused.contains("t1 with 64 x 64 and flair with 32 x 32 pixels"), "{refused}");

    // Unasked, every file is an image, and that is said.
    let apart = Dataset::open(&root.join("train"), &OpenOptions::default()).unwrap();
    assert_eq!((apart.samples.len(), apart.channel_files().len()), (4, 0));
    assert!(apart.notes.iter().any(|note| note.contains("each is taken as an image of its own")));
}

/// An image in the layout of MVTec 3D-AD: colours, and coordinates that are 0 where they were not measured.
fn write_mvtec_3d(folder: &Path, number: usize, is_masked: bool) {
    let file = |channel: &str, extension: &str| folder.join(channel).join(format!("{number:03}.{extension}"));
    for channel in ["rgb", "xyz", "gt"] {
        std::fs::create_dir_all(folder.join(channel)).unwrap();
    }
    let place = |at: usize| (at % 16, at / 16);
    let colors: Vec<u8> = (0..256 * 3).map(|at| (at * 5 + number * 11) as u8).collect();
    std::fs::write(file("rgb", "png"), encode_png(&colors, 16, 16, Color::Rgb).unwrap()).unwrap();
    let header = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (16, 16, 3), }");
    let coordinates = (0..256).flat_map(|at| {
        let (x, y) = place(at);
        let is_hole = x.abs_diff(number % 12) < 3 && y.abs_diff(number * 7 % 13) < 3;
        [x as f32, y as f32, 40.0 + (number % 5) as f32 - x as f32]
            .map(|value| if is_hole { 0.0 } else { value + 1.0 })
    });
    let values = coordinates.flat_map(f32::to_le_bytes);
    let array = b"\x93NUMPY\x01\x00\x76\x00".iter().copied().chain(header.bytes()).chain(values);
    std::fs::write(file("xyz", "npy"), array.collect::<Vec<u8>>()).unwrap();
    let mask: Vec<u8> = (0..256).map(|at| if is_masked && place(at).0 > 8 { 255 } else { 0 }).collect();
    std::fs::write(file("gt", "png"), encode_png(&mask, 16, 16, Color::Grey).unwrap()).unwrap();
}

#[test]
fn the_layout_of_mvtec_3d_is_read_with_masks_and_scored_by_the_first_file() {
    let root = tempfile::tempdir().unwrap();
    let [train, normal, hole] =
        ["train/good", "test/good", "test/hole"].map(|folder| root.path().join(folder));
    (0..60).for_each(|number| write_mvtec_3d(&train, number, false));
    (60..64).for_each(|number| write_mvtec_3d(&normal, number, false));
    (64..67).for_each(|number| write_mvtec_3d(&hole, number, true));
    let dataset = Dataset::open(root.path(), &OpenOptions::default()).unwrap();
    assert_eq!((dataset.samples.len(), dataset.channel_files()), (67, vec!["rgb", "xyz"]));
    let anomalous: Vec<_> = dataset.samples.iter().filter(|sample| !sample.label.is_normal()).collect();
    assert!(anomalous.iter().all(|sample| sample.mask.is_some()) && anomalous.len() == 3);
    assert_eq!(anomalous[0].name, "test/hole/064.png");

    let mut config = settings("model.family = \"autoencoder\"\nmodel.channels = [8]", 1).into_config();
    config.preprocessing.size_px = 16;
    config.preprocessing.invalid = vec![InvalidValue { channel: Some("xyz".into()), value: 0.0 }];
    let detector = Detector::train(&dataset, &config.check().unwrap()).unwrap();
    let names = ["rgb_1", "rgb_2", "rgb_3", "xyz_1", "xyz_2", "xyz_3"];
    assert_eq!(detector.channels(), names.map(str::to_owned));
    let file = hole.join("rgb/064.png");
    let input = detector.read_input(&file, &[], None, &Limits::default()).unwrap();
    let of_sample = detector.read_sample(anomalous[0]).unwrap();
    assert_eq!((&input.pixels, &input.unseen), (&of_sample.pixels, &of_sample.unseen));
    // Of the six channels, those of the coordinates have a hole.
    let pixels = || input.unseen.chunks_exact(6);
    assert!(pixels().any(|pixel| pixel[3..] == [true; 3]) && pixels().all(|pixel| pixel[..3] == [false; 3]));
    std::fs::remove_file(hole.join("xyz/064.npy")).unwrap();
    let lost = detector.read_input(&file, &[], None, &Limits::default()).unwrap_err().to_string();
    assert!(lost.contains("xyz"), "{lost}");
    let refused = Dataset::open(root.path(), &OpenOptions::default()).unwrap_err().to_string();
    assert!(refused.contains("found rgb of test/hole/064"), "{refused}");
}

#[test]
fn an_array_of_many_channels_is_an_image_and_other_channels_among_them_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let array = |channels: usize| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': (16, 16, {channels}), }}");
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend((0..16 * 16 * channels).map(|at| (at * 7 % 251) as u8));
        bytes
    };
    for (name, channels) in [("a", 5), ("b", 5), ("c", 2)] {
        std::fs::write(folder.path().join(format!("{name}.npy")), array(channels)).unwrap();
    }
    let dataset = Dataset::open(folder.path(), &OpenOptions::default()).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    assert_eq!(inspection.get(0).unwrap().channels, ["1", "2", "3", "4", "5"]);
    let refused = inspection.channels(&dataset).unwrap_err().to_string();
    assert!(
        refused.contains("the channels 1, 2, 3, 4, 5 in a.npy and the channels 1, 2 in c.npy"),
        "{refused}"
    );
    let refused = decode(&array(17), &Limits::default()).unwrap_err().to_string();
    assert!(refused.contains("up to 16 channels"), "{refused}");
}
