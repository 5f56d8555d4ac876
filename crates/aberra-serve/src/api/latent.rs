//! The latent space: its directions, and what the decoder makes of any point of it.

use aberra::explain::{decode as decode_latents, draw_latents};
use aberra::random::{Stream, generator};
use aberra::report::Frame;
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiResult, find, parse};
use crate::problem::Problem;
use crate::state::ServerState;

/// Latents in a request, at most.
const MOST_LATENTS: usize = 64;

/// Where the training normals lie in latent space.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Latent {
    /// Dimensions.
    latent: usize,
    /// Of the training normals' posterior means.
    mean: Vec<f64>,
    /// Of the training normals' posterior means, each dimension alone.
    standard_deviations: Vec<f64>,
    /// Principal components, greatest first; none where the model puts all normals in one place.
    components: Vec<Component>,
    /// Mean KL divergence of each dimension over the calibration normals, nats; empty where the detector was made before
    /// it was kept.
    kl_per_dimension: Vec<f64>,
}

/// A principal component of the training normals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Component {
    /// Share of the variance, 0 to 1.
    explained: f64,
    /// Of the training normals along it.
    standard_deviation: f64,
    /// Of length 1.
    direction: Vec<f64>,
}

/// What to decode: latents, or draws from the prior.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecodeRequest {
    /// Points in latent space, at most 64.
    latents: Option<Vec<Vec<f32>>>,
    /// Draws from the prior N(0, I).
    prior: Option<Prior>,
}

/// Draws from the prior: the same seed gives the same.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prior {
    seed: u64,
    /// At most 64.
    count: usize,
}

/// What the decoder makes of latents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecodeResponse {
    /// The points that were decoded.
    latents: Vec<Vec<f32>>,
    /// A picture of each, as a `data:` address.
    pictures: Vec<String>,
}

/// Says where the training normals lie in latent space.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/latent", tag = "aberra", params(("detector" = String, Path)),
    responses(
        (status = 200, body = Latent),
        (status = 404, description = "No such detector", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn latent(
    shared: State<ServerState>,
    Path(detector): Path<String>,
) -> ApiResult<Json<Latent>> {
    let served = find(&shared, &detector)?;
    let answer = shared.engine.work(move || {
        let spread = served.spread();
        let components = served.components().map(|pca| {
            let parts = pca.explained.iter().zip(&pca.variances).zip(&pca.components);
            let component = parts.map(|((&explained, variance), direction)| Component {
                explained,
                standard_deviation: variance.sqrt(),
                direction: direction.clone(),
            });
            component.collect()
        });
        Ok(Latent {
            latent: served.detector.model().latent(),
            mean: spread.mean.clone(),
            standard_deviations: spread.standard_deviations.clone(),
            components: components.unwrap_or_default(),
            kl_per_dimension: served.detector.kl_per_dimension().to_vec(),
        })
    });
    Ok(Json(answer.await?))
}

/// Decodes points of the latent space, or draws from the prior.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/decode", tag = "aberra", params(("detector" = String, Path)),
    request_body = DecodeRequest,
    responses(
        (status = 200, body = DecodeResponse),
        (status = "4XX", description = "The request cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full: try again after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn decode(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    body: Bytes,
) -> ApiResult<Json<DecodeResponse>> {
    let served = find(&shared, &detector)?;
    let request: DecodeRequest = parse(&body)?;
    let model = served.detector.model();
    let latents = match (request.latents, request.prior) {
        (Some(latents), None) => checked(latents)?,
        (None, Some(Prior { seed, count })) => {
            check_count(count)?;
            draw_latents(model, &mut generator(seed, Stream::Prior, 0), count)
        }
        _ => return Err(Problem::bad_request("expected either latents or prior, found both or none")),
    };
    let _room = shared.engine.room()?;
    let decoded = shared.engine.work(move || {
        let images =
            decode_latents(served.detector.model(), &latents).map_err(|error| Problem::of(&error))?;
        let frame = Frame::of(&served.detector);
        let pictures: aberra::Result<_> = images.iter().map(|image| frame.picture(image)).collect();
        Ok(DecodeResponse { latents, pictures: pictures.map_err(|error| Problem::of(&error))? })
    });
    Ok(Json(decoded.await?))
}

fn checked(latents: Vec<Vec<f32>>) -> ApiResult<Vec<Vec<f32>>> {
    check_count(latents.len())?;
    Ok(latents)
}

fn check_count(count: usize) -> ApiResult<()> {
    if (1..=MOST_LATENTS).contains(&count) {
        return Ok(());
    }
    Err(Problem::bad_request(format!("expected 1 to {MOST_LATENTS} latents, found {count}")))
}
