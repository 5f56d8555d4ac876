//! Scores of the server equal those of the library: bit for bit without batching, within the tolerance with it.

use std::time::Duration;

use aberra::image::testing::{TiffPage, tiff};
use aberra::image::{Limits, decode};
use aberra_serve::{BATCH_TOLERANCE, Batching, ServeOptions, Server};
use axum::http::{Request, header};

use crate::fixture::{Client, IMAGE_PX, detector, form, options, png};

fn expected(name: &str, bytes: &[u8]) -> aberra::Verdict {
    let image = decode(bytes, &Limits::default()).unwrap();
    detector(name).score(&[image]).remove(0).unwrap()
}

#[tokio::test]
async fn scores_are_the_librarys_bit_for_bit() {
    let client = Client::new();
    for (name, index) in [("first", 0), ("first", 1), ("second", 0)] {
        let expected = expected(name, &png(index));
        let answer = client.post(&format!("/api/v1/detectors/{name}/score"), png(index)).await.done();
        let verdict = &answer["images"][0]["verdict"];
        assert_eq!(verdict["score"].as_f64().unwrap().to_bits(), expected.score.to_bits());
        assert_eq!(verdict["p_value"].as_f64(), expected.p_value);
        assert_eq!(verdict["threshold"], expected.threshold);
        assert_eq!(verdict["anomalous"], expected.anomalous);
        assert_eq!((&verdict["width"], &verdict["height"]), (&IMAGE_PX.into(), &IMAGE_PX.into()));
        assert_eq!(answer["hash"], detector(name).hash().unwrap());
    }
}

#[tokio::test]
async fn a_form_of_images_has_an_answer_for_each() {
    let client = Client::new();
    let (kind, body) =
        form(&[("a.png", &png(3)), ("../../etc/passwd", b"no image"), ("", &png(4)), ("\u{1f9e0}.tif", &[])]);
    for verb in ["score", "explain"] {
        let request =
            Request::post(format!("/api/v1/detectors/first/{verb}")).header(header::CONTENT_TYPE, &kind);
        let answer = client.ask(request, body.clone()).await.done();
        let images = answer["images"].as_array().unwrap();
        assert_eq!(images.len(), 4);
        let verdict = |at: usize| match verb {
            "score" => &images[at]["verdict"],
            _ => &images[at]["explanation"]["verdict"],
        };
        for (at, index) in [(0, 3), (2, 4)] {
            assert_eq!(verdict(at)["score"], expected("first", &png(index)).score);
            assert!(images[at]["error"].is_null());
        }
        assert_eq!(images[0]["name"], "a.png");
        assert_eq!(images[1]["name"], "../../etc/passwd");
        assert!(images[1]["error"]["detail"].as_str().unwrap().starts_with("not an image"));
        assert!(images[2]["name"].is_null());
        assert!(images[3]["error"]["detail"].as_str().unwrap().contains("empty"));
    }
}

#[tokio::test]
async fn another_threshold_moves_the_verdict_and_nothing_else() {
    let client = Client::new();
    let score = expected("first", &png(5)).score;
    // A tie is normal.
    for (threshold, anomalous) in [(score, false), (score - 1e-9, true), (f64::MAX, false), (-1e300, true)] {
        let path = format!("/api/v1/detectors/first/score?threshold={threshold:e}");
        let answer = client.post(&path, png(5)).await.done();
        let verdict = &answer["images"][0]["verdict"];
        assert_eq!((&verdict["score"], &verdict["anomalous"]), (&score.into(), &anomalous.into()));
        assert_eq!(verdict["threshold"], threshold);
    }
    for bad in ["NaN", "inf", "x", "", "1&threshold=2", "1&other=2"] {
        client.post(&format!("/api/v1/detectors/first/score?threshold={bad}"), png(5)).await.problem(400);
    }
}

/// A form with an image and these fields.
fn form_with(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(
        b"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\n",
    );
    [body, png(5), b"\r\n--b--\r\n".to_vec()].concat()
}

#[tokio::test]
async fn a_threshold_in_the_form_counts_and_unknown_fields_are_refused() {
    let client = Client::new();
    let ask = async |query: &str, fields: &[(&str, &str)]| {
        let request = Request::post(format!("/api/v1/detectors/first/score{query}"))
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=b");
        client.ask(request, form_with(fields)).await
    };
    let own = ask("", &[]).await.done();
    for (threshold, anomalous) in [("-100", true), (" 1e9 ", false)] {
        let answer = ask("", &[("threshold", threshold)]).await.done();
        assert_eq!(answer["threshold"], threshold.trim().parse::<f64>().unwrap());
        let verdict = &answer["images"][0]["verdict"];
        assert_eq!((&verdict["anomalous"], &verdict["threshold"]), (&anomalous.into(), &answer["threshold"]));
        assert_eq!(verdict["score"], own["images"][0]["verdict"]["score"]);
    }
    for fields in [
        &[("treshold", "1")][..],
        &[("image", "not a file")],
        &[("", "1")],
        &[("threshold", "many")],
        &[("threshold", "")],
        &[("threshold", "NaN")],
        &[("threshold", "inf")],
        &[("threshold", "1"), ("threshold", "2")],
        &[("threshold", "1"), ("other", "2")],
    ] {
        ask("", fields).await.problem(400);
    }
    ask("?threshold=1", &[("threshold", "1")]).await.problem(400);
}

