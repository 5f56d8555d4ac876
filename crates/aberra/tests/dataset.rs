//! The dataset room on generated folders: layouts, planted problems, splits and their files.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aberra::dataset::{
    Dataset, Fingerprint, Fold, FolderSplit, Gravity, GroupBy, Grouping, Inspection, Label, Layout,
    OpenOptions, Property, ShortcutPart, Sketch, Split, SplitPolicy, SplitSettings, SplitSizes,
    describe_marked_folders, doctor, image_files, smallest_rate,
};
use aberra::image::{ImageId, Limits};
use aberra::run::{Claim, RunFolder};
use image::{GrayImage, ImageFormat, Luma};
use proptest::prelude::*;
use tempfile::TempDir;

/// Blobs at positions that depend on the seed: images of different seeds are not alike, those of one are.
fn picture(seed: u32, side: u32) -> GrayImage {
    let hash = |i: u32| {
        let mut x = seed.wrapping_mul(0x9e37_79b9).wrapping_add(i.wrapping_mul(0x85eb_ca6b)) | 1;
        for _ in 0..3 {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
        }
        f64::from(x % 1000) / 1000.0
    };
    let blobs: Vec<[f64; 4]> = (0..7)
        .map(|i| [hash(4 * i), hash(4 * i + 1), 0.05 + 0.1 * hash(4 * i + 2), hash(4 * i + 3)])
        .collect();
    GrayImage::from_fn(side, side, |x, y| {
        let (x, y) = (f64::from(x) / f64::from(side), f64::from(y) / f64::from(side));
        let value: f64 = blobs
            .iter()
            .map(|[bx, by, r, v]| v * (-((x - bx).powi(2) + (y - by).powi(2)) / (r * r)).exp())
            .sum();
        Luma([(20.0 + 200.0 * value).min(255.0) as u8])
    })
}

fn save(image: &GrayImage, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn open(folder: &Path, normal: &[&str]) -> aberra::Result<Dataset> {
    Dataset::open(
        folder,
        &OpenOptions {
            normal: normal.iter().map(|&name| name.to_owned()).collect(),
            ..OpenOptions::default()
        },
    )
}

fn looked_at(folder: &Path) -> (Dataset, Inspection, Grouping) {
    let dataset = open(folder, &[]).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    let grouping = Grouping::of(&dataset, &inspection, GroupBy::Near).unwrap();
    (dataset, inspection, grouping)
}

fn names(dataset: &Dataset) -> Vec<&str> {
    dataset.samples.iter().map(|sample| sample.name.as_str()).collect()
}

#[test]
fn planted_problems_are_found() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for seed in 0..30 {
        save(&picture(seed, 64), &at(&format!("train/good/{seed:02}.png")));
    }
    for seed in 100..110 {
        save(&picture(seed, 96), &at(&format!("test/crack/{seed}.png")));
    }
    fs::copy(at("train/good/03.png"), at("train/good/03 copy, again.png")).unwrap();
    save(&image::imageops::rotate90(&picture(5, 80)), &at("test/good/turned.png"));
    let twin = picture(7, 64);
    save(&twin, &at("test/crack/mislabelled.png"));
    fs::write(at("train/good/text.png"), "not an image").unwrap();
    twin.save_with_format(at("train/good/really_png.jpg"), ImageFormat::Png).unwrap();
    save(&GrayImage::new(64, 64), &at("train/good/black.png"));
    save(&GrayImage::from_pixel(1, 1, Luma([9])), &at("train/good/one.png"));
    fs::write(at("README.md"), "words").unwrap();
    fs::write(at(".hidden.png"), "words").unwrap();

    let (dataset, inspection, grouping) = looked_at(folder.path());
    let report = doctor(&dataset, &inspection, &grouping);
    let group =
        |name: &str| grouping.group_of[names(&dataset).iter().position(|&other| other == name).unwrap()];
    assert_eq!(dataset.layout, Layout::Mvtec);
    assert_eq!(group("train/good/03.png"), group("train/good/03 copy, again.png"));
    assert_eq!(group("train/good/05.png"), group("test/good/turned.png"));
    assert_eq!(grouping.count, 30 + 10 + 3, "{:?}", grouping.members());
    let named =
        |list: &[aberra::dataset::Named]| list.iter().map(|named| named.name.clone()).collect::<Vec<_>>();
    assert_eq!(named(&report.unreadable), ["train/good/one.png", "train/good/text.png"]);
    assert_eq!(named(&report.misnamed), ["train/good/really_png.jpg"]);
    assert_eq!(named(&report.empty), ["train/good/black.png"]);
    assert_eq!(report.skipped.other.get("md"), Some(&1));
    assert_eq!(report.copies.contradictory.len(), 1);
    assert_eq!(report.copies.contradictory[0].1, "test/crack/mislabelled.png");
    assert_eq!(report.copies.across_parts.leak.normal_leaked, 1);
    let size = report.shortcuts.iter().find(|shortcut| shortcut.property == Property::PixelCount).unwrap();
    assert!(size.is_suspicious() && size.is_higher_in_anomalies, "{size:?}");
    // Ten anomalies of 96 pixels and one of 64 against a normal one of 80: the normals of the training part do not count.
    assert_eq!((report.shortcut_part, size.auroc), (ShortcutPart::GivenTest, 10.0 / 11.0));
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.gravity == Gravity::Wrong && finding.text.contains("both normal"))
    );
    let text = report.to_string();
    for expected in [
        "MVTec",
        "text.png",
        "really_png.jpg: PNG",
        "WRONG",
        "labelled both normal and anomalous",
        "on the given test part",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["copies"]["exact_sets"], 2);
}

