//! The REST API, `/api/v1`, and its OpenAPI description.

mod announced;
mod calibrate;
mod detectors;
mod evaluation;
mod latent;
mod phantoms;
mod picture;
mod request;
mod required;
mod score;
mod upload;
mod volumes;

use std::sync::Arc;

use aberra::wire::{Interval, LatentData, PixelData, TrainingData};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ServerState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aberra",
        description = "Detects anomalies in images after learning from normal images alone. Scores are raw: never \
                       clamped or rescaled. A number that cannot be computed is null, or an object with the reason; \
                       never 0. Not a medical device."
    ),
    tags((name = "aberra")),
    // A metric holds these in place: here they have names as well.
    components(schemas(Interval, LatentData, PixelData, TrainingData)),
    servers((url = "/"))
)]
struct Description;

/// The routes and their OpenAPI description.
fn described() -> (Router<ServerState>, utoipa::openapi::OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(detectors::list))
        .routes(routes!(detectors::details))
        .routes(routes!(detectors::threshold))
        .routes(routes!(calibrate::calibrate))
        .routes(routes!(calibrate::calibrated))
        .routes(routes!(score::score))
        .routes(routes!(score::explain))
        .routes(routes!(picture::picture))
        .routes(routes!(announced::announced))
        .routes(routes!(volumes::volumes))
        .routes(routes!(latent::latent))
        .routes(routes!(latent::decode))
        .routes(routes!(evaluation::evaluation))
        .routes(routes!(evaluation::evaluated_image))
        .routes(routes!(phantoms::list))
        .routes(routes!(phantoms::picture))
        .split_for_parts();
    required::require_fields_of_answers(&mut description);
    (router, description)
}

/// All routes of `/api/v1`.
pub(crate) fn router() -> Router<ServerState> {
    let (router, description) = described();
    let description = Arc::new(description);
    router.route("/api/v1/openapi.json", get(move || async move { Json(description.as_ref().clone()) }))
}

/// The OpenAPI description as JSON, from which clients are generated.
pub fn openapi() -> String {
    // Serialising to memory can fail only for maps with keys that are not strings; there are none.
    described().1.to_pretty_json().unwrap_or_default() + "\n"
}
