//! The one resampler: a triangle filter, widened when it reduces so that nothing aliases (Pillow's `BILINEAR`).

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use crate::Error;
use crate::error::Kind;

/// A box of a plane, in pixels; may begin and end within a pixel.
#[derive(Clone, Copy)]
pub(crate) struct Area {
    pub top: f64,
    pub left: f64,
    pub height: f64,
    pub width: f64,
}

/// Pixels with their size, `[height, width, channels]`: a whole image, or a part of one that is not copied out of it.
pub(crate) struct Plane<'a> {
    /// From the part's first row to its last, of the image's whole width.
    pixels: &'a [f32],
    image_width: usize,
    left: usize,
    pub height: usize,
    pub width: usize,
    /// 1 or 3.
    pub channels: usize,
}

impl<'a> Plane<'a> {
    pub(crate) fn whole(pixels: &'a [f32], height: usize, width: usize, channels: usize) -> Self {
        Self { pixels, image_width: width, left: 0, height, width, channels }
    }

    /// `height` x `width` pixels, from row `top` and column `left` on, of an image that is `image_width` wide.
    pub(crate) fn part(
        pixels: &'a [f32],
        image_width: usize,
        channels: usize,
        (top, left): (usize, usize),
        (height, width): (usize, usize),
    ) -> Self {
        let row = image_width * channels;
        Self { pixels: &pixels[top * row..(top + height) * row], image_width, left, height, width, channels }
    }

    /// Rows of values.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'a [f32]> + Clone {
        let from = self.left * self.channels;
        let to = from + self.width * self.channels;
        self.pixels.chunks_exact(self.image_width * self.channels).map(move |row| &row[from..to])
    }
}

impl Area {
    /// All of a plane.
    pub(crate) fn of(plane: &Plane<'_>) -> Self {
        Self { top: 0.0, left: 0.0, height: plane.height as f64, width: plane.width as f64 }
    }
}

/// Resamples an area of a plane to `height` x `width`. Near the area's edge, pixels just outside it take part.
pub(crate) fn resize(plane: &Plane<'_>, area: Area, height: usize, width: usize) -> Result<Vec<f32>, Error> {
    // By type, so that the program holds the resampling of these two kinds of pixels alone, not of all sixteen.
    match plane.channels {
        3 => resize_as::<F32x3>(plane, area, height, width),
        _ => resize_as::<F32>(plane, area, height, width),
    }
}

fn resize_as<P: PixelTrait>(
    plane: &Plane<'_>,
    area: Area,
    height: usize,
    width: usize,
) -> Result<Vec<f32>, Error> {
    let mut resized = vec![0.0_f32; height * width * plane.channels];
    let (image_width, height_px) = (side(plane.image_width)?, side(plane.height)?);
    let source = TypedImageRef::<P>::from_buffer(image_width, height_px, bytemuck::cast_slice(plane.pixels))
        .map_err(cannot_resize)?;
    let source = TypedCroppedImage::from_ref(&source, side(plane.left)?, 0, side(plane.width)?, height_px)
        .map_err(cannot_resize)?;
    let target = bytemuck::cast_slice_mut(&mut resized);
    let mut target =
        TypedImage::<P>::from_buffer(side(width)?, side(height)?, target).map_err(cannot_resize)?;
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(area.left, area.top, area.width, area.height)
        .use_alpha(false);
    Resizer::new().resize_typed(&source, &mut target, &options).map_err(cannot_resize)?;
    Ok(resized)
}

fn side(pixels: usize) -> Result<u32, Error> {
    u32::try_from(pixels).map_err(cannot_resize)
}

fn cannot_resize(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Pixels, format!("cannot resize: {error}"))
}
