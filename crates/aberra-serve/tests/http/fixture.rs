//! Servers of small detectors, and a client that sends requests to it without a socket.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aberra::Detector;
use aberra_serve::{Batching, ServeOptions, Server};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::detectors;

/// Width and height of the images that are sent. It differs from the network input's, so that images are resized.
pub(crate) const IMAGE_PX: usize = 48;

/// Names and settings of detectors of other families: a vector-quantised autoencoder, whose codes have no decoder of
/// their mean, and an autoencoder, which has no prior.
const OTHERS: [(&str, &str); 2] = [
    ("codes", "[model]\nfamily = \"vqvae\"\nchannels = [4, 8]\ncodes = 8\ncode_dimensions = 4"),
    ("plain", "[model]\nfamily = \"autoencoder\"\nchannels = [4, 8]\nlatent = 4\nhidden = 16"),
];

/// A folder with phantoms in `data/`, the detectors `first.aberra` and `second.aberra`, and the [others](OTHERS).
pub(crate) fn folder() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("aberra-serve");
        let _ = fs::remove_dir_all(&folder);
        let others = OTHERS.map(|(name, settings)| (name, settings.to_owned()));
        detectors::write(&folder, detectors::two().into_iter().chain(others));
        folder
    });
    made.clone()
}

pub(crate) fn detector(name: &str) -> Detector {
    detectors::load(&folder(), name)
}

/// An encoded phantom.
pub(crate) fn png(index: u64) -> Vec<u8> {
    detectors::png(index, IMAGE_PX)
}

/// Options with batching disabled.
pub(crate) fn options() -> ServeOptions {
    ServeOptions { batching: Batching { most: 1, ..Batching::default() }, ..ServeOptions::default() }
}

/// A server of both detectors, `first` and `second`.
pub(crate) fn server(options: ServeOptions) -> Server {
    server_of(&["first", "second"], options)
}

/// A server of these detectors.
pub(crate) fn server_of(names: &[&str], options: ServeOptions) -> Server {
    let detectors = names.iter().map(|&name| (name.to_owned(), detector(name)));
    Server::new(detectors.collect(), options).unwrap()
}

/// A client that calls the router directly.
#[derive(Clone)]
pub(crate) struct Client(Arc<Router>);

/// A response with its whole body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn of(server: &Server) -> Self {
        Self(Arc::new(server.router()))
    }

    /// A client of a server with these options.
    pub(crate) fn with(options: ServeOptions) -> Self {
        Self::of(&server(options))
    }

    /// A client of a server with default options and batching disabled.
    pub(crate) fn new() -> Self {
        Self::with(options())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path), Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.ask(Request::post(path), body).await
    }

    /// Sends a request; adds `Host` if it is missing.
    pub(crate) async fn ask(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> Answer {
        let mut request = request.body(body.into()).unwrap();
        request.headers_mut().entry(header::HOST).or_insert("127.0.0.1:8765".parse().unwrap());
        self.send(request).await
    }

    /// Sends a request unchanged.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = Router::clone(&self.0).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub(crate) fn done(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Asserts a problem document with this status; returns its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(!detail.is_empty());
        detail
    }
}

/// The Content-Type and the body of a form with these files.
pub(crate) fn form(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    form_of(&files.iter().map(|&(name, bytes)| ("image", name, bytes)).collect::<Vec<_>>())
}

/// The same of files in fields of these names.
pub(crate) fn form_of(files: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "aberra-test-boundary";
    let mut body = Vec::new();
    for (field, name, bytes) in files {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
