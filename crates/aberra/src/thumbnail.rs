//! Thumbnails of network inputs.

use aberra_models::Shape;

/// Side of a thumbnail.
pub(crate) const THUMBNAIL_PX: usize = 48;

/// `[THUMBNAIL_PX, THUMBNAIL_PX, channels]`: each value the mean of the pixels it covers.
pub(crate) fn shrink(pixels: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { height, width, channels } = shape;
    let range = |at: usize, side: usize| {
        let (start, end) = (at * side / THUMBNAIL_PX, (at + 1) * side / THUMBNAIL_PX);
        start..end.max(start + 1).min(side)
    };
    let mut thumbnail = Vec::with_capacity(THUMBNAIL_PX * THUMBNAIL_PX * channels);
    for (row, column) in (0..THUMBNAIL_PX * THUMBNAIL_PX).map(|at| (at / THUMBNAIL_PX, at % THUMBNAIL_PX)) {
        for channel in 0..channels {
            let values = range(row, height).flat_map(|y| {
                range(column, width).map(move |x| pixels[(y * width + x) * channels + channel])
            });
            let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
            thumbnail.push(sum / count.max(1) as f32);
        }
    }
    thumbnail
}
