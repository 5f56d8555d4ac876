//! `doctor`, `evaluate`, labelled thresholds and `demo`.

use std::fs;

use crate::pictures::blobs;
use crate::program::{NORMALS, Room, detector, shared};

/// Words of a verb on the shared data.
fn words(verb: &str, rest: &str) -> String {
    let (data, split) = (shared().join("data"), shared().join("run").join("split.json"));
    format!("{verb} {} {} --split {} {rest}", detector().display(), data.display(), split.display())
}

#[test]
fn evaluate_prints_a_table_or_json_and_writes_both_files() {
    let room = Room::new();
    let ended = room.run(&words("evaluate", "--out evaluation")).done();
    assert!(ended.out.contains("AUROC"), "{}", ended.out);
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(room.path("evaluation/evaluation.json")).unwrap()).unwrap();
    let printed = room.run(&words("evaluate", "--json")).done().json();
    assert_eq!(printed, written);
    // Stripes are unlike blobs: every anomaly scores above every normal.
    assert_eq!(printed["evaluation"]["ranking"]["auroc"]["estimate"], 1.0);
    let scores = fs::read_to_string(room.path("evaluation/scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 1 + 12 + 6, "the test part, one row per image");
    // What an earlier evaluation of volumes wrote does not stay beside the figures of images.
    fs::write(room.path("evaluation/volumes.csv"), "name\n").unwrap();
    let again = room.run(&words("evaluate", "--out evaluation")).done();
    assert!(again.err.contains("removed volumes.csv"), "{}", again.err);
    assert!(!room.path("evaluation/volumes.csv").exists());
}

#[test]
fn images_that_the_detector_was_made_from_are_left_out() {
    let room = Room::new();
    let data = shared().join("data");
    let whole =
        room.run(&format!("evaluate {} {} --json", detector().display(), data.display())).done().json();
    let own = &whole["evaluation"]["data"]["own"];
    assert_eq!([&own["train"], &own["fit"], &own["calibration"]], [21, 8, 19]);
}

#[test]
fn an_unreadable_image_makes_evaluate_end_with_2() {
    let room = Room::new();
    for class in ["good", "bad"] {
        fs::create_dir_all(room.path("in").join(class)).unwrap();
    }
    blobs(1_000).save(room.path("in/good/a.png")).unwrap();
    blobs(1_001).save(room.path("in/bad/b.png")).unwrap();
    fs::write(room.path("in/bad/broken.png"), "text").unwrap();
    let ended = room.run(&format!("evaluate {} in", detector().display()));
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("warning: skipped bad/broken.png: "), "{}", ended.err);
}

#[test]
fn a_labelled_threshold_says_that_it_saw_labels() {
    let room = Room::new();
    let (data, split) = (shared().join("data"), shared().join("run").join("split.json"));
    for by in ["f1", "youden", "cost --cost-miss 5"] {
        let words = format!(
            "calibrate {} --labelled {by} --data {} --split {} --out l.aberra --json",
            detector().display(),
            data.display(),
            split.display()
        );
        let info = room.run(&words).done().json();
        assert!(info["criterion"]["kind"].as_str().unwrap().starts_with("labelled-"), "{info}");
        assert!(info["promise"]["text"].as_str().unwrap().contains("6 anomalous images"), "{info}");
        assert!(info["promise"]["false_alarm_rate"].is_null(), "{info}");
    }
    let said = room.run(&format!("calibrate {} --labelled f1", detector().display())).refusal(&room);
    assert!(said.contains("--data"), "{said}");
}

