//! The protocol over gRPC: agreement with HTTP, streams, compression, and memory limits.

use aberra::image::testing::{TiffPage, tiff};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use serde_json::json;
use tower::ServiceExt;

use super::{Answered, get, guarded, image, infer, score, send};
use crate::oip::generated::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::oip::generated::*;
use crate::oip::tensors::Values;
use crate::options::{ServeLimits, ServeOptions};
use crate::state::ServerState;
use crate::testing::{LATENT, grey, png, shared, shared_with};

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

/// Makes a gRPC call; returns its status, its message and its responses.
async fn remote<T: Message + Default>(
    shared: &ServerState,
    method: &str,
    requests: &[Bytes],
) -> (i32, String, Vec<T>) {
    let request = remote_request(method, Body::from(framed(requests)));
    read_remote(send(crate::oip::grpc::router(shared.clone()), request).await)
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
    shared: &ServerState,
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
    shared.begin_shutdown();
    let asked = ModelReadyRequest { name: "second".to_owned(), version: String::new() };
    let ready: ModelReadyResponse = ask(&shared, "ModelReady", asked).await.unwrap();
    assert!(!ready.ready);
}

#[tokio::test]
async fn what_was_decided_in_decoding_is_a_parameter_of_the_answer() {
    let shared = shared();
    let page = || TiffPage::new(32, 32, grey(2));
    let stack = tiff(&[page(), page(), page()]);
    let expected = "image 1: page 1 of 3 is read, the others are not";
    let data = [png(2).to_vec(), stack.clone()].map(|file| STANDARD.encode(file));
    let input = json!({"name": "image", "shape": [2], "datatype": "BYTES", "data": data});
    let http = infer(&shared, &json!({"inputs": [input]})).await.json();
    assert_eq!(http["parameters"], json!({"remarks": expected}));
    let contents = InferTensorContents { bytes_contents: vec![png(2), stack.into()], ..Default::default() };
    let asked = request(vec![tensor("image", "BYTES", &[2], contents)]);
    let answer: ModelInferResponse = ask(&shared, "ModelInfer", asked).await.unwrap();
    let said = answer.parameters["remarks"].parameter_choice.clone();
    assert_eq!(said, Some(infer_parameter::ParameterChoice::StringParam(expected.to_owned())));
    let plain = infer(&shared, &json!({"inputs": [image(2)]})).await.json();
    assert!(plain.get("parameters").is_none());
}

#[tokio::test]
async fn grpc_gives_the_values_of_http() {
    let shared = shared();
    let asked = |name: &str| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
    let outputs = ["score", "embedding", "anomalous"];
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
    let limits = ServeLimits { images: 2, queue: 2, body_bytes: 1 << 20, ..ServeLimits::default() };
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
    let _room = [shared.engine.reserve().unwrap(), shared.engine.reserve().unwrap()];
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
            assert_eq!(response.raw_output_contents[0], score("second", at as u64).to_le_bytes()[..]);
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
    let limits = ServeLimits { body_bytes: bytes, held_bytes: bytes, ..ServeLimits::default() };
    let shared = shared_with(limits);
    let router = guarded(&shared, &ServeOptions { limits, ..ServeOptions::default() });
    let long = ModelInferRequest { raw_input_contents: vec![vec![0; bytes].into()], ..remote_image(0) };
    let long = framed(&[long.encode_to_vec().into()]);
    let (status, message, _) = read_remote::<ModelInferResponse>(
        send(router.clone(), remote_request("ModelInfer", long.into())).await,
    );
    assert!(status == INVALID && message.contains("at most"), "{status} {message}");
    // A stream may send more than that in total, but not at a time.
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
    let limits = ServeLimits { held_bytes: 64 << 20, body_bytes: 64 << 20, ..ServeLimits::default() };
    let shared = shared_with(limits);
    let router = crate::oip::grpc::router(shared);
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
    // A stream keeps its permit until it ends.
    let endless = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let open = router.clone().oneshot(compressed("ModelStreamInfer", endless)).await.unwrap();
    let second = send(router.clone(), compressed("ModelStreamInfer", one())).await;
    assert_eq!(read_remote::<ModelStreamInferResponse>(second).0, UNAVAILABLE);
    drop(open);
    let third = send(router, compressed("ModelStreamInfer", one())).await;
    assert_eq!(read_remote::<ModelStreamInferResponse>(third).0, 0);
}
