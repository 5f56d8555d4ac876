//! What is served, and what another threshold would promise.

use aberra::PartSize as LibraryPartSize;
use aberra::calibrate::Criterion;
use aberra::report::data::{DetectorData, PromiseData};
use aberra::report::error_scale_max;
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiResult, find, parse};
use crate::detectors::ServedDetector;
use crate::problem::Problem;
use crate::state::ServerState;

/// What is served.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetectorList {
    /// The server's version.
    aberra_version: String,
    /// In the order in which they were given to the server.
    detectors: Vec<DetectorSummary>,
}

/// A detector in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetectorSummary {
    /// How requests call it.
    name: String,
    /// Of its file's content.
    hash: String,
    /// The name of the data set it was made from.
    made_from: String,
    scorer: String,
    preset: String,
    /// Side of the network input.
    size_px: usize,
    /// 1 (grey) or 3 (red, green, blue).
    channels: usize,
    threshold: f64,
    /// In words.
    promise: String,
    /// Whether there is an evaluation, or one on its way.
    has_evaluation: bool,
}

/// Everything there is to know of a detector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetectorDetails {
    /// How requests call it.
    name: String,
    /// Of its file's content.
    hash: Option<String>,
    /// The version that made it.
    aberra_version: String,
    /// The name of the data set it was made from.
    made_from: String,
    scorer: String,
    /// Every scorer that can be asked for.
    scorers: Vec<String>,
    preset: String,
    /// Side of the network input.
    size_px: usize,
    /// 1 (grey) or 3 (red, green, blue).
    channels: usize,
    /// Dimensions of the latent space.
    latent: usize,
    /// Weights of the model.
    parameters: usize,
    precision: String,
    best_epoch: usize,
    train: PartSize,
    fit: PartSize,
    calibration: PartSize,
    threshold: f64,
    /// Of the calibration normals that count, one a group, ascending.
    calibration_scores: Vec<f64>,
    promise: Promise,
    /// How the threshold was chosen.
    #[schema(value_type = Object)]
    criterion: serde_json::Value,
    /// Filtered errors above it are marked, in the units of the error map.
    pixel_threshold: f64,
    /// The error that is white in pictures of errors.
    error_scale_max: f64,
    /// Whether the file holds small pictures of its normals.
    keeps_thumbnails: bool,
    /// All settings, as TOML.
    settings_toml: String,
    limits: ServerLimits,
}

/// Images and groups of near-copies.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct PartSize {
    images: usize,
    groups: usize,
}

/// What a threshold promises.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Promise {
    /// In words.
    text: String,
    /// null where no rate is promised.
    false_alarm_rate: Option<f64>,
    /// null where the rate holds on average.
    confidence: Option<f64>,
}

/// What this server takes.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct ServerLimits {
    /// Bytes of a request's body.
    max_body_bytes: usize,
    /// Rows x columns of an image.
    max_pixels: u64,
    /// Images in a request.
    max_images: usize,
}

/// A wish for another threshold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdRequest {
    criterion: WantedCriterion,
}

/// How a threshold is to be chosen, from the calibration normals alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum WantedCriterion {
    /// A false-alarm rate with a promise: on average, or with a confidence.
    Conformal {
        /// Above 0 and below 1.
        rate: f64,
        /// Above 0 and below 1.
        confidence: Option<f64>,
    },
    /// A percentile of the calibration normals' scores; no promise.
    Percentile {
        /// 0 to 100.
        percentile: f64,
    },
    /// By hand; no promise.
    Fixed {
        /// In the units of the score.
        threshold: f64,
    },
}

/// The threshold that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThresholdResponse {
    /// Give it to score or explain as `?threshold=`.
    threshold: f64,
    promise: Promise,
    /// Groups of calibration normals that it rests on.
    calibration_groups: usize,
    #[schema(value_type = Object)]
    criterion: serde_json::Value,
}