#[test]
fn a_sketch_recognises_copies_only() {
    let folder = TempDir::new().unwrap();
    for seed in 0..12 {
        save(&picture(seed, 64), &folder.path().join(format!("{seed:02}.png")));
    }
    save(&image::imageops::flip_vertical(&picture(3, 90)), &folder.path().join("x.png"));
    save(&picture(50, 64), &folder.path().join("y.png"));
    let (_, inspection, grouping) = looked_at(folder.path());
    let prints: Vec<_> = inspection.images.iter().map(|seen| &seen.as_ref().unwrap().fingerprint).collect();
    let sketches: Vec<Sketch> = prints[..12].iter().map(|print| Sketch::of(print)).collect();
    let found =
        Sketch::find_copies(&sketches, &[prints[12], prints[13], prints[4]], grouping.threshold.unwrap());
    assert_eq!(found, [Some(3), None, Some(4)]);

    // Another page of the same file is another image; a sketch of before pages were told apart is of the first.
    let first = serde_json::to_value(&sketches[4]).unwrap();
    assert_eq!(first.as_str().unwrap().len(), 320);
    let page = Fingerprint { id: ImageId { frame: 7, ..prints[4].id }, pixels: [0; 32], ..blank(prints[4]) };
    let kept = Sketch::of(&page);
    let text = serde_json::to_value(&kept).unwrap();
    assert!(text.as_str().unwrap().ends_with(":7"), "{text}");
    for (sketch, text) in [(&sketches[4], first), (&kept, text)] {
        assert_eq!(&serde_json::from_value::<Sketch>(text).unwrap(), sketch);
    }
    let other = Fingerprint { id: ImageId { frame: 8, ..page.id }, pixels: [1; 32], ..page.clone() };
    assert_eq!(Sketch::find_copies(&[kept], &[&page, &other], 1.0), [Some(0), None]);
    for wrong in ["00", "00:1", "x"] {
        assert!(serde_json::from_value::<Sketch>(wrong.into()).is_err(), "{wrong}");
    }
}

/// The fingerprint of an image of one value, which is like no other.
fn blank(print: &Fingerprint) -> Fingerprint {
    let flat = vec![0; print.stretched.len()];
    Fingerprint { stretched: flat.clone(), padded: flat.clone(), frame: flat, ..print.clone() }
}

