//! Errors in responses: problem documents (RFC 9457) for requests, and errors of single images within a response.
//!
//! [`oip`] gives problem documents the two forms that clients of the Open Inference Protocol expect.

pub(crate) mod oip;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem document (RFC 9457): why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The HTTP status code.
    pub(crate) status: u16,
    /// The name of the status code.
    pub(crate) title: String,
    /// What was expected and what was found.
    pub(crate) detail: String,
    /// What to do about it, if there is something to suggest.
    pub(crate) hint: Option<String>,
}

/// Why an image could not be scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ImageProblem {
    /// What was expected and what was found.
    pub(crate) detail: String,
    /// What to do about it, if there is something to suggest.
    pub(crate) hint: Option<String>,
}

/// A problem document with what the answer would have held: the extension members that RFC 9457 allows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemWith<T> {
    #[serde(flatten)]
    problem: Problem,
    #[serde(flatten)]
    answer: T,
}

impl<T: Serialize> ProblemWith<T> {
    pub(crate) fn new(problem: Problem, answer: T) -> Self {
        Self { problem, answer }
    }
}

impl<T: Serialize> IntoResponse for ProblemWith<T> {
    fn into_response(self) -> Response {
        let status = self.problem.status;
        document(status, Json(self))
    }
}

impl ImageProblem {
    pub(crate) fn of(error: &aberra::Error) -> Self {
        Self { detail: error.to_string(), hint: error.hint().map(str::to_owned) }
    }

    pub(crate) fn internal() -> Self {
        Self { detail: "the image could not be scored because of an internal error".to_owned(), hint: None }
    }
}

impl From<aberra::Error> for ImageProblem {
    fn from(error: aberra::Error) -> Self {
        Self::of(&error)
    }
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: detail.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(crate) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the server is busy: its queue is full")
            .with_hint("try again in a second")
    }

    pub(crate) fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is shutting down: it finishes what it has begun and takes nothing new",
        )
        .with_hint("send the request to another server, or again in a while")
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    }

    /// An error of the library that the request caused.
    pub(crate) fn of(error: &aberra::Error) -> Self {
        Self { hint: error.hint().map(str::to_owned), ..Self::bad_request(error.to_string()) }
    }
}

/// Value of `Retry-After` in seconds, for requests that were rejected under load.
pub(crate) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        document(self.status, Json(self))
    }
}

/// A response with the headers of a problem document.
fn document(status: u16, body: impl IntoResponse) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
