//! What targets are given beside their inputs: a small detector, its data, and a server of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aberra::Detector;
use aberra::dataset::{Dataset, OpenOptions};
use aberra_serve::{Batching, ServeOptions, Server};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

#[expect(dead_code, reason = "the tests of the server use more of it")]
#[path = "../../../crates/aberra-serve/tests/http/detectors.rs"]
mod detectors;

pub(crate) use self::detectors::{SIZE_PX, grey, png};

/// The name of the detector.
pub(crate) const NAME: &str = "first";

/// A detector, and the folder with the data set that it was trained on in `data/`.
pub(crate) struct Fixture {
    pub(crate) folder: PathBuf,
    pub(crate) detector: Detector,
    pub(crate) dataset: Dataset,
    router: Router,
    runtime: Runtime,
}

/// Made by whichever target needs it first.
pub(crate) fn fixture() -> &'static Fixture {
    static MADE: OnceLock<Fixture> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", std::process::id()));
        let [first, _] = detectors::two();
        detectors::write(&folder, [first]);
        let dataset = Dataset::open(&folder.join("data"), &OpenOptions::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options =
            ServeOptions { batching: Batching { most: 1, ..Batching::default() }, ..ServeOptions::default() };
        let served = vec![(NAME.to_owned(), detectors::load(&folder, NAME))];
        let router = runtime.block_on(async { Server::new(served, options).unwrap().router() });
        let detector = detectors::load(&folder, NAME);
        Fixture { folder, detector, dataset, router, runtime }
    })
}

impl Fixture {
    /// The detector's file.
    pub(crate) fn detector_file(&self) -> Vec<u8> {
        fs::read(self.folder.join(format!("{NAME}.aberra"))).unwrap()
    }

    /// Writes an input to where a parser reads it from.
    pub(crate) fn written(&self, name: &str, input: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, input).unwrap();
        path
    }

    /// Posts a body; returns status, Content-Type and body of the response. A header that cannot be one is left out.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &[u8])], body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut request = Request::post(path).header(header::HOST, "127.0.0.1:8765");
        for (name, value) in headers {
            if let Ok(value) = axum::http::HeaderValue::from_bytes(value) {
                request = request.header(*name, value);
            }
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        self.runtime.block_on(async {
            let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
            let kind = parts.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            (parts.status.as_u16(), kind.unwrap_or_default(), body)
        })
    }
}

/// What a response says, once it is known to be one of the server's: a result, or a refusal of the request with a reason.
pub(crate) fn answer_in_words((status, kind, body): (u16, String, Vec<u8>), error_at: &str) -> String {
    let text = String::from_utf8_lossy(&body);
    assert!(matches!(status, 200 | 400 | 413 | 415 | 422), "status {status}: {text}");
    if kind == "application/octet-stream" {
        assert_eq!(status, 200);
        return "200 binary".to_owned();
    }
    let json: Value =
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"));
    match status {
        200 => "200".to_owned(),
        _ => {
            let reason = json[error_at].as_str().map(str::to_owned).unwrap_or_else(|| reasons(&json));
            assert!(!reason.is_empty(), "{status} without a reason: {text}");
            format!("{status} {reason}")
        }
    }
}

/// Why none of the images of a request could be scored.
fn reasons(json: &Value) -> String {
    let images = json["images"].as_array().map(Vec::as_slice).unwrap_or_default();
    images.iter().map(|image| image["error"]["detail"].as_str().unwrap_or_default()).collect()
}