#[tokio::test]
async fn names_of_any_script_are_served_as_they_are() {
    let names = ["断層", "my run é", "a+b %"];
    let named = |name: &str| (name.to_owned(), detector("first"));
    let server = Server::new(names.map(named).to_vec(), options()).unwrap();
    let client = Client::of(&server);
    let listed = client.get("/api/v1/detectors").await.done();
    for (index, (name, encoded)) in
        names.into_iter().zip(["%E6%96%AD%E5%B1%A4", "my%20run%20%C3%A9", "a%2Bb%20%25"]).enumerate()
    {
        assert_eq!(listed["detectors"][index]["name"], name);
        let answer = client.post(&format!("/api/v1/detectors/{encoded}/score"), png(5)).await.done();
        assert_eq!(answer["detector"], name);
        client.get(&format!("/v2/models/{encoded}")).await.done();
    }
    for names in [["same", "same"], ["..", "a"], ["a/b", "c"]] {
        let error = Server::new(names.map(named).to_vec(), options()).err().unwrap();
        assert!(error.hint().is_some_and(|hint| hint.contains("NAME=FILE")), "{error}");
    }
}

#[tokio::test]
async fn batches_give_the_same_scores_within_the_tolerance() {
    let batching = Batching { most: 16, delay: Duration::from_millis(20) };
    let client = Client::with(ServeOptions { batching, ..options() });
    let files: Vec<Vec<u8>> = (0..40).map(png).collect();
    let asked = files.iter().enumerate().map(|(index, bytes)| {
        let (client, bytes) = (client.clone(), bytes.clone());
        tokio::spawn(async move {
            let name = if index % 4 == 3 { "second" } else { "first" };
            let answer = client.post(&format!("/api/v1/detectors/{name}/score"), bytes).await.done();
            (name, index, answer["images"][0]["verdict"]["score"].as_f64().unwrap())
        })
    });
    for asked in asked.collect::<Vec<_>>() {
        let (name, index, score) = asked.await.unwrap();
        let expected = expected(name, &files[index]).score;
        assert!(
            (score - expected).abs() <= BATCH_TOLERANCE * expected.abs().max(1.0),
            "{index}: {score} {expected}"
        );
    }
    let metrics = String::from_utf8(client.get("/metrics").await.body).unwrap();
    let count = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(count("aberra_batch_images_sum"), 40.0);
    assert!(count("aberra_batch_images_count") < 40.0, "nothing was batched:\n{metrics}");
}

#[tokio::test]
async fn an_explanation_is_the_librarys() {
    let client = Client::new();
    let image = decode(&png(9), &Limits::default()).unwrap();
    let detector = detector("first");
    let story = detector.explain(&image).unwrap();
    let answer = client.post("/api/v1/detectors/first/explain", png(9)).await.done();
    let explained = &answer["images"][0]["explanation"];
    assert_eq!(explained["verdict"]["score"], story.verdict.score);
    assert_eq!(explained["verdict"]["anomalous_share"], story.anomalous_share.unwrap());
    assert_eq!(explained["evidence"].as_object().unwrap().len(), story.evidence.len());
    for one in &story.evidence {
        assert_eq!(explained["evidence"][&one.name], one.value);
        assert_eq!(explained["evidence_percentiles"][&one.name].as_f64(), one.percentile);
    }
    let embedding: Vec<f32> = serde_json::from_value(explained["embedding"].clone()).unwrap();
    assert_eq!(Some(&embedding[..]), story.verdict.embedding());
    let scores: Vec<(&str, f64)> = detector.scores_of(&story.verdict.evidence).collect();
    assert!(scores.len() > 1);
    assert_eq!(explained["scores"].as_object().unwrap().len(), scores.len());
    for (name, score) in scores {
        assert_eq!(explained["scores"][name], score);
    }
    assert_eq!(explained["window"]["width"], story.window.width);
    for (near, expected) in explained["nearest"].as_array().unwrap().iter().zip(&story.nearest) {
        assert_eq!(
            (&near["normal"], &near["distance"]),
            (&expected.normal.into(), &expected.distance.into())
        );
    }
    for picture in ["input", "reconstruction", "error"] {
        assert!(explained["pictures"][picture].as_str().unwrap().starts_with("data:image/"));
    }
}

#[tokio::test]
async fn what_was_decided_while_decoding_is_in_the_answer() {
    let client = Client::new();
    // A picture whose alpha is 0 everywhere is the picture without alpha.
    let plain = decode(&png(0), &Limits::default()).unwrap();
    let side = IMAGE_PX as u32;
    let pixels: Vec<u8> =
        plain.to_grey().iter().flat_map(|value| [(value * 255.0).round() as u8, 0]).collect();
    let page = TiffPage::new(side, side, pixels).with(258, &[8, 8]).with(277, &[2]).with(338, &[2]);
    let tiff = tiff(&[page]);
    let path = "/api/v1/detectors/first/score";
    let odd = client.post(path, tiff).await.done();
    let verdict = &odd["images"][0]["verdict"];
    assert_eq!(verdict["remarks"], serde_json::json!(["alpha is 0 everywhere and ignored"]));
    assert_eq!(verdict["score"], expected("first", &png(0)).score);
    let ordinary = client.post(path, png(0)).await.done();
    assert_eq!(ordinary["images"][0]["verdict"]["remarks"], serde_json::json!([]));
}
