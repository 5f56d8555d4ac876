//! Background evaluation.

use std::time::{Duration, Instant};

use aberra::dataset::{Dataset, OpenOptions};
use aberra_serve::EvaluationSource;

use crate::fixture::{Client, detector, folder, options, png, server};

const EVALUATION: &str = "/api/v1/detectors/first/evaluation";

/// Polls until the evaluation has ended.
async fn ended(client: &Client) -> crate::fixture::Answer {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.get(EVALUATION).await;
        if answer.status.as_u16() != 202 {
            return answer;
        }
        assert_eq!(answer.json()["state"], "running");
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_evaluation_is_what_the_report_shows() {
    let server = server(options());
    let client = Client::of(&server);
    client.get(EVALUATION).await.problem(404);
    let data = folder().join("data");
    server.evaluate(EvaluationSource { data: data.clone(), ..EvaluationSource::default() }).unwrap();
    // Images are scored meanwhile.
    client.post("/api/v1/detectors/first/score", png(0)).await.done();
    let report = ended(&client).await.done();
    let dataset = Dataset::open(&data, &OpenOptions::default()).unwrap();
    let evaluation = detector("first").evaluate(&dataset).unwrap();
    crate::openapi::assert_is("ReportData", &report);
    assert_eq!(report["detector"]["name"], "first");
    assert!(report["summary"].as_array().unwrap().len() > 1);
    let scored: Vec<f64> =
        evaluation.images.iter().filter_map(|row| row.scored()).map(|one| one.score).collect();
    let shown: Vec<f64> =
        report["images"].as_array().unwrap().iter().map(|image| image["score"].as_f64().unwrap()).collect();
    assert_eq!(shown, scored);
    // Training normals that were found in the data have names and thumbnails now.
    let told = client.post("/api/v1/detectors/first/explain", png(1)).await.done();
    let near = &told["images"][0]["explanation"]["nearest"][0];
    assert!(near["name"].as_str().unwrap().starts_with("train/good/"));
    assert!(near["picture"].as_str().unwrap().starts_with("data:image/jpeg"));
    // A saved evaluation is used as it is.
    let file = folder().join("evaluation.json");
    evaluation.save(&file).unwrap();
    let again = crate::fixture::server(options());
    again.evaluate(EvaluationSource { data, evaluation: Some(file), ..EvaluationSource::default() }).unwrap();
    assert_eq!(ended(&Client::of(&again)).await.done()["evaluation"], report["evaluation"]);
}

#[tokio::test]
async fn an_evaluation_that_fails_says_why() {
    let server = server(options());
    server.evaluate(EvaluationSource { data: folder().join("none"), ..EvaluationSource::default() }).unwrap();
    let why = ended(&Client::of(&server)).await.problem(500);
    assert!(why.contains("none"), "{why}");
}