#[test]
fn class_folders_need_a_known_normal_class() {
    let folder = TempDir::new().unwrap();
    for (seed, name) in
        ["Training/glioma/a.png", "Training/brain/b.png", "Testing/brain/c.png"].iter().enumerate()
    {
        save(&picture(seed as u32, 16), &folder.path().join(name));
    }
    save(&picture(9, 16), &folder.path().join("masks/Training/glioma/a.png"));
    let error = open(folder.path(), &[]).unwrap_err();
    assert!(error.is_data() && error.to_string().contains("`brain`, `glioma`"), "{error}");
    let error = open(folder.path(), &["notumor"]).unwrap_err();
    assert!(
        error.to_string().contains("`notumor`") && error.to_string().contains("`brain`, `glioma`"),
        "{error}"
    );
    let dataset = open(folder.path(), &["brain"]).unwrap();
    assert_eq!(names(&dataset), ["Testing/brain/c.png", "Training/brain/b.png", "Training/glioma/a.png"]);
    assert_eq!(dataset.samples[0].folder_split, Some(FolderSplit::Test));
    assert_eq!(dataset.samples[2].label, Label::Anomalous { kind: "glioma".into() });
    assert_eq!(dataset.samples[2].mask, Some(folder.path().join("masks/Training/glioma/a.png")));
    assert_eq!(open(folder.path(), &["*"]).unwrap().counts(), (3, 0));
    assert!(open(&folder.path().join("Training"), &["brain"]).is_ok());
    assert_eq!(open(&folder.path().join("Training/brain"), &[]).unwrap().layout, Layout::Plain);
}

#[test]
fn an_empty_folder_is_an_error() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("notes.txt"), "words").unwrap();
    let error = open(folder.path(), &[]).unwrap_err();
    assert!(error.is_data() && error.to_string().contains("1 other files"), "{error}");
    assert!(open(&folder.path().join("absent"), &[]).unwrap_err().is_io());
}

#[test]
fn folders_that_aberra_wrote_are_no_data_wherever_they_lie() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (seed, name) in ["good/a.png", "good/deep/b.png", "crack/c.png"].iter().enumerate() {
        save(&picture(seed as u32, 16), &at(name));
    }
    let listed = |path: &Path| {
        let mut files = image_files(path);
        let found: Vec<_> = files.by_ref().map(|file| file.unwrap()).collect();
        (found, files.passed_over().marked_folders)
    };
    let (before, (files, none)) = (open(folder.path(), &[]).unwrap(), listed(folder.path()));
    assert!(none.is_empty() && before.skipped.marked_folders.is_empty());

    // A run beside the classes, one deep within a class, and heat maps.
    for name in ["run", "good/deep/run"] {
        let run = RunFolder::claim(&at(name), Claim::New).unwrap();
        save(&picture(8, 16), &run.samples(None).join("epoch-0001.png"));
    }
    RunFolder::mark(&at("crack/maps")).unwrap();
    save(&picture(9, 16), &at("crack/maps/000001-c.png"));
    let marked = ["crack/maps", "good/deep/run", "run"];
    let after = open(folder.path(), &[]).unwrap();
    assert_eq!((&after.samples, &after.layout), (&before.samples, &before.layout));
    assert_eq!(after.skipped.marked_folders, marked);
    assert_eq!(listed(folder.path()), (files, marked.map(at).to_vec()));
    assert_eq!(
        describe_marked_folders(&after.skipped.marked_folders).unwrap(),
        "3 folders that Aberra wrote (such as crack/maps)"
    );
    let report = doctor(&after, &after.inspect(&Limits::default()), &looked_at(folder.path()).2);
    assert!(report.to_string().contains("passed over  3 folders that Aberra wrote"), "{report}");

    // Named itself, such a folder is listed; what a listing finds nothing but is said.
    assert_eq!(listed(&at("crack/maps")).0, [at("crack/maps/000001-c.png")]);
    fs::remove_dir_all(at("good")).unwrap();
    fs::remove_dir_all(at("crack")).unwrap();
    let error = open(folder.path(), &[]).unwrap_err();
    assert!(error.to_string().contains("though 1 folder that Aberra wrote (run)"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn odd_names_and_link_loops_work() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9, \"one\".png");
    save(&picture(1, 16), &folder.path().join("sub folder/a.png"));
    fs::copy(folder.path().join("sub folder/a.png"), folder.path().join(odd)).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("sub folder/loop")).unwrap();
    let dataset = open(folder.path(), &[]).unwrap();
    assert_eq!(dataset.samples.len(), 2);
    assert_eq!(dataset.skipped.unreachable.len(), 1);
    assert!(dataset.inspect(&Limits::default()).unreadable().is_empty());
}

