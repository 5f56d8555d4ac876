//! `score` and `explain`: verdicts on images, and the evidence behind them.

use std::sync::Arc;

use aberra::Verdict;
use aberra::explain::find_normals;
use aberra::models::measure::Want;
use aberra::output::printable;
use aberra::report::{PictureFormat, error_scale_max};
use aberra::wire::{Explanation, VerdictCard};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{ApiResult, find, ignoring};
use super::upload::{ImageFile, ImageForm, sources, uploads};
use crate::announce::LONGEST_SOURCE;
use crate::detectors::ServedDetector;
use crate::problem::{ImageProblem, Problem, ProblemWith};
use crate::state::ServerState;

/// Query parameters of `score` and `explain`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScoreQuery {
    /// Threshold to use instead of the detector's own.
    threshold: Option<f64>,
    /// Areas of the images that are ignored, such as a date or a ruler: left, top, width and height as shares of the sides, such as
    /// `0.7,0.9,0.3,0.1`; several with `;` between them. Needs the threshold that `calibrate` gave for the same areas; there is no
    /// p-value.
    ignore: Option<String>,
    /// Who announces the verdicts, such as `line 3`: they are shown by `announced`, which keeps the last 100 of a detector with a small
    /// picture each, and so by the kiosk of the web app, and sent to the server's webhook, if it has one.
    announce: Option<String>,
}

/// Verdicts on images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoreResponse {
    /// Name of the detector.
    detector: String,
    /// Hash of the detector file's content.
    hash: String,
    /// Scores above the threshold are anomalous; an equal score is normal.
    threshold: f64,
    /// One result per image, in the order in which the images were sent.
    images: Vec<ScoreResult>,
}

/// Result for one image: a verdict or an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoreResult {
    /// The file name as sent by the client; of an image of several files that of the first.
    name: Option<String>,
    error: Option<ImageProblem>,
    verdict: Option<VerdictCard>,
}

/// Explanations of images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainResponse {
    /// Name of the detector.
    detector: String,
    /// Hash of the detector file's content.
    hash: String,
    /// Scores above the threshold are anomalous; an equal score is normal.
    threshold: f64,
    /// One result per image, in the order in which the images were sent.
    images: Vec<ExplainResult>,
}

/// Result for one image: an explanation or an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainResult {
    /// The file name as sent by the client; of an image of several files that of the first.
    name: Option<String>,
    error: Option<ImageProblem>,
    explanation: Option<Explanation>,
}

/// What a request lacks in which nothing can be judged, and where the reasons are.
const AN_IMAGE: &str = "an image that can be scored";
const WHY: &str = "`images` says why of each";

type Queried = Result<Query<ScoreQuery>, QueryRejection>;

