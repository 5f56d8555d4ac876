//! The web app's static files, compressed in the binary.

use std::io::Read;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::read::GzDecoder;

use crate::problem::Problem;
use crate::state::ServerState;

/// A file of the build output of `web/`.
struct Asset {
    /// Its path there, with `/` between the parts.
    name: &'static str,
    /// Of its content.
    hash: &'static str,
    /// By gzip.
    packed: &'static [u8],
}

/// All of them, which the build script compresses.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page is revalidated on each load; the other file names contain a content hash, so those files never change.
const PAGE_CACHE: &str = "no-cache";
const FILE_CACHE: &str = "public, max-age=31536000, immutable";

/// The page at `/` and its files below `/assets/`.
pub(crate) fn router() -> Router<ServerState> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { answer("index.html", PAGE_CACHE, &headers) }))
        .route(
            "/assets/{file}",
            get(|Path(file): Path<String>, headers: HeaderMap| async move {
                answer(&format!("assets/{file}"), FILE_CACHE, &headers)
            }),
        )
}

fn answer(name: &str, cache: &'static str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::not_found("no such file").into_response();
    };
    let tag = format!("W/\"{}\"", asset.hash);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    };
    let described = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, tag),
    ];
    if takes_gzip(headers) {
        let packed = [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
        return (described, packed, asset.packed).into_response();
    }
    let mut data = Vec::new();
    match GzDecoder::new(asset.packed).read_to_end(&mut data) {
        Ok(_) => (described, data).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the client accepts an answer compressed by gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|accepted| {
        let mut parts = accepted.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(refused)
    })
}
