//! Turning pixels upright, as EXIF's orientation says.

use image::metadata::Orientation;

/// Whether height and width change places.
pub(crate) fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Height and width once an image lies upright.
pub(crate) fn upright((height, width): (usize, usize), orientation: Orientation) -> (usize, usize) {
    if swaps_sides(orientation) { (width, height) } else { (height, width) }
}

/// The row and column, in a file of `height` x `width` pixels, of the pixel that comes to lie at row `y`, column `x`.
pub(crate) fn origin(
    orientation: Orientation,
    (y, x): (usize, usize),
    (height, width): (usize, usize),
) -> (usize, usize) {
    match orientation {
        Orientation::NoTransforms => (y, x),
        Orientation::FlipHorizontal => (y, width - 1 - x),
        Orientation::Rotate180 => (height - 1 - y, width - 1 - x),
        Orientation::FlipVertical => (height - 1 - y, x),
        Orientation::Rotate90FlipH => (x, y),
        Orientation::Rotate90 => (height - 1 - x, y),
        Orientation::Rotate270FlipH => (height - 1 - x, width - 1 - y),
        Orientation::Rotate270 => (x, width - 1 - y),
    }
}

/// Turns and mirrors pixels, `[height, width, channels]`, upright.
pub(crate) fn turn(
    pixels: Vec<f32>,
    (height, width): (usize, usize),
    channels: usize,
    orientation: Orientation,
) -> Vec<f32> {
    if orientation == Orientation::NoTransforms {
        return pixels;
    }
    let (rows, columns) = upright((height, width), orientation);
    let mut turned = Vec::with_capacity(pixels.len());
    for y in 0..rows {
        for x in 0..columns {
            let (y, x) = origin(orientation, (y, x), (height, width));
            let at = (y * width + x) * channels;
            turned.extend_from_slice(&pixels[at..at + channels]);
        }
    }
    turned
}
