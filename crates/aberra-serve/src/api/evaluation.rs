//! The result of a background evaluation, or its progress, and its images.

use aberra::wire::ReportData;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use serde::Serialize;
use utoipa::ToSchema;

use super::request::{ApiResult, find};
use crate::detectors::{Evaluated, EvaluatedContent, EvaluationState};
use crate::engine::ImageSource;
use crate::problem::Problem;
use crate::state::ServerState;

/// Progress of an evaluation.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct EvaluationProgress {
    state: EvaluationStage,
    /// Number of images done.
    done: usize,
    /// Number of images in total; 0 until it is known.
    of: usize,
}

/// The stage of an evaluation that has no result yet.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = EvaluationStage)]
pub(crate) enum EvaluationStage {
    /// Scoring the images and drawing them for the report.
    Running,
}

/// Returns the data of the report on an evaluation, or its progress.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/evaluation", tag = "aberra", params(("detector" = String, Path)),
    responses(
        (status = 200, description = "The data of a report", body = ReportData),
        (status = 202, description = "The evaluation is running", body = EvaluationProgress),
        (status = 404, description = "No evaluation was requested", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The evaluation failed", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn evaluation(
    shared: State<ServerState>,
    Path(detector): Path<String>,
) -> ApiResult<Response> {
    let served = find(&shared, &detector)?;
    match served.evaluation() {
        EvaluationState::None => Err(Problem::not_found("this detector has no evaluation")
            .with_hint("start the server with --data FOLDER, a folder of labelled images by class")),
        EvaluationState::Running { done, of } => {
            Ok((StatusCode::ACCEPTED, Json(EvaluationProgress { state: EvaluationStage::Running, done, of }))
                .into_response())
        }
        EvaluationState::Failed(why) => Err(Problem { detail: why, ..Problem::internal() }),
        EvaluationState::Done(Evaluated { json, .. }) => {
            Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
        }
    }
}

/// An evaluated image at its own resolution: its file, if it is of a format that browsers show, or a picture of it as `picture` draws it,
/// of a page, a slice, several channels and other formats.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/evaluation/images/{id}", tag = "aberra",
    params(("detector" = String, Path), ("id" = usize, Path, description = "`id` of the image in the evaluation")),
    responses(
        (status = 200, description = "The file, or a PNG of it", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "There is no such evaluation or image, or a file of it has changed since or cannot be read any more", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn evaluated_image(
    shared: State<ServerState>,
    Path((detector, id)): Path<(String, String)>,
) -> ApiResult<Response> {
    let served = find(&shared, &detector)?;
    let EvaluationState::Done(Evaluated { images, .. }) = served.evaluation() else {
        return Err(Problem::not_found("expected a detector with a finished evaluation, found none"));
    };
    let Some(image) = id.parse().ok().and_then(|id: usize| images.get(id).cloned()) else {
        let message = format!("expected the number of an image below {}, found {id:?}", images.len());
        return Err(Problem::not_found(message));
    };
    let image = image.ok_or_else(|| Problem::not_found("the files of this image cannot be read any more"))?;
    let (most, reading) = (shared.limits.body_bytes as u64, image.clone());
    let content =
        shared.engine.run_blocking(move || reading.content(most).map_err(Problem::not_found)).await?;
    let (kind, content) = match content {
        EvaluatedContent::File(content) => ("application/octet-stream", content),
        EvaluatedContent::Draw => {
            let sample = ImageSource::Sample(Box::new(image.sample().clone()));
            let drawn = shared.engine.picture(&served, sample).await?;
            // What was drawn is what was evaluated only if it is there still.
            image.check().map_err(Problem::not_found)?;
            ("image/png", drawn.map_err(|problem| Problem::not_found(problem.detail))?)
        }
    };
    Ok(([(header::CONTENT_TYPE, kind)], content).into_response())
}
