//! Problems in the two forms of the Open Inference Protocol: `{"error": "..."}` over HTTP, a status over gRPC.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::json;
use tonic::{Code, Status};

use super::{Problem, RETRY_AFTER};

/// A problem that is sent in the protocol's JSON form.
#[derive(Debug)]
pub(crate) struct OipProblem(pub(crate) Problem);

impl From<Problem> for OipProblem {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for OipProblem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(json!({ "error": text(&self.0) }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

/// Detail and hint on one line.
pub(crate) fn text(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.detail),
        None => problem.detail.clone(),
    }
}

/// The problem as a gRPC status.
pub(crate) fn status(problem: &Problem) -> Status {
    let code = match problem.status {
        400 | 411 | 413 | 415 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        408 | 504 => Code::DeadlineExceeded,
        405 | 501 => Code::Unimplemented,
        503 => Code::Unavailable,
        500 => Code::Internal,
        _ => Code::Unknown,
    };
    Status::new(code, text(problem))
}

/// The problem for a protocol extension that this server does not implement.
pub(crate) fn unsupported(what: &str) -> Problem {
    Problem::bad_request(format!("{what}: not supported by this server"))
}

/// Upper bound on the size of a problem document that is converted.
const PROBLEM_BYTES: usize = 64 << 10;

/// Middleware that converts problem documents to the protocol's form for requests of that protocol. It must wrap the
/// middleware whose problems it converts.
pub(crate) async fn translate_problems(request: Request, next: Next) -> Response {
    let is_grpc = is_grpc(request.headers());
    let path = request.uri().path();
    let is_http = path == "/v2" || path.starts_with("/v2/");
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == b"application/problem+json");
    if !is_problem || !(is_grpc || is_http) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let read = http_body_util::Limited::new(body, PROBLEM_BYTES).collect().await;
    let read = read.ok().and_then(|read| serde_json::from_slice::<ProblemDocument>(&read.to_bytes()).ok());
    let document = read.unwrap_or_default();
    let problem = Problem { hint: document.hint, ..Problem::new(parts.status, document.detail) };
    if is_grpc {
        return status(&problem).into_http::<axum::body::Body>();
    }
    let mut answer = OipProblem(problem).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
    }
    answer
}

/// Whether a request is a gRPC call.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

#[derive(Default, Deserialize)]
struct ProblemDocument {
    detail: String,
    hint: Option<String>,
}
