//! Run folders: one writer at a time, no change by a command that is refused, and none of their pictures as data.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::pictures::write_data_set;
use crate::program::{QUICK, Room, detector, shared};

/// A training in `run`, after its first epoch.
struct Training {
    child: Child,
    err: BufReader<std::process::ChildStderr>,
}

impl Training {
    fn start(room: &Room, words: &str) -> Self {
        let mut command = room.command();
        command.args(words.split_whitespace());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("epoch 1/") {
            line.clear();
            assert!(err.read_line(&mut line).unwrap() > 0, "it ended before the first epoch");
        }
        Self { child, err }
    }

    /// Sends a signal; returns the exit code, if there is one.
    fn end(mut self, signal: &str) -> Option<i32> {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn train(rest: &str) -> String {
    format!("train {} --out run {QUICK} {rest}", shared().join("data").display())
}

#[test]
fn a_refused_resume_leaves_every_byte_and_the_right_one_goes_on() {
    let room = Room::new();
    let training = Training::start(&room, &train("--epochs 40"));
    assert_eq!(training.end("-INT"), Some(130));
    let data = shared().join("data");
    let resume = format!("train {} --out run --resume", data.display());
    for (rest, expected) in [
        ("--epochs 20", "expected at least the 40 epochs"),
        ("--seed 5", "with other "),
        ("--scorer ssim", "with other "),
        ("--set train.epochs=abc", "expected a whole number"),
        ("--confidence 0.9", "needs 45 groups"),
        ("--split nowhere.json", "nowhere.json"),
    ] {
        let said = room.refused_unchanged(&format!("{resume} {rest}"));
        assert!(said.contains(expected), "{rest}: {said}");
    }
    room.refused_unchanged(&train("--epochs 1"));
    let ended = room.run(&resume).done();
    assert!(ended.err.contains("resuming from the checkpoint"), "{}", ended.err);
}

#[test]
fn a_folder_in_use_is_refused_and_a_killed_process_leaves_it_free() {
    let room = Room::new();
    fs::copy(detector(), room.path("d.aberra")).unwrap();
    let training = Training::start(&room, &train("--epochs 500"));
    let process = format!("in use by process {} (", training.child.id());
    let data = shared().join("data");
    let data = data.display();
    for words in [
        &train("--epochs 1 --force"),
        &train("--epochs 1"),
        &train("--resume"),
        &format!("report d.aberra {data} --out run/r.html"),
        &format!("report d.aberra {data} --png run/figures --out r.html"),
        &format!("evaluate d.aberra {data} --out run"),
        &format!("bench {data} --families features --out run"),
        &format!("score d.aberra {data} --out run/rows.csv"),
        &format!("score d.aberra {data} --heatmaps run/maps"),
        "calibrate d.aberra --rate 0.2 --out run/detector.aberra",
    ] {
        let said = room.run(words).refusal(&room);
        assert!(said.contains(&process), "{words}: {said}");
    }
    assert!(!room.path("run/maps").exists() && !room.path("run/r.html").exists());
    assert_eq!(training.end("-KILL"), None);
    room.run(&train("--epochs 1 --force")).done();
    room.run("calibrate run/detector.aberra --rate 0.2 --in-place").done();
}

#[test]
fn two_trainings_at_once_give_one_whole_run() {
    let room = Room::new();
    let start = |seed: usize| {
        let mut command = room.command();
        command.args(train(&format!("--epochs 30 --seed {seed}")).split_whitespace());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let codes = [start(1), start(2)].map(|mut child| child.wait().unwrap().code());
    assert!(codes.contains(&Some(0)) && codes.contains(&Some(1)), "{codes:?}");
    let seed = if codes[0] == Some(0) { 1 } else { 2 };
    let info = room.run("info run/detector.aberra --json").done().json();
    assert_eq!(info["config"]["seed"], seed);
    assert!(fs::read_to_string(room.path("run/config.toml")).unwrap().contains(&format!("seed = {seed}\n")));
    assert_eq!(fs::read_to_string(room.path("run/history.jsonl")).unwrap().lines().count(), 30);
}

#[test]
fn runs_and_heat_maps_within_the_images_are_no_data() {
    let room = Room::new();
    write_data_set(&room.path("photos"), 60, 0);
    fs::rename(room.path("photos/normal"), room.path("all")).unwrap();
    fs::remove_dir_all(room.path("photos")).unwrap();
    fs::rename(room.path("all"), room.path("photos")).unwrap();
    let rows = |words: &str| room.run(words).done().json_lines().len();
    let score = format!("score {} photos --json --heatmaps photos/maps", detector().display());
    assert_eq!([rows(&score), rows(&score)], [60, 60]);
    let words = format!("train photos --normal * --out photos/run1 {QUICK}");
    let training = Training::start(&room, &format!("{words} --epochs 400"));
    assert_eq!(training.end("-INT"), Some(130));
    assert!(fs::read_dir(room.path("photos/run1/samples")).unwrap().count() > 1);
    assert_eq!(room.run("doctor photos --normal * --json").done().json()["images"], 60);
    let again = format!("train photos --normal * --out photos/run2 {QUICK} --epochs 1");
    let ended = room.run(&again).done();
    assert!(ended.err.contains("60 normal images"), "{}", ended.err);
    let resumed = format!("{words} --epochs 400 --resume");
    let training = Training::start_resumed(&room, &resumed);
    assert_eq!(training.end("-INT"), Some(130));
}

impl Training {
    /// A training that goes on: it begins after the epochs that it has.
    fn start_resumed(room: &Room, words: &str) -> Self {
        let mut command = room.command();
        command.args(words.split_whitespace());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("resuming from the checkpoint") {
            line.clear();
            assert!(err.read_line(&mut line).unwrap() > 0, "it does not resume");
        }
        Self { child, err }
    }
}

#[test]
fn a_refused_training_leaves_no_folder_behind() {
    let room = Room::new();
    fs::create_dir_all(room.path("empty")).unwrap();
    write_data_set(&room.path("few"), 12, 1);
    fs::create_dir(room.path("there")).unwrap();
    for words in [
        "train empty --out run",
        "train few --out run",
        "train few --out there",
        "train nowhere --out deep/run",
        "bench few --families features --folds 50 --out run",
        &format!("train {} --out run --backbone nowhere.safetensors", shared().join("data").display()),
        &format!("train {} --out there --backbone nowhere.safetensors", shared().join("data").display()),
    ] {
        room.refused_unchanged(words);
    }
}
