//! What stands before every handler: who may ask, how much, how long; and what every answer carries.

mod body;
mod connections;
mod hosts;
mod key;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use secrecy::SecretString;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate, SizeAbove};

pub(crate) use self::body::UnansweredBytes;
pub(crate) use self::connections::ConnectionLimit;
pub(crate) use self::key::SHORTEST_KEY;
use crate::metrics::Metrics;
use crate::options::ServeOptions;
use crate::problem::Problem;
use crate::problem::oip::translate_problems;
use crate::state::ServerState;

/// Everything a page may do: nothing but use this server's own files. The hash is that of an empty text: the 3-D plot adds an
/// empty element for styles, and fills it by script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data: blob:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// On every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Answers below this many bytes are not worth compressing.
const SMALL: u64 = 1024;

/// Who may ask.
#[derive(Clone)]
struct AccessPolicy {
    hosts: Arc<[String]>,
    key: Option<SecretString>,
}

/// Puts the guard before every route of `router`.
pub(crate) fn guarded(router: Router, shared: &ServerState, options: &ServeOptions) -> Router {
    let door = AccessPolicy { hosts: options.hosts.clone().into(), key: options.api_key.clone() };
    let bodies = body::BodyBudget::new(options.limits, shared.engine.clone());
    router
        .layer(from_fn(catch_panics))
        .layer(from_fn_with_state(bodies, body::hold))
        .layer(from_fn_with_state(door, admit))
        .layer(from_fn(translate_problems))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(SMALL))))
        .layer(from_fn_with_state(shared.metrics.clone(), record))
}

/// Counts and logs an answer; its route is a pattern, so that neither holds what a client wrote. Adds the headers that
/// every answer carries.
async fn record(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "none".to_owned());
    let mut response = next.run(request).await;
    let (status, took) = (response.status(), started.elapsed());
    metrics.answered(&route, status.as_u16(), took);
    let milliseconds = took.as_secs_f64() * 1e3;
    tracing::info!(method = named(&method), route, status = status.as_u16(), milliseconds, "answered");
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A method by its name, where it has one: the rest is what a client wrote.
fn named(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// Turns away who may not ask.
async fn admit(State(door): State<AccessPolicy>, request: Request, next: Next) -> Response {
    if let Err(why) = hosts::check(request.uri(), request.headers(), &door.hosts) {
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    let is_right = |key| key::is_open(request.uri().path()) || key::is_right(request.headers(), key);
    if !door.key.as_ref().is_none_or(is_right) {
        return Problem::new(StatusCode::UNAUTHORIZED, "expected the API key, found none or another")
            .with_hint("send it as `Authorization: Bearer KEY`")
            .into_response();
    }
    next.run(request).await
}

/// A handler that panics fails alone.
async fn catch_panics(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a handler panicked");
            Problem::internal().into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_fails_alone() {
        let panicking = get(|| async {
            if true {
                panic!("as asked")
            }
        });
        let router: Router = Router::new().route("/", panicking).layer(from_fn(catch_panics));
        for _ in 0..2 {
            let request = Request::get("/").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
    }

    #[test]
    fn methods_that_clients_make_up_are_not_written_down() {
        assert_eq!(named(&Method::POST), "POST");
        assert_eq!(named(&Method::from_bytes(b"JANE-DOE").unwrap()), "other");
    }
}