#[test]
fn manifests_give_labels_groups_parts_and_masks() {
    let folder = TempDir::new().unwrap();
    for (seed, name) in ["a, b.png", "c.png", "d.png"].iter().enumerate() {
        save(&picture(seed as u32, 16), &folder.path().join(name));
    }
    let csv =
        "path,label,kind,group,split,mask\n\"a, b.png\",normal,,p1,train,\nc.png,1,crack,p1,test,d.png\n";
    fs::write(folder.path().join("list.csv"), csv).unwrap();
    let json = "{\"path\":\"a, b.png\",\"label\":0,\"group\":\"p1\",\"split\":\"train\"}\n\n\
                {\"path\":\"c.png\",\"label\":\"anomalous\",\"kind\":\"crack\",\"group\":\"p1\",\"split\":\"test\",\"mask\":\"d.png\"}\n";
    fs::write(folder.path().join("list.jsonl"), json).unwrap();
    let from_csv = open(&folder.path().join("list.csv"), &[]).unwrap();
    assert_eq!(from_csv.samples, open(&folder.path().join("list.jsonl"), &[]).unwrap().samples);
    assert_eq!(from_csv.samples[1].label.kind(), Some("crack"));
    assert_eq!(from_csv.samples[1].mask, Some(folder.path().join("d.png")));
    let inspection = from_csv.inspect(&Limits::default());
    assert_eq!(Grouping::of(&from_csv, &inspection, GroupBy::Manifest).unwrap().count, 1);
    assert_eq!(Grouping::of(&from_csv, &inspection, GroupBy::None).unwrap().count, 2);
    for (text, expected) in [
        ("path,colour\na.png,red\n", "`colour`"),
        ("path,label\nc.png,maybe\n", "line 2: expected label"),
        ("path,split\nc.png,later\n", "line 2: expected split"),
        ("path\nabsent.png\n", "none of the 1 files"),
        ("label\nnormal\n", "column `path`"),
        ("path\n", "found none"),
    ] {
        fs::write(folder.path().join("wrong.csv"), text).unwrap();
        let error = open(&folder.path().join("wrong.csv"), &[]).unwrap_err();
        assert!(error.is_data() && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn sizes_support_the_rate_or_say_what_does() {
    let settings = SplitSettings::default();
    assert_eq!(
        SplitSizes::of(286, &settings).unwrap(),
        SplitSizes { train: 131, fit: 39, calibration: 59, test: 57 }
    );
    let one_percent = SplitSettings { rate: 0.01, ..settings.clone() };
    assert_eq!(SplitSizes::of(286, &one_percent).unwrap().calibration, 99);
    let error = SplitSizes::of(30, &settings).unwrap_err();
    let (text, hint) = (error.to_string(), error.hint().unwrap().to_owned());
    assert!(error.is_data() && text.contains("needs 47 groups") && text.contains("found 30"), "{text}");
    assert!(hint.contains("11.11 %"), "{hint}");
    let smallest = smallest_rate(30, 0.2).unwrap();
    assert!(SplitSizes::of(30, &SplitSettings { rate: smallest, ..settings.clone() }).is_ok());
    assert!(SplitSizes::of(30, &SplitSettings { rate: smallest - 0.005, ..settings.clone() }).is_err());
    assert!(SplitSizes::of(47, &settings).is_ok() && SplitSizes::of(46, &settings).is_err());
    // Where the test part is given, the others need these.
    let given = SplitSettings { test_share: 0.0, ..settings.clone() };
    assert!(SplitSizes::of(38, &given).is_ok() && SplitSizes::of(37, &given).is_err());
    for rate in [0.0, -1.0, 0.6, f64::NAN] {
        assert!(SplitSizes::of(286, &SplitSettings { rate, ..settings.clone() }).unwrap_err().is_settings());
    }
    assert_eq!(smallest_rate(0, 0.2), None);
}

/// A data set that exists only on paper: groups of normals and of anomalies by the given sizes.
fn on_paper(normals: &[usize], anomalies: &[usize]) -> (Dataset, Inspection, Grouping) {
    let mut folder = Vec::new();
    let mut group_of = Vec::new();
    for (group, (&size, normal)) in
        normals.iter().map(|size| (size, true)).chain(anomalies.iter().map(|size| (size, false))).enumerate()
    {
        for _ in 0..size {
            let label = if normal { Label::Normal } else { Label::Anomalous { kind: "spot".into() } };
            let index = folder.len();
            folder.push(aberra::dataset::Sample {
                path: format!("{index:05}").into(),
                channels: Vec::new(),
                page: None,
                volume: None,
                name: format!("{index:05}"),
                label,
                mask: None,
                group: None,
                folder_split: Some(if index % 3 == 0 { FolderSplit::Test } else { FolderSplit::Train }),
            });
            group_of.push(group);
        }
    }
    let image = aberra::image::Image::from_pixels(vec![0.5; 64], 8, 8, 1).unwrap();
    let seen = aberra::dataset::Inspected::of(&image, Path::new("x.png"));
    let inspection = Inspection { images: vec![Ok(seen); folder.len()] };
    let count = normals.len() + anomalies.len();
    let grouping = Grouping {
        by: GroupBy::Near,
        group_of,
        count,
        exact: vec![],
        near: vec![],
        threshold: None,
        close_look: None,
        patients: 0,
    };
    let dataset = Dataset {
        root: "paper".into(),
        layout: Layout::Plain,
        samples: folder,
        skipped: aberra::dataset::Skipped::default(),
        notes: vec![],
    };
    (dataset, inspection, grouping)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splits_are_disjoint_whole_and_seeded(
        normals in prop::collection::vec(1usize..5, 50..150),
        anomalies in prop::collection::vec(1usize..4, 0..20),
        seed in 0u64..1000,
        fold in prop::option::of(0usize..5),
    ) {
        let (dataset, inspection, grouping) = on_paper(&normals, &anomalies);
        let settings = SplitSettings { seed, ..SplitSettings::default() };
        let make = |settings: &SplitSettings| match fold {
            Some(index) => Split::fold(&dataset, &inspection, &grouping, settings, Fold { index, of: 5 }),
            None => Split::of(&dataset, &inspection, &grouping, settings),
        };
        let split = make(&settings).unwrap();
        prop_assert_eq!(&split, &make(&settings).unwrap());
        let parts = [&split.train, &split.fit, &split.calibration, &split.test];
        let mut all: Vec<usize> = parts.iter().copied().chain([&split.unused, &split.unreadable]).flatten().copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..dataset.samples.len()).collect::<Vec<_>>());
        let groups: Vec<BTreeSet<usize>> =
            parts.iter().map(|part| part.iter().map(|&index| grouping.group_of[index]).collect()).collect();
        for a in 0..4 {
            for b in 0..a {
                prop_assert!(groups[a].is_disjoint(&groups[b]));
            }
        }
        // All members of their groups but in calibration, which has one of each.
        let members = |group: &usize| match normals.get(*group) {
            Some(&count) => count,
            None => anomalies[group - normals.len()],
        };
        for part in [0, 1, 3] {
            prop_assert_eq!(parts[part].len(), groups[part].iter().map(members).sum::<usize>());
        }
        prop_assert_eq!(groups[2].len(), split.calibration.len());
        for part in &parts[..3] {
            prop_assert!(part.iter().all(|&index| dataset.samples[index].label.is_normal()));
        }
        prop_assert_eq!((split.calibration.len() + 1) % 20, 0);
        let tested = split.test.iter().filter(|&&index| !dataset.samples[index].label.is_normal());
        prop_assert_eq!(tested.count(), anomalies.iter().sum::<usize>());
        let other = make(&SplitSettings { seed: seed + 1, ..settings }).unwrap();
        prop_assert_ne!(&other.calibration, &split.calibration);
    }
}

#[test]
fn folds_test_every_group_of_normals_once() {
    let (dataset, inspection, grouping) = on_paper(&[2; 103], &[1; 4]);
    let settings = SplitSettings::default();
    let mut tested = Vec::new();
    for index in 0..5 {
        let split = Split::fold(&dataset, &inspection, &grouping, &settings, Fold { index, of: 5 }).unwrap();
        tested.extend(split.test.iter().map(|&index| grouping.group_of[index]).filter(|&group| group < 103));
    }
    tested.sort_unstable();
    // Both members of each group.
    assert_eq!(tested, (0..103).flat_map(|group| [group, group]).collect::<Vec<_>>());
    assert!(
        Split::fold(&dataset, &inspection, &grouping, &settings, Fold { index: 5, of: 5 })
            .unwrap_err()
            .is_settings()
    );
}

#[test]
fn kept_folders_report_their_leak() {
    let (dataset, inspection, grouping) = on_paper(&[3; 60], &[3; 6]);
    let settings = SplitSettings { policy: SplitPolicy::Layout, ..SplitSettings::default() };
    let split = Split::of(&dataset, &inspection, &grouping, &settings).unwrap();
    let leak = split.leak.unwrap();
    assert_eq!((leak.normal, leak.normal_leaked, leak.anomalous, leak.anomalous_leaked), (60, 60, 6, 0));
    assert!(split.test.iter().all(|&index| dataset.samples[index].folder_split == Some(FolderSplit::Test)));
    assert!(split.train.iter().all(|&index| dataset.samples[index].folder_split == Some(FolderSplit::Train)));
    assert!(split.display(&dataset).to_string().contains("60 of 60 normal"));
}

/// An uncompressed DICOM file of an 8-bit grey image, taken by a device of this maker in this field.
fn dicom(patient: &str, maker: &str, tesla: &str, image: &GrayImage) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    let mut element = |tag: [u16; 2], kind: &[u8; 2], value: &[u8]| {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if kind == b"UI" { 0 } else { b' ' });
        }
        tag.iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        bytes.extend(kind);
        match kind {
            b"OB" => bytes.extend([&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat()),
            _ => bytes.extend((value.len() as u16).to_le_bytes()),
        }
        bytes.extend(value);
    };
    let number = |value: u32| (value as u16).to_le_bytes();
    element([0x0002, 0x0010], b"UI", b"1.2.840.10008.1.2.1");
    element([0x0008, 0x0060], b"CS", b"MR");
    element([0x0008, 0x0070], b"LO", maker.as_bytes());
    element([0x0010, 0x0010], b"PN", format!("Doe^{patient}").as_bytes());
    element([0x0010, 0x0020], b"LO", format!("identifier {patient}").as_bytes());
    element([0x0018, 0x0087], b"DS", tesla.as_bytes());
    element([0x0018, 0x1030], b"LO", format!("Doe protocol of {maker}").as_bytes());
    element([0x0028, 0x0002], b"US", &number(1));
    element([0x0028, 0x0004], b"CS", b"MONOCHROME2");
    element([0x0028, 0x0010], b"US", &number(image.height()));
    element([0x0028, 0x0011], b"US", &number(image.width()));
    for (tag, value) in [(0x0100, 8), (0x0101, 8), (0x0102, 7), (0x0103, 0)] {
        element([0x0028, tag], b"US", &number(value));
    }
    element([0x7fe0, 0x0010], b"OB", image.as_raw());
    bytes
}

