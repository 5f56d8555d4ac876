//! The served detectors, and the coverage guarantee ("promise") of other thresholds.

use aberra::calibrate::{Calibration, Criterion};
use aberra::image::Format;
use aberra::models::Shape;
use aberra::models::measure::Descriptor;
use aberra::report::error_scale_max;
use aberra::wire::{DetectorCard, MemberCard, PromiseCard};
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{ApiResult, find, parse_json};
use crate::detectors::ServedDetector;
use crate::options::MOST_SLICES;
use crate::problem::Problem;
use crate::state::ServerState;

/// The served detectors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetectorList {
    /// Version of the server.
    aberra_version: String,
    /// In the order in which they were given to the server.
    detectors: Vec<DetectorSummary>,
}

/// Summary of a detector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetectorSummary {
    /// Name in the routes.
    name: String,
    /// Hash of the file's content; null if the detector was never saved.
    hash: Option<String>,
    /// Name of the data set it was trained on.
    made_from: String,
    /// The scorer that gives its scores.
    scorer: String,
    /// Shape of a preprocessed image: of the network input, or of the canvas of several.
    input: Shape,
    /// Its members, in order.
    members: Vec<MemberCard>,
    /// Scores above it are anomalous.
    threshold: f64,
    /// The coverage guarantee of the threshold.
    promise: PromiseCard,
    /// Whether an evaluation exists or is running.
    has_evaluation: bool,
}

/// Details of a detector.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetectorDetails {
    #[serde(flatten)]
    card: DetectorCard,
    /// Descriptors of the measurements that make up an image's evidence, in order.
    measurements: Vec<Descriptor>,
    /// How the threshold was chosen.
    #[schema(value_type = Object)]
    criterion: serde_json::Value,
    /// The map value that is shown as white in images of maps.
    error_scale_max: f64,
    /// Whether the file contains thumbnails of its normals.
    keeps_thumbnails: bool,
    /// Formats of the images that are taken, by name.
    image_formats: Vec<String>,
    limits: ServerLimits,
}

/// Limits on requests to this server.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct ServerLimits {
    /// Maximum size of a request body in bytes.
    max_body_bytes: usize,
    /// Maximum number of pixels of an image (height x width).
    max_pixels: u64,
    /// Maximum number of images per request.
    max_images: usize,
    /// Maximum number of slices, and of files, in a request of volumes.
    max_slices: usize,
}

/// A criterion for another threshold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ThresholdRequest {
    criterion: WantedCriterion,
    /// Scores of other normal images to calibrate on, such as those of a new camera, in place of the detector's own calibration
    /// normals: one image of each group of near-duplicates, none that the detector learnt from.
    scores: Option<Vec<f64>>,
}

/// How the threshold is chosen, from normals alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum WantedCriterion {
    /// A guaranteed false-alarm rate (split conformal): on average, or with a confidence.
    Conformal {
        /// The false-alarm rate, above 0 and below 1.
        rate: f64,
        /// The confidence, above 0 and below 1; without it the rate holds on average.
        confidence: Option<f64>,
    },
    /// A percentile of the calibration normals' scores; no guarantee.
    Percentile {
        /// 0 to 100.
        percentile: f64,
    },
    /// A fixed value; no guarantee.
    Fixed {
        /// In the units of the score.
        threshold: f64,
    },
}

/// The threshold that the criterion gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThresholdResponse {
    /// Pass it to `score` or `explain` as `?threshold=`.
    threshold: f64,
    promise: PromiseCard,
    /// Number of groups of calibration normals behind it.
    calibration_groups: usize,
    #[schema(value_type = Object)]
    criterion: serde_json::Value,
}

/// Lists the served detectors.
#[utoipa::path(get, path = "/api/v1/detectors", tag = "aberra", operation_id = "detectors", responses((status = 200, body = DetectorList)))]
pub(super) async fn list(State(shared): State<ServerState>) -> ApiResult<Json<DetectorList>> {
    let detectors = shared.detectors.iter().map(|served| {
        let DetectorCard { name, hash, made_from, scorer, input, members, threshold, promise, .. } =
            card(served)?;
        let has_evaluation = served.evaluation().exists();
        Ok(DetectorSummary {
            name,
            hash,
            made_from,
            scorer,
            input,
            members,
            threshold,
            promise,
            has_evaluation,
        })
    });
    let aberra_version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(DetectorList { aberra_version, detectors: detectors.collect::<ApiResult<_>>()? }))
}

/// Returns the details of a detector.
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
    let limits = &shared.limits;
    Ok(Json(DetectorDetails {
        card: card(&served)?,
        measurements: detector.descriptors().to_vec(),
        criterion: serde_json::json!(detector.calibration().criterion),
        error_scale_max: error_scale_max(detector),
        keeps_thumbnails: detector.config().keep_thumbnails,
        image_formats: Format::DECODED.map(|format| format.to_string()).to_vec(),
        limits: ServerLimits {
            max_body_bytes: limits.body_bytes,
            max_pixels: limits.pixels,
            max_images: limits.images,
            max_slices: MOST_SLICES,
        },
    }))
}

/// Computes the threshold for a criterion, from the detector's calibration normals or from scores of others, and its coverage
/// guarantee. The detector itself does not change.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/threshold", tag = "aberra", params(("detector" = String, Path)),
    request_body = ThresholdRequest,
    responses(
        (status = 200, body = ThresholdResponse),
        (status = "4XX", description = "The calibration does not support the criterion", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn threshold(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    body: Bytes,
) -> ApiResult<Json<ThresholdResponse>> {
    let served = find(&shared, &detector)?;
    let ThresholdRequest { criterion, scores } = parse_json(&body)?;
    let criterion = match criterion {
        WantedCriterion::Conformal { rate, confidence } => Criterion::Conformal { rate, confidence },
        WantedCriterion::Percentile { percentile } => Criterion::Percentile { percentile },
        WantedCriterion::Fixed { threshold } => Criterion::Fixed { threshold },
    };
    let moved = match scores {
        None => served.detector.calibration().with_criterion(None, criterion),
        Some(scores) => Calibration::new(&scores, None, criterion),
    };
    let moved = moved.map_err(|error| Problem::of(&error))?;
    Ok(Json(ThresholdResponse {
        threshold: moved.threshold,
        promise: PromiseCard::of(&moved),
        calibration_groups: moved.scores.len(),
        criterion: serde_json::json!(moved.criterion),
    }))
}

fn card(served: &ServedDetector) -> ApiResult<DetectorCard> {
    DetectorCard::of(&served.detector, &served.name).map_err(|_| Problem::internal())
}
