//! Windows: zero-padded copies of image regions, from which products read their rows in place (implicit im2col).

use crate::geometry::ImageSize;
use crate::operand::Operands;
use crate::scratch::at_least;
use crate::signal::Signal;

/// A region of an image, which may extend beyond its borders; pixels outside are zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) top: isize,
    pub(crate) left: isize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Copies a region of an image `[height, width, channels]` into `window`, which is grown if necessary.
pub(crate) fn copy_window<'a, O: Operands>(
    image: Signal<'_>,
    size: ImageSize,
    region: Region,
    window: &'a mut Vec<O::Value>,
) -> &'a [O::Value] {
    let window = at_least(window, region.height * region.width * (size.channels / O::DEPTH));
    fill_window::<O>(image, size, region, window);
    window
}

/// Copies a region of an image into a window of the region's size.
pub(crate) fn fill_window<O: Operands>(
    image: Signal<'_>,
    size: ImageSize,
    region: Region,
    window: &mut [O::Value],
) {
    let channels = size.channels / O::DEPTH;
    let row_length = region.width * channels;
    if row_length == 0 {
        return;
    }
    // Columns of the window that lie inside the image.
    let begin = (-region.left).clamp(0, region.width as isize) as usize;
    let end = (size.width as isize - region.left).clamp(begin as isize, region.width as isize) as usize;
    let zero = O::Value::default();
    for (row, target) in window.chunks_exact_mut(row_length).enumerate() {
        let y = region.top + row as isize;
        if y < 0 || y >= size.height as isize || begin == end {
            target.fill(zero);
            continue;
        }
        let x = (begin as isize + region.left) as usize;
        let source = image.part((y as usize * size.width + x) * size.channels, (end - begin) * size.channels);
        target[..begin * channels].fill(zero);
        O::write(source, &mut target[begin * channels..end * channels]);
        target[end * channels..].fill(zero);
    }
}
