//! Middleware for graceful shutdown: counts running requests, and refuses new ones once it has begun.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::state::ServerState;

/// Probes and metrics are answered to the end and not waited for; other requests are refused once shutdown has begun.
pub(super) async fn refuse_new_work(
    State(shared): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    if is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    let is_http1 = request.version() < Version::HTTP_2;
    match shared.start_request() {
        Some(_running) => next.run(request).await,
        None => closing(Problem::shutting_down().into_response(), is_http1),
    }
}

/// A response to a request whose body is not read to its end: over HTTP/1 the connection cannot be used again, and
/// `Connection: close` says so.
pub(super) fn closing(mut response: Response, is_http1: bool) -> Response {
    if is_http1 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether a path asks how the server is, over HTTP or gRPC.
fn is_probe(path: &str) -> bool {
    let is_model_ready = || path.starts_with("/v2/models/") && path.ends_with("/ready");
    let call = path.strip_prefix("/inference.GRPCInferenceService/");
    path.starts_with("/v2/health/")
        || path == "/metrics"
        || is_model_ready()
        || matches!(call, Some("ServerLive" | "ServerReady" | "ModelReady"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_told_from_work() {
        for path in [
            "/v2/health/ready",
            "/v2/health/live",
            "/v2/models/a/ready",
            "/v2/models/a/versions/1/ready",
            "/metrics",
            "/inference.GRPCInferenceService/ServerReady",
        ] {
            assert!(is_probe(path), "{path}");
        }
        for path in [
            "/",
            "/v2/models/ready/infer",
            "/api/v1/detectors/a/score",
            "/inference.GRPCInferenceService/ModelInfer",
            "/metrics/x",
        ] {
            assert!(!is_probe(path), "{path}");
        }
    }
}
