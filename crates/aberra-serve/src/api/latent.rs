//! The embedding space that is shown: statistics of the training normals in it, and decoding of any point.

use aberra::explain::{decode as decode_points, draw_from_prior};
use aberra::random::{Stream, generator};
use aberra::report::PictureFormat;
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{ApiResult, find, parse_json};
use crate::detectors::ServedDetector;
use crate::problem::Problem;
use crate::state::ServerState;

/// Maximum number of latent vectors per request.
const MOST_LATENTS: usize = 64;

/// Statistics of the training normals in the embedding space that is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Latent {
    /// The member whose embedding space it is.
    member: String,
    /// Number of dimensions.
    dimensions: usize,
    /// Whether points of it can be decoded into images.
    has_decoder: bool,
    /// Whether there is a prior over it to sample from.
    has_prior: bool,
    /// Mean of the training normals in each dimension.
    mean: Vec<f64>,
    /// Standard deviation of the training normals in each dimension, with n in the denominator.
    standard_deviations: Vec<f64>,
    /// Principal components by descending variance; empty if the embeddings of the training normals do not vary.
    components: Vec<Component>,
    /// Mean KL divergence of each dimension over the calibration normals, in nats; empty if the embedding is not a
    /// distribution, and for detectors of older versions that did not store it.
    kl_per_dimension: Vec<f64>,
}

/// A principal component of the training normals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Component {
    /// Explained share of the variance, 0 to 1.
    explained: f64,
    /// Standard deviation of the training normals along the component.
    standard_deviation: f64,
    /// Unit vector.
    direction: Vec<f64>,
}

/// What to decode: either points of the embedding space or samples of the prior.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecodeRequest {
    /// Points of the embedding space, at most 64.
    latents: Option<Vec<Vec<f32>>>,
    /// Samples of the prior, if the member has one.
    prior: Option<Prior>,
}

/// Samples of the prior; the same seed gives the same samples.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prior {
    seed: u64,
    /// Number of samples, at most 64.
    count: usize,
}

/// Decoded points.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecodeResponse {
    /// The latent vectors that were decoded.
    latents: Vec<Vec<f32>>,
    /// The decoded image of each, as a `data:` URL.
    pictures: Vec<String>,
}

/// Returns statistics of the training normals in the embedding space.
#[utoipa::path(
    get, path = "/api/v1/detectors/{detector}/latent", tag = "aberra", params(("detector" = String, Path)),
    responses(
        (status = 200, body = Latent),
        (status = 404, description = "No such detector, or one without an embedding space", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn latent(
    shared: State<ServerState>,
    Path(detector): Path<String>,
) -> ApiResult<Json<Latent>> {
    let served = find(&shared, &detector)?;
    let answer = shared.engine.run_blocking(move || {
        let detector = &served.detector;
        let number = detector.embedding_member().ok_or_else(|| no_space(&served))?;
        let named = &detector.members()[number];
        let moments = served.moments().cloned().ok_or_else(|| no_space(&served))?;
        let components = served.components().map(|pca| {
            let parts = pca.explained.iter().zip(pca.standard_deviations()).zip(&pca.components);
            let component = parts.map(|((&explained, standard_deviation), direction)| Component {
                explained,
                standard_deviation,
                direction: direction.clone(),
            });
            component.collect()
        });
        Ok(Latent {
            member: named.name.clone(),
            dimensions: moments.mean.len(),
            has_decoder: named.member.decoder().is_some(),
            has_prior: named.member.prior().is_some(),
            mean: moments.mean,
            standard_deviations: moments.standard_deviations,
            components: components.unwrap_or_default(),
            kl_per_dimension: detector.kl_per_dimension(number).to_vec(),
        })
    });
    Ok(Json(answer.await?))
}

/// Decodes points of the embedding space or samples of the prior.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/decode", tag = "aberra", params(("detector" = String, Path)),
    request_body = DecodeRequest,
    responses(
        (status = 200, body = DecodeResponse),
        (status = 404, description = "No such detector, or it has no decoder", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn decode(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    body: Bytes,
) -> ApiResult<Json<DecodeResponse>> {
    let served = find(&shared, &detector)?;
    let request: DecodeRequest = parse_json(&body)?;
    let named = served.embedding_member().ok_or_else(|| no_space(&served))?;
    if named.member.decoder().is_none() {
        return Err(Problem::not_found(format!(
            "this detector decodes no images: its member {} ({}) has no decoder",
            named.name, named.family
        )));
    }
    let latents = match (request.latents, request.prior) {
        (Some(latents), None) => checked(latents)?,
        (None, Some(Prior { seed, count })) => {
            check_count(count)?;
            let drawn = draw_from_prior(&served.detector, &mut generator(seed, Stream::Prior, 0), count);
            drawn.ok_or_else(|| {
                Problem::bad_request(format!(
                    "expected latents, found prior: the member {} ({}) has no prior over its embedding space",
                    named.name, named.family
                ))
            })?
        }
        _ => return Err(Problem::bad_request("expected either latents or prior, found both or neither")),
    };
    let _place = shared.engine.reserve()?;
    let decoded = shared.engine.run_blocking(move || {
        let images = decode_points(&served.detector, &latents).map_err(|error| Problem::of(&error))?;
        let format = PictureFormat::of_decoded(&served.detector);
        let pictures: aberra::Result<_> = images.iter().map(|image| format.picture(image)).collect();
        Ok(DecodeResponse { latents, pictures: pictures.map_err(|error| Problem::of(&error))? })
    });
    Ok(Json(decoded.await?))
}

fn no_space(served: &ServedDetector) -> Problem {
    let members = served.detector.members().iter();
    let named: Vec<String> = members.map(|one| format!("{} ({})", one.name, one.family)).collect();
    Problem::not_found(format!(
        "this detector has no embedding space: expected a member with one, found {}",
        named.join(", ")
    ))
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
