//! The protocol over HTTP: `/v2`. Errors are `{"error": "..."}`, as the protocol requires.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;

use super::generated::repository_index_response::ModelIndex;
use super::generated::{ModelConfig, ModelMetadataResponse, ModelStatistics, ModelStatisticsResponse};
use super::infer::{infer, offload_input, offload_output};
use super::model::{self, Output};
use super::{json, json::ParsedRequest};
use crate::detectors::ServedDetector;
use crate::problem::Problem;
use crate::problem::oip::{OipProblem, unsupported};
use crate::state::ServerState;

/// Header with the length of the JSON that precedes the binary data.
const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// All routes of `/v2`. The middleware in front limits, buffers and decompresses bodies.
pub(crate) fn router() -> Router<ServerState> {
    let mut router = Router::new()
        .route("/v2", get(async || Json(model::server())))
        .route("/v2/health/live", get(async || StatusCode::OK))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/stats", get(all_statistics))
        .route("/v2/repository/index", post(index));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        router = router
            .route(model, get(metadata))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/config"), get(config))
            .route(&format!("{model}/stats"), get(statistics))
            .route(&format!("{model}/infer"), post(answer));
    }
    for (route, what) in [
        ("/v2/repository/models/{model}/load", "loading models"),
        ("/v2/repository/models/{model}/unload", "unloading models"),
        ("/v2/models/{model}/trace/setting", "trace settings"),
        ("/v2/trace/setting", "trace settings"),
        ("/v2/logging", "log settings"),
        ("/v2/systemsharedmemory/{*rest}", "shared memory"),
        ("/v2/cudasharedmemory/{*rest}", "shared memory"),
    ] {
        router = router.route(route, any(async move || OipProblem(unsupported(what))));
    }
    router
}

type OipResult<T> = Result<T, OipProblem>;

/// Extractor of the detector that the path names.
struct NamedDetector(Arc<ServedDetector>);

#[derive(Deserialize)]
struct Names {
    model: String,
    #[serde(default)]
    version: String,
}

impl FromRequestParts<ServerState> for NamedDetector {
    type Rejection = OipProblem;

    async fn from_request_parts(parts: &mut Parts, shared: &ServerState) -> OipResult<Self> {
        let Path(Names { model, version }) = Path::from_request_parts(parts, shared)
            .await
            .map_err(|_| Problem::not_found("expected a model's name in the path, found none"))?;
        Ok(Self(model::find(shared, &model, &version)?))
    }
}

async fn ready(State(shared): State<ServerState>) -> OipResult<StatusCode> {
    if shared.is_ready() { Ok(StatusCode::OK) } else { Err(OipProblem(Problem::shutting_down())) }
}

async fn model_ready(NamedDetector(_): NamedDetector, state: State<ServerState>) -> OipResult<StatusCode> {
    ready(state).await
}

async fn metadata(NamedDetector(served): NamedDetector) -> Json<ModelMetadataResponse> {
    Json(model::metadata(&served))
}

async fn config(NamedDetector(served): NamedDetector) -> Json<ModelConfig> {
    Json(model::config(&served))
}

async fn statistics(NamedDetector(served): NamedDetector) -> Json<ModelStatisticsResponse> {
    Json(ModelStatisticsResponse { model_stats: vec![model::statistics(&served)] })
}

async fn all_statistics(State(shared): State<ServerState>) -> Json<ModelStatisticsResponse> {
    let model_stats: Vec<ModelStatistics> =
        shared.detectors.iter().map(|served| model::statistics(served)).collect();
    Json(ModelStatisticsResponse { model_stats })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IndexRequest {
    ready: bool,
}

async fn index(State(shared): State<ServerState>, body: Bytes) -> OipResult<Json<Vec<ModelIndex>>> {
    let request: IndexRequest = if body.is_empty() {
        IndexRequest::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            Problem::bad_request(format!("the body is not a request for the index: {error}"))
        })?
    };
    Ok(Json(model::index(&shared, request.ready).models))
}

async fn answer(
    NamedDetector(served): NamedDetector,
    State(shared): State<ServerState>,
    headers: HeaderMap,
    body: Bytes,
) -> OipResult<Response> {
    let ParsedRequest { id, request, is_binary } = read(&shared, &served, &headers, body).await?;
    let answer = infer(&shared, &served, request).await?;
    let elements = answer.tensors.iter().map(|tensor| tensor.values.len()).sum();
    let name = served.name.clone();
    let write = move || json::write(&name, id.as_deref(), &answer, &is_binary);
    let (head, behind) = offload_output(&shared, elements, write).await?;
    let Some(behind) = behind else {
        return Ok(([(header::CONTENT_TYPE, "application/json")], head).into_response());
    };
    let length = head.len();
    let mut body = head;
    body.extend_from_slice(&behind);
    let kind = (header::CONTENT_TYPE, "application/octet-stream");
    Ok(([kind], [(HEAD_LENGTH, length.to_string())], body).into_response())
}

/// Parses a body: JSON, JSON followed by binary data, or a bare image.
async fn read(
    shared: &ServerState,
    served: &ServedDetector,
    headers: &HeaderMap,
    mut body: Bytes,
) -> Result<ParsedRequest, Problem> {
    let outputs = Output::of(&served.detector);
    let length = match headers.get(&HEAD_LENGTH) {
        Some(value) => {
            let length = value.to_str().ok().and_then(|value| value.trim().parse::<usize>().ok());
            let length = length.filter(|&length| length <= body.len());
            Some(length.ok_or_else(|| {
                Problem::bad_request(format!(
                    "Inference-Header-Content-Length: expected a number from 0 to the body's {} bytes, found another",
                    body.len()
                ))
            })?)
        }
        None if is_bare(headers, &body) => Some(0),
        None => None,
    };
    match length {
        Some(0) => Ok(json::image(body, &outputs)),
        length => {
            let head = body.split_to(length.unwrap_or(body.len()));
            offload_input(shared, head.len(), move || json::read(&head, body, &outputs)).await
        }
    }
}

/// Whether a body is a bare image. No image format starts like JSON.
fn is_bare(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    kind == Some(b"application/octet-stream") && body.trim_ascii_start().first() != Some(&b'{')
}
