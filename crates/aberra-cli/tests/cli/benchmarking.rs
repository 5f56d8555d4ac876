//! `aberra bench`: cells that are kept, a table, and what it refuses.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::program::{QUICK, Room, shared};

fn words(rest: &str) -> String {
    // Presets belong to families here.
    let quick = QUICK.replace("--preset small", "");
    let data = shared().join("data");
    format!("bench {} --folds 2 --rate 0.1 {quick} {rest}", data.display())
}

#[test]
fn families_are_compared_and_finished_cells_are_taken_over() {
    let room = Room::new();
    let first = words("--families vae,autoencoder --preset vae=small,autoencoder=small --epochs 1 --out b");
    let ended = room.run(&first).done();
    for said in ["1 of 4: vae, fold 1 of 2, seed 0\n", "4 of 4: autoencoder, fold 2 of 2, seed 0\n"] {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
    for said in ["Comparison on data: 2 folds, seed 0", "minus vae", "seconds to train"] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    let page = fs::read_to_string(room.path("b/comparison.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("autoencoder"));

    let again = room.run(&format!("{first} --json")).done();
    assert!(
        again.err.contains("4 of 4: autoencoder, fold 2 of 2, seed 0 (finished before)"),
        "{}",
        again.err
    );
    assert!(!again.err.contains("training in"), "{}", again.err);
    let table = again.json();
    assert_eq!(
        table,
        serde_json::from_slice::<serde_json::Value>(&fs::read(room.path("b/comparison.json")).unwrap())
            .unwrap()
    );
    assert_eq!(table["rows"].as_array().unwrap().len(), 2);
    assert!(
        table["rows"][1]["auroc"]["low"].is_f64() && table["rows"][1]["auroc_difference"]["value"].is_f64()
    );
}

#[test]
fn presets_of_one_family_and_some_folds_are_compared() {
    let room = Room::new();
    let command = words(
        "--families vae --preset vae=small,vae=base --epochs 1 --only-folds 2 --keep-detectors --json --out b",
    );
    let table = room.run(&command).done().json();
    assert_eq!(
        (&table["rows"][0]["recipe"], &table["rows"][1]["recipe"]),
        (&"vae-small".into(), &"vae-base".into())
    );
    assert_eq!(table["folds"], serde_json::json!([{ "index": 1, "of": 2 }]));
    let kept = fs::read_dir(room.path("b/cells")).unwrap().map(|entry| entry.unwrap().path());
    let detectors: Vec<_> = kept.filter(|path| path.extension().unwrap() == "aberra").collect();
    assert_eq!(detectors.len(), 2);
    room.run_with(["info", detectors[0].to_str().unwrap()]).done();
}

#[test]
fn ctrl_c_keeps_finished_cells() {
    let room = Room::new();
    let command = words("--families vae --preset vae=small --epochs 30 --out b");
    let mut child = room.command();
    child.args(command.split_whitespace());
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let mut seconds = 0;
    while seconds == 0 || !line.starts_with("epoch 1/") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended before the second cell");
        seconds += usize::from(line.starts_with("2 of 2"));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("the comparison was stopped after 1 of 2 cells"), "{rest}");
    assert_eq!(fs::read_dir(room.path("b/cells")).unwrap().count(), 1);
    let resumed = room.run(&command).done();
    assert!(resumed.err.contains("1 of 2: vae, fold 1 of 2, seed 0 (finished before)"), "{}", resumed.err);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let room = Room::new();
    let refused = [
        (
            "--families mae --out b",
            "expected one of vae, autoencoder, vqvae, features, feature-vae, discriminator, found \"mae\"",
        ),
        ("--preset small --out b", "expected FAMILY=NAME such as vae=small, found \"small\""),
        (
            "--families vae --preset vqvae=small --out b",
            "expected one of the compared families vae, found \"vqvae\"",
        ),
        ("--families vae,vae --out b", "expected recipes whose names differ, found \"vae\" twice"),
        ("--only-folds 3 --out b", "expected folds from 1 to 2, found 3"),
        ("--only-folds 0 --out b", "expected folds from 1 to 2, found 0"),
    ];
    for (rest, expected) in refused {
        let said = room.run(&words(rest)).refusal(&room);
        assert!(said.contains(expected), "{rest}: {said}");
    }
}
