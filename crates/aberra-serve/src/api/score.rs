//! `score` and `explain`: verdicts on images, and the story behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aberra::Verdict as LibraryVerdict;
use aberra::calibrate::is_anomalous;
use aberra::explain::{Story, anomalous_share, find_normals};
use aberra::image::Region;
use aberra::report::{Frame, error_scale_max};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::upload::{ImageFile, ImageForm, Upload, uploads};
use super::{ApiResult, find};
use crate::detectors::ServedDetector;
use crate::engine::ImageSource;
use crate::problem::{ImageProblem, Problem};
use crate::state::ServerState;

/// What may be asked along with images.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScoreQuery {
    /// Judge by this threshold instead of the detector's own.
    threshold: Option<f64>,
}

/// Verdicts on images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoreResponse {
    /// The detector's name.
    detector: String,
    /// The hash of its file's content.
    hash: String,
    /// Scores above it are anomalous; an equal score is normal.
    threshold: f64,
    /// One for each image, in the order in which they were sent.
    images: Vec<ScoreResult>,
}

/// What became of one image: a verdict, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoreResult {
    /// The file's name, as the client sent it.
    name: Option<String>,
    error: Option<ImageProblem>,
    verdict: Option<Verdict>,
}

/// What a detector says of an image.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// How abnormal the image is, in the scorer's own units; never clamped or rescaled.
    score: f64,
    /// Share of normal images at least this abnormal, by the calibration; null where the detector has none.
    p_value: Option<f64>,
    /// The threshold that was used.
    threshold: f64,
    /// Whether the score lies above the threshold.
    anomalous: bool,
    /// Share of the image's pixels whose filtered error lies above the pixel threshold, 0 to 1.
    anomalous_share: f64,
    /// Of the image, in pixels.
    width: usize,
    /// Of the image, in pixels.
    height: usize,
}

/// The stories of images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainResponse {
    /// The detector's name.
    detector: String,
    /// The hash of its file's content.
    hash: String,
    /// Scores above it are anomalous; an equal score is normal.
    threshold: f64,
    /// One for each image, in the order in which they were sent.
    images: Vec<ExplainResult>,
}

/// What became of one image: its story, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainResult {
    /// The file's name, as the client sent it.
    name: Option<String>,
    error: Option<ImageProblem>,
    explanation: Option<Explanation>,
}

/// One image's story.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    verdict: Verdict,
    /// What was measured, by name.
    evidence: BTreeMap<&'static str, f64>,
    /// Each measurement's percentile, 0 to 100, among the calibration normals; empty where the detector has none.
    evidence_percentiles: BTreeMap<&'static str, f64>,
    /// The score of every fitted scorer, by name.
    scores: BTreeMap<String, f64>,
    pictures: Pictures,
    window: InputWindow,
    /// Posterior mean: where the image lies in latent space.
    mu: Vec<f32>,
    /// The same on the principal components that `latent` names, from their mean.
    pca: Vec<f64>,
    /// The nearest training normals in latent space, nearest first.
    nearest: Vec<NearNormal>,
}

/// Pictures of the network input's size, as `data:` addresses.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pictures {
    /// What the network sees of the image.
    input: String,
    /// What the model makes of it.
    reconstruction: String,
    /// 8-bit grey: a value g stands for the filtered error g / 255 * error_scale_max.
    error: String,
}

/// The pixels of the network input that show the image; the rest is padding.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct InputWindow {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// A training normal near an image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NearNormal {
    /// Its number among the detector's normals.
    normal: usize,
    /// In latent space, each dimension in standard deviations of the training normals.
    distance: f64,
    /// Its name in the data set, where that is known.
    name: Option<String>,
    /// A small picture, as a `data:` address, where there is one.
    picture: Option<String>,
}

type Queried = Result<Query<ScoreQuery>, QueryRejection>;

