//! Zero-padded copies of parts of an image, and the buffers that threads reuse for them.

use crate::activation::Signal;
use crate::geometry::Plane;
use std::cell::RefCell;

/// Working space of one thread, grown as needed and kept.
#[derive(Default)]
pub(crate) struct Scratch {
    /// A padded copy of part of an image.
    pub(crate) window: Vec<f32>,
    /// Where the rows of a product begin in the window.
    pub(crate) starts: Vec<usize>,
    /// Where the rows of a product go in the output.
    pub(crate) places: Vec<usize>,
    /// Accumulators of a product.
    pub(crate) sums: Vec<f32>,
    /// One panel packed on the fly.
    pub(crate) panel: Vec<f32>,
    /// Rows packed on the fly.
    pub(crate) packed: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends the thread's working space. The work must not itself start parallel work: a thread that waits may be given
/// another piece of work, which would find the space lent already.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(work)
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
pub(crate) fn copy_window(image: Signal<'_>, plane: Plane, part: Part, window: &mut Vec<f32>) {
    window.resize(part.height * part.width * plane.channels, 0.0);
    fill_window(image, plane, part, window);
}

/// Copies a part of an image into a window of its size.
pub(crate) fn fill_window(image: Signal<'_>, plane: Plane, part: Part, window: &mut [f32]) {
    let channels = plane.channels;
    let row_length = part.width * channels;
    if row_length == 0 {
        return;
    }
    // Columns of the window that lie inside of the image.
    let begin = (-part.left).clamp(0, part.width as isize) as usize;
    let end = (plane.width as isize - part.left).clamp(begin as isize, part.width as isize) as usize;
    for (row, target) in window.chunks_exact_mut(row_length).enumerate() {
        let y = part.top + row as isize;
        if y < 0 || y >= plane.height as isize || begin == end {
            target.fill(0.0);
            continue;
        }
        let x = (begin as isize + part.left) as usize;
        let source = image.part((y as usize * plane.width + x) * channels, (end - begin) * channels);
        target[..begin * channels].fill(0.0);
        source.write_to(&mut target[begin * channels..end * channels]);
        target[end * channels..].fill(0.0);
    }
}
