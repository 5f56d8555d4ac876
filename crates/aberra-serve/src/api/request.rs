//! What REST handlers share: their result, the detector that the path names, and JSON bodies.

use std::sync::Arc;

use aberra::image::RelativeRegion;
use axum::extract::State;
use serde::de::DeserializeOwned;

use crate::detectors::ServedDetector;
use crate::problem::Problem;
use crate::state::ServerState;

/// The result of a handler.
pub(super) type ApiResult<T> = Result<T, Problem>;

/// Finds the detector that a request names.
pub(super) fn find(State(shared): &State<ServerState>, name: &str) -> ApiResult<Arc<ServedDetector>> {
    shared.detectors.find(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = shared.detectors.iter().map(|served| served.name.as_str()).collect();
        Problem::not_found(format!("expected one of the detectors {}", names.join(", ")))
    })
}

/// The detector, which for this request ignores the areas of a query parameter, where there are any: `left,top,width,height` each,
/// with `;` between them.
pub(super) fn ignoring(served: Arc<ServedDetector>, areas: Option<&str>) -> ApiResult<Arc<ServedDetector>> {
    let Some(areas) = areas else { return Ok(served) };
    let areas: Result<Vec<RelativeRegion>, _> = areas.split(';').map(str::parse).collect();
    let areas = areas.map_err(|error| Problem::bad_request(format!("the parameter `ignore`: {error}")))?;
    served.ignoring(&areas).map(Arc::new).map_err(|error| Problem::of(&error))
}

/// Parses a JSON body. Its nesting is limited by serde_json (128 levels).
pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!("the body is not the expected JSON: {error}"))
            .with_hint("/api/v1/openapi.json describes the request")
    })
}
