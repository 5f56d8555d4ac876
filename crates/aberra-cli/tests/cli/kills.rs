//! A process that is killed (SIGKILL), or whose disk fails, at the n-th operation of its writing, for every n: what is there
//! is old or new and whole, what failed is said, and a training goes on to the same detector.
//!
//! The tests take some of the points; `cargo xtask fuzz --kills` takes all of them.

#![allow(clippy::print_stdout, reason = "the counts are read in a terminal")]

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::program::{QUICK, Room, detector, shared};

/// More operations than a small training has.
const MOST_OPERATIONS: usize = 400;
/// Points within the one write of a detector.
const WITHIN: usize = 120;
const ERRORS: [&str; 3] = ["EIO", "ENOSPC", "EACCES"];
/// What can fail with an error.
const OPERATIONS: [&str; 6] = ["create", "write", "sync", "rename", "sync-folder", "append"];

/// Each so many-th point is taken; every point if this variable is set, as `cargo xtask fuzz --kills` does.
const EVERY_POINT: &str = "FUZZ_KILLS";

fn step(usual: usize) -> usize {
    if std::env::var_os(EVERY_POINT).is_some() { 1 } else { usual }
}

#[test]
fn a_training_that_is_killed_at_some_points_goes_on_to_the_same_detector() {
    let step = step(7);
    let killed = kill_trainings(step);
    println!("{killed} kills of trainings");
    assert!(killed > 40 / step, "{killed}");
}

#[test]
fn a_detector_is_whole_when_its_writing_is_killed_at_some_points() {
    let step = step(6);
    let killed = kill_calibrations(step);
    println!("{killed} kills of the writing of a detector");
    assert!(killed > WITHIN / step, "{killed}");
}

#[test]
fn a_training_whose_disk_fails_at_some_points_says_so_and_goes_on_to_the_same_detector() {
    let step = step(7);
    let failed = fail_trainings(|operation, number| match step {
        1 => ERRORS.to_vec(),
        // Each error in turn.
        _ if number % step == 1 => vec![ERRORS[(number + operation) % 3]],
        _ => Vec::new(),
    });
    println!("{failed} failed operations of trainings");
    assert!(failed > 100 / (3 * step), "{failed}");
}

/// Settings with a checkpoint after each epoch.
fn train(rest: &str) -> String {
    let data = shared().join("data");
    format!("train {} {QUICK} --epochs 3 --set train.checkpoint_every_epochs=1 --json {rest}", data.display())
}

/// Trains into `run`, without an older run.
fn whole(room: &Room) -> Value {
    let hash = room.run(&train("--out run")).done().json()["info"]["hash"].clone();
    fs::remove_dir_all(room.path("run")).unwrap();
    hash
}

/// Ends the run, from where it is; returns the detector's hash.
fn finish(room: &Room) -> Value {
    let is_there = |name: &str| room.path("run").join(name).exists();
    let rest = match (is_there("checkpoint.safetensors"), is_there("detector.aberra")) {
        (true, _) => "--resume",
        (false, true) => "--force",
        (false, false) => "",
    };
    room.run(&train(&format!("--out run {rest}"))).done().json()["info"]["hash"].clone()
}

/// A detector that is there is the whole one.
fn check_detector(room: &Room, expected: &Value, fault: &str) {
    if room.path("run/detector.aberra").exists() {
        let info = room.run("info run/detector.aberra --json").done().json();
        assert_eq!(&info["hash"], expected, "{fault}");
    }
}

/// Kills a training at each `step`-th operation of its writing; returns how many were killed.
fn kill_trainings(step: usize) -> usize {
    let room = Room::new();
    let expected = whole(&room);
    for (killed, number) in (1..MOST_OPERATIONS).step_by(step).enumerate() {
        let fault = format!("any:{number}:kill");
        let (code, said) = room.run_with_fault(&fault, &train("--out run"));
        if code == Some(0) {
            return killed;
        }
        assert_eq!(code, None, "{fault}: {said}");
        check_detector(&room, &expected, &fault);
        assert_eq!(finish(&room), expected, "{fault}");
        fs::remove_dir_all(room.path("run")).unwrap();
    }
    panic!("expected a training to have less than {MOST_OPERATIONS} operations");
}

