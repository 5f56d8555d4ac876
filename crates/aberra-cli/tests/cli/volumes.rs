//! Volumes on the command line: trained on, calibrated, judged as a whole, mapped, and demonstrated.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aberra::image::{Images, Limits, count_pages};
use aberra::phantom::{PhantomVolumes, VolumeShape, write_volumes};
use serde_json::{Value, json};

use crate::program::{QUICK, Room, detector};

/// A folder with phantom volumes in `train/` and `test/`, and `run/` trained on them.
fn shared() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aberra-cli-volumes");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let shape = VolumeShape { size_px: 32, slices: 10 };
        let volumes =
            PhantomVolumes { seed: 8, shape, train_normals: 34, test_normals: 10, anomalies_per_kind: 1 };
        write_volumes(&folder, &volumes).unwrap();
        let (data, run) = (folder.join("train"), folder.join("run"));
        let words = format!(
            "train {} --volumes --normal * --out {} {QUICK} --epochs 3 --rate 0.1 --set split.test_share=0",
            data.display(),
            run.display()
        );
        let ended = Room::new().run(&words).done();
        for expected in [
            "34 volumes (such as good/000.nii.gz), 340 slices",
            "68 of 340 slices show nothing but air and are left out",
        ] {
            assert!(ended.err.contains(expected), "{}", ended.err);
        }
        assert!(ended.out.contains("of the slices; at most 10 % false alarms on average"), "{}", ended.out);
        folder
    })
}

fn of_volumes() -> String {
    shared().join("run/detector.aberra").display().to_string()
}

fn new(name: &str) -> String {
    shared().join("test").join(name).display().to_string()
}

