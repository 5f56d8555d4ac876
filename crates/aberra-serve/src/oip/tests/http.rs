//! The protocol over HTTP: every route, every rejection.

use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{INFER, call, get, image, infer, infer_binary, names, output, pixels, score};
use crate::options::ServeLimits;
use crate::testing::{LATENT, SIZE_PX, detector, grey, png, shared, shared_with};

#[tokio::test]
async fn health_follows_the_server() {
    let shared = shared();
    let paths = ["/v2/health/ready", "/v2/models/first/ready", "/v2/models/second/versions/1/ready"];
    for path in paths {
        assert_eq!(get(&shared, path).await.status, 200, "{path}");
    }
    shared.begin_shutdown();
    assert_eq!(get(&shared, "/v2/health/live").await.status, 200);
    for path in paths {
        let answer = get(&shared, path).await;
        answer.is(503, "shutting down");
        assert_eq!(answer.headers["retry-after"], "1");
    }
}

#[tokio::test]
async fn models_are_described() {
    let shared = shared();
    let server = get(&shared, "/v2").await.json();
    assert_eq!(server["name"], "aberra");
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
    let model = get(&shared, "/v2/models/first").await.json();
    assert_eq!(model, get(&shared, "/v2/models/first/versions/1").await.json());
    assert_eq!(model["inputs"][0], json!({"name": "image", "datatype": "BYTES", "shape": [-1]}));
    assert_eq!(model["inputs"][1], json!({"name": "pixels", "datatype": "FP32", "shape": [-1, -1, -1, -1]}));
    let map = &model["outputs"][5];
    assert_eq!(*map, json!({"name": "error_map", "datatype": "FP32", "shape": [-1, SIZE_PX, SIZE_PX]}));
    let config = get(&shared, "/v2/models/first/config").await.json();
    assert_eq!(config["input"][0]["data_type"], "TYPE_STRING");
    assert_eq!(config["output"][3]["data_type"], "TYPE_BOOL");
    assert_eq!(config["parameters"]["hash"]["string_value"], detector("first").hash().unwrap());
    let index = call(&shared, Method::POST, "/v2/repository/index", &[], "{\"ready\":true}").await.json();
    let first = json!({"name": "first", "version": "1", "state": "READY", "reason": ""});
    assert_eq!((&index[0], &index[1]["name"]), (&first, &json!("second")));
    call(&shared, Method::POST, "/v2/repository/index", &[], "[").await.is(400, "index");
}

#[tokio::test]
async fn other_models_and_versions_are_not_found() {
    let shared = shared();
    for part in ["", "/ready", "/config", "/stats"] {
        get(&shared, &format!("/v2/models/third{part}")).await.is(404, "first, second");
        get(&shared, &format!("/v2/models/first/versions/2{part}")).await.is(404, "version 1");
    }
    call(&shared, Method::POST, "/v2/models/third/infer", &[], "{}").await.is(404, "first, second");
    call(&shared, Method::POST, "/v2/models/first/versions/0/infer", &[], "{}").await.is(404, "version 1");
    assert_eq!(get(&shared, "/v2/models/%FF").await.status, 404);
}

#[tokio::test]
async fn what_is_not_supported_says_so() {
    let shared = shared();
    for path in [
        "/v2/repository/models/first/load",
        "/v2/repository/models/first/unload",
        "/v2/trace/setting",
        "/v2/models/first/trace/setting",
        "/v2/logging",
        "/v2/systemsharedmemory/status",
        "/v2/systemsharedmemory/region/a/register",
        "/v2/cudasharedmemory/region/a/unregister",
    ] {
        call(&shared, Method::POST, path, &[], "{}").await.is(400, "not supported");
    }
}