/// Scores one image (the body as it is) or several (a form).
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/score", tag = "aberra", params(("detector" = String, Path), ScoreQuery),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "An encoded image, or a form whose files are images. PNG, JPEG, TIFF, BMP or WebP, by content."),
    responses(
        (status = 200, description = "At least one image has a verdict", body = ScoreResponse),
        (status = 422, description = "No image has a verdict; each says why", body = ScoreResponse),
        (status = "4XX", description = "The request cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full: try again after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn score(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    asked: Queried,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<(StatusCode, Json<ScoreResponse>)> {
    let served = find(&shared, &detector)?;
    let threshold = threshold(&served, asked)?;
    let judged = judge(&shared, &served, &headers, body).await?;
    let images: Vec<ScoreResult> = judged
        .into_iter()
        .map(|(name, verdict)| match verdict.and_then(|verdict| summary(&served, &verdict, threshold)) {
            Ok(verdict) => ScoreResult { name, error: None, verdict: Some(verdict) },
            Err(error) => ScoreResult { name, error: Some(error), verdict: None },
        })
        .collect();
    let status = status(images.iter().any(|image| image.verdict.is_some()));
    let (detector, hash) = (served.name.clone(), served.hash().to_owned());
    Ok((status, Json(ScoreResponse { detector, hash, threshold, images })))
}

/// Explains one image (the body as it is) or several (a form): verdict, evidence, pictures, nearest normals.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/explain", tag = "aberra", params(("detector" = String, Path), ScoreQuery),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "As for score."),
    responses(
        (status = 200, description = "At least one image has a story", body = ExplainResponse),
        (status = 422, description = "No image has a story; each says why", body = ExplainResponse),
        (status = "4XX", description = "The request cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full: try again after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn explain(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    asked: Queried,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<(StatusCode, Json<ExplainResponse>)> {
    let served = find(&shared, &detector)?;
    let threshold = threshold(&served, asked)?;
    let judged = judge(&shared, &served, &headers, body).await?;
    let telling = served.clone();
    let images = shared.engine.work(move || {
        let images = judged.into_iter().map(|(name, verdict)| {
            match verdict.and_then(|verdict| story(&telling, verdict, threshold)) {
                Ok(explanation) => ExplainResult { name, error: None, explanation: Some(explanation) },
                Err(error) => ExplainResult { name, error: Some(error), explanation: None },
            }
        });
        Ok(images.collect::<Vec<_>>())
    });
    let images = images.await?;
    let status = status(images.iter().any(|image| image.explanation.is_some()));
    let (detector, hash) = (served.name.clone(), served.hash().to_owned());
    Ok((status, Json(ExplainResponse { detector, hash, threshold, images })))
}

fn status(any: bool) -> StatusCode {
    if any { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}

fn threshold(served: &ServedDetector, asked: Queried) -> ApiResult<f64> {
    let Query(asked) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    match asked.threshold {
        None => Ok(served.detector.calibration().threshold),
        Some(threshold) if threshold.is_finite() => Ok(threshold),
        Some(threshold) => {
            Err(Problem::bad_request(format!("expected a finite threshold, found {threshold}")))
        }
    }
}

type Judged = (Option<String>, Result<LibraryVerdict, ImageProblem>);

async fn judge(
    shared: &ServerState,
    served: &Arc<ServedDetector>,
    headers: &HeaderMap,
    body: Bytes,
) -> ApiResult<Vec<Judged>> {
    let uploads = uploads(headers, body, &shared.limits).await?;
    let (names, images): (Vec<_>, Vec<_>) =
        uploads.into_iter().map(|Upload { name, bytes }| (name, ImageSource::Encoded(bytes))).unzip();
    let verdicts = shared.engine.judge(served, images).await?;
    Ok(names.into_iter().zip(verdicts).collect())
}

fn summary(
    served: &ServedDetector,
    verdict: &LibraryVerdict,
    threshold: f64,
) -> Result<Verdict, ImageProblem> {
    let share = anomalous_share(verdict, served.detector.pixel_threshold());
    Ok(summed(verdict, share.map_err(|error| ImageProblem::of(&error))?, threshold))
}

fn summed(verdict: &LibraryVerdict, anomalous_share: f64, threshold: f64) -> Verdict {
    Verdict {
        score: verdict.score,
        p_value: Some(verdict.p_value).filter(|value| value.is_finite()),
        threshold,
        anomalous: is_anomalous(verdict.score, threshold),
        anomalous_share,
        width: verdict.placement.image_width,
        height: verdict.placement.image_height,
    }
}

fn story(
    served: &ServedDetector,
    verdict: LibraryVerdict,
    threshold: f64,
) -> Result<Explanation, ImageProblem> {
    let told = served.detector.story(verdict, &served.ranks).and_then(|story| tell(served, story, threshold));
    told.map_err(|error| ImageProblem::of(&error))
}

fn tell(served: &ServedDetector, story: Story, threshold: f64) -> aberra::Result<Explanation> {
    let detector = &served.detector;
    let Story { verdict, evidence, anomalous_share, window, nearest } = story;
    let Region { top, left, height, width } = window;
    let pictures = Frame::of(detector).triple(&verdict, error_scale_max(detector))?;
    let scores = detector.fitted_scorers().iter().filter_map(|scorer| {
        let score = scorer.score(&verdict.evidence).ok().filter(|score| score.is_finite())?;
        Some((scorer.name().to_owned(), score))
    });
    let percentiles = evidence.iter().map(|one| (one.name, one.percentile));
    let pca = served.components().map_or(Ok(Vec::new()), |pca| pca.project(&verdict.response.mu))?;
    Ok(Explanation {
        verdict: summed(&verdict, anomalous_share, threshold),
        evidence: evidence.iter().map(|one| (one.name, one.value)).collect(),
        evidence_percentiles: percentiles.filter(|(_, percentile)| percentile.is_finite()).collect(),
        scores: scores.collect(),
        pictures: Pictures {
            input: pictures.input,
            reconstruction: pictures.reconstruction,
            error: pictures.error,
        },
        window: InputWindow { left, top, width, height },
        pca,
        nearest: find_normals(detector, &nearest, &[])
            .into_iter()
            .map(|near| {
                let (name, picture) = served.known_normal(near.normal);
                let own = || Frame::of_thumbnails(detector).picture(near.thumbnail.as_deref()?).ok();
                NearNormal {
                    normal: near.normal,
                    distance: near.distance,
                    name,
                    picture: picture.or_else(own),
                }
            })
            .collect(),
        mu: verdict.response.mu,
    })
}
