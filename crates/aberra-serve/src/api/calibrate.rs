//! `calibrate` and `calibrated`: another threshold from new normal images, such as those of another camera, and the detector file that has
//! it. The detector that is served does not change.

use std::sync::Arc;

use aberra::calibrate::{Calibration, Criterion};
use aberra::dataset::Inspection;
use aberra::models::measure::Want;
use aberra::wire::PromiseCard;
use aberra::{NewNormals, Verdict};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{ApiResult, find, ignoring};
use super::upload::{ImageFile, ImageForm, sources, uploads};
use crate::detectors::ServedDetector;
use crate::problem::{ImageProblem, Problem};
use crate::state::ServerState;

/// Query parameters of `calibrate`: a rate, or a percentile.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CalibrateQuery {
    /// False-alarm rate to guarantee (split conformal), above 0 and below 1.
    rate: Option<f64>,
    /// Guarantee the rate with this confidence, above 0 and below 1, instead of on average.
    confidence: Option<f64>,
    /// Percentile of the images' scores, 0 to 100; no guarantee.
    percentile: Option<f64>,
    /// Areas that are ignored in these images, such as a date or a ruler: left, top, width and height as shares of the sides, such as
    /// `0.7,0.9,0.3,0.1`; several with `;` between them. The threshold is for requests that ignore the same.
    ignore: Option<String>,
}

impl CalibrateQuery {
    fn criterion(&self) -> ApiResult<Criterion> {
        match (self.rate, self.confidence, self.percentile) {
            (Some(rate), confidence, None) => Ok(Criterion::Conformal { rate, confidence }),
            (None, None, Some(percentile)) => Ok(Criterion::Percentile { percentile }),
            _ => Err(Problem::bad_request(
                "expected ?rate= (perhaps with &confidence=) or ?percentile=, found neither or both",
            )),
        }
    }
}

/// The threshold that new normal images give.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalibrateResponse {
    /// Name of the detector.
    detector: String,
    /// Hash of the detector file's content.
    hash: String,
    /// Pass it to `score` or `explain` as `?threshold=`, with the same `ignore`.
    threshold: f64,
    promise: PromiseCard,
    /// Number of groups of near-duplicates, a score of each of which is behind it.
    calibration_groups: usize,
    /// Those scores. Of several requests together, `threshold` takes them as `scores`.
    scores: Vec<f64>,
    #[schema(value_type = Object)]
    criterion: serde_json::Value,
    /// What became of each image, in the order in which they were sent.
    images: Vec<CalibratedImage>,
}

/// What became of an image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalibratedImage {
    /// The file name as sent by the client; of an image of several files that of the first.
    name: Option<String>,
    error: Option<ImageProblem>,
    /// Its score, where it is the one of its group that was drawn.
    score: Option<f64>,
    /// Whether it was refused because the detector learnt from it, from a near-duplicate, or from another of its group.
    is_learnt_from: bool,
}