/// Scores one image (as the body) or several (as a form).
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/score", tag = "aberra", params(("detector" = String, Path), ScoreQuery),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "An encoded image, or a form whose files are images, of the formats that the detector's `image_formats` names, by content."),
    responses(
        (status = 200, description = "At least one image was scored", body = ScoreResponse),
        (status = 422, description = "No image could be scored; each result has the reason", body = ProblemWith<ScoreResponse>, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn score(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    query: Queried,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let served = ignoring(find(&shared, &detector)?, query.ignore.as_deref())?;
    let (scored, threshold) = score_uploads(&shared, &served, &query, &headers, body, Want::MAP).await?;
    announce(&shared, &served, query.announce, &scored, threshold).await?;
    let images: Vec<ScoreResult> = scored
        .iter()
        .map(|(name, verdict)| match verdict {
            Ok(verdict) => {
                let verdict = Some(card(&served, verdict, threshold));
                ScoreResult { name: name.clone(), error: None, verdict }
            }
            Err(error) => ScoreResult { name: name.clone(), error: Some(error.clone()), verdict: None },
        })
        .collect();
    let any = images.iter().any(|image| image.verdict.is_some());
    let (detector, hash) = (served.name.clone(), served.hash().to_owned());
    Ok(answer(any, AN_IMAGE, WHY, ScoreResponse { detector, hash, threshold, images }))
}

/// Explains the scores of one image (as the body) or several (as a form).
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/explain", tag = "aberra", params(("detector" = String, Path), ScoreQuery),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "As for score."),
    responses(
        (status = 200, description = "At least one image was explained", body = ExplainResponse),
        (status = 422, description = "No image could be explained; each result has the reason", body = ProblemWith<ExplainResponse>, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn explain(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    query: Queried,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let served = ignoring(find(&shared, &detector)?, query.ignore.as_deref())?;
    let (scored, threshold) = score_uploads(&shared, &served, &query, &headers, body, Want::ALL).await?;
    announce(&shared, &served, query.announce, &scored, threshold).await?;
    let explaining = served.clone();
    let scored = Arc::unwrap_or_clone(scored);
    let images = shared.engine.run_blocking(move || {
        let images = scored.into_iter().map(|(name, verdict)| {
            match verdict.and_then(|verdict| {
                explanation(&explaining, verdict, threshold).map_err(|error| ImageProblem::of(&error))
            }) {
                Ok(explanation) => ExplainResult { name, error: None, explanation: Some(explanation) },
                Err(error) => ExplainResult { name, error: Some(error), explanation: None },
            }
        });
        Ok(images.collect::<Vec<_>>())
    });
    let images = images.await?;
    let any = images.iter().any(|image| image.explanation.is_some());
    let (detector, hash) = (served.name.clone(), served.hash().to_owned());
    Ok(answer(any, AN_IMAGE, WHY, ExplainResponse { detector, hash, threshold, images }))
}

/// The answer, or a problem document with it where nothing in it could be judged.
pub(super) fn answer<T: Serialize>(any: bool, expected: &str, hint: &str, answer: T) -> Response {
    if any {
        return Json(answer).into_response();
    }
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("expected {expected}, found none"))
        .with_hint(hint);
    ProblemWith::new(problem, answer).into_response()
}

/// The threshold of a request: in the query, in the form, or else the detector's own.
fn threshold(served: &ServedDetector, in_query: Option<f64>, in_form: Option<f64>) -> ApiResult<f64> {
    let given = match (in_query, in_form) {
        (Some(_), Some(_)) => {
            let message = "expected one threshold, found one in the query and one in the form";
            return Err(Problem::bad_request(message));
        }
        (given, None) | (None, given) => given,
    };
    match given {
        None => Ok(served.detector.calibration().threshold),
        Some(threshold) if threshold.is_finite() => Ok(threshold),
        Some(threshold) => {
            Err(Problem::bad_request(format!("expected a finite threshold, found {threshold}")))
        }
    }
}

/// The client's file name, and the verdict.
type ScoredUpload = (Option<String>, Result<Verdict, ImageProblem>);

/// Announces the verdicts of a request that asks for it, under the name of who does.
async fn announce(
    shared: &ServerState,
    served: &Arc<ServedDetector>,
    source: Option<String>,
    scored: &Arc<Vec<ScoredUpload>>,
    threshold: f64,
) -> ApiResult<()> {
    let Some(source) = source else { return Ok(()) };
    let (shared, served, scored) = (shared.clone(), served.clone(), scored.clone());
    let engine = shared.engine.clone();
    let announced = engine.run_blocking(move || {
        for (name, verdict) in scored.iter() {
            let verdict = verdict.as_ref().map(|verdict| (verdict, card(&served, verdict, threshold)));
            let running = shared.outlast_request();
            shared.announcements.announce(
                &served,
                &source,
                name.clone(),
                verdict.map_err(Clone::clone),
                running,
            );
        }
        Ok(())
    });
    announced.await
}

/// Verdicts on the images of a body, and the threshold of the request.
async fn score_uploads(
    shared: &ServerState,
    served: &Arc<ServedDetector>,
    query: &ScoreQuery,
    headers: &HeaderMap,
    body: Bytes,
    want: Want,
) -> ApiResult<(Arc<Vec<ScoredUpload>>, f64)> {
    if let Some(source) = &query.announce
        && (source.is_empty() || source.len() > LONGEST_SOURCE || printable(source) != *source)
    {
        let message =
            format!("expected a name of up to {LONGEST_SOURCE} bytes of who announces, found another");
        return Err(Problem::bad_request(message));
    }
    let uploads = uploads(headers, body, &shared.limits).await?;
    if query.ignore.is_some() && query.threshold.or(uploads.threshold).is_none() {
        return Err(Problem::bad_request(
            "expected a threshold for images whose areas are ignored, found none",
        )
        .with_hint("the detector's own is of whole images: `calibrate` with the same `ignore` gives one"));
    }
    let threshold = threshold(served, query.threshold, uploads.threshold)?;
    let (names, images): (Vec<_>, Vec<_>) =
        sources(uploads.images, served.detector.channels()).into_iter().unzip();
    let verdicts = shared.engine.score(served, images, want).await?;
    Ok((Arc::new(names.into_iter().zip(verdicts).collect()), threshold))
}

fn card(served: &ServedDetector, verdict: &Verdict, threshold: f64) -> VerdictCard {
    VerdictCard::of(&served.detector, verdict, threshold)
}

fn explanation(served: &ServedDetector, verdict: Verdict, threshold: f64) -> aberra::Result<Explanation> {
    let detector = &served.detector;
    let story = detector.story(verdict, &served.ranks)?;
    let mut explanation = Explanation::of(detector, &story, threshold);
    explanation.pictures =
        Some(PictureFormat::of(detector).triple(&story.verdict, error_scale_max(detector))?);
    if let (Some(components), Some(embedding)) = (served.components(), story.verdict.embedding()) {
        explanation.pca = components.project(embedding)?;
    }
    let found = find_normals(detector, &story.nearest, &[]);
    for (card, found) in explanation.nearest.iter_mut().zip(found) {
        let (name, picture) = served.known_normal(found.normal);
        let own = || PictureFormat::of_thumbnails(detector).picture(found.thumbnail.as_deref()?).ok();
        (card.name, card.picture) = (name, picture.or_else(own));
    }
    Ok(explanation)
}