#[test]
fn images_of_a_patient_are_one_group_and_nobody_is_named() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("set");
    fs::create_dir_all(root.join("good")).unwrap();
    for (number, patient) in ["Anna", "Bert", "Carla"].into_iter().cycle().take(12).enumerate() {
        let file = root.join(format!("good/{number:02}.dcm"));
        fs::write(file, dicom(patient, "Doe Devices", "1.5", &picture(number as u32, 48))).unwrap();
    }
    let dataset = open(&root, &[]).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    assert!(inspection.unreadable().is_empty());
    for (by, count, patients) in [(GroupBy::Near, 3, 3), (GroupBy::Exact, 3, 3), (GroupBy::None, 12, 0)] {
        let grouping = Grouping::of(&dataset, &inspection, by).unwrap();
        assert_eq!((grouping.count, grouping.patients), (count, patients), "{by}");
    }
    let report = doctor(&dataset, &inspection, &Grouping::of(&dataset, &inspection, GroupBy::Near).unwrap());
    let text = report.to_string();
    assert!(text.contains("the images of each of 3 patients of DICOM files are in one group"), "{text}");
    for name in ["Doe", "Anna", "identifier"] {
        assert!(![format!("{inspection:?}"), format!("{report:?}"), text.clone()].concat().contains(name));
    }
}

