//! Zero-padded copies of parts of an image.

use crate::geometry::Plane;
use crate::operand::Operands;
use crate::scratch::at_least;
use crate::signal::Signal;

/// Which part of an image to copy; rows and columns outside of the image are zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) top: isize,
    pub(crate) left: isize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Copies a part of an image, `[height, width, channels]`, into `window`, which grows to hold it.
pub(crate) fn copy_window<'a, O: Operands>(
    image: Signal<'_>,
    plane: Plane,
    part: Part,
    window: &'a mut Vec<O::Value>,
) -> &'a [O::Value] {
    let window = at_least(window, part.height * part.width * (plane.channels / O::DEPTH));
    fill_window::<O>(image, plane, part, window);
    window
}

/// Copies a part of an image into a window of its size.
pub(crate) fn fill_window<O: Operands>(image: Signal<'_>, plane: Plane, part: Part, window: &mut [O::Value]) {
    let channels = plane.channels / O::DEPTH;
    let row_length = part.width * channels;
    if row_length == 0 {
        return;
    }
    // Columns of the window that lie inside of the image.
    let begin = (-part.left).clamp(0, part.width as isize) as usize;
    let end = (plane.width as isize - part.left).clamp(begin as isize, part.width as isize) as usize;
    let zero = O::Value::default();
    for (row, target) in window.chunks_exact_mut(row_length).enumerate() {
        let y = part.top + row as isize;
        if y < 0 || y >= plane.height as isize || begin == end {
            target.fill(zero);
            continue;
        }
        let x = (begin as isize + part.left) as usize;
        let source =
            image.part((y as usize * plane.width + x) * plane.channels, (end - begin) * plane.channels);
        target[..begin * channels].fill(zero);
        O::write(source, &mut target[begin * channels..end * channels]);
        target[end * channels..].fill(zero);
    }
}
