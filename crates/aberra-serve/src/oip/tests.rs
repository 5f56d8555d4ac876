//! The protocol through its routers, without sockets: every route, every refusal, and that both doors agree.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use prost::Message;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::generated::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::generated::*;
use super::tensors::Values;
use crate::options::{Limits, ServeOptions};
use crate::state::Shared;
use crate::testing::{LATENT, SIZE_PX, grey, png, shared, shared_with};

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// Checks that it is an error in the protocol's form with these words in it.
    fn is(&self, status: u16, words: &str) {
        let json = self.json();
        let object = json.as_object().unwrap();
        let text = object["error"].as_str().unwrap();
        assert!(
            self.status == status && object.len() == 1 && text.contains(words),
            "{}: {text}",
            self.status
        );
    }
}

/// The routers behind the guard.
fn guarded(shared: &Shared, options: &ServeOptions) -> Router {
    let router = super::http::router()
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(shared.clone())
        .merge(super::grpc::router(shared.clone()));
    crate::guard::guarded(router, shared, options)
}

async fn send(router: Router, request: Request<Body>) -> Answered {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let read = body.collect().await.unwrap();
    let mut headers = parts.headers;
    headers.extend(read.trailers().cloned().unwrap_or_default());
    Answered { status: parts.status, headers, body: read.to_bytes() }
}

