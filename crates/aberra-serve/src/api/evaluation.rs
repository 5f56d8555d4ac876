//! The evaluation of a detector, as the report shows it.

use aberra::wire::ReportData;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiResult, find};
use crate::detectors::EvaluationState;
use crate::problem::Problem;
use crate::state::ServerState;

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct EvaluationProgress {
    state: EvaluationStage,
    /// Images done.
    done: usize,
    /// Images in all; 0 before it is known.
    of: usize,
}

/// What an evaluation without a result is doing.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EvaluationStage)]
pub(crate) enum EvaluationStage {
    /// Scoring and drawing.
    Running,
}

/// Everything that the report shows of an evaluation.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/evaluation", tag = "aberra", params(("detector" = String, Path)),
    responses(
        (status = 200, description = "What a report holds", body = ReportData),
        (status = 202, description = "It is on its way", body = EvaluationProgress),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "It failed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn evaluation(
    shared: State<ServerState>,
    Path(detector): Path<String>,
) -> ApiResult<Response> {
    let served = find(&shared, &detector)?;
    match served.evaluation() {
        EvaluationState::None => Err(Problem::not_found("this detector has no evaluation")
            .with_hint("start the server with --data FOLDER, labelled images by class")),
        EvaluationState::Running { done, of } => {
            Ok((StatusCode::ACCEPTED, Json(EvaluationProgress { state: EvaluationStage::Running, done, of }))
                .into_response())
        }
        EvaluationState::Failed(why) => Err(Problem { detail: why, ..Problem::internal() }),
        EvaluationState::Done(json) => {
            Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
        }
    }
}
