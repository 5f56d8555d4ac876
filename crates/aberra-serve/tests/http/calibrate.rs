//! `calibrate`: the threshold of new normal images, as the library computes it from the same files.

use std::fs;

use aberra::Detector;
use aberra::calibrate::{Calibration, Criterion};
use aberra::dataset::{Dataset, GroupBy, OpenOptions};
use aberra::image::{Limits, RelativeRegion, decode};
use axum::http::{Request, header};

use crate::fixture::{Answer, Client, detector, folder, form, png};
use crate::openapi::assert_is;

/// New normal images that are sent.
const COUNT: u64 = 40;

async fn calibrate(client: &Client, query: &str, files: &[(&str, &[u8])]) -> Answer {
    let (kind, body) = form(files);
    let request = Request::post(format!("/api/v1/detectors/first/calibrate{query}"));
    client.ask(request.header(header::CONTENT_TYPE, kind), body).await
}

/// An image that the detector was trained on.
fn learnt() -> Vec<u8> {
    let dataset = Dataset::open(&folder().join("data"), &OpenOptions::default()).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    let detector = detector("first");
    let is_trained_on = |index: usize| {
        let id = inspection.get(index).unwrap().fingerprint.id;
        detector.normals().iter().any(|normal| normal.sketch.id == id && normal.part == aberra::Part::Train)
    };
    let index = (0..dataset.samples.len()).find(|&index| is_trained_on(index)).unwrap();
    fs::read(&dataset.samples[index].path).unwrap()
}

#[tokio::test]
async fn new_normals_give_the_threshold_that_the_library_gives() {
    let client = Client::new();
    let names: Vec<String> = (0..COUNT).map(|index| format!("{index:03}.png")).collect();
    let images: Vec<Vec<u8>> = (0..COUNT).map(|index| png(1_000 + index)).collect();
    let learnt = learnt();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().zip(&images).map(|(name, image)| (name.as_str(), image.as_slice())).collect();
    // A copy counts once, and what is learnt from or no image not at all.
    files.push(("100.png", &images[0]));
    files.push(("101.png", &learnt));
    files.push(("102.png", b"no image"));

    let room = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(room.path().join(name), bytes).unwrap());
    let dataset =
        Dataset::open(room.path(), &OpenOptions { normal: vec!["*".to_owned()], ..OpenOptions::default() })
            .unwrap();
    let inspection = dataset.inspect(&Limits::default());
    let expected =
        detector("first").recalibrate(&dataset, &inspection, GroupBy::Near, Criterion::at_rate(0.2)).unwrap();

    let answer = calibrate(&client, "?rate=0.2", &files).await.done();
    assert_is("CalibrateResponse", &answer);
    assert_eq!(answer["calibration_groups"], expected.groups);
    assert!(expected.groups >= 20 && expected.groups <= COUNT as usize, "{}", expected.groups);
    let threshold = answer["threshold"].as_f64().unwrap();
    let of_library = expected.detector.calibration().threshold;
    assert!((threshold - of_library).abs() <= 1e-4 * threshold.abs().max(1.0), "{threshold} {of_library}");
    assert_eq!(answer["promise"]["text"], expected.detector.calibration().promise.to_string());
    let rows = answer["images"].as_array().unwrap();
    assert_eq!(rows.len(), files.len());
    let mut scores = Vec::new();
    for (row, (name, bytes)) in rows.iter().zip(&files) {
        assert_eq!(row["name"], *name);
        if let Some(score) = row["score"].as_f64() {
            let image = decode(bytes, &Limits::default()).unwrap();
            assert_eq!(score, detector("first").score(&[image]).remove(0).unwrap().score);
            scores.push(score);
        }
    }
    assert_eq!(answer["scores"], serde_json::json!(scores));
    assert_eq!(threshold, Calibration::new(&scores, None, Criterion::at_rate(0.2)).unwrap().threshold);
    assert!(
        rows[0]["score"].is_null() != rows[COUNT as usize]["score"].is_null()
            || scores.len() < COUNT as usize
    );
    assert_eq!(rows[COUNT as usize + 1]["is_learnt_from"], true);
    assert!(rows[COUNT as usize + 1]["score"].is_null());
    assert!(rows[COUNT as usize + 2]["error"]["detail"].is_string());

    // The same as a file.
    let (kind, body) = form(&files);
    let request = Request::post("/api/v1/detectors/first/calibrated?rate=0.2");
    let file = client.ask(request.header(header::CONTENT_TYPE, kind), body).await;
    assert_eq!(file.status.as_u16(), 200);
    assert_eq!(file.headers["content-type"], "application/octet-stream");
    let made = Detector::from_bytes(&file.body).unwrap();
    assert_eq!(made.calibration(), expected.detector.calibration());
    assert_eq!(made.provenance().calibration.images, expected.groups);
    assert_eq!(made.provenance().calibrated_on.as_deref(), Some("images given to a server"));
    assert_eq!(made.normals(), expected.detector.normals());

    // The scores go to `threshold` as well, and the detector is as it was.
    let body =
        serde_json::json!({"criterion": {"kind": "conformal", "rate": 0.2}, "scores": scores}).to_string();
    let moved = client.post("/api/v1/detectors/first/threshold", body).await.done();
    assert_eq!(moved["threshold"], threshold);
    let details = client.get("/api/v1/detectors/first").await.done();
    assert_eq!(details["threshold"], detector("first").calibration().threshold);
    let percentile = calibrate(&client, "?percentile=50", &files).await.done();
    assert_eq!(percentile["calibration_groups"], expected.groups);
}

