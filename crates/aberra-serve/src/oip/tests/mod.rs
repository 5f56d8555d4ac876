//! Tests of the protocol through its routers, without sockets: every route, every rejection, and that both transports
//! agree.

mod codec;
mod grpc;
mod http;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::options::ServeOptions;
use crate::state::ServerState;
use crate::testing::{detector, png};

/// A response with its whole body.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// Asserts an error in the protocol's form that contains `words`.
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

/// The routers behind the guard's middleware.
fn guarded(shared: &ServerState, options: &ServeOptions) -> Router {
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
    shared: &ServerState,
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

async fn get(shared: &ServerState, path: &str) -> Answered {
    call(shared, Method::GET, path, &[], Body::empty()).await
}

const INFER: &str = "/v2/models/first/infer";

async fn infer(shared: &ServerState, request: &Value) -> Answered {
    call(shared, Method::POST, INFER, &[], request.to_string()).await
}

/// Sends JSON followed by binary data.
async fn infer_binary(shared: &ServerState, request: &Value, behind: &[u8]) -> Answered {
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

/// The library's score of an image.
fn score(name: &str, index: u64) -> f64 {
    let detector = detector(name);
    let image = aberra::image::decode(&png(index), &detector.config().limits).unwrap();
    detector.score(&[image])[0].as_ref().unwrap().score
}