async fn call(
    shared: &Shared,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answered {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(
        super::http::router().layer(axum::extract::DefaultBodyLimit::disable()).with_state(shared.clone()),
        request.body(body.into()).unwrap(),
    )
    .await
}

async fn get(shared: &Shared, path: &str) -> Answered {
    call(shared, Method::GET, path, &[], Body::empty()).await
}

const INFER: &str = "/v2/models/first/infer";

async fn infer(shared: &Shared, request: &Value) -> Answered {
    call(shared, Method::POST, INFER, &[], request.to_string()).await
}

/// JSON and bytes behind it.
async fn infer_binary(shared: &Shared, request: &Value, behind: &[u8]) -> Answered {
    let head = request.to_string();
    let length = head.len().to_string();
    let body = [head.as_bytes(), behind].concat();
    call(shared, Method::POST, INFER, &[("inference-header-content-length", &length)], body).await
}

fn image(index: u64) -> Value {
    json!({"name": "image", "shape": [1], "datatype": "BYTES", "data": [STANDARD.encode(png(index))]})
}

fn pixels(shape: Value, datatype: &str, data: Value) -> Value {
    json!({"inputs": [{"name": "pixels", "shape": shape, "datatype": datatype, "data": data}]})
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap()
}

fn names(answer: &Value) -> Vec<&str> {
    answer["outputs"].as_array().unwrap().iter().map(|output| output["name"].as_str().unwrap()).collect()
}

fn score(index: u64) -> f64 {
    let detector = crate::testing::detector();
    let image = aberra::image::decode(&png(index), &detector.config().limits).unwrap();
    detector.score(&[image])[0].as_ref().unwrap().score
}

#[tokio::test]
async fn health_follows_the_server() {
    let shared = shared();
    let paths = ["/v2/health/ready", "/v2/models/first/ready", "/v2/models/second/versions/1/ready"];
    for path in paths {
        assert_eq!(get(&shared, path).await.status, 200, "{path}");
    }
    shared.set_unready();
    assert_eq!(get(&shared, "/v2/health/live").await.status, 200);
    for path in paths {
        let answer = get(&shared, path).await;
        answer.is(503, "ends");
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
    assert_eq!(config["parameters"]["hash"]["string_value"], crate::testing::detector().hash().unwrap());
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
    assert_eq!(output(&answer, "score")["data"], json!([score(0)]));
    assert_eq!(output(&answer, "score")["shape"], json!([1]));
    let no_id = infer(&shared, &json!({"inputs": [image(0)]})).await.json();
    assert!(no_id.get("id").is_none());
}

#[tokio::test]
async fn every_way_to_send_an_image_gives_the_same_score() {
    let shared = shared();
    let expected = json!([score(3)]);
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
    let names = ["mu", "error_map", "reconstruction", "anomalous"];
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
    assert_eq!(head["outputs"][4]["data"], json!([score(1)]));
    // All as bytes, but for one.
    let request = json!({
        "inputs": [image(1)], "parameters": {"binary_data_output": true},
        "outputs": [{"name": "score"}, {"name": "mu", "parameters": {"binary_data": false}}],
    });
    let answer = infer(&shared, &request).await;
    let length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(answer.body[length..], score(1).to_le_bytes());
}

#[tokio::test]
async fn a_request_may_bring_its_threshold() {
    let shared = shared();
    let score = score(2);
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
    // One image that cannot be used fails its request, by number.
    let two = json!([STANDARD.encode(png(0)), "AAAA"]);
    infer(&shared, &input(json!({"shape": [2], "data": two}))).await.is(400, "image 1");
}

#[tokio::test]
async fn limits_hold() {
    let limits = Limits { images: 2, pixels: 2048, queue: 2, ..Limits::default() };
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
    let _room = [shared.engine.room().unwrap(), shared.engine.room().unwrap()];
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

fn framed(requests: &[Bytes]) -> Bytes {
    let mut body = BytesMut::new();
    for request in requests {
        body.put_u8(0);
        body.put_u32(u32::try_from(request.len()).unwrap());
        body.put_slice(request);
    }
    body.freeze()
}

fn remote_request(method: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://127.0.0.1:8765/inference.GRPCInferenceService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

/// A call of gRPC: its status, its message, its answers.
async fn remote<T: Message + Default>(
    shared: &Shared,
    method: &str,
    requests: &[Bytes],
) -> (i32, String, Vec<T>) {
    let request = remote_request(method, Body::from(framed(requests)));
    read_remote(send(super::grpc::router(shared.clone()), request).await)
}

fn read_remote<T: Message + Default>(answer: Answered) -> (i32, String, Vec<T>) {
    let mut answers = Vec::new();
    let mut rest = &answer.body[..];
    while let Some((head, more)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        answers.push(T::decode(&more[..length]).unwrap());
        rest = &more[length..];
    }
    let status = answer.headers["grpc-status"].to_str().unwrap().parse().unwrap();
    let message = answer.headers.get("grpc-message").map_or("", |message| message.to_str().unwrap());
    (status, message.replace("%20", " ").replace("%2C", ","), answers)
}

async fn ask<T: Message + Default>(
    shared: &Shared,
    method: &str,
    request: impl Message,
) -> Result<T, (i32, String)> {
    let (status, message, answers) = remote(shared, method, &[request.encode_to_vec().into()]).await;
    answers.into_iter().next().filter(|_| status == 0).ok_or((status, message))
}

fn tensor(name: &str, datatype: &str, shape: &[i64], contents: InferTensorContents) -> InferInputTensor {
    let (name, datatype, shape) = (name.to_owned(), datatype.to_owned(), shape.to_vec());
    InferInputTensor { name, datatype, shape, contents: Some(contents), ..Default::default() }
}

fn request(inputs: Vec<InferInputTensor>) -> ModelInferRequest {
    ModelInferRequest { model_name: "first".to_owned(), id: "7".to_owned(), inputs, ..Default::default() }
}

fn remote_image(index: u64) -> ModelInferRequest {
    let contents = InferTensorContents { bytes_contents: vec![png(index)], ..Default::default() };
    request(vec![tensor("image", "BYTES", &[1], contents)])
}

const INVALID: i32 = 3;
const NOT_FOUND: i32 = 5;
const RESOURCE_EXHAUSTED_OR_RANGE: [i32; 2] = [8, 11];
const UNIMPLEMENTED: i32 = 12;
const UNAVAILABLE: i32 = 14;

#[tokio::test]
async fn grpc_describes_what_http_does() {
    let shared = shared();
    let live: ServerLiveResponse = ask(&shared, "ServerLive", ServerLiveRequest {}).await.unwrap();
    let ready: ServerReadyResponse = ask(&shared, "ServerReady", ServerReadyRequest {}).await.unwrap();
    assert!(live.live && ready.ready);
    let server: ServerMetadataResponse =
        ask(&shared, "ServerMetadata", ServerMetadataRequest {}).await.unwrap();
    assert_eq!(json!(server), get(&shared, "/v2").await.json());
    let (name, version) = ("first".to_owned(), "1".to_owned());
    let asked = ModelMetadataRequest { name: name.clone(), version: version.clone() };
    let model: ModelMetadataResponse = ask(&shared, "ModelMetadata", asked).await.unwrap();
    assert_eq!(json!(model), get(&shared, "/v2/models/first").await.json());
    let asked = ModelConfigRequest { name: name.clone(), version: version.clone() };
    let config: ModelConfigResponse = ask(&shared, "ModelConfig", asked).await.unwrap();
    assert_eq!(json!(config.config), get(&shared, "/v2/models/first/config").await.json());
    let asked = ModelStatisticsRequest { name, version };
    let statistics: ModelStatisticsResponse = ask(&shared, "ModelStatistics", asked).await.unwrap();
    assert_eq!(json!(statistics), get(&shared, "/v2/models/first/stats").await.json());
    let all: ModelStatisticsResponse =
        ask(&shared, "ModelStatistics", ModelStatisticsRequest::default()).await.unwrap();
    assert_eq!(all.model_stats.len(), 2);
    let index: RepositoryIndexResponse =
        ask(&shared, "RepositoryIndex", RepositoryIndexRequest::default()).await.unwrap();
    assert_eq!(index.models.len(), 2);
    shared.set_unready();
    let asked = ModelReadyRequest { name: "second".to_owned(), version: String::new() };
    let ready: ModelReadyResponse = ask(&shared, "ModelReady", asked).await.unwrap();
    assert!(!ready.ready);
}

#[tokio::test]
async fn grpc_gives_the_values_of_http() {
    let shared = shared();
    let asked = |name: &str| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
    let outputs = ["score", "mu", "anomalous"];
    let http = json!({"inputs": [image(4)], "outputs": outputs.map(|name| json!({"name": name})), "parameters": {"binary_data_output": true}});
    let http = infer(&shared, &http).await;
    let length: usize = http.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let grey = grey(4);
    let uint_contents = grey.iter().map(|&value| u32::from(value)).collect();
    let fp32_contents = grey.iter().map(|&value| f32::from(value) / 255.0).collect();
    let in_contents = |contents, datatype| request(vec![tensor("pixels", datatype, &[32, 32, 1], contents)]);
    let mut raw = request(vec![tensor("image", "BYTES", &[1], InferTensorContents::default())]);
    raw.raw_input_contents = vec![Values::Bytes(vec![png(4)]).to_raw()];
    for mut request in [
        remote_image(4),
        raw,
        in_contents(InferTensorContents { uint_contents, ..Default::default() }, "UINT8"),
        in_contents(InferTensorContents { fp32_contents, ..Default::default() }, "FP32"),
    ] {
        request.outputs = outputs.map(asked).into();
        let answer: ModelInferResponse = ask(&shared, "ModelInfer", request).await.unwrap();
        assert_eq!((&answer.id[..], &answer.model_version[..]), ("7", "1"));
        assert_eq!(answer.outputs[1].shape, [1, LATENT as i64]);
        assert_eq!(answer.raw_output_contents.concat(), http.body[length..]);
    }
}

#[tokio::test]
async fn grpc_refuses_what_http_does() {
    let limits = Limits { images: 2, queue: 2, body_bytes: 1 << 20, ..Limits::default() };
    let shared = shared_with(limits);
    let infer = async |request: ModelInferRequest| -> (i32, String) {
        ask::<ModelInferResponse>(&shared, "ModelInfer", request).await.unwrap_err()
    };
    let empty = InferTensorContents::default;
    let with_raw = |raw: &[&'static [u8]]| {
        let mut request = remote_image(0);
        request.raw_input_contents = raw.iter().map(|raw| Bytes::from_static(raw)).collect();
        request
    };
    let three = InferTensorContents { bytes_contents: vec![png(0); 3], ..Default::default() };
    let large = InferTensorContents { uint_contents: vec![256], ..Default::default() };
    let mut asks = remote_image(0);
    asks.parameters.insert(
        "threshold".to_owned(),
        InferParameter {
            parameter_choice: Some(infer_parameter::ParameterChoice::StringParam("1".to_owned())),
        },
    );
    for (request, code, words) in [
        (ModelInferRequest { model_name: "third".to_owned(), ..remote_image(0) }, NOT_FOUND, "first, second"),
        (ModelInferRequest { model_version: "2".to_owned(), ..remote_image(0) }, NOT_FOUND, "version 1"),
        (request(Vec::new()), INVALID, "one input"),
        (request(vec![tensor("image", "BYTES", &[1], empty())]), INVALID, "expected 1 elements"),
        (request(vec![tensor("image", "FP16", &[1], empty())]), INVALID, "datatype"),
        (request(vec![tensor("image", "FP64", &[0], empty())]), INVALID, "expected the datatype"),
        (request(vec![tensor("image", "BYTES", &[-1], empty())]), INVALID, "lengths"),
        (request(vec![tensor("image", "BYTES", &[3], three)]), INVALID, "at most 2 images"),
        (request(vec![tensor("pixels", "UINT8", &[1, 1, 1], large)]), INVALID, "0 to 255"),
        (with_raw(&[b"\x01\0\0\0a"]), INVALID, "found both"),
        (with_raw(&[b"", b""]), INVALID, "raw_input_contents"),
        (asks, INVALID, "threshold"),
    ] {
        let (status, message) = infer(request).await;
        assert!(status == code && message.contains(words), "{status} {message}");
    }
    let too_long = ModelInferRequest { raw_input_contents: vec![vec![0; 2 << 20].into()], ..remote_image(0) };
    assert!(RESOURCE_EXHAUSTED_OR_RANGE.contains(&infer(too_long).await.0));
    let swells: Bytes = [0x2a, 0].repeat(1 << 18).into();
    let (status, message, _) = remote::<ModelInferResponse>(&shared, "ModelInfer", &[swells]).await;
    assert!(status == INVALID && message.contains("at most"), "{status} {message}");
    let (status, ..) =
        remote::<ModelInferResponse>(&shared, "ModelInfer", &[Bytes::from_static(b"\xff\xff")]).await;
    assert_eq!(status, INVALID);
    for method in ["RepositoryModelLoad", "TraceSetting", "CudaSharedMemoryStatus", "NoSuchMethod"] {
        let (status, message, _) = remote::<ModelInferResponse>(&shared, method, &[Bytes::new()]).await;
        assert!(
            status == UNIMPLEMENTED && (message.contains("not supported") || method == "NoSuchMethod"),
            "{message}"
        );
    }
    let _room = [shared.engine.room().unwrap(), shared.engine.room().unwrap()];
    let (status, message) = infer(remote_image(0)).await;
    assert!(status == UNAVAILABLE && message.contains("busy"), "{status} {message}");
}

#[tokio::test]
async fn a_stream_answers_in_order_and_outlives_a_wrong_request() {
    let shared = shared();
    let requests: Vec<Bytes> = (0..4)
        .map(|at| {
            let model_name = if at == 1 { "third" } else { "second" }.to_owned();
            let request = ModelInferRequest { model_name, id: at.to_string(), ..remote_image(at) };
            request.encode_to_vec().into()
        })
        .collect();
    let (status, _, answers) =
        remote::<ModelStreamInferResponse>(&shared, "ModelStreamInfer", &requests).await;
    assert_eq!((status, answers.len()), (0, 4));
    for (at, answer) in answers.into_iter().enumerate() {
        let response = answer.infer_response.unwrap();
        assert_eq!(response.id, at.to_string());
        if at == 1 {
            assert!(answer.error_message.contains("first, second"));
        } else {
            assert_eq!(answer.error_message, "");
            assert_eq!(response.raw_output_contents[0], score(at as u64).to_le_bytes()[..]);
        }
    }
}

#[tokio::test]
async fn the_guard_speaks_the_protocol() {
    let shared = shared();
    let key = secrecy::SecretString::from("0123456789abcdef");
    let router = guarded(&shared, &ServeOptions { api_key: Some(key), ..ServeOptions::default() });
    let http = |path: &str| Request::get(format!("http://127.0.0.1:8765{path}")).body(Body::empty()).unwrap();
    let answer = send(router.clone(), http("/v2/models/first")).await;
    answer.is(401, "API key");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
    assert_eq!(send(router.clone(), http("/v2/health/ready")).await.status, 200);
    let answer = send(router.clone(), http("/api/v1/detectors")).await;
    assert_eq!((answer.status, &answer.json()["title"]), (StatusCode::UNAUTHORIZED, &json!("Unauthorized")));
    let call = || remote_request("ModelInfer", framed(&[remote_image(0).encode_to_vec().into()]).into());
    let (status, message, _) = read_remote::<ModelInferResponse>(send(router.clone(), call()).await);
    assert!(status == 16 && message.contains("API key"), "{status} {message}");
    let mut with_key = call();
    with_key.headers_mut().insert("authorization", "Bearer 0123456789abcdef".parse().unwrap());
    let (status, _, answers) = read_remote::<ModelInferResponse>(send(router, with_key).await);
    assert_eq!((status, answers.len()), (0, 1));
}

#[tokio::test]
async fn what_calls_hold_is_bounded() {
    let bytes: usize = 16 << 10;
    let limits = Limits { body_bytes: bytes, held_bytes: bytes, ..Limits::default() };
    let shared = shared_with(limits);
    let router = guarded(&shared, &ServeOptions { limits, ..ServeOptions::default() });
    let long = ModelInferRequest { raw_input_contents: vec![vec![0; bytes].into()], ..remote_image(0) };
    let long = framed(&[long.encode_to_vec().into()]);
    let (status, message, _) = read_remote::<ModelInferResponse>(
        send(router.clone(), remote_request("ModelInfer", long.into())).await,
    );
    assert!(status == INVALID && message.contains("at most"), "{status} {message}");
    // A stream may bring more than that in all, but not at a time.
    let one = framed(&[remote_image(1).encode_to_vec().into()]);
    let count = 2 * bytes / one.len() + 2;
    let stream = |chunk: Bytes, count: usize| {
        let chunks =
            futures_util::stream::iter((0..count).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
        remote_request("ModelStreamInfer", Body::from_stream(chunks))
    };
    let answer = send(router.clone(), stream(one.clone(), count)).await;
    let (status, message, answers) = read_remote::<ModelStreamInferResponse>(answer);
    assert!(status == 0 && answers.len() == count, "{status} {message} {}", answers.len());
    let part = Bytes::from([&[0, 0, 0, 0x3f, 0xff][..], &[0; 1000]].concat());
    let answer = send(router, stream(part, 40)).await;
    let (status, message, answers) = read_remote::<ModelStreamInferResponse>(answer);
    assert!(status == UNAVAILABLE && answers.is_empty(), "{status} {message}");
}

#[tokio::test]
async fn compressed_calls_take_turns() {
    let limits = Limits { held_bytes: 64 << 20, body_bytes: 64 << 20, ..Limits::default() };
    let shared = shared_with(limits);
    let router = super::grpc::router(shared);
    let compressed = |method: &str, requests: Body| {
        let mut request = remote_request(method, requests);
        request.headers_mut().insert("grpc-encoding", "gzip".parse().unwrap());
        request
    };
    let one = || Body::from(framed(&[remote_image(0).encode_to_vec().into()]));
    let (left, right) = tokio::join!(
        send(router.clone(), compressed("ModelInfer", one())),
        send(router.clone(), compressed("ModelInfer", one()))
    );
    assert_eq!(
        (read_remote::<ModelInferResponse>(left).0, read_remote::<ModelInferResponse>(right).0),
        (0, 0)
    );
    // A stream that has not ended keeps its place.
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let open = router.clone().oneshot(compressed("ModelStreamInfer", endless)).await.unwrap();
    let second = send(router.clone(), compressed("ModelStreamInfer", one())).await;
    assert_eq!(read_remote::<ModelStreamInferResponse>(second).0, UNAVAILABLE);
    drop(open);
    let third = send(router, compressed("ModelStreamInfer", one())).await;
    assert_eq!(read_remote::<ModelStreamInferResponse>(third).0, 0);
}