#[tokio::test]
async fn an_image_gets_its_numbers() {
    let shared = shared();
    let answer = infer(&shared, &json!({"id": "7", "inputs": [image(0)]})).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    let answer = answer.json();
    assert_eq!(
        (&answer["id"], &answer["model_name"], &answer["model_version"]),
        (&json!("7"), &json!("first"), &json!("1"))
    );
    assert_eq!(names(&answer), ["score", "p_value", "threshold", "anomalous", "anomalous_share"]);
    assert_eq!(output(&answer, "score")["data"], json!([score("first", 0)]));
    assert_eq!(output(&answer, "score")["shape"], json!([1]));
    let no_id = infer(&shared, &json!({"inputs": [image(0)]})).await.json();
    assert!(no_id.get("id").is_none());
}

#[tokio::test]
async fn every_way_to_send_an_image_gives_the_same_score() {
    let shared = shared();
    let expected = json!([score("first", 3)]);
    let grey = grey(3);
    let shares: Vec<f32> = grey.iter().map(|&value| f32::from(value) / 255.0).collect();
    let png = png(3);
    let framed = [&u32::try_from(png.len()).unwrap().to_le_bytes(), &png[..]].concat();
    let binary = |name: &str, shape: Value, datatype: &str, size: usize| json!({"inputs": [{"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}]});
    let raw_shares: Vec<u8> = shares.iter().flat_map(|value| value.to_le_bytes()).collect();
    let with_lies = ("inference-header-content-length", "0");
    for answer in [
        infer(&shared, &json!({"inputs": [image(3)]})).await,
        infer(&shared, &pixels(json!([32, 32, 1]), "UINT8", json!(grey))).await,
        infer(&shared, &pixels(json!([1, 32, 32, 1]), "FP32", json!(shares))).await,
        infer_binary(&shared, &binary("image", json!([1]), "BYTES", framed.len()), &framed).await,
        infer_binary(&shared, &binary("pixels", json!([32, 32, 1]), "UINT8", grey.len()), &grey).await,
        infer_binary(
            &shared,
            &binary("pixels", json!([1, 32, 32, 1]), "FP32", raw_shares.len()),
            &raw_shares,
        )
        .await,
        call(&shared, Method::POST, INFER, &[("content-type", "application/octet-stream")], png.clone())
            .await,
        call(&shared, Method::POST, INFER, &[with_lies], png).await,
    ] {
        assert_eq!(output(&answer.json(), "score")["data"], expected);
    }
}

#[tokio::test]
async fn outputs_come_as_bytes_where_asked() {
    let shared = shared();
    let names = ["embedding", "error_map", "reconstruction", "anomalous"];
    let mut outputs: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "parameters": {"binary_data": true}})).collect();
    outputs.push(json!({"name": "score"}));
    let answer = infer(&shared, &json!({"inputs": [image(1)], "outputs": outputs})).await;
    let length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let head: Value = serde_json::from_slice(&answer.body[..length]).unwrap();
    let picture = SIZE_PX * SIZE_PX * 4;
    for (at, (size, shape)) in [
        (LATENT * 4, json!([1, LATENT])),
        (picture, json!([1, SIZE_PX, SIZE_PX])),
        (picture, json!([1, SIZE_PX, SIZE_PX, 1])),
        (1, json!([1])),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(head["outputs"][at]["name"], names[at]);
        assert_eq!(head["outputs"][at]["parameters"]["binary_data_size"], size);
        assert_eq!(head["outputs"][at]["shape"], shape);
        assert!(head["outputs"][at].get("data").is_none());
    }
    assert_eq!(answer.body.len(), length + LATENT * 4 + 2 * picture + 1);
    assert_eq!(head["outputs"][4]["data"], json!([score("first", 1)]));
    // All outputs as binary data, except one.
    let request = json!({
        "inputs": [image(1)], "parameters": {"binary_data_output": true},
        "outputs": [{"name": "score"}, {"name": "embedding", "parameters": {"binary_data": false}}],
    });
    let answer = infer(&shared, &request).await;
    let length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(answer.body[length..], score("first", 1).to_le_bytes());
}

#[tokio::test]
async fn the_error_map_is_the_one_that_is_thresholded() {
    let shared = shared();
    let (mut marked, detector) = (0, detector("first"));
    for index in 0..4 {
        // A negative is unlike anything the detector has learnt.
        let negative: Vec<u8> = grey(index).iter().map(|value| 255 - value).collect();
        let mut request = pixels(json!([SIZE_PX, SIZE_PX, 1]), "UINT8", json!(negative));
        request["outputs"] = json!([{"name": "error_map"}, {"name": "anomalous_share"}]);
        let answer = infer(&shared, &request).await.json();
        let map: Vec<f64> = serde_json::from_value(output(&answer, "error_map")["data"].clone()).unwrap();
        // The image is as large as the network input, so that nothing of it is padding.
        let above = map.iter().filter(|&&value| value > detector.pixel_threshold()).count();
        let share = above as f64 / (SIZE_PX * SIZE_PX) as f64;
        assert_eq!(output(&answer, "anomalous_share")["data"], json!([share]), "image {index}");
        marked += above;
    }
    assert!(marked > 0, "expected pixels above the threshold, found none: the test says nothing");
}

#[tokio::test]
async fn a_request_may_bring_its_threshold() {
    let shared = shared();
    let score = score("first", 2);
    for (threshold, judged) in [(score - 0.5, true), (score, false), (score + 1.0, false)] {
        let request = json!({"inputs": [image(2)], "parameters": {"threshold": threshold, "sequence_id": 4}});
        let answer = infer(&shared, &request).await.json();
        assert_eq!(output(&answer, "threshold")["data"], json!([threshold]));
        assert_eq!(output(&answer, "anomalous")["data"], json!([judged]));
    }
    for bad in [json!("1"), json!(true)] {
        let request = json!({"inputs": [image(2)], "parameters": {"threshold": bad}});
        infer(&shared, &request).await.is(400, "threshold");
    }
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let shared = shared();
    let input = |change: Value| {
        let mut input = image(0);
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({"inputs": [input]})
    };
    for (request, words) in [
        (json!({"inputs": []}), "one input"),
        (json!({"inputs": [image(0), image(1)]}), "found 2"),
        (json!({"inputs": 3}), "not a request"),
        (json!({}), "inputs"),
        (json!([]), "not a request"),
        (input(json!({"name": "input_0"})), "image or pixels"),
        (input(json!({"datatype": "FP16"})), "BYTES, FP32 or UINT8"),
        (input(json!({"datatype": "FP64"})), "BYTES, FP32 or UINT8"),
        (input(json!({"datatype": "FP32"})), "numbers"),
        (input(json!({"shape": [2]})), "expected 2 elements"),
        (input(json!({"shape": [-1]})), "lengths from 0"),
        (input(json!({"shape": [i64::MAX, i64::MAX]})), "lengths from 0"),
        (input(json!({"shape": [1, 1]})), "[images]"),
        (input(json!({"shape": [0], "data": []})), "at least one image"),
        (input(json!({"data": null})), "have data"),
        (input(json!({"data": ["?"]})), "base64"),
        (input(json!({"data": ["AAAA"]})), "image 0"),
        (input(json!({"data": [{"a": 1}]})), "not a request"),
        (input(json!({"parameters": {"binary_data_size": 3}})), "found both"),
        (input(json!({"data": null, "parameters": {"binary_data_size": 3}})), "expected 3 bytes"),
        (input(json!({"data": null, "parameters": {"binary_data_size": -3}})), "bytes of binary data"),
        (input(json!({"data": null, "parameters": {"binary_data_size": "3"}})), "whole number"),
        (input(json!({"parameters": {"shared_memory_region": "a"}})), "not supported"),
        (json!({"inputs": [image(0)], "outputs": [{"name": "logits"}]}), "expected an output"),
        (
            json!({"inputs": [image(0)], "outputs": [{"name": "score", "parameters": {"classification": 2}}]}),
            "classification",
        ),
        (json!({"inputs": [image(0)], "parameters": {"binary_data_output": 1}}), "true or false"),
        (pixels(json!([2, 2]), "FP32", json!([0, 0, 0, 0])), "shape"),
        (pixels(json!([2, 1, 2]), "FP32", json!([0, 0, 0, 0])), "1 or 3 channels"),
        (pixels(json!([0, 1, 1]), "FP32", json!([])), "with pixels"),
        (pixels(json!([0, 1, 1, 1]), "FP32", json!([])), "at least one image"),
        (pixels(json!([1, 1, 1]), "FP32", json!([1.5])), "from 0 to 1"),
        (pixels(json!([1, 1, 1]), "UINT8", json!([256])), "0 to 255"),
        (pixels(json!([1, 1, 1]), "UINT8", json!([-1])), "0 to 255"),
        (pixels(json!([1, 1, 1]), "UINT8", json!([0.5])), "0 to 255"),
        (pixels(json!([1, 1, 1]), "BYTES", json!(["AAAA"])), "FP32 or UINT8"),
        (pixels(json!([1, 1, 1]), "FP32", json!([0.5])), "image 0"),
    ] {
        infer(&shared, &request).await.is(400, words);
    }
    // One unusable image fails its request, and is named by its index.
    let two = json!([STANDARD.encode(png(0)), "AAAA"]);
    infer(&shared, &input(json!({"shape": [2], "data": two}))).await.is(400, "image 1");
}

#[tokio::test]
async fn limits_hold() {
    let limits = ServeLimits { images: 2, pixels: 2048, queue: 2, ..ServeLimits::default() };
    let shared = shared_with(limits);
    let images = |count: usize| {
        let data = vec![STANDARD.encode(png(0)); count];
        json!({"inputs": [{"name": "image", "shape": [count], "datatype": "BYTES", "data": data}]})
    };
    assert_eq!(infer(&shared, &images(2)).await.status, 200);
    infer(&shared, &images(3)).await.is(413, "at most 2 images");
    infer(&shared, &pixels(json!([32, 65, 1]), "UINT8", json!(vec![0; 32 * 65])))
        .await
        .is(413, "at most 2048 pixels");
    let huge = json!({"inputs": [{"name": "pixels", "shape": [1_u64 << 40, 1 << 20, 1], "datatype": "UINT8", "data": []}]});
    infer(&shared, &huge).await.is(400, "elements");
    let _room = [shared.engine.reserve().unwrap(), shared.engine.reserve().unwrap()];
    let busy = infer(&shared, &images(1)).await;
    busy.is(503, "busy");
    assert_eq!(busy.headers["retry-after"], "1");
    let large = pixels(json!([1, 1, 1]), "FP32", json!(vec![0; 1 << 18]));
    infer(&shared, &large).await.is(503, "busy");
}

#[tokio::test]
async fn hostile_bodies_are_refused() {
    let shared = shared();
    for body in [
        Vec::new(),
        b"{".to_vec(),
        b"\xff\xfe".to_vec(),
        "[".repeat(1 << 20).into_bytes(),
        (r#"{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":"#.to_owned()
            + &"[".repeat(1 << 20))
            .into_bytes(),
        (r#"{"parameters":{"a":"#.to_owned() + &"{\"a\":".repeat(1 << 18)).into_bytes(),
        (r#"{"inputs":["#.to_owned() + &r#"{"name":"","shape":[],"datatype":"FP32"},"#.repeat(1 << 16))
            .into_bytes(),
        (r#"{"x":"#.to_owned() + &"[".repeat(1 << 20)).into_bytes(),
        b"{\"inputs\":[{\"name\":\"pixels\",\"shape\":[1,1,1],\"datatype\":\"FP32\",\"data\":[NaN]}]}"
            .to_vec(),
        b"{\"inputs\":[{\"name\":\"pixels\",\"shape\":[1,1,1],\"datatype\":\"FP32\",\"data\":[1e999]}]}"
            .to_vec(),
    ] {
        call(&shared, Method::POST, INFER, &[], body).await.is(400, "not a request");
    }
    let json = json!({"inputs": [image(0)]}).to_string();
    for length in ["-1", "x", "", "99999999", "18446744073709551616"] {
        let headers = [("inference-header-content-length", length)];
        call(&shared, Method::POST, INFER, &headers, json.clone())
            .await
            .is(400, "Inference-Header-Content-Length");
    }
    call(&shared, Method::POST, INFER, &[("inference-header-content-length", "5")], json.clone())
        .await
        .is(400, "request");
}

#[tokio::test]
async fn binary_sizes_that_lie_are_refused() {
    let shared = shared();
    let request = |size: usize, count: usize| json!({"inputs": [{"name": "image", "shape": [count], "datatype": "BYTES", "parameters": {"binary_data_size": size}}]});
    let png = png(0);
    let framed = [&u32::try_from(png.len()).unwrap().to_le_bytes(), &png[..]].concat();
    let size = framed.len();
    infer_binary(&shared, &request(size + 1, 1), &framed).await.is(400, "binary_data_size");
    infer_binary(&shared, &request(usize::MAX / 2, 1), &framed).await.is(400, "binary_data_size");
    infer_binary(&shared, &request(size - 1, 1), &framed).await.is(400, "cut off");
    infer_binary(&shared, &request(size, 2), &framed).await.is(400, "element 1 is cut off");
    infer_binary(&shared, &request(size, i64::MAX as usize), &framed).await.is(400, "at most 4096");
    infer_binary(&shared, &request(size, 0), &framed).await.is(400, "after the last");
    infer_binary(&shared, &request(size, 1), &[&framed[..], b"more"].concat()).await.is(400, "found 4 bytes");
    infer_binary(&shared, &request(4, 1), &[0xff; 4]).await.is(400, "cut off");
    let nan = f32::NAN.to_le_bytes();
    let pixel = json!({"inputs": [{"name": "pixels", "shape": [1, 1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]});
    infer_binary(&shared, &pixel, &nan).await.is(400, "from 0 to 1");
    let short = json!({"inputs": [{"name": "pixels", "shape": [1, 1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 3}}]});
    infer_binary(&shared, &short, &nan[..3]).await.is(400, "found 3 bytes");
}

#[tokio::test]
async fn statistics_count_what_was_done() {
    let shared = shared();
    let images = json!([STANDARD.encode(png(0)), STANDARD.encode(png(1))]);
    let two = json!({"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES", "data": images}]});
    assert_eq!(infer(&shared, &two).await.status, 200);
    let bad = json!({"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["AAAA"]}]});
    assert_eq!(infer(&shared, &bad).await.status, 400);
    let answer = get(&shared, "/v2/models/first/stats").await.json();
    let first = &answer["model_stats"][0];
    assert_eq!((&first["name"], &first["version"]), (&json!("first"), &json!("1")));
    assert_eq!((&first["inference_count"], &first["execution_count"]), (&json!(2), &json!(2)));
    assert!(first["last_inference"].as_u64().unwrap() > 1_700_000_000_000);
    let stats = &first["inference_stats"];
    for (name, count) in [
        ("success", 1),
        ("fail", 1),
        ("queue", 2),
        ("compute_input", 3),
        ("compute_infer", 2),
        ("compute_output", 1),
    ] {
        assert_eq!(stats[name]["count"], count, "{name}");
        assert!(stats[name]["ns"].as_u64().unwrap() > 0, "{name}");
    }
    assert_eq!(first["batch_stats"][0]["batch_size"], 1);
    assert_eq!(first["batch_stats"][0]["compute_infer"]["count"], 2);
    let all = get(&shared, "/v2/models/stats").await.json();
    assert_eq!(all["model_stats"].as_array().unwrap().len(), 2);
    assert_eq!(all["model_stats"][1]["inference_count"], 0);
}
