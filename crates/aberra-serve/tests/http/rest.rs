//! The other routes of `/api/v1`: detectors, thresholds, the embedding space, sample images, and unknown routes.

use aberra::Part;
use aberra::calibrate::{Calibration, Criterion};
use aberra::explain::embeddings_of;
use aberra::image::{Limits, decode};
use aberra::testing;
use aberra_serve::Server;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::detectors::{LATENT, SIZE_PX};
use crate::fixture::{Client, detector, options, png, server_of};
use crate::openapi::assert_is;

#[tokio::test]
async fn detectors_say_what_they_are() {
    let client = Client::new();
    let list = client.get("/api/v1/detectors").await.done();
    let names: Vec<&Value> = list["detectors"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["first", "second"]);
    let detector = detector("second");
    let details = client.get("/api/v1/detectors/second").await.done();
    assert_eq!(details["hash"], detector.hash().unwrap());
    assert_eq!(details["threshold"], detector.calibration().threshold);
    assert_eq!(details["promise"]["text"], detector.calibration().promise.to_string());
    assert_eq!(details["calibration_scores"].as_array().unwrap().len(), detector.calibration().scores.len());
    assert_eq!(details["input"], json!({"height": SIZE_PX, "width": SIZE_PX, "channels": 1}));
    assert_eq!(details["members"][0]["family"], "vae");
    assert_eq!(details["members"][0]["embedding_dimensions"], LATENT);
    assert_eq!(details["measurements"].as_array().unwrap().len(), detector.descriptors().len());
    let scorers = details["scorers"].as_array().unwrap().iter().zip(detector.fitted_scorers());
    assert_eq!(details["scorers"].as_array().unwrap().len(), detector.fitted_scorers().len());
    for (told, scorer) in scorers {
        assert_eq!((&told["name"], &told["about"]), (&json!(scorer.name()), &json!(scorer.about())));
    }
    assert!(details["settings_toml"].as_str().unwrap().contains("seed = 2"));
    let formats = ["PNG", "JPEG", "DICOM", "TIFF", "BMP", "WebP", "GIF", "NIfTI", "NumPy array"];
    assert_eq!(details["image_formats"], json!(formats));
}

#[tokio::test]
async fn another_threshold_is_promised_as_the_library_does() {
    let client = Client::new();
    let ask = async |criterion: Value| {
        let body = json!({ "criterion": criterion }).to_string();
        client.post("/api/v1/detectors/first/threshold", body).await
    };
    let calibration = detector("first").calibration().clone();
    for (wanted, criterion) in [
        (json!({"kind": "conformal", "rate": 0.2}), Criterion::at_rate(0.2)),
        (json!({"kind": "percentile", "percentile": 70}), Criterion::Percentile { percentile: 70.0 }),
        (json!({"kind": "fixed", "threshold": -3.5}), Criterion::Fixed { threshold: -3.5 }),
    ] {
        let expected = calibration.with_criterion(None, criterion).unwrap();
        let answer = ask(wanted).await.done();
        assert_eq!(answer["threshold"], expected.threshold);
        assert_eq!(answer["promise"]["text"], expected.promise.to_string());
        assert_eq!(answer["calibration_groups"], expected.scores.len());
    }
    // Scores of other normals, as those of a new camera, take the place of the detector's own.
    let others: Vec<f64> = (0..40).map(|number| f64::from(number) / 8.0).collect();
    let expected = Calibration::new(&others, None, Criterion::at_rate(0.1)).unwrap();
    let body = json!({ "criterion": {"kind": "conformal", "rate": 0.1}, "scores": others }).to_string();
    let answer = client.post("/api/v1/detectors/first/threshold", body).await.done();
    assert_eq!(
        (answer["threshold"].as_f64(), &answer["calibration_groups"]),
        (Some(expected.threshold), &json!(40))
    );
    assert_eq!(answer["promise"]["text"], expected.promise.to_string());
    for scores in [json!([]), json!([1.0]), json!(["1"]), json!([null])] {
        let body = json!({ "criterion": {"kind": "conformal", "rate": 0.1}, "scores": scores }).to_string();
        client.post("/api/v1/detectors/first/threshold", body).await.problem(400);
    }
    // The calibration does not support the rate; the message names the smallest one.
    let refused = ask(json!({"kind": "conformal", "rate": 0.0001})).await.problem(400);
    assert!(refused.contains("smallest"), "{refused}");
    for bad in [
        json!({"kind": "conformal", "rate": 5}),
        json!({"kind": "conformal"}),
        json!({"kind": "labelled-f1-max"}),
        json!({"kind": "fixed", "threshold": null}),
        json!({"kind": "fixed", "threshold": 1, "more": 2}),
        json!(null),
    ] {
        ask(bad).await.problem(400);
    }
    // The detector has not changed.
    let details = client.get("/api/v1/detectors/first").await.done();
    assert_eq!(details["threshold"], calibration.threshold);
}