/// Kills `calibrate` at its operations, and at each `step`-th of 120 points within the write of the detector; returns how
/// many were killed.
fn kill_calibrations(step: usize) -> usize {
    let room = Room::new();
    let file = room.path("d.aberra");
    fs::copy(detector(), &file).unwrap();
    let old = fs::read(&file).unwrap();
    room.run("calibrate d.aberra --rate 0.2 --out new.aberra").done();
    let new = fs::read(room.path("new.aberra")).unwrap();
    let between = (1..10).map(|number| format!("any:{number}:kill"));
    let within = (0..=WITHIN).step_by(step).map(|part| format!("write:1@{part}/{WITHIN}:kill"));
    let mut killed = 0;
    for fault in between.chain(within) {
        fs::write(&file, &old).unwrap();
        let (code, said) = room.run_with_fault(&fault, "calibrate d.aberra --rate 0.2 --in-place --json");
        let found = fs::read(&file).unwrap();
        assert!(found == old || found == new, "{fault}: neither");
        match code {
            Some(0) => assert!(found == new, "{fault}: a false success"),
            code => {
                assert_eq!(code, None, "{fault}: {said}");
                killed += 1;
            }
        }
        // What was left is no detector, and the next command writes as if it were not there.
        room.run("calibrate d.aberra --rate 0.2 --in-place --json").done();
        assert!(fs::read(&file).unwrap() == new, "{fault}");
        for entry in fs::read_dir(room.path("")).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|end| end == "tmp") {
                fs::remove_file(entry).unwrap();
            }
        }
    }
    killed
}

/// Fails a training at every operation with the errors that `errors` chooses by the kind and number of the operation; returns
/// how many took effect.
fn fail_trainings(errors: impl Fn(usize, usize) -> Vec<&'static str>) -> usize {
    let room = Room::new();
    let expected = whole(&room);
    let mut failed = 0;
    let mut statuses = BTreeMap::new();
    for (kind, operation) in OPERATIONS.iter().enumerate() {
        'numbers: for number in 1..MOST_OPERATIONS {
            for error in errors(kind, number) {
                let fault = format!("{operation}:{number}:{error}");
                let (code, said) = room.run_with_fault(&fault, &train("--out run"));
                *statuses.entry(code).or_insert(0) += 1;
                let left = room.everything();
                let is_temporary =
                    |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "tmp");
                assert!(!left.keys().any(is_temporary), "{fault}: {:?}", left.keys());
                let reason = match error {
                    "EIO" => "Input/output error",
                    "ENOSPC" => "No space left on device",
                    _ => "Permission denied",
                };
                check_detector(&room, &expected, &fault);
                match code {
                    // Either there is no such operation, or it was one whose failure changes nothing.
                    Some(0) if !said.contains("warning") => {
                        fs::remove_dir_all(room.path("run")).unwrap();
                        break 'numbers;
                    }
                    Some(1) => assert!(said.contains("error: ") && said.contains(reason), "{fault}: {said}"),
                    Some(2) => {
                        assert!(said.contains("warning: ") && said.contains(reason), "{fault}: {said}")
                    }
                    other => panic!("{fault}: {other:?} {said}"),
                }
                failed += 1;
                if code == Some(2) {
                    assert!(room.path("run/detector.aberra").exists(), "{fault}: {said}");
                }
                assert_eq!(finish(&room), expected, "{fault}");
                fs::remove_dir_all(room.path("run")).unwrap();
            }
        }
    }
    println!("exit statuses: {statuses:?}");
    failed
}
