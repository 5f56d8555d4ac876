//! Settings, data sets and folders that cannot work: refused before anything is trained or lost.

use std::fs;

use crate::pictures::{blobs, write_data_set};
use crate::program::{QUICK, Room, shared};

/// What `train` says of settings, before it looks at any data.
fn refused_settings(flags: &str) -> String {
    let room = Room::new();
    room.run(&format!("train --print-config {flags}")).refusal(&room)
}

#[test]
fn settings_out_of_range() {
    insta::assert_snapshot!(refused_settings("--epochs 0"), @"");
    insta::assert_snapshot!(refused_settings("--rate 5"), @"");
    insta::assert_snapshot!(refused_settings("--rate=-0.1"), @"");
    insta::assert_snapshot!(refused_settings("--size 100"), @"");
    insta::assert_snapshot!(refused_settings("--preset huge"), @"");
    insta::assert_snapshot!(refused_settings("--scorer best"), @"");
    insta::assert_snapshot!(refused_settings("--group colour"), @"");
    insta::assert_snapshot!(refused_settings("--set train.epoch=3"), @"");
    insta::assert_snapshot!(refused_settings("--set train.epochs"), @"");
}

#[test]
fn a_file_of_settings_that_does_not_parse() {
    let room = Room::new();
    fs::write(room.path("bad.toml"), "epochs = = 3").unwrap();
    let said = room.run("train --print-config --config bad.toml").refusal(&room);
    assert!(said.starts_with("error: bad.toml: not TOML: "), "{said}");
    let said = room.run("train --print-config --config nowhere.toml").refusal(&room);
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_folder_without_images() {
    let room = Room::new();
    fs::create_dir(room.path("empty")).unwrap();
    insta::assert_snapshot!(room.run("train empty --out run").refusal(&room), @"");
    insta::assert_snapshot!(room.run("doctor empty").refusal(&room), @"");
    insta::assert_snapshot!(room.run("train nowhere --out run").refusal(&room), @"");
}

#[test]
fn a_folder_without_readable_images() {
    let room = Room::new();
    fs::create_dir(room.path("in")).unwrap();
    for name in ["in/a.png", "in/b.jpg"] {
        fs::write(room.path(name), "text").unwrap();
    }
    let said = room.run("train in --out run").refusal(&room);
    assert!(
        said.contains("warning: skipped in/a.png: ") && said.contains("warning: skipped in/b.jpg: "),
        "{said}"
    );
    assert!(said.contains("error: in: expected images, found 2 files that cannot be read"), "{said}");
}

#[test]
fn a_class_that_does_not_exist() {
    let room = Room::new();
    let data = shared().join("data");
    let said = room.run(&format!("train {} --normal god --out run", data.display())).refusal(&room);
    insta::assert_snapshot!(said, @"");
}

#[test]
fn too_few_normals() {
    let room = Room::new();
    write_data_set(&room.path("in"), 12, 1);
    let said = room.run(&format!("train in --out run {QUICK}")).refusal(&room);
    let error: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("in") && !line.starts_with(' ')).collect();
    insta::assert_snapshot!(error.join("\n"), @"");
}

#[test]
fn a_confidence_that_the_normals_cannot_carry_is_refused_before_training() {
    let room = Room::new();
    let data = shared().join("data");
    let words = format!("train {} --out run {QUICK} --confidence 0.9", data.display());
    let said = room.run(&words).refusal(&room);
    let end = said.find("error: ").unwrap();
    insta::assert_snapshot!(&said[end..], @"");
}

#[test]
fn a_run_folder_that_cannot_be_written() {
    let room = Room::new();
    fs::write(room.path("file"), "mine").unwrap();
    write_data_set(&room.path("in"), 1, 0);
    insta::assert_snapshot!(room.run("train in --out file/run").refusal(&room), @"");
    insta::assert_snapshot!(room.run("train in --out file").refusal(&room), @"");
    assert_eq!(fs::read_to_string(room.path("file")).unwrap(), "mine");
}

#[test]
fn a_run_that_is_there_is_not_replaced() {
    let room = Room::new();
    let (data, run) = (shared().join("data"), shared().join("run"));
    let again = format!("train {} --out {}", data.display(), run.display());
    insta::assert_snapshot!(room.run(&again).refusal(&room), @"");

    fs::create_dir(room.path("cut")).unwrap();
    fs::copy(run.join("checkpoint.safetensors"), room.path("cut/checkpoint.safetensors")).unwrap();
    let again = format!("train {} --out cut", data.display());
    insta::assert_snapshot!(room.run(&again).refusal(&room), @"");
    let nothing = format!("train {} --out new --resume", data.display());
    insta::assert_snapshot!(room.run(&nothing).refusal(&room), @"");
}

#[test]
fn unreadable_images_are_named_and_training_goes_on() {
    let room = Room::new();
    write_data_set(&room.path("in"), 60, 0);
    fs::write(room.path("in/normal/broken.png"), "text").unwrap();
    blobs(0).save(room.path("in/normal/0 again.png")).unwrap();
    let ended = room.run(&format!("train in --out run {QUICK} --epochs 1 --json")).done();
    assert!(ended.err.contains("warning: skipped in/normal/broken.png: "), "{}", ended.err);
    assert_eq!(ended.json()["info"]["provenance"]["calibration"]["groups"], 19);
}
