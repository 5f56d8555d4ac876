//! Built-in sample images to try a detector on: synthetic brain-like slices, with and without a lesion.

use std::sync::OnceLock;

use aberra::image::{Color, encode_png};
use aberra::phantom::{LesionKind, Phantom, lesion_slice, slice};
use axum::Json;
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::request::ApiResult;
use super::upload::ImageFile;
use crate::problem::Problem;

/// Differs from the default seed of `aberra demo`, so that a demo detector was not trained on these images.
const SEED: u64 = 4_099;
const SIZE_PX: usize = 128;
/// Normals and lesions alternate, so that the first few show both.
const SHOWN: [Option<LesionKind>; 12] = [
    None,
    Some(LesionKind::EnhancingTumour),
    None,
    Some(LesionKind::Cyst),
    None,
    Some(LesionKind::Resection),
    None,
    Some(LesionKind::Meningioma),
    None,
    Some(LesionKind::DiffuseGlioma),
    None,
    Some(LesionKind::Metastases),
];

/// Built-in sample images.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhantomList {
    images: Vec<PhantomImage>,
}

/// A built-in sample image.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhantomImage {
    id: usize,
    name: String,
    /// The kind of lesion in it; null for a normal.
    kind: Option<&'static str>,
    /// Width and height.
    size_px: usize,
}

/// Lists the built-in sample images.
#[utoipa::path(get, path = "/api/v1/phantoms", operation_id = "phantoms", tag = "aberra", responses((status = 200, body = PhantomList)))]
pub(super) async fn list() -> Json<PhantomList> {
    let images = SHOWN.iter().enumerate().map(|(id, kind)| {
        let kind = kind.map(LesionKind::name);
        let words = kind.unwrap_or("normal").replace('_', " ");
        PhantomImage { id, name: format!("phantom {} ({words})", id + 1), kind, size_px: SIZE_PX }
    });
    Json(PhantomList { images: images.collect() })
}

/// Returns a built-in sample image as a PNG.
#[utoipa::path(
    get, path = "/api/v1/phantoms/{id}", operation_id = "phantom", tag = "aberra", params(("id" = usize, Path)),
    responses(
        (status = 200, body = ImageFile, content_type = "image/png"),
        (status = 404, description = "No such image", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn picture(Path(id): Path<String>) -> ApiResult<impl IntoResponse> {
    static DRAWN: [OnceLock<Bytes>; SHOWN.len()] = [const { OnceLock::new() }; SHOWN.len()];
    let id: Option<usize> = id.parse().ok();
    let (id, cell) = id.and_then(|id| Some((id, DRAWN.get(id)?))).ok_or_else(|| {
        Problem::not_found(format!("expected a sample image from 0 to {}, found another", SHOWN.len() - 1))
    })?;
    let drawn = tokio::task::spawn_blocking(move || cell.get_or_init(|| draw(id)).clone());
    let png = drawn.await.map_err(|_| Problem::internal())?;
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "max-age=3600")], png))
}

fn draw(id: usize) -> Bytes {
    let Phantom { pixels, size_px, .. } = match SHOWN[id] {
        None => slice(SEED, id as u64, SIZE_PX),
        Some(kind) => lesion_slice(SEED, id as u64, SIZE_PX, kind),
    };
    let grey: Vec<u8> = pixels.iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    // Encoding cannot fail: the length matches the width and height.
    encode_png(&grey, size_px, size_px, Color::Grey).unwrap_or_default().into()
}