#[test]
fn a_device_that_tells_anomalies_from_normals_is_a_shortcut() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("set");
    let save_all = |class: &str, tesla: &dyn Fn(u32) -> &'static str, maker: &dyn Fn(u32) -> &'static str| {
        fs::create_dir_all(root.join(class)).unwrap();
        for number in 0..10 {
            let image = picture(number + if class == "good" { 0 } else { 100 }, 48);
            let patient = format!("{class} {number}");
            let file = root.join(format!("{class}/{number:02}.dcm"));
            fs::write(file, dicom(&patient, maker(number), tesla(number), &image)).unwrap();
        }
    };
    // Seven of ten normals and one of ten anomalies lie in the weakest field; all normals are of one maker, half of the anomalies.
    save_all("good", &|number| if number < 7 { "1.494" } else { "3" }, &|_| "Doe & Sons");
    let strength = |number| match number {
        0 => "1.5 ",
        1..6 => "3.0",
        _ => "7",
    };
    save_all("bad", &strength, &|number| {
        if number < 5 { "Doe & Sons" } else { "Roe" }
    });
    let (dataset, inspection, grouping) = looked_at(&root);
    let report = doctor(&dataset, &inspection, &grouping);
    let of = |property: Property| {
        let found = report.shortcuts.iter().find(|shortcut| shortcut.property == property).unwrap();
        (found.value.as_deref().unwrap(), (found.auroc * 1000.0).round() / 1000.0)
    };
    assert_eq!(of(Property::FieldStrength), ("1.5 T", 0.8));
    assert_eq!(of(Property::Manufacturer), ("that of bad/00.dcm", 0.75));
    assert_eq!(of(Property::Protocol).1, 0.75);
    assert_eq!(of(Property::Modality), ("MR", 0.5));
    assert!(report.shortcuts.iter().all(|shortcut| shortcut.property != Property::Model));
    let text = report.to_string();
    assert!(text.contains("manufacturer = that of bad/00.dcm"), "{text}");
    assert!(!text.contains("Doe") && !text.contains("Roe"), "{text}");
}

