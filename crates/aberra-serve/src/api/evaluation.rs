//! The evaluation of a detector, as the report shows it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use serde::Serialize;
use utoipa::ToSchema;

use super::{Answer, find};
use crate::detectors::Evaluated;
use crate::problem::Problem;
use crate::state::Shared;

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    state: Stage,
    /// Images done.
    done: usize,
    /// Images in all; 0 before it is known.
    of: usize,
}

/// What an evaluation without a result is doing.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ProgressStage)]
pub(crate) enum Stage {
    /// Scoring and drawing.
    Running,
}

/// Everything that the report shows of an evaluation.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/evaluation", tag = "aberra", params(("detector" = String, Path)),
    responses(
        (status = 200, description = "What a report holds", body = Object),
        (status = 202, description = "It is on its way", body = Progress),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "It failed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn evaluation(shared: State<Shared>, Path(detector): Path<String>) -> Answer<Response> {
    let served = find(&shared, &detector)?;
    match served.evaluation() {
        Evaluated::None => Err(Problem::not_found("this detector has no evaluation")
            .with_hint("start the server with --data FOLDER, labelled images by class")),
        Evaluated::Running { done, of } => {
            Ok((StatusCode::ACCEPTED, Json(Progress { state: Stage::Running, done, of })).into_response())
        }
        Evaluated::Failed(why) => Err(Problem { detail: why, ..Problem::internal() }),
        Evaluated::Done(json) => Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response()),
    }
}
