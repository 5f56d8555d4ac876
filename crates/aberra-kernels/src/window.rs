//! Zero-padded copies of parts of an image, and the buffers that threads reuse for them.

use crate::activation::Signal;
use crate::geometry::Plane;
use crate::operand::{Operands, at_least};

/// Working space of one thread, grown as needed and kept: see [`Value::with_scratch`](crate::operand::Value::with_scratch).
pub(crate) struct Scratch<V> {
    /// A padded copy of part of an image.
    pub(crate) window: Vec<V>,
    /// One panel packed on the fly.
    pub(crate) panel: Vec<V>,
    /// Rows packed on the fly.
    pub(crate) packed: Vec<V>,
    /// Where the rows of a product begin in the window.
    pub(crate) starts: Vec<usize>,
    /// Where the rows of a product go in the output.
    pub(crate) places: Vec<usize>,
    /// Accumulators of a product.
    pub(crate) sums: Vec<f32>,
    /// Elements on their way into another form.
    pub(crate) plain: Vec<f32>,
    /// Elements that are never anything else.
    pub(crate) line: Vec<f32>,
}

// A derived one would ask for it of the values.
impl<V> Default for Scratch<V> {
    fn default() -> Self {
        Self {
            window: Vec::new(),
            panel: Vec::new(),
            packed: Vec::new(),
            starts: Vec::new(),
            places: Vec::new(),
            sums: Vec::new(),
            plain: Vec::new(),
            line: Vec::new(),
        }
    }
}

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
