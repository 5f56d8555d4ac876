//! The web app's static files, embedded in the binary.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Problem;
use crate::state::ServerState;

/// The build output of `web/`.
#[derive(RustEmbed)]
#[folder = "../../web/dist/app"]
struct App;

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
    let Some(EmbeddedFile { data, metadata }) = App::get(name) else {
        return Problem::not_found("no such file").into_response();
    };
    let tag: String = metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("W/\"{tag}\"");
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
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, tag),
    ];
    (headers, data.into_owned()).into_response()
}
