//! `export`: a model and its description are written after another runtime has agreed, or nothing is.

use serde_json::Value;

use crate::pictures::blobs;
use crate::program::{Room, detector};

#[test]
fn a_model_is_written_with_its_description_and_proof() {
    let room = Room::new();
    std::fs::create_dir(room.path("new")).unwrap();
    blobs(3).save(room.path("new/a.png")).unwrap();
    let words = format!("export {} --onnx first.onnx --images new", detector().display());
    let ended = room.run(&words).done();
    for text in ["first.onnx", "first.json", "input", "score [batch] float32", "18 images by rten"] {
        assert!(ended.out.contains(text), "{text}: {}", ended.out);
    }
    let model = std::fs::read(room.path("first.onnx")).unwrap();
    let description = std::fs::read(room.path("first.json")).unwrap();
    let description: Value = serde_json::from_slice(&description).unwrap();
    assert_eq!(description["input"]["shape"][0], "batch");
    assert_eq!(description["proof"]["images"], 18);
    assert!(description["proof"]["score_difference"].as_f64().unwrap() <= 1e-4);
    let names: Vec<&str> =
        description["outputs"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["score", "p_value", "anomalous", "map", "reconstruction"]);

    let again = room.run(&format!("{words} --evidence --json")).done().json();
    assert_eq!(again["outputs"][5]["name"], "evidence");
    assert_ne!(std::fs::read(room.path("first.onnx")).unwrap(), model);
    let measurements = description["measurements"].as_array().unwrap().len();
    assert_eq!(again["outputs"][5]["shape"][1], measurements);
}

#[test]
fn what_cannot_be_exported_leaves_everything_as_it_was() {
    let room = Room::new();
    let detector = detector();
    let detector = detector.display();
    std::fs::write(room.path("no.png"), b"no image").unwrap();
    std::fs::create_dir(room.path("empty")).unwrap();
    for (words, said) in [
        (format!("export {detector}"), "--onnx"),
        (format!("export {detector} --onnx m.json"), "expected another extension than .json"),
        (format!("export {detector} --onnx nowhere/m.onnx"), "nowhere"),
        (format!("export {detector} --onnx m.onnx --images no.png"), "no.png"),
        (format!("export {detector} --onnx m.onnx --images empty"), "expected images to compare on"),
        ("export no.png --onnx m.onnx".to_owned(), "no.png"),
    ] {
        let error = room.refused_unchanged(&words);
        assert!(error.contains(said), "{words}: {error}");
    }
}