/// Lists the detectors that are served.
#[utoipa::path(get, path = "/api/v1/detectors", tag = "aberra", operation_id = "detectors", responses((status = 200, body = DetectorList)))]
pub(super) async fn list(State(shared): State<ServerState>) -> ApiResult<Json<DetectorList>> {
    let detectors = shared.detectors.iter().map(|served| {
        let data = data(served)?;
        Ok(DetectorSummary {
            name: data.name,
            hash: data.hash.unwrap_or_default(),
            made_from: data.made_from,
            scorer: data.scorer,
            preset: data.preset,
            size_px: data.size_px,
            channels: served.detector.config().preprocessing.color.channels(),
            threshold: data.threshold,
            promise: data.promise.text,
            has_evaluation: served.evaluation().exists(),
        })
    });
    let aberra_version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(DetectorList { aberra_version, detectors: detectors.collect::<ApiResult<_>>()? }))
}

/// Says everything there is to know of a detector.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}", tag = "aberra", params(("detector" = String, Path)),
    responses(
        (status = 200, body = DetectorDetails),
        (status = 404, description = "No such detector", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn details(
    shared: State<ServerState>,
    Path(detector): Path<String>,
) -> ApiResult<Json<DetectorDetails>> {
    let served = find(&shared, &detector)?;
    let detector = &served.detector;
    let data = data(&served)?;
    let limits = &shared.limits;
    Ok(Json(DetectorDetails {
        name: data.name,
        hash: data.hash,
        aberra_version: detector.provenance().aberra_version.clone(),
        made_from: data.made_from,
        scorer: data.scorer,
        scorers: detector.fitted_scorers().iter().map(|scorer| scorer.name().to_owned()).collect(),
        preset: data.preset,
        size_px: data.size_px,
        channels: detector.config().preprocessing.color.channels(),
        latent: data.latent,
        parameters: data.parameters,
        precision: data.precision,
        best_epoch: data.best_epoch,
        train: data.train.into(),
        fit: data.fit.into(),
        calibration: data.calibration.into(),
        threshold: data.threshold,
        calibration_scores: data.calibration_scores,
        promise: data.promise.into(),
        criterion: serde_json::json!(detector.calibration().criterion),
        pixel_threshold: detector.pixel_threshold(),
        error_scale_max: error_scale_max(detector),
        keeps_thumbnails: detector.config().keep_thumbnails,
        settings_toml: data.settings_toml,
        limits: ServerLimits {
            max_body_bytes: limits.body_bytes,
            max_pixels: limits.pixels,
            max_images: limits.images,
        },
    }))
}

/// Says what another threshold would be and promise. Nothing on the server changes.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/threshold", tag = "aberra", params(("detector" = String, Path)),
    request_body = ThresholdRequest,
    responses(
        (status = 200, body = ThresholdResponse),
        (status = "4XX", description = "The calibration cannot support it", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn threshold(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    body: Bytes,
) -> ApiResult<Json<ThresholdResponse>> {
    let served = find(&shared, &detector)?;
    let criterion = match parse::<ThresholdRequest>(&body)?.criterion {
        WantedCriterion::Conformal { rate, confidence } => Criterion::Conformal { rate, confidence },
        WantedCriterion::Percentile { percentile } => Criterion::Percentile { percentile },
        WantedCriterion::Fixed { threshold } => Criterion::Fixed { threshold },
    };
    let calibration = served.detector.calibration();
    let moved = calibration.with_criterion(None, criterion).map_err(|error| Problem::of(&error))?;
    Ok(Json(ThresholdResponse {
        threshold: moved.threshold,
        promise: PromiseData::of(&moved).into(),
        calibration_groups: moved.scores.len(),
        criterion: serde_json::json!(moved.criterion),
    }))
}

fn data(served: &ServedDetector) -> ApiResult<DetectorData> {
    DetectorData::of(&served.detector, &served.name).map_err(|_| Problem::internal())
}

impl From<LibraryPartSize> for PartSize {
    fn from(LibraryPartSize { images, groups }: LibraryPartSize) -> Self {
        Self { images, groups }
    }
}

impl From<PromiseData> for Promise {
    fn from(PromiseData { text, false_alarm_rate, confidence }: PromiseData) -> Self {
        Self { text, false_alarm_rate, confidence }
    }
}
