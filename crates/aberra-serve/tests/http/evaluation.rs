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
    // The files of its images.
    let names: Vec<&str> =
        report["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect();
    for (id, name) in names.iter().enumerate() {
        let answer = client.get(&format!("{EVALUATION}/images/{id}")).await;
        assert_eq!(answer.headers["content-type"], "application/octet-stream");
        assert_eq!(answer.body, std::fs::read(data.join(name)).unwrap(), "{name}");
    }
    let last = names.len();
    let refused = client.get(&format!("{EVALUATION}/images/{last}")).await.problem(404);
    assert!(refused.contains(&format!("below {last}")), "{refused}");
    for other in ["-1", "..%2f..%2fdata", "0%00"] {
        client.get(&format!("{EVALUATION}/images/{other}")).await.problem(404);
    }
    // A saved evaluation is used as it is.
    let file = folder().join("evaluation.json");
    evaluation.save(&file).unwrap();
    let again = crate::fixture::server(options());
    again.evaluate(EvaluationSource { data, evaluation: Some(file), ..EvaluationSource::default() }).unwrap();
    assert_eq!(ended(&Client::of(&again)).await.done()["evaluation"], report["evaluation"]);
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_evaluated_is_not_shown_for_it() {
    let room = tempfile::tempdir().unwrap();
    for (class, first) in [("good", 500), ("bad", 600)] {
        std::fs::create_dir_all(room.path().join("test").join(class)).unwrap();
        for index in first..first + 4 {
            std::fs::write(room.path().join("test").join(class).join(format!("{index}.png")), png(index))
                .unwrap();
        }
    }
    let server = server(options());
    let client = Client::of(&server);
    let source = EvaluationSource { data: room.path().into(), ..EvaluationSource::default() };
    server.evaluate(source).unwrap();
    client.get(&format!("{EVALUATION}/images/0")).await.problem(404);
    let report = ended(&client).await.done();
    let path = |id: usize| room.path().join(report["images"][id]["name"].as_str().unwrap());
    let file = |id: usize| format!("{EVALUATION}/images/{id}");
    std::fs::write(path(1), png(7)).unwrap();
    std::fs::remove_file(path(2)).unwrap();
    for id in [1, 2] {
        let refused = client.get(&file(id)).await.problem(404);
        assert!(refused.contains("changed or gone since"), "{refused}");
    }
    assert_eq!(client.get(&file(0)).await.body, std::fs::read(path(0)).unwrap());
}

#[tokio::test]
async fn images_in_formats_that_browsers_do_not_show_are_drawn() {
    let room = tempfile::tempdir().unwrap();
    for (class, first) in [("good", 2000), ("bad", 2500)] {
        std::fs::create_dir_all(room.path().join("test").join(class)).unwrap();
        for step in first..first + 4 {
            let path = room.path().join("test").join(class).join(format!("{step}.npy"));
            std::fs::write(path, crate::picture::array(step)).unwrap();
        }
    }
    let server = server(options());
    let client = Client::of(&server);
    let source = EvaluationSource { data: room.path().into(), ..EvaluationSource::default() };
    server.evaluate(source).unwrap();
    let report = ended(&client).await.done();
    let image = &report["images"][0];
    let drawn = client.get(&format!("{EVALUATION}/images/0")).await;
    assert_eq!(drawn.headers["content-type"], "image/png");
    let picture = aberra::image::decode(&drawn.body, &aberra::image::Limits::default()).unwrap();
    assert_eq!((image["height"].as_u64(), image["width"].as_u64()), (Some(16), Some(24)));
    assert_eq!((picture.height, picture.width), (16, 24));
    std::fs::write(room.path().join(image["name"].as_str().unwrap()), crate::picture::array(7)).unwrap();
    assert!(
        client.get(&format!("{EVALUATION}/images/0")).await.problem(404).contains("changed or gone since")
    );
}

#[tokio::test]
async fn an_evaluation_that_fails_says_why() {
    let server = server(options());
    server.evaluate(EvaluationSource { data: folder().join("none"), ..EvaluationSource::default() }).unwrap();
    let why = ended(&Client::of(&server)).await.problem(500);
    assert!(why.contains("none"), "{why}");
}