#[test]
fn what_a_split_leaves_aside_is_said_with_its_reasons() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("set");
    for seed in 0..60 {
        save(&picture(seed, 24), &root.join(format!("good/{seed:02}.png")));
    }
    for seed in 100..103 {
        save(&picture(seed, 24), &root.join(format!("bad/{seed}.png")));
    }
    let (dataset, inspection, grouping) = looked_at(&root);
    let settings = SplitSettings { rate: 0.1, ..SplitSettings::default() };
    let mut split = Split::of(&dataset, &inspection, &grouping, &settings).unwrap();
    assert_eq!(split.left_aside(&dataset).reasons, Vec::<String>::new());
    // As if an anomaly looked like a normal that is learnt from, and a normal like one that is calibrated on.
    let anomaly = dataset.samples.iter().position(|sample| !sample.label.is_normal()).unwrap();
    let alike = split.test.iter().copied().find(|&index| dataset.samples[index].label.is_normal()).unwrap();
    split.group_of[anomaly] = split.group_of[split.train[0]];
    split.group_of[alike] = split.group_of[split.calibration[0]];
    split.test.retain(|index| ![anomaly, alike].contains(index));
    split.unused = vec![anomaly, alike];
    let aside = split.left_aside(&dataset);
    assert_eq!((aside.images, aside.is_much), (2, false));
    let text = split.display(&dataset).to_string();
    let expected = "left aside        2 images: 1 normal, of groups that give one image to calibrate on; 1 anomalous, in one \
                    group with normal images that are learnt from";
    assert!(text.contains(expected), "{text}");
    split.unused.extend(split.train.drain(1..21));
    let aside = split.left_aside(&dataset);
    assert!(
        aside.is_much && aside.reasons[2] == "20 in no part that the folders or the manifest name",
        "{aside:?}"
    );
}