/// Computes the threshold that new normal images give, and its coverage guarantee: one score of each group of near-duplicates
/// among them, none of images that the detector learnt from. The detector itself does not change.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/calibrate", tag = "aberra", params(("detector" = String, Path), CalibrateQuery),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "Normal images, as for score; without a threshold."),
    responses(
        (status = 200, body = CalibrateResponse),
        (status = 422, description = "No image is left to calibrate on", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request, or too few images for the criterion", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn calibrate(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    query: Result<Query<CalibrateQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Json<CalibrateResponse>> {
    let Judged { served, criterion, mut images, chosen, verdicts, .. } =
        judged(&shared, &detector, query, &headers, body).await?;
    for (&index, verdict) in chosen.samples.iter().zip(verdicts) {
        match verdict {
            Ok(verdict) => images[index].score = Some(verdict.score),
            Err(problem) => images[index].error = Some(problem),
        }
    }
    let scores: Vec<f64> = images.iter().filter_map(|image| image.score).collect();
    let calibration = Calibration::new(&scores, None, criterion).map_err(|error| Problem::of(&error))?;
    Ok(Json(CalibrateResponse {
        detector: served.name.clone(),
        hash: served.hash().to_owned(),
        threshold: calibration.threshold,
        promise: PromiseCard::of(&calibration),
        calibration_groups: scores.len(),
        scores,
        criterion: serde_json::json!(calibration.criterion),
        images,
    }))
}

/// The detector file with the threshold that new normal images give, and the ignored areas: what `aberra calibrate --data` writes. The
/// detector that is served does not change.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/calibrated", tag = "aberra", params(("detector" = String, Path), CalibrateQuery),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "Normal images, as for calibrate."),
    responses(
        (status = 200, description = "The detector file", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 422, description = "No image is left to calibrate on", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request, or too few images for the criterion", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn calibrated(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    query: Result<Query<CalibrateQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    let Judged { served, criterion, inspection, mut chosen, verdicts, .. } =
        judged(&shared, &detector, query, &headers, body).await?;
    // Those that could not be scored after all are left out, as the answer of `calibrate` tells.
    let (samples, verdicts): (Vec<usize>, Vec<Verdict>) = chosen
        .samples
        .into_iter()
        .zip(verdicts)
        .filter_map(|(index, verdict)| Some((index, verdict.ok()?)))
        .unzip();
    chosen.samples = samples;
    let file = shared.engine.run_blocking(move || {
        const NAME: &str = "images given to a server";
        let detector = &served.detector;
        let made = detector
            .recalibrate_images(NAME, &inspection, &chosen, &verdicts, criterion)
            .and_then(|detector| detector.to_bytes());
        made.map_err(|error| Problem::of(&error))
    });
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], file.await?).into_response())
}

/// The images of a request to calibrate, looked at, and those that are chosen of them, judged.
struct Judged {
    /// The detector, which ignores the areas of the request.
    served: Arc<ServedDetector>,
    criterion: Criterion,
    /// What became of each so far.
    images: Vec<CalibratedImage>,
    inspection: Inspection,
    chosen: NewNormals,
    /// Of each that is chosen.
    verdicts: Vec<Result<Verdict, ImageProblem>>,
}

async fn judged(
    shared: &State<ServerState>,
    detector: &str,
    query: Result<Query<CalibrateQuery>, QueryRejection>,
    headers: &HeaderMap,
    body: Bytes,
) -> ApiResult<Judged> {
    let served = find(shared, detector)?;
    let Query(query) = query.map_err(|error| Problem::bad_request(error.body_text()))?;
    let served = ignoring(served, query.ignore.as_deref())?;
    let criterion = query.criterion()?;
    criterion.check().map_err(|error| Problem::of(&error))?;
    let uploads = uploads(headers, body, &shared.limits).await?;
    if uploads.threshold.is_some() {
        return Err(Problem::bad_request("expected images alone, found a threshold, which they are to give"));
    }
    let (names, sources): (Vec<_>, Vec<_>) =
        sources(uploads.images, served.detector.channels()).into_iter().unzip();
    let seen = shared.engine.inspect(&served, sources.clone()).await?;
    let mut images: Vec<CalibratedImage> = (names.into_iter().zip(&seen))
        .map(|(name, seen)| {
            let error = seen.as_ref().err().cloned();
            CalibratedImage { name, error, score: None, is_learnt_from: false }
        })
        .collect();
    let choosing = served.clone();
    let chosen = shared.engine.run_blocking(move || {
        let images = seen.into_iter().map(|seen| seen.map_err(|problem| problem.detail)).collect();
        let inspection = Inspection { images };
        let chosen = choosing.detector.choose_normals(&inspection).map_err(|error| {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
            Problem { hint: error.hint().map(str::to_owned), ..problem }
        })?;
        Ok((inspection, chosen))
    });
    let (inspection, chosen) = chosen.await?;
    chosen.learnt_from.iter().for_each(|&index| images[index].is_learnt_from = true);
    let drawn = chosen.samples.iter().map(|&index| sources[index].clone()).collect();
    let verdicts = shared.engine.score(&served, drawn, Want::MAP).await?;
    Ok(Judged { served, criterion, images, inspection, chosen, verdicts })
}