#[test]
fn other_normals_give_a_threshold() {
    let room = Room::new();
    fs::create_dir(room.path("june")).unwrap();
    let count = 40;
    for seed in 0..count {
        blobs(2_000 + seed).save(room.path(format!("june/{seed}.png"))).unwrap();
    }
    fs::write(room.path("june/broken.png"), "text").unwrap();
    let words = format!(
        "calibrate {} --rate 0.1 --data june --normal * --out june.aberra --json",
        detector().display()
    );
    let ended = room.run(&words);
    assert_eq!(ended.code, 2, "one cannot be read: {}", ended.err);
    let info = ended.json();
    assert_eq!(
        (&info["calibration"]["images"], &info["calibration"]["groups"]),
        (&count.into(), &count.into())
    );
    let rows = room.run(&format!("score {} june --json", detector().display()));
    let mut scores: Vec<f64> = rows.json_lines().iter().map(|row| row["score"].as_f64().unwrap()).collect();
    scores.sort_by(f64::total_cmp);
    // Of 40 scores the threshold at 10 % is the 37th: (40 + 1) (1 - 0.1) = 36.9.
    assert_eq!(info["threshold"].as_f64().unwrap(), scores[36]);
    let card = room.run("info june.aberra").done().out;
    assert!(card.contains("40 images of 40 groups, from june"), "{card}");
    // It scores as before, and its file is whole.
    let again = room.run("score june.aberra june --json");
    assert_eq!(again.json_lines()[0]["score"], rows.json_lines()[0]["score"]);

    // And by a detector that ignores a part of every image from now on.
    fs::remove_file(room.path("june/broken.png")).unwrap();
    let area = "--ignore 0,0,0.25,0.25";
    let words = format!("calibrate {} --rate 0.1 {area}", detector().display());
    room.run(&format!("{words} --data june --normal * --out i.aberra")).done();
    let card = room.run("info i.aberra").done().out;
    assert!(card.contains("without 0 to 25 % of the width and 0 to 25 % of the height"), "{card}");
    let mut marked = blobs(2_000);
    (0..64).for_each(|at| marked.put_pixel(at % 8, at / 8, image::Luma([255])));
    marked.save(room.path("marked.png")).unwrap();
    let score = |file: &str| room.run(&format!("score i.aberra {file} --json")).json_lines()[0].clone();
    assert_eq!(score("marked.png")["score"], score("june/0.png")["score"]);
    assert!(score("marked.png")["p_value"].is_f64());
    for (words, expected) in [
        (format!("{words} --out n.aberra"), "--data"),
        (format!("{words} --data june --normal * --volumes --out n.aberra"), "--volumes"),
    ] {
        let refused = room.run(&words);
        assert!(refused.code != 0 && refused.err.contains(expected), "{}", refused.err);
    }

    let data = shared().join("data");
    let words =
        format!("calibrate {} --rate 0.1 --data {} --out s.aberra", detector().display(), data.display());
    let ended = room.run(&words).done();
    assert!(ended.err.contains("warning: left out 29 images that the detector learnt from"), "{}", ended.err);
}

#[test]
fn doctor_reports_counts_rates_and_the_least_normal() {
    let room = Room::new();
    let data = shared().join("data");
    let words = format!("doctor {} --group exact --rate 0.01", data.display());
    let report = room.run(&format!("{words} --detector {} --json", detector().display())).done().json();
    assert_eq!(report["images"], NORMALS + 6);
    let least_normal = report["least_normal"].as_array().unwrap();
    assert_eq!(least_normal.len(), 10);
    assert!(least_normal.iter().all(|row| row["p_value"].is_f64() && row["verdict"].is_string()), "{report}");
    assert!(report["rate"]["reason"].as_str().unwrap().contains("too few normal images"), "{report}");
    let text = room.run(&words).done().out;
    assert!(text.contains("a false-alarm rate of 1 %: not supported"), "{text}");
}

#[test]
fn demo_goes_the_whole_way() {
    let room = Room::new();
    let ended = room.run("demo --out demo --normals 48 --epochs 1 --json").done();
    let told = ended.json();
    assert!(told["evaluation"]["ranking"]["auroc"]["estimate"].is_number(), "{told}");
    let sheet = image::open(room.path("demo/pictures.png")).unwrap();
    assert!(sheet.width() > 3 * 64);
    let page = fs::read_to_string(room.path("demo/report.html")).unwrap();
    assert!(page.contains("id=\"aberra-report\"") && page.len() < 8_000_000);
    let again = room.run("demo --out demo").refusal(&room);
    assert!(again.contains("expected an empty folder"), "{again}");
    let both = room.run("demo --of screws --volumes").refusal(&room);
    assert!(both.contains("cannot be used with"), "{both}");
}
