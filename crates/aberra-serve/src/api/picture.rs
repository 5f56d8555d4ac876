//! `picture`: an image as browsers can show it, whatever its format.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::request::{ApiResult, find};
use super::upload::{ImageFile, ImageForm, sources, uploads};
use crate::problem::Problem;
use crate::state::ServerState;

/// Draws an image at its own resolution, in 256 levels: values that 8 bits hold as they are, others scaled as those of the network
/// input. Nothing else of the file is in the picture, such as the name in a DICOM file.
#[utoipa::path(
    post, path = "/api/v1/detectors/{detector}/picture", tag = "aberra", params(("detector" = String, Path)),
    request_body(content(
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    ), description = "One image, as for score."),
    responses(
        (status = 200, description = "The picture, a PNG", body = Vec<u8>, content_type = "image/png"),
        (status = 422, description = "The image cannot be used", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "Invalid request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full; retry after Retry-After", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn picture(
    shared: State<ServerState>,
    Path(detector): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    let served = find(&shared, &detector)?;
    let uploads = uploads(&headers, body, &shared.limits).await?;
    let mut images = sources(uploads.images, served.detector.channels());
    let (Some((_, image)), true) = (images.pop(), images.is_empty()) else {
        return Err(Problem::bad_request("expected one image, found several"));
    };
    let picture = shared.engine.picture(&served, image).await?.map_err(|problem| {
        let drawn = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem.detail);
        Problem { hint: problem.hint, ..drawn }
    })?;
    Ok(([(header::CONTENT_TYPE, "image/png")], picture).into_response())
}