#[tokio::test]
async fn latents_decode_and_the_prior_is_drawn_again() {
    let client = Client::new();
    let latent = client.get("/api/v1/detectors/first/latent").await.done();
    assert_eq!((&latent["member"], &latent["dimensions"]), (&json!("vae"), &json!(LATENT)));
    assert_eq!((&latent["has_decoder"], &latent["has_prior"]), (&json!(true), &json!(true)));
    assert_eq!(latent["kl_per_dimension"].as_array().unwrap().len(), LATENT);
    let train = embeddings_of(&detector("first"), Part::Train).unwrap();
    let mean: f64 = train.iter().map(|point| f64::from(point[1])).sum::<f64>() / train.len() as f64;
    assert!((latent["mean"][1].as_f64().unwrap() - mean).abs() < 1e-12);
    let direction: Vec<f64> = serde_json::from_value(latent["components"][0]["direction"].clone()).unwrap();
    assert!((direction.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-9);

    let decode = async |body: Value| client.post("/api/v1/detectors/first/decode", body.to_string()).await;
    let drawn = decode(json!({"prior": {"seed": 7, "count": 3}})).await.done();
    assert_eq!(drawn["pictures"].as_array().unwrap().len(), 3);
    assert_eq!(decode(json!({"prior": {"seed": 7, "count": 3}})).await.done(), drawn);
    assert_ne!(decode(json!({"prior": {"seed": 8, "count": 3}})).await.done(), drawn);
    // Decoding the sampled latents gives the same images.
    assert_eq!(decode(json!({"latents": drawn["latents"]})).await.done(), drawn);
    for bad in [
        json!({}),
        json!({"latents": []}),
        json!({"latents": [[1.0, 2.0]]}),
        json!({"latents": [[1.0, 2.0, 3.0, 4.0]], "prior": {"seed": 1, "count": 1}}),
        json!({"latents": vec![[0.0; 4]; 65]}),
        json!({"latents": [[1e39, 0.0, 0.0, 0.0]]}),
        json!({"latents": [[null, 0.0, 0.0, 0.0]]}),
        json!({"prior": {"seed": 1, "count": 0}}),
        json!({"prior": {"seed": 1, "count": 100000000}}),
        json!({"prior": {"seed": -1, "count": 1}}),
        json!([1]),
    ] {
        decode(bad.clone()).await.problem(400);
    }
}

#[tokio::test]
async fn what_a_family_does_not_have_is_said() {
    let client = Client::of(&server_of(&["codes", "plain"], options()));
    let list = client.get("/api/v1/detectors").await.done();
    let families: Vec<&Value> =
        list["detectors"].as_array().unwrap().iter().map(|one| &one["members"][0]["family"]).collect();
    assert_eq!(families, ["vqvae", "autoencoder"]);
    for (name, has_decoder) in [("codes", false), ("plain", true)] {
        let latent = client.get(&format!("/api/v1/detectors/{name}/latent")).await.done();
        assert_eq!(latent["dimensions"], LATENT);
        assert_eq!((&latent["has_decoder"], &latent["has_prior"]), (&json!(has_decoder), &json!(false)));
        assert_eq!(latent["kl_per_dimension"], json!([]));
        // Everything else is as for any family.
        let answer = client.post(&format!("/api/v1/detectors/{name}/explain"), png(0)).await.done();
        let explanation = &answer["images"][0]["explanation"];
        assert_eq!(explanation["embedding"].as_array().unwrap().len(), LATENT);
        assert!(explanation["pictures"]["reconstruction"].is_string());
    }
    let decode = async |name: &str, body: Value| {
        client.post(&format!("/api/v1/detectors/{name}/decode"), body.to_string()).await
    };
    let point = json!({"latents": [[0.0, 0.0, 0.0, 0.0]]});
    let refused = decode("codes", point.clone()).await.problem(404);
    assert!(refused.contains("no decoder") && refused.contains("vqvae"), "{refused}");
    decode("plain", point).await.done();
    let refused = decode("plain", json!({"prior": {"seed": 1, "count": 1}})).await.problem(400);
    assert!(refused.contains("no prior") && refused.contains("autoencoder"), "{refused}");
}

/// The family has neither embedding nor reconstruction nor map.
#[tokio::test]
async fn a_detector_without_embedding_space_and_map_is_served_by_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let detector = testing::detector(&testing::dataset(folder.path()), false);
    let verdict = detector.score(&[decode(&png(0), &Limits::default()).unwrap()]).remove(0).unwrap();
    let server = Server::new(vec![("bare".to_owned(), detector)], options()).unwrap();
    let client = Client::of(&server);
    let base = "/api/v1/detectors/bare";
    let details = client.get(base).await.done();
    assert_eq!(
        (&details["pixel_threshold"], &details["members"][0]["embedding_dimensions"]),
        (&Value::Null, &Value::Null)
    );
    let refused = client.get(&format!("{base}/latent")).await.problem(404);
    assert!(refused.contains("embedding space"), "{refused}");
    let body = json!({"prior": {"seed": 1, "count": 1}}).to_string();
    client.post(&format!("{base}/decode"), body).await.problem(404);

    let scored = client.post(&format!("{base}/score"), png(0)).await.done();
    assert_is("ScoreResponse", &scored);
    let scored = &scored["images"][0]["verdict"];
    assert_eq!((&scored["score"], &scored["anomalous_share"]), (&json!(verdict.score), &Value::Null));
    let explained = client.post(&format!("{base}/explain"), png(0)).await.done();
    assert_is("ExplainResponse", &explained);
    let explained = &explained["images"][0]["explanation"];
    assert_eq!(explained["verdict"], *scored);
    assert_eq!(
        (&explained["embedding"], &explained["nearest"], &explained["pca"]),
        (&json!([]), &json!([]), &json!([]))
    );
    let pictures = &explained["pictures"];
    assert!(
        pictures["input"].is_string() && pictures["error"].is_null() && pictures["reconstruction"].is_null()
    );
    assert!(explained["evidence_percentiles"]["grey.distance"].is_number());

    // The Open Inference Protocol offers the outputs that there are, and no others.
    let metadata = client.get("/v2/models/bare").await.done();
    let outputs: Vec<&Value> =
        metadata["outputs"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(outputs, ["score", "p_value", "threshold", "anomalous"]);
    let pixels = vec![0.5; 32 * 32];
    let input = json!({"name": "pixels", "datatype": "FP32", "shape": [1, 32, 32, 1], "data": pixels});
    let infer = async |more: Value| {
        let mut request = json!({ "inputs": [input] });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.post("/v2/models/bare/infer", request.to_string()).await
    };
    let answer = infer(json!({})).await.done();
    let names: Vec<&Value> = answer["outputs"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, outputs);
    let refused = infer(json!({"outputs": [{"name": "error_map"}]})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(
        String::from_utf8_lossy(&refused.body).contains("of score, p_value, threshold, anomalous, found")
    );
}

#[tokio::test]
async fn json_that_is_deep_damaged_or_of_another_kind_is_refused() {
    let client = Client::new();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "{", "nonsense", "{\"latents\": NaN}", "\u{0}", &format!("{{\"latents\": {deep}}}")] {
        for verb in ["decode", "threshold"] {
            client.post(&format!("/api/v1/detectors/first/{verb}"), body.to_owned()).await.problem(400);
        }
    }
}

#[tokio::test]
async fn there_are_pictures_to_try() {
    let client = Client::new();
    let list = client.get("/api/v1/phantoms").await.done();
    let images = list["images"].as_array().unwrap();
    assert!(
        images.iter().any(|image| image["kind"].is_null())
            && images.iter().any(|image| image["kind"].is_string())
    );
    for image in images {
        let picture = client.get(&format!("/api/v1/phantoms/{}", image["id"])).await;
        assert_eq!(
            (picture.status, &picture.headers[header::CONTENT_TYPE]),
            (StatusCode::OK, &"image/png".parse().unwrap())
        );
        client.post("/api/v1/detectors/first/score", picture.body).await.done();
    }
    for bad in ["12", "-1", "x", "99999999999999999999999", "%00", "..%2f..%2fetc%2fpasswd"] {
        client.get(&format!("/api/v1/phantoms/{bad}")).await.problem(404);
    }
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let client = Client::new();
    for path in [
        "/api/v1/detectors/third",
        "/api/v1/detectors/first/evaluation",
        "/api/v1/detectors/..%2f..%2fetc%2fpasswd",
        "/api/v1/nothing",
        "/index.html",
        "/assets/../Cargo.toml",
        "/assets/..%2fCargo.toml",
        "/assets/%2e%2e",
        "/assets/none.js",
    ] {
        client.get(path).await.problem(404);
    }
    client.post("/api/v1/detectors/third/score", png(0)).await.problem(404);
    for (method, path) in [
        (Method::GET, "/api/v1/detectors/first/score"),
        (Method::POST, "/api/v1/detectors"),
        (Method::DELETE, "/api/v1/detectors/first"),
        (Method::PUT, "/"),
    ] {
        client.ask(Request::builder().method(method).uri(path), "").await.problem(405);
    }
}

#[tokio::test]
async fn the_app_is_served_and_asked_for_again_only_when_it_changed() {
    let client = Client::new();
    let page = client.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let tag = &page.headers[header::ETAG];
    let again = client.ask(Request::get("/").header(header::IF_NONE_MATCH, tag), "").await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn prometheus_reads_counts_without_names_of_clients() {
    let client = Client::new();
    client.post("/api/v1/detectors/first/score", png(0)).await.done();
    client.get("/api/v1/detectors/Jane-Doe-1970/score").await;
    client.get("/Jane-Doe").await.problem(404);
    let answer = client.get("/metrics").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.ends_with("# EOF\n") && !text.contains("Jane"), "{text}");
    for line in [
        "aberra_requests_total{route=\"/api/v1/detectors/{detector}/score\",status=\"200\"} 1",
        "aberra_verdicts_total{detector=\"first\",verdict=",
        "aberra_images_in_server 0",
        "aberra_batch_images_count 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
