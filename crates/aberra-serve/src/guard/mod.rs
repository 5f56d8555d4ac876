//! Middleware in front of every handler: access control, limits on body size and time, the end, panic isolation, compression,
//! security headers, metrics and request logs.

mod body;
mod connections;
mod ending;
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

/// Allows pages nothing but this server's own files. The hash is that of the empty string: the 3-D plot inserts an
/// empty style element and fills it by script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data: blob:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Security headers of every response.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Responses with fewer bytes are not compressed.
const SMALL: u64 = 1024;

/// Who may send requests.
#[derive(Clone)]
struct AccessPolicy {
    hosts: Arc<[String]>,
    key: Option<SecretString>,
}

/// Wraps every route of `router` in the middleware; the layer added last runs first.
pub(crate) fn guarded(router: Router, shared: &ServerState, options: &ServeOptions) -> Router {
    let policy = AccessPolicy { hosts: options.hosts.clone().into(), key: options.api_key.clone() };
    let bodies = body::BodyBudget::new(options.limits, shared.engine.clone());
    router
        .layer(from_fn(catch_panics))
        .layer(from_fn_with_state(bodies, body::buffer_bodies))
        .layer(from_fn_with_state(shared.clone(), ending::refuse_new_work))
        .layer(from_fn_with_state(policy, admit))
        .layer(from_fn(translate_problems))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(SMALL))))
        .layer(from_fn_with_state(shared.metrics.clone(), record))
}

/// Records and logs each response, and adds the security headers. The route is recorded as its pattern, so that neither
/// metrics nor logs contain text from clients.
async fn record(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "none".to_owned());
    let mut response = next.run(request).await;
    let (status, took) = (response.status(), started.elapsed());
    metrics.record_request(&route, status.as_u16(), took);
    let milliseconds = took.as_secs_f64() * 1e3;
    tracing::info!(method = named(&method), route, status = status.as_u16(), milliseconds, "answered");
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The name of a standard method; anything else is text from the client and recorded as `other`.
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

/// Rejects requests with a wrong host or origin, or without the API key.
async fn admit(State(policy): State<AccessPolicy>, request: Request, next: Next) -> Response {
    if let Err(why) = hosts::check(request.uri(), request.headers(), &policy.hosts) {
        return Problem::new(StatusCode::FORBIDDEN, why).into_response();
    }
    let is_right = |key| key::is_open(request.uri().path()) || key::is_right(request.headers(), key);
    if !policy.key.as_ref().is_none_or(is_right) {
        return Problem::new(StatusCode::UNAUTHORIZED, "expected the API key, found none or a wrong one")
            .with_hint("send it as `Authorization: Bearer KEY`")
            .into_response();
    }
    next.run(request).await
}

/// Turns a panic in a handler into status 500 for its request alone.
async fn catch_panics(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!("a request handler panicked");
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
