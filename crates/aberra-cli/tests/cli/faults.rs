//! Power cuts, full and broken disks while detectors and checkpoints are written: the old file or the new one, never
//! neither, and never a false success.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{QUICK, Room, detector, shared};

/// Operations of the output layer.
const OPERATIONS: [&str; 5] = ["create", "write", "sync", "rename", "sync-folder"];

fn left_over(room: &Room) -> usize {
    room.everything().keys().filter(|path| path.extension().is_some_and(|end| end == "tmp")).count()
}

#[test]
fn a_detector_is_the_old_one_or_the_new_one_wherever_its_writing_ends() {
    let room = Room::new();
    let file = room.path("d.aberra");
    fs::copy(detector(), &file).unwrap();
    let old = fs::read(&file).unwrap();
    room.run("calibrate d.aberra --rate 0.2 --out new.aberra").done();
    let new = fs::read(room.path("new.aberra")).unwrap();
    let mut outcomes = 0;
    for operation in OPERATIONS {
        for outcome in ["abort", "ENOSPC", "EIO", "EACCES"] {
            for number in [1, 2, 5, 9] {
                fs::write(&file, &old).unwrap();
                let fault = format!("{operation}:{number}:{outcome}");
                let (code, said) =
                    room.run_with_fault(&fault, "calibrate d.aberra --rate 0.2 --in-place --json");
                let found = fs::read(&file).unwrap();
                assert!(found == old || found == new, "{fault}: neither");
                match code {
                    Some(0) => assert!(found == new, "{fault}: a false success"),
                    Some(1) => assert!(said.contains("error: d.aberra: "), "{fault}: {said}"),
                    None => assert_eq!(outcome, "abort", "{fault}: {said}"),
                    other => panic!("{fault}: {other:?} {said}"),
                }
                outcomes += usize::from(code != Some(0));
                if code.is_some() {
                    assert_eq!(left_over(&room), 0, "{fault}");
                }
                for entry in fs::read_dir(room.path("")).unwrap().map(|entry| entry.unwrap().path()) {
                    if entry.extension().is_some_and(|end| end == "tmp") {
                        fs::remove_file(entry).unwrap();
                    }
                }
            }
        }
    }
    assert!(outcomes >= 20, "{outcomes} faults took effect");
}

/// Settings with a checkpoint after each epoch.
fn train(rest: &str) -> String {
    let data = shared().join("data");
    format!("train {} {QUICK} --epochs 4 --set train.checkpoint_every_epochs=1 --json {rest}", data.display())
}

fn whole(room: &Room) -> serde_json::Value {
    room.run(&train("--out whole")).done().json()["info"]["hash"].clone()
}

/// Ends the run in the folder, from its checkpoint if it has one; returns the detector's hash.
fn finish(room: &Room, folder: &str) -> serde_json::Value {
    let has_checkpoint = room.path(folder).join("checkpoint.safetensors").exists();
    let has_detector = room.path(folder).join("detector.aberra").exists();
    let rest = match (has_checkpoint, has_detector) {
        (true, _) => "--resume",
        (false, true) => "--force",
        (false, false) => "",
    };
    room.run(&train(&format!("--out {folder} {rest}"))).done().json()["info"]["hash"].clone()
}

#[test]
fn a_run_whose_process_ends_at_any_file_goes_on_to_the_same_detector() {
    let room = Room::new();
    let expected = whole(&room);
    let mut ended = 0;
    // Marker, settings, split, history, then snapshots, checkpoints and the detector.
    for (index, fault) in [
        "rename:1",
        "rename:3",
        "rename:5",
        "sync:4",
        "rename:7",
        "write:9",
        "rename:9",
        "sync:8",
        "rename:11",
    ]
    .iter()
    .enumerate()
    {
        let folder = format!("run{index}");
        let (code, said) = room.run_with_fault(&format!("{fault}:abort"), &train(&format!("--out {folder}")));
        ended += usize::from(code.is_none());
        assert!(code.is_none() || code == Some(0), "{fault}: {said}");
        assert_eq!(finish(&room, &folder), expected, "{fault}");
    }
    assert!(ended >= 6, "only {ended} faults took effect");
}

#[test]
fn a_run_that_is_killed_again_and_again_goes_on_to_the_same_detector() {
    let room = Room::new();
    let expected = whole(&room);
    let mut killed = 0;
    for milliseconds in [60, 150, 300, 500, 700, 900] {
        let rest = match room.path("run/checkpoint.safetensors").exists() {
            true => "--out run --resume",
            false => "--out run",
        };
        let mut command = room.command();
        command.args(train(rest).split_whitespace());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    assert!(killed > 0);
    if !room.path("run/detector.aberra").exists() {
        assert_eq!(finish(&room, "run"), expected);
    }
    let info = room.run("info run/detector.aberra --json").done().json();
    assert_eq!(info["hash"], expected);
}

#[test]
fn a_full_disk_ends_a_training_with_a_reason_and_room_lets_it_go_on() {
    let room = Room::new();
    let expected = whole(&room);
    // Every synchronised file from the sixth on: a checkpoint at the latest.
    let (code, said) = room.run_with_fault("sync:6+:ENOSPC", &train("--out run"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("No space left on device") && !room.path("run/detector.aberra").exists(), "{said}");
    assert_eq!(left_over(&room), 0);
    assert_eq!(finish(&room, "run"), expected);
}

#[test]
fn records_that_cannot_be_written_stop_no_training_and_are_remembered() {
    let room = Room::new();
    let expected = whole(&room);
    let (code, said) = room.run_with_fault("append:1+:ENOSPC", &train("--out run"));
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(said.matches("warning: training goes on without a record").count(), 1, "{said}");
    let info = room.run("info run/detector.aberra --json").done().json();
    assert_eq!(info["hash"], expected);
}