#[tokio::test]
async fn areas_are_ignored_by_the_threshold_and_by_the_verdicts_that_it_is_for() {
    let client = Client::new();
    let names: Vec<String> = (0..COUNT).map(|index| format!("{index:03}.png")).collect();
    let images: Vec<Vec<u8>> = (0..COUNT).map(|index| png(1_000 + index)).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().zip(&images).map(|(name, image)| (name.as_str(), image.as_slice())).collect();
    let area = RelativeRegion { left: 0.5, top: 0.25, width: 0.25, height: 0.5 };
    let ignoring = detector("first").ignoring(&[area]).unwrap();
    let of_library =
        |bytes: &[u8]| ignoring.score(&[decode(bytes, &Limits::default()).unwrap()]).remove(0).unwrap().score;
    let answer = calibrate(&client, "?rate=0.2&ignore=0.5,0.25,0.25,0.5", &files).await.done();
    let drawn =
        answer["images"].as_array().unwrap().iter().zip(&images).find(|(row, _)| row["score"].is_f64());
    let (row, image) = drawn.unwrap();
    let near = |found: f64, expected: f64| (found - expected).abs() <= 1e-4 * expected.abs().max(1.0);
    assert!(near(row["score"].as_f64().unwrap(), of_library(image)), "{row}");
    assert_ne!(answer["threshold"], calibrate(&client, "?rate=0.2", &files).await.done()["threshold"]);

    let ask = |query: &str| format!("/api/v1/detectors/first/{query}ignore=0.5,0.25,0.25,0.5");
    let explained = client.post(&ask("explain?threshold=0.5&"), image.clone()).await.done();
    assert_is("ExplainResponse", &explained);
    let verdict = &explained["images"][0]["explanation"]["verdict"];
    assert!(near(verdict["score"].as_f64().unwrap(), of_library(image)));
    assert!(verdict["p_value"].is_null());
    assert_eq!(explained["hash"], answer["hash"]);
    let refused = client.post(&ask("score?"), image.clone()).await.problem(400);
    assert!(refused.contains("expected a threshold for images whose areas are ignored"), "{refused}");
    for wrong in ["0.5,0.25", "0.5,0,0.6,0.1", ""] {
        let query = format!("/api/v1/detectors/first/score?threshold=1&ignore={wrong}");
        assert!(client.post(&query, image.clone()).await.problem(400).contains("ignore"), "{wrong}");
    }
}

#[tokio::test]
async fn what_gives_no_threshold_is_refused() {
    let client = Client::new();
    let image = png(1_000);
    let one: &[(&str, &[u8])] = &[("a.png", &image)];
    for query in ["", "?rate=0.1&percentile=5", "?rate=2", "?rate=x", "?confidence=0.9", "?rate=0.1&more=1"] {
        calibrate(&client, query, one).await.problem(400);
    }
    assert!(calibrate(&client, "?rate=0.1", one).await.problem(400).contains("found 1"));
    let learnt = learnt();
    let refused = calibrate(&client, "?rate=0.1", &[("a.png", &learnt), ("b.png", b"no image")]).await;
    assert!(refused.problem(422).contains("1 that the detector learnt from, and 1 that cannot be read"));
    calibrate(&client, "?rate=0.1", &[]).await.problem(400);
    let many = vec![("a.png", image.as_slice()); 65];
    calibrate(&client, "?rate=0.1", &many).await.problem(413);
    client.post("/api/v1/detectors/third/calibrate?rate=0.1", image.clone()).await.problem(404);
}
