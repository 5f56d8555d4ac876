//! What the formats have in common that the `image` crate decodes.

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageResult};

use super::{Raster, damaged, decoded, unsupported};
use crate::error::Kind;
use crate::{Error, Format, Limits};

/// EXIF orientation; upright where there is none.
pub(super) fn orientation(decoder: ImageResult<impl ImageDecoder>) -> Orientation {
    decoder.and_then(|mut decoder| decoder.orientation()).unwrap_or(Orientation::NoTransforms)
}

/// Decodes the pixels and turns them upright.
pub(super) fn raster(
    format: Format,
    decoder: ImageResult<impl ImageDecoder>,
    orientation: Orientation,
    as_grey: bool,
) -> Result<Raster, Error> {
    let decoder = decoder.map_err(|error| reason(format, error))?;
    let color = decoder.color_type();
    let (width, height) = decoder.dimensions();
    let size = (height as usize, width as usize);
    let stored = usize::from(color.channel_count());
    let read = |samples: &mut [u8]| decoder.read_image(samples).map_err(|error| reason(format, error));
    match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            decoded::<u8>(size, stored, orientation, as_grey, read)
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            decoded::<u16>(size, stored, orientation, as_grey, read)
        }
        other => Err(unsupported(format, format!("pixels stored as {other:?}"))),
    }
}

/// The limits as the `image` crate takes them.
pub(super) fn bounds(limits: &Limits) -> image::Limits {
    let mut bounds = image::Limits::no_limits();
    bounds.max_image_width = Some(limits.max_width_px);
    bounds.max_image_height = Some(limits.max_height_px);
    bounds.max_alloc = Some(limits.max_alloc_bytes);
    bounds
}

/// Four bytes of a file.
pub(super) fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

/// The error that an error of the `image` crate means.
pub(super) fn reason(format: Format, error: ImageError) -> Error {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            damaged(format, "it is truncated")
        }
        ImageError::Unsupported(error) => unsupported(format, format!("a variant of it ({error})")),
        ImageError::Limits(error) => {
            let message = format!(
                "decoding the {format} takes more than allowed ({error}); if the image is what you expect, raise the \
                 setting `max_alloc_bytes`"
            );
            Error::new(Kind::Limit, message)
        }
        error => damaged(format, error),
    }
}
