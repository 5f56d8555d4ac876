//! What every verb reports about the data that it reads: guessed, passed over, read only in part.

use std::fs;
use std::path::Path;

use aberra::image::testing::{TiffPage, tiff};
use image::{GrayImage, Luma, Rgba, RgbaImage};

use crate::pictures::{SIDE, blobs, stripes};
use crate::program::{QUICK, Room, detector};

fn save(image: &GrayImage, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// Two pages of grey, as a TIFF.
fn two_pages() -> Vec<u8> {
    tiff(&[blobs(1_000), stripes(1)].map(|page| TiffPage::new(SIDE, SIDE, page.into_raw())))
}

/// A picture whose alpha is 0 everywhere.
fn without_alpha(seed: u64) -> RgbaImage {
    let grey = blobs(seed);
    RgbaImage::from_fn(SIDE, SIDE, |x, y| {
        let value = grey.get_pixel(x, y)[0];
        Rgba([value, value, value, 0])
    })
}

#[test]
fn score_says_what_was_read_in_part_or_passed_over() {
    let room = Room::new();
    save(&blobs(1_000), &room.path("in/plain.png"));
    without_alpha(1_000).save(room.path("in/alpha.png")).unwrap();
    fs::write(room.path("in/stack.tif"), two_pages()).unwrap();
    fs::write(room.path("in/a.heic"), "\0\0\0\0ftyphei").unwrap();
    let words = format!("score {} in --json", detector().display());
    let ended = room.run(&words).done();
    for expected in [
        "1 image: alpha is 0 everywhere and ignored (in/alpha.png)",
        "1 image: page 1 of 2 is read, the others are not (in/stack.tif)",
        "warning: passed over 1 file that is a HEIC image, which is not supported (in/a.heic)",
    ] {
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
    let rows = ended.json_lines();
    let row = |name: &str| rows.iter().find(|row| row["path"].as_str().unwrap().ends_with(name)).unwrap();
    // Ignored alpha and the first page are the plain picture.
    for name in ["alpha.png", "stack.tif"] {
        assert_eq!(row(name)["score"], row("plain.png")["score"], "{name}");
        assert_eq!(row(name)["remarks"].as_array().unwrap().len(), 1);
    }
    assert_eq!(row("plain.png")["remarks"], serde_json::json!([]));
    let explained = room.run(&format!("explain {} in/stack.tif", detector().display())).done();
    assert!(explained.err.contains("in/stack.tif: page 1 of 2 is read"), "{}", explained.err);
    // Asked for, every page is an image.
    let doctor = room.run("doctor in --pages --group none").done();
    assert!(
        doctor.out.contains("1 file of several pages, each an image of its own (stack.tif)"),
        "{}",
        doctor.out
    );
    assert!(doctor.out.contains("4 images"), "{}", doctor.out);
}

#[test]
fn pages_are_judged_one_by_one_where_that_is_asked_for() {
    let room = Room::new();
    save(&blobs(1_000), &room.path("in/first.png"));
    save(&stripes(1), &room.path("in/second.png"));
    fs::write(room.path("in/stack.tif"), two_pages()).unwrap();
    let detector = detector();
    let detector = detector.display();
    let ended = room.run(&format!("score {detector} in --pages --json --heatmaps maps")).done();
    let rows = ended.json_lines();
    assert_eq!(rows.len(), 4, "{}", ended.err);
    let score = |name: &str, page: Option<u32>| {
        let found = rows.iter().find(|row| {
            row["path"].as_str().unwrap().ends_with(name) && row["page"] == serde_json::json!(page)
        });
        found.unwrap_or_else(|| panic!("{name} {page:?}: {rows:?}"))["score"].clone()
    };
    assert_eq!(score("stack.tif", Some(1)), score("first.png", None));
    assert_eq!(score("stack.tif", Some(2)), score("second.png", None));
    assert!(!ended.err.contains("page 1 of 2"), "{}", ended.err);
    assert_eq!(fs::read_dir(room.path("maps")).unwrap().count(), 4 + 1, "maps and the folder's mark");
    let table = room.run(&format!("score {detector} in/stack.tif --pages")).done();
    assert!(table.out.contains("in/stack.tif, page 2\n"), "{}", table.out);
    let csv = room.run(&format!("score {detector} in/stack.tif --pages --csv")).done();
    assert!(csv.out.starts_with("score,p_value,threshold,verdict,path,page\n"), "{}", csv.out);
    // The others take the same pages.
    let explained = room.run(&format!("explain {detector} in/stack.tif --page 2 --json")).done();
    assert_eq!(explained.json()["verdict"]["score"], score("second.png", None));
    assert!(explained.err.contains("in/stack.tif: page 2 of 2 is read"), "{}", explained.err);
    let refused = room.run(&format!("explain {detector} in/stack.tif --page 3")).refusal(&room);
    assert!(refused.contains("expected page 3 of the TIFF, found 2 of full resolution"), "{refused}");
    let doctor = room.run(&format!("doctor in --normal * --pages --group none --json --detector {detector}"));
    let doctor = doctor.done().json();
    let suspects = doctor["least_normal"].as_array().unwrap();
    let named = |name: &str| suspects.iter().find(|row| row["name"] == name).unwrap()["score"].clone();
    assert_eq!(named("stack.tif, page 2"), score("second.png", None));
    let doctor = room.run(&format!("doctor in --normal * --group none --detector {detector}")).done();
    assert!(doctor.out.contains("page 1 of 2 is read, the others are not (stack.tif)"), "{}", doctor.out);
}

#[test]
fn a_list_on_standard_input_may_come_from_a_spreadsheet() {
    let room = Room::new();
    save(&blobs(1_000), &room.path("in/a b.png"));
    save(&blobs(1_001), &room.path("in/c.png"));
    let list = b"\xef\xbb\xbfin/c.png\r\n\r\n  in\\c.png \n\"in/a b.png\"\n";
    let ended = room.run_fed(&format!("score {} - --json", detector().display()), list).done();
    assert_eq!(ended.json_lines().len(), 3, "{}", ended.err);
}

#[test]
fn evaluate_says_first_that_there_are_no_normals() {
    let room = Room::new();
    for seed in 0..3 {
        save(&stripes(seed), &room.path(format!("defects/bad/{seed}.png")));
    }
    let ended = room.run(&format!("evaluate {} defects", detector().display())).done();
    let said = ended.err.find("warning: there are no normal images").expect(&ended.err);
    assert!(
        said < ended.err.len() && ended.err.contains("class folders (none normal; anomalous: bad)"),
        "{}",
        ended.err
    );
    let refused = room.run(&format!("train defects --out run {QUICK}"));
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("expected normal images, found none: all 3 are anomalous"),
        "{}",
        refused.err
    );
}

#[test]
fn train_refuses_normals_without_content() {
    let room = Room::new();
    for index in 0..60 {
        save(&GrayImage::from_pixel(SIDE, SIDE, Luma([index])), &room.path(format!("flat/{index}.png")));
        save(&blobs(7), &room.path(format!("alike/{index}.png")));
    }
    for (name, expected) in [("flat", "the same value in every pixel"), ("alike", "equal in every pixel")] {
        let quick = QUICK.replace("--group exact", "--group none");
        let ended = room.run(&format!("train {name} --out run-{name} {quick}"));
        assert_eq!((ended.code, ended.err.contains(expected)), (1, true), "{}", ended.err);
    }
}

#[test]
fn train_and_doctor_say_what_was_decided() {
    let room = Room::new();
    for index in 0..60 {
        save(&blobs(index), &room.path(format!("set/archive/Training/notumor/{index}.png")));
    }
    for index in 0..5 {
        without_alpha(100 + index)
            .save(room.path(format!("set/archive/Training/notumor/a{index}.png")))
            .unwrap();
    }
    save(&stripes(1), &room.path("set/archive/Training/glioma/1.png"));
    save(&GrayImage::new(SIDE, SIDE), &room.path("set/archive/Training/glioma/1_mask.png"));
    let mut command = room.command();
    command.current_dir(room.path("set"));
    let words = format!("train . --out ../run {QUICK} --epochs 1 --json");
    let ended = crate::program::end(command.args(words.split_whitespace())).done();
    let doctor = room.run("doctor set --group none").done();
    for said in [&ended.err, &doctor.out] {
        for expected in [
            "read the folder `archive` as the data set",
            "took class `notumor` as normal, by its usual name",
            "5 images: alpha is 0 everywhere and ignored (such as archive/Training/notumor/a0.png)",
        ] {
            assert!(said.contains(expected), "{said}");
        }
    }
    let info = room.run("info run/detector.aberra").done();
    assert!(info.out.contains("set"), "{}", info.out);
    // The empty mask is said where masks are looked at.
    let evaluated = room.run("evaluate run/detector.aberra set").done();
    assert!(evaluated.out.contains("the mask of an anomaly is empty"), "{}", evaluated.out);
}

/// Images of two files each, in folders of classes.
fn write_cases(folder: &Path, normals: u64, anomalies: u64) {
    for (class, first, count) in [("good", 0, normals), ("bad", 5_000, anomalies)] {
        for case in first..first + count {
            let second = if class == "bad" { stripes(case) } else { blobs(case + 20_000) };
            for (number, image) in [blobs(case), second].iter().enumerate() {
                save(image, &folder.join(format!("{class}/case{case}_{number:04}.png")));
            }
        }
    }
}

#[test]
fn the_files_of_a_case_are_one_image_where_that_is_asked_for() {
    let room = Room::new();
    write_cases(&room.path("data"), 60, 8);
    let apart = room.run("doctor data --group none").done();
    assert!(apart.out.contains("136 images"), "{}", apart.out);
    assert!(apart.out.contains("each is taken as an image of its own"), "{}", apart.out);
    let cases = room.run("doctor data --group none --cases").done();
    assert!(cases.out.contains("68 images"), "{}", cases.out);
    save(&blobs(1), &room.path("odd/case1_0000.png"));
    let refused = room.run("doctor odd --cases").refusal(&room);
    assert!(refused.contains("expected cases of 2 to 16 files, found 1"), "{refused}");

    let trained = room.run(&format!("train data --cases {QUICK} --epochs 1 --out run")).done();
    assert!(trained.err.contains("aberra evaluate run/detector.aberra data --cases"), "{}", trained.err);
    // Beside the detector, data are read so unasked.
    let evaluated = room.run("evaluate run/detector.aberra data").done();
    assert!(evaluated.err.contains("60 normal images, 8 anomalous"), "{}", evaluated.err);
    let scored = room.run("score run/detector.aberra data/bad --json").done();
    assert_eq!(scored.json_lines().len(), 8);
    // Which channel is unusual is in every format, and rows of such images are gone on with.
    let of_second = scored.json_lines().iter().filter(|row| row["channel"] == "0001").count();
    assert!(of_second >= 7, "the second channel has stripes in all 8: {of_second}");
    room.run("score run/detector.aberra data/bad --out rows.csv").done();
    let rows = fs::read_to_string(room.path("rows.csv")).unwrap();
    assert!(rows.starts_with("score,p_value,threshold,verdict,path,channel\n"), "{rows}");
    let resumed = room.run("score run/detector.aberra data/bad --out rows.csv --resume").done();
    assert!(fs::read_to_string(room.path("rows.csv")).unwrap() == rows, "{}", resumed.err);
    assert!(room.run("score run/detector.aberra data/bad").done().out.contains(".png, channel 000"));
    assert!(scored.err.contains("8 files are further channels"), "{}", scored.err);
    let doctor = room.run("doctor data --group none --detector run/detector.aberra").done();
    assert!(doctor.out.contains("68 images"), "{}", doctor.out);
}
