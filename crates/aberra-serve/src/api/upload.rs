//! Images in a request body: a single image as the body itself, or several as parts of a form, of several files each if the
//! detector's images are.

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use multer::{Constraints, Multipart, SizeLimit};
use utoipa::ToSchema;

use super::request::ApiResult;
use crate::engine::ImageSource;
use crate::options::ServeLimits;
use crate::problem::Problem;

/// An encoded image of one of the formats that a detector's `image_formats` names, recognised by its content.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct ImageFile(#[expect(dead_code, reason = "describes a body")] Vec<u8>);

/// A form whose files are images, whatever the names of their fields. For a detector of named channels, files whose fields have the
/// names of these (`t1`, `flair`) are one image; a name that comes again begins the next image.
#[derive(ToSchema)]
pub(crate) struct ImageForm {
    #[expect(dead_code, reason = "describes a body")]
    image: Vec<ImageFile>,
    /// Threshold to use instead of the detector's own; here or in the query.
    #[expect(dead_code, reason = "describes a body")]
    threshold: Option<f64>,
}

/// An uploaded file.
pub(super) struct Upload {
    /// The name of its field in the form.
    pub(super) field: Option<String>,
    /// The file name given by the client; never used as a path, never logged.
    pub(super) name: Option<String>,
    /// The content, supposedly an encoded image.
    pub(super) bytes: Bytes,
}

/// What a body holds.
pub(super) struct Uploads {
    /// In order; at least one.
    pub(super) images: Vec<Upload>,
    /// The form's field of that name.
    pub(super) threshold: Option<f64>,
}

/// The one field of a form that is no image.
const THRESHOLD: &str = "threshold";
/// Characters of what is not understood that are repeated to the client.
pub(super) const SHOWN: usize = 40;

/// Extracts the images of a body in order, at least one and at most as many as the limits allow, and a form's threshold.
///
/// # Errors
/// A body without an image, a form with an unknown field.
pub(super) async fn uploads(headers: &HeaderMap, body: Bytes, limits: &ServeLimits) -> ApiResult<Uploads> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Whatever is not multipart is an image, even with a Content-Type of a form: curl sends that with every body.
    if !kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return match body.is_empty() {
            true => Err(none("an empty body")),
            false => {
                Ok(Uploads { images: vec![Upload { field: None, name: None, bytes: body }], threshold: None })
            }
        };
    }
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| Problem::bad_request("expected multipart/form-data with a boundary, found none"))?;
    parts(body, boundary, limits).await
}

async fn parts(body: Bytes, boundary: String, limits: &ServeLimits) -> ApiResult<Uploads> {
    let size = SizeLimit::new().whole_stream(limits.body_bytes as u64).per_field(limits.body_bytes as u64);
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = Multipart::with_constraints(stream, boundary, Constraints::new().size_limit(size));
    let damaged = |error: multer::Error| Problem::bad_request(format!("the form cannot be read: {error}"));
    let (mut images, mut threshold) = (Vec::new(), None);
    while let Some(field) = form.next_field().await.map_err(damaged)? {
        // A part without a file name is a plain form value, unless its type says that it is an image.
        let is_image = field.file_name().is_some()
            || field
                .content_type()
                .is_some_and(|kind| kind.type_() == "image" || kind.subtype() == "octet-stream");
        if !is_image {
            if field.name() != Some(THRESHOLD) {
                return Err(unknown(field.name().unwrap_or_default()));
            }
            let value = field.bytes().await.map_err(damaged)?;
            if threshold.replace(parse_threshold(&value)?).is_some() {
                return Err(Problem::bad_request("expected one field `threshold`, found two"));
            }
            continue;
        }
        if images.len() == limits.images {
            return Err(Problem::too_large(format!(
                "expected at most {} files in a request, found more",
                limits.images
            ))
            .with_hint("send the others in further requests"));
        }
        let name = field.file_name().map(str::to_owned).filter(|name| !name.is_empty());
        let of = field.name().map(str::to_owned);
        images.push(Upload { field: of, name, bytes: field.bytes().await.map_err(damaged)? });
    }
    if images.is_empty() { Err(none("a form without a file")) } else { Ok(Uploads { images, threshold }) }
}

/// The images that files are, by the detector's `channels`, each under the name of its first file.
pub(super) fn sources(files: Vec<Upload>, channels: &[String]) -> Vec<(Option<String>, ImageSource)> {
    let mut images = Vec::new();
    // The files of one image: the place of each among the channels, its field and its content.
    let mut joined: Vec<(usize, String, Bytes)> = Vec::new();
    let mut named = None;
    for Upload { field, name, bytes } in files {
        let place = field.and_then(|field| Some((place_of(&field, channels)?, field)));
        let again = place.as_ref().is_none_or(|(place, _)| joined.iter().any(|(known, ..)| known == place));
        if again && !joined.is_empty() {
            images.push((named.take(), of_channels(std::mem::take(&mut joined))));
        }
        match place {
            Some((place, field)) => {
                if joined.is_empty() {
                    named = name;
                }
                joined.push((place, field, bytes));
            }
            None => images.push((name, ImageSource::Encoded(bytes))),
        }
    }
    if !joined.is_empty() {
        images.push((named, of_channels(joined)));
    }
    images
}

/// The place of a file's first channel: a file in colours has several, which are called `rgb_1`, `rgb_2` and `rgb_3`.
fn place_of(field: &str, channels: &[String]) -> Option<usize> {
    let is_of = |channel: &String| {
        let of_colors = channel.rsplit_once('_').is_some_and(|(file, number)| file == field && number == "1");
        channel == field || of_colors
    };
    channels.iter().position(is_of)
}

fn of_channels(mut files: Vec<(usize, String, Bytes)>) -> ImageSource {
    files.sort_by_key(|(place, ..)| *place);
    ImageSource::Channels(files.into_iter().map(|(_, field, bytes)| (field, bytes)).collect())
}

fn parse_threshold(text: &[u8]) -> ApiResult<f64> {
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SHOWN).collect();
        Problem::bad_request(format!("expected a number in the form's field `threshold`, found {shown:?}"))
    })
}

/// A field that would have no effect, and nobody would notice.
fn unknown(name: &str) -> Problem {
    let shown: String = name.chars().take(SHOWN).collect();
    Problem::bad_request(format!(
        "expected files and the field `threshold` in the form, found the field {shown:?} without a file name"
    ))
    .with_hint("curl -F image=@image.png sends a file; other fields have no meaning")
}

fn none(found: &str) -> Problem {
    Problem::bad_request(format!(
        "expected a file as the body, or a form (multipart/form-data) of files, found {found}"
    ))
    .with_hint("curl --data-binary @image.png URL, or curl -F image=@image.png URL")
}
