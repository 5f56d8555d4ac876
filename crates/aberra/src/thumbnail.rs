//! Thumbnails of preprocessed images.

use aberra_models::Shape;

/// Side of a thumbnail.
pub(crate) const THUMBNAIL_PX: usize = 48;

/// `[THUMBNAIL_PX, THUMBNAIL_PX, channels]`: each value the mean of the pixels it covers; an image that is not square has
/// black beside it.
pub(crate) fn shrink(pixels: &[f32], shape: Shape) -> Vec<f32> {
    let Shape { height, width, channels } = shape;
    let longer = height.max(width);
    // The pixels of a side of the image behind a place of the thumbnail; none beside it.
    let range = |at: usize, side: usize| {
        let length = (side * THUMBNAIL_PX / longer.max(1)).max(1);
        let at = at.checked_sub((THUMBNAIL_PX - length) / 2).filter(|&at| at < length);
        at.map_or(0..0, |at| {
            let (start, end) = (at * side / length, (at + 1) * side / length);
            start..end.max(start + 1).min(side)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_image_keeps_its_proportions() {
        let shape = Shape { height: 24, width: 96, channels: 1 };
        let thumbnail = shrink(&vec![0.5; shape.len()], shape);
        let lit = |row: usize| {
            thumbnail[row * THUMBNAIL_PX..][..THUMBNAIL_PX].iter().filter(|&&value| value > 0.0).count()
        };
        let rows: Vec<usize> = (0..THUMBNAIL_PX).filter(|&row| lit(row) == THUMBNAIL_PX).collect();
        assert_eq!(rows, (18..30).collect::<Vec<_>>());
        assert_eq!(thumbnail.iter().filter(|&&value| value > 0.0).count(), 12 * THUMBNAIL_PX);
    }
}