#[test]
fn a_split_file_comes_back_and_must_fit() {
    let folder = TempDir::new().unwrap();
    for seed in 0..60 {
        save(&picture(seed, 24), &folder.path().join(format!("set/good/{seed:02}.png")));
    }
    save(&picture(200, 24), &folder.path().join("set/bad/a.png"));
    let root = folder.path().join("set");
    let (dataset, inspection, grouping) = looked_at(&root);
    let split =
        Split::of(&dataset, &inspection, &grouping, &SplitSettings { rate: 0.1, ..SplitSettings::default() })
            .unwrap();
    let file = folder.path().join("split.json");
    split.write(&file, &dataset, &inspection).unwrap();
    assert_eq!(Split::read(&file, &dataset, &inspection).unwrap(), split);

    let written: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let other = folder.path().join("other.json");
    for (field, value, expected) in [
        ("rate", serde_json::json!(1.1), "expected a false-alarm rate above 0 and at most 0.5, found 1.1"),
        ("fold", serde_json::json!({"index": 2, "of": 2}), "expected a fold from 0"),
        (
            "leak",
            serde_json::json!({"normal": 1, "normal_leaked": 2, "anomalous": 0, "anomalous_leaked": 0}),
            "expected at most as many leaked images as there are",
        ),
    ] {
        let mut changed = written.clone();
        changed[field] = value;
        fs::write(&other, changed.to_string()).unwrap();
        let error = Split::read(&other, &dataset, &inspection).unwrap_err();
        assert!(error.is_data() && error.to_string().contains(expected), "{error}");
    }

    let refused = |expected: &str| {
        let dataset = open(&root, &[]).unwrap();
        let error = Split::read(&file, &dataset, &dataset.inspect(&Limits::default())).unwrap_err();
        assert!(error.is_data() && error.to_string().contains(expected), "{error}");
    };
    save(&picture(300, 24), &root.join("good/new.png"));
    refused("does not name");
    fs::remove_file(root.join("good/new.png")).unwrap();
    save(&picture(301, 24), &root.join("good/00.png"));
    refused("have changed");
    fs::remove_file(root.join("good/00.png")).unwrap();
    refused("does not have");
    fs::write(&file, "{}").unwrap();
    refused("expected a split");
    assert!(
        split.write(&folder.path().join("absent/split.json"), &dataset, &inspection).unwrap_err().is_io()
    );
}
