//! `announced`: the verdicts that clients announced, for whoever watches.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{ApiResult, find};
use crate::announce::Announcement;
use crate::problem::Problem;
use crate::state::ServerState;

/// Query parameters of `announced`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AnnouncedQuery {
    /// Leaves out the verdict with this `id` and those before it.
    #[serde(default)]
    after: u64,
}

/// Announced verdicts of a detector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnnouncedResponse {
    /// The oldest first; the last 100 are kept.
    announced: Vec<Announcement>,
}

/// The verdicts of this detector that clients announced (`announce` of `score` and `explain`).
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/announced", tag = "aberra", params(("detector" = String, Path), AnnouncedQuery),
    responses(
        (status = 200, description = "Those that are kept", body = AnnouncedResponse),
        (status = "4XX", description = "Invalid request", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn announced(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    query: Result<Query<AnnouncedQuery>, QueryRejection>,
) -> ApiResult<Json<AnnouncedResponse>> {
    let Query(AnnouncedQuery { after }) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let served = find(&shared, &detector)?;
    Ok(Json(AnnouncedResponse { announced: shared.announcements.after(&served.name, after) }))
}