#[test]
fn volumes_are_judged_as_a_whole_with_rows_of_slices_and_maps_beside() {
    let room = Room::new();
    let (detector, new_normals, cyst) = (of_volumes(), new("good"), new("cyst"));
    let words = format!("score {detector} {new_normals} {cyst} --json --maps maps --slices slices.csv");
    let ended = room.run(&words).done();
    assert!(
        ended.err.contains("the detector is calibrated on volumes, which are judged as a whole"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("22 of 110 slices show nothing but air and are left out"), "{}", ended.err);
    assert!(ended.err.contains("11 volumes scored, "), "{}", ended.err);
    let rows = ended.json_lines();
    assert_eq!(rows.len(), 11);
    let slices = fs::read_to_string(room.path("slices.csv")).unwrap();
    let mut lines = slices.lines();
    assert_eq!(lines.next(), Some("score,p_value,threshold,verdict,path,page,volume,slice"));
    assert_eq!(lines.clone().count(), 11 * 8);
    for row in &rows {
        assert_eq!((&row["slices"], &row["empty"], &row["top"]), (&json!(10), &json!(2), &json!(1)));
        let (score, threshold) = (row["score"].as_f64().unwrap(), row["threshold"].as_f64().unwrap());
        assert_eq!(row["anomalous"], json!(score > threshold));
        assert_eq!(row["verdict"], json!(if score > threshold { "anomalous" } else { "normal" }));
        let worst = row["worst"]["slice"].as_u64().unwrap() as usize;
        assert_eq!(row["scores"][worst - 1], row["score"]);
        // The same slice has the same score by itself.
        let path = row["path"].as_str().unwrap();
        let line = lines.clone().find(|line| line.ends_with(&format!(",{path},{worst},{path},{worst}")));
        assert_eq!(line.and_then(|line| line.split(',').next()).unwrap().parse::<f64>().unwrap(), score);
        let map = fs::read(room.path(row["map"].as_str().unwrap())).unwrap();
        let limits = Limits::default();
        let images = Images::open(&map, &limits).unwrap();
        assert_eq!(images.count().unwrap(), 10);
        assert!(images.decode(0).unwrap().pixels.iter().all(|&value| value == 0.0));
        assert!(images.decode(worst as u32 - 1).unwrap().pixels.iter().any(|&value| value > 0.0));
    }
    // The folder of maps is no data.
    let again = room.run(&format!("score {detector} maps --volumes"));
    assert!(again.code != 3, "{}", again.err);
    let table = room.run(&format!("score {detector} {cyst} --volumes")).done();
    assert!(table.out.contains("slices  worst  path\n"), "{}", table.out);
    let csv = room.run(&format!("score {detector} {cyst} --csv --maps maps2")).done();
    let header = "score,p_value,threshold,verdict,path,slices,empty,worst_slice,worst_path,worst_page,map\n";
    assert!(csv.out.starts_with(header), "{}", csv.out);
    // Slices alone, as before.
    let pages = room.run(&format!("score {detector} {cyst} --pages --json")).done().json_lines();
    assert_eq!(pages.len(), 10);
    let rate = room.run(&format!("calibrate {detector} --volumes --threshold -1 --out always.aberra")).done();
    assert!(rate.out.contains("threshold of volumes  -1.00000 (was "), "{}", rate.out);
    let found = room.run(&format!("score always.aberra {cyst} --fail-on-anomaly"));
    assert_eq!(found.code, 3, "{}", found.err);
    let info = room.run("info always.aberra").done();
    assert!(
        info.out.contains("volumes          threshold -1.00000 of the mean of the highest 5 %"),
        "{}",
        info.out
    );
}

#[test]
fn volumes_are_evaluated_and_reported_as_a_whole() {
    let room = Room::new();
    let (detector, test) = (of_volumes(), shared().join("test").display().to_string());
    let json = room.run(&format!("evaluate {detector} {test} --json")).done().json();
    let figures = &json["evaluation"]["volumes"];
    assert_eq!(figures["volumes"].as_array().unwrap().len(), 18);
    assert!(figures["auroc"]["estimate"].is_number() && figures["recall"]["low"].is_number());
    assert_eq!(figures["false_alarms"]["promised"], 0.1);
    let ended = room.run(&format!("evaluate {detector} {test} --out evaluation")).done();
    assert!(ended.err.contains("wrote evaluation.json, scores.csv and volumes.csv"), "{}", ended.err);
    let rows = fs::read_to_string(room.path("evaluation/volumes.csv")).unwrap();
    assert!(rows.starts_with("name,label,kind,group,slices,score,p_value,threshold,anomalous,leaked\n"));
    assert_eq!(rows.lines().count(), 1 + 18);
    let text = ended.out;
    assert!(text.contains("18 volumes: 10 normal, 8 anomalous"), "{text}");
    // Slices alone, as before, where they are asked for.
    let pages = room.run(&format!("evaluate {detector} {test} --pages --json")).done().json();
    assert!(pages["evaluation"]["volumes"].is_null());
    let told = room.run(&format!("report {detector} {test} --out report.html")).done().out;
    assert!(told.contains("Judged as a whole, volumes have an AUROC of"), "{told}");
}

#[test]
fn volumes_calibrate_a_detector_that_knows_only_images() {
    let room = Room::new();
    let (plain, good) = (detector(), new("good"));
    let plain = plain.display();
    let unjudged = room.run(&format!("score {plain} {good} --volumes --json")).done();
    assert!(
        unjudged.err.contains("not calibrated on volumes: they get scores, but no verdicts"),
        "{}",
        unjudged.err
    );
    let rows = unjudged.json_lines();
    assert!(
        rows.iter()
            .all(|row| row["verdict"].is_null() && row["threshold"].is_null() && row["score"].is_f64())
    );
    let refused =
        room.run(&format!("calibrate {plain} --volumes --rate 0.05 --data {good} --normal * --out v.aberra"));
    let refused = refused.refusal(&room);
    assert!(
        refused.contains("expected at least 19 calibration groups for 5 % false alarms, found 10"),
        "{refused}"
    );
    let words = format!(
        "calibrate {plain} --volumes --rate 0.1 --top 0.25 --data {good} --normal * --out v.aberra --json"
    );
    let card = room.run(&words).done().json();
    assert_eq!(card["volumes"]["calibration_scores"].as_array().map(Vec::len), Some(10));
    assert_eq!(card["volumes"]["top_share"], json!(0.25));
    let text = card["volumes"]["promise"]["text"].as_str().unwrap();
    assert!(text.contains("exchangeable normal volumes"), "{text}");
    // The images' threshold is as it was, and so are the images' scores.
    let before = room.run(&format!("info {plain} --json")).done().json();
    assert_eq!((&before["threshold"], &before["volumes"]), (&card["threshold"], &Value::Null));
    let pages = |detector: &str| room.run(&format!("score {detector} {good} --pages --json")).done().out;
    assert_eq!(pages("v.aberra"), pages(&plain.to_string()));
    let judged = room.run(&format!("score v.aberra {good} --json")).done().json_lines();
    assert!(judged.iter().all(|row| row["top"] == json!(2) && row["verdict"].is_string()));
}

#[test]
fn what_volumes_do_not_go_with_is_refused() {
    let room = Room::new();
    let (plain, volumes, good) = (detector().display().to_string(), of_volumes(), new("good"));
    for (words, expected) in [
        (format!("score {plain} {good} --maps maps"), "--maps: expected volumes to judge, found images"),
        (format!("score {plain} {good} --pages --slices s.csv"), "--slices: expected volumes to judge"),
        (
            format!("score {volumes} {good} --heatmaps maps"),
            "--heatmaps: expected images, found that volumes are judged",
        ),
        (format!("score {volumes} {good} --out rows.csv --resume"), "--resume: expected images"),
        (
            format!("calibrate {plain} --volumes --rate 0.1"),
            "expected a detector that is calibrated on volumes",
        ),
        (
            format!("calibrate {plain} --volumes --labelled f1 --data {good}"),
            "--volumes: expected --rate, --percentile or --threshold, found --labelled",
        ),
    ] {
        let refused = room.refused_unchanged(&words);
        assert!(refused.contains(expected), "{words}: {refused}");
    }
    fs::create_dir(room.path("empty")).unwrap();
    let none = room.run(&format!("score {volumes} empty")).refusal(&room);
    assert!(none.contains("expected volumes, found none"), "{none}");
}

#[test]
fn a_damaged_volume_and_an_image_do_not_stop_the_others() {
    let room = Room::new();
    let whole = fs::read(shared().join("test/cyst/000.nii.gz")).unwrap();
    fs::create_dir(room.path("in")).unwrap();
    fs::write(room.path("in/whole.nii.gz"), &whole).unwrap();
    fs::write(room.path("in/cut.nii.gz"), &whole[..whole.len() / 2]).unwrap();
    fs::copy(crate::program::stripes(), room.path("in/image.png")).unwrap();
    let ended = room.run(&format!("score {} in --json", of_volumes()));
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(
        ended.err.contains("in/cut.nii.gz") && ended.err.contains("it cannot be inflated"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("1 volume scored, "), "{}", ended.err);
    assert!(ended.err.contains("1 image by itself"), "{}", ended.err);
    let rows = ended.json_lines();
    let named = |name: &str| rows.iter().find(|row| row["path"] == json!(name)).unwrap();
    assert!(named("in/whole.nii.gz")["slices"] == json!(10) && named("in/image.png")["slices"].is_null());
    assert_eq!(rows.len(), 2);
}

#[test]
fn the_demo_of_volumes_goes_the_whole_way() {
    let room = Room::new();
    let ended = room.run("demo --volumes --out demo --normals 40 --epochs 1 --json").done();
    let told = ended.json();
    let judged = told["judged"].as_array().unwrap();
    assert_eq!(judged.iter().filter(|one| one["lesion"].is_null()).count(), 8);
    for one in judged {
        assert!(one["verdict"].is_null() && one["anomalous"].is_boolean());
        assert_eq!(one["slice_found"].is_null(), one["lesion"].is_null());
        assert_eq!(count_pages(&room.path(one["map"].as_str().unwrap()), &Limits::default()).unwrap(), 22);
    }
    assert!(told["info"]["volumes"]["calibration_scores"].as_array().unwrap().len() >= 19);
    let again = room.run("demo --volumes --out demo").refusal(&room);
    assert!(again.contains("expected an empty folder"), "{again}");
}
