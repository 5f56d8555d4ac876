//! The REST interface, `/api/v1`, and its description in OpenAPI.

mod detectors;
mod evaluation;
mod latent;
mod phantoms;
mod required;
mod score;
mod upload;

use std::sync::Arc;

use aberra::wire::{Interval, LatentData, PixelData, TrainingData};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::detectors::ServedDetector;
use crate::problem::Problem;
use crate::state::ServerState;

/// What handlers give back.
type ApiResult<T> = Result<T, Problem>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aberra",
        description = "Learns what normal looks like and says of every image how abnormal it is. Scores are raw: never \
                       clamped or rescaled. A number that cannot be computed is null, or an object with the reason; \
                       never 0. Not a medical device."
    ),
    tags((name = "aberra")),
    // A metric holds these in place: here they have names as well.
    components(schemas(Interval, LatentData, PixelData, TrainingData)),
    servers((url = "/"))
)]
struct Description;

/// The routes, and their description.
fn described() -> (Router<ServerState>, utoipa::openapi::OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(detectors::list))
        .routes(routes!(detectors::details))
        .routes(routes!(detectors::threshold))
        .routes(routes!(score::score))
        .routes(routes!(score::explain))
        .routes(routes!(latent::latent))
        .routes(routes!(latent::decode))
        .routes(routes!(evaluation::evaluation))
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

/// The description as JSON, from which clients are generated.
pub fn openapi() -> String {
    // Serialising to memory fails for maps whose keys are not text alone, and there are none.
    described().1.to_pretty_json().unwrap_or_default() + "\n"
}

/// The detector that a request names.
fn find(State(shared): &State<ServerState>, name: &str) -> ApiResult<Arc<ServedDetector>> {
    shared.detectors.find(name).cloned().ok_or_else(|| {
        let names: Vec<&str> = shared.detectors.iter().map(|served| served.name.as_str()).collect();
        Problem::not_found(format!("expected one of the detectors {}", names.join(", ")))
    })
}

/// A request's JSON. It may be nested as deep as serde_json allows (128).
fn parse<T: DeserializeOwned>(body: &[u8]) -> ApiResult<T> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!("the body is not the JSON that is expected: {error}"))
            .with_hint("/api/v1/openapi.json says what is")
    })
}
