//! `import`: a model of PyTorch becomes a detector once it has seen normal images, and no sooner.

use std::fs;
use std::path::Path;

use crate::pictures::blobs;
use crate::program::Room;

/// Made by PyTorch with few channels.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../aberra-models/tests/golden/residual.pth");

#[test]
fn an_imported_model_gives_verdicts_once_it_is_calibrated() {
    let room = Room::new();
    fs::create_dir(room.path("normals")).unwrap();
    for seed in 0..48 {
        blobs(3_000 + seed).save(room.path(format!("normals/{seed}.png"))).unwrap();
    }
    let made = room.run(&format!("import {MODEL} --out model.aberra --json")).done().json();
    assert_eq!((&made["made_from"], &made["input"]["width"]), (&"residual.pth".into(), &256.into()));

    for words in [
        "score model.aberra normals",
        "info model.aberra",
        "evaluate model.aberra normals",
        "serve model.aberra --address 127.0.0.1:0",
    ] {
        let said = room.run(words).refusal(&room);
        assert!(
            said.contains(
                "model.aberra: expected a detector file, found an imported model without a calibration"
            ) && said.contains("aberra calibrate"),
            "{said}"
        );
    }
    insta::assert_snapshot!(room.refused_unchanged("calibrate model.aberra --rate 0.2"), @r"
    error: model.aberra: expected --data with normal images for an imported model, found none
    hint: it has seen no images yet: aberra calibrate MODEL --data NORMALS --rate 0.05
    ");
    let said = room
        .refused_unchanged("calibrate model.aberra --percentile 90 --data normals --normal * --out d.aberra");
    assert!(said.contains("expected a false-alarm rate"), "{said}");

    let words = "calibrate model.aberra --rate 0.2 --data normals --normal * --out d.aberra --json";
    let ended = room.run(words).done();
    assert!(ended.err.contains("is not known here"), "{}", ended.err);
    let info = ended.json();
    assert_eq!(info["members"][0]["family"], "vae");
    let card = room.run("info d.aberra").done().out;
    assert!(card.contains("weights from") && card.contains("residual.pth"), "{card}");
    let scored = room.run("score d.aberra normals --json").done();
    let threshold = info["threshold"].as_f64().unwrap();
    for row in scored.json_lines() {
        assert_eq!(row["threshold"], threshold);
        assert_eq!(row["anomalous"], row["score"].as_f64().unwrap() > threshold);
    }
    // From here on it is a detector like any other.
    room.run("calibrate d.aberra --percentile 90 --out p.aberra").done();
}

#[test]
fn files_that_are_no_such_model_are_refused_and_nothing_is_written() {
    let room = Room::new();
    fs::write(room.path("keras.h5"), b"\x89HDF\r\n\x1a\nmore").unwrap();
    fs::write(room.path("empty.pth"), b"").unwrap();
    let whole = fs::read(MODEL).unwrap();
    fs::write(room.path("cut.pth"), &whole[..whole.len() / 2]).unwrap();
    fs::copy(MODEL, room.path("model.pth")).unwrap();
    for (words, expected) in [
        ("import keras.h5 --out m.aberra", "such as a model of Keras"),
        ("import empty.pth --out m.aberra", "an empty file"),
        ("import cut.pth --out m.aberra", "cut off or damaged"),
        ("import nowhere.pth --out m.aberra", "nowhere.pth"),
        ("import model.pth --out model.pth", "model.pth"),
        ("import model.pth --out nowhere/m.aberra", "nowhere"),
    ] {
        let said = room.refused_unchanged(words);
        assert!(said.contains(expected), "{words}: {said}");
    }
    assert!(Path::new(MODEL).is_file());
}
