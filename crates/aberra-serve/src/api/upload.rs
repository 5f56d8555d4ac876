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
    // The files of each image: the place of each among the channels, its field and its content.
    type File = (Option<usize>, String, Bytes);
    let mut images: Vec<(Option<String>, Vec<File>)> = Vec::new();
    for Upload { field, name, bytes } in files {
        let field = field.unwrap_or_default();
        let place = place_of(&field, channels);
        let goes_with = |file: &File| file.0.is_some() && file.0 != place;
        match images.last_mut() {
            Some((_, files)) if place.is_some() && files.iter().all(goes_with) => {
                files.push((place, field, bytes));
            }
            _ => images.push((name, vec![(place, field, bytes)])),
        }
    }
    let source = |(name, mut files): (Option<String>, Vec<File>)| {
        files.sort_by_key(|(place, ..)| *place);
        let source = match &files[..] {
            [(None, _, bytes)] => ImageSource::Encoded(bytes.clone()),
            _ => ImageSource::Channels(files.into_iter().map(|(_, field, bytes)| (field, bytes)).collect()),
        };
        (name, source)
    };
    images.into_iter().map(source).collect()
}

/// The place of a file's first channel: one in colours has several, which are called `rgb_1`, `rgb_2` and `rgb_3`.
fn place_of(field: &str, channels: &[String]) -> Option<usize> {
    let at = |name: &str| channels.iter().position(|channel| channel == name);
    at(field).or_else(|| at(&format!("{field}_1")))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of each image, by their fields; a file that is an image of its own is `-`.
    fn fields(sent: &[&str], channels: &[&str]) -> Vec<String> {
        let upload = |field: &&str| Upload {
            field: Some((*field).to_owned()),
            name: Some(format!("{field}.png")),
            bytes: Bytes::new(),
        };
        let channels: Vec<String> = channels.iter().map(|&name| name.to_owned()).collect();
        let files_of = |source| match source {
            ImageSource::Channels(files) => {
                files.into_iter().map(|(field, _)| field).collect::<Vec<_>>().join("+")
            }
            _ => "-".to_owned(),
        };
        let images = sources(sent.iter().map(upload).collect(), &channels);
        images.into_iter().map(|(name, source)| format!("{} {}", name.unwrap(), files_of(source))).collect()
    }

    #[test]
    fn files_are_joined_by_the_names_of_the_channels() {
        let two = ["t1", "flair"];
        assert_eq!(fields(&["flair", "t1", "t1"], &two), ["flair.png t1+flair", "t1.png t1"]);
        assert_eq!(fields(&["t1", "other", "flair"], &two), ["t1.png t1", "other.png -", "flair.png flair"]);
        assert_eq!(fields(&["image", "image"], &two), ["image.png -", "image.png -"]);
        assert_eq!(fields(&["t1", "flair"], &[]), ["t1.png -", "flair.png -"]);
        let colors = ["rgb_1", "rgb_2", "rgb_3", "depth"];
        assert_eq!(fields(&["depth", "rgb"], &colors), ["depth.png rgb+depth"]);
        // A name of its own goes before that of a file in colours.
        assert_eq!(fields(&["a", "a_1"], &["a_1", "a"]), ["a.png a_1+a"]);
    }
}
