//! The foreground crop: where in an image its object is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::percentile::percentiles;
use crate::placement::Region;

/// What counts as foreground.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForegroundCrop {
    /// A pixel is foreground above this share of the image's 99.5th percentile, 0 to below 1.
    pub threshold: f32,
    /// Share of the box's side added on each side, 0 to 1.
    pub margin: f32,
}

impl Default for ForegroundCrop {
    fn default() -> Self {
        Self { threshold: 0.08, margin: 0.02 }
    }
}

/// The percentile that stands for "bright" in the threshold.
const BRIGHT_PERCENTILE: f64 = 99.5;
/// A row or column belongs to the object from this share of its pixels on: specks do not.
const MIN_LINE_SHARE: f64 = 0.01;
/// ... and from this many pixels on.
const MIN_LINE_PIXELS: usize = 2;
/// An outermost run of lines with less than this share of all foreground pixels is not part of the object.
const MIN_RUN_SHARE: f64 = 0.01;
/// An object smaller than this share of the image is not one: the whole image is kept.
const MIN_AREA_SHARE: f64 = 0.01;
/// ... and so is one with a side shorter than this.
const MIN_SIDE_PX: usize = 8;

/// The bounding box of the rows and columns with enough foreground pixels, with its margin; the whole image where there
/// is nearly no foreground.
pub(crate) fn foreground(grey: &[f32], height: usize, width: usize, crop: &ForegroundCrop) -> Region {
    let whole = Region { top: 0, left: 0, height, width };
    let rows = grey.chunks_exact(width);
    let Some([darkest, bright]) = percentiles(rows.clone(), [0.0, BRIGHT_PERCENTILE]) else { return whole };
    // Stored values may be negative: then the darkest value, not zero, is the black that the share is counted from.
    let black = f64::from(darkest.min(0.0));
    let threshold = (black + f64::from(crop.threshold) * (f64::from(bright) - black)) as f32;

    let mut in_columns = vec![0_u32; width];
    let mut in_rows = Vec::with_capacity(height);
    for row in rows {
        let mut in_row = 0_u32;
        for (&value, in_column) in row.iter().zip(&mut in_columns) {
            let is_foreground = u32::from(value > threshold);
            *in_column += is_foreground;
            in_row += is_foreground;
        }
        in_rows.push(in_row);
    }
    let (Some((top, box_height)), Some((left, box_width))) =
        (extent(&in_rows, width), extent(&in_columns, height))
    else {
        return whole;
    };
    let share = (box_height as f64 / height as f64) * (box_width as f64 / width as f64);
    if box_height < MIN_SIDE_PX || box_width < MIN_SIDE_PX || share < MIN_AREA_SHARE {
        return whole;
    }
    let (top, height) = widen(top, box_height, height, crop.margin);
    let (left, width) = widen(left, box_width, width, crop.margin);
    Region { top, left, height, width }
}

/// First line and number of lines of the object: from the first to the last line with enough of its `length` pixels in
/// the foreground, less the outermost runs of such lines that hold next to nothing (lettering beside the object).
fn extent(counts: &[u32], length: usize) -> Option<(usize, usize)> {
    let enough = ((length as f64 * MIN_LINE_SHARE).ceil() as usize).max(MIN_LINE_PIXELS);
    let mut runs: Vec<Run> = Vec::new();
    for (line, &count) in counts.iter().enumerate().filter(|(_, count)| **count as usize >= enough) {
        match runs.last_mut() {
            Some(run) if run.last + 1 == line => {
                run.last = line;
                run.pixels += u64::from(count);
            }
            _ => runs.push(Run { first: line, last: line, pixels: count.into() }),
        }
    }
    let total: u64 = runs.iter().map(|run| run.pixels).sum();
    let counts_for_something = |run: &&Run| run.pixels as f64 >= MIN_RUN_SHARE * total as f64;
    let first = runs.iter().find(counts_for_something)?.first;
    let last = runs.iter().rfind(counts_for_something)?.last;
    Some((first, last - first + 1))
}

/// Neighbouring lines that belong to the object, and the foreground pixels in them.
struct Run {
    first: usize,
    last: usize,
    pixels: u64,
}

/// Adds the margin on both sides, as far as the image goes.
fn widen(first: usize, length: usize, limit: usize, margin: f32) -> (usize, usize) {
    let margin = (length as f64 * f64::from(margin)).round() as usize;
    let start = first.saturating_sub(margin);
    let end = (first + length).saturating_add(margin).min(limit);
    (start, end - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas(height: usize, width: usize, boxes: &[(usize, usize, usize, usize, f32)]) -> Vec<f32> {
        let mut grey = vec![0.01; height * width];
        for &(top, left, rows, columns, value) in boxes {
            for y in top..top + rows {
                grey[y * width + left..][..columns].fill(value);
            }
        }
        grey
    }

    #[test]
    fn finds_the_object_with_its_margin() {
        let grey = canvas(100, 200, &[(20, 50, 50, 100, 0.7)]);
        let found = foreground(&grey, 100, 200, &ForegroundCrop { threshold: 0.08, margin: 0.1 });
        assert_eq!(found, Region { top: 15, left: 40, height: 60, width: 120 });
    }

    #[test]
    fn specks_do_not_move_the_box() {
        let grey = canvas(100, 200, &[(20, 50, 50, 100, 0.7), (2, 3, 1, 1, 1.0), (95, 190, 1, 1, 1.0)]);
        let found = foreground(&grey, 100, 200, &ForegroundCrop { threshold: 0.08, margin: 0.0 });
        assert_eq!(found, Region { top: 20, left: 50, height: 50, width: 100 });
    }

    #[test]
    fn lettering_beside_the_object_is_left_out() {
        let grey = canvas(200, 200, &[(40, 50, 120, 100, 0.7), (100, 5, 8, 12, 1.0), (190, 100, 6, 12, 1.0)]);
        let found = foreground(&grey, 200, 200, &ForegroundCrop { threshold: 0.08, margin: 0.0 });
        assert_eq!(found, Region { top: 40, left: 50, height: 120, width: 100 });
    }

    /// Two parts in one image are one object.
    #[test]
    fn a_second_object_is_kept() {
        let grey = canvas(200, 200, &[(40, 50, 120, 100, 0.7), (90, 5, 30, 30, 1.0)]);
        let found = foreground(&grey, 200, 200, &ForegroundCrop { threshold: 0.08, margin: 0.0 });
        assert_eq!(found, Region { top: 40, left: 5, height: 120, width: 145 });
    }

    #[test]
    fn margin_stops_at_the_image() {
        let grey = canvas(100, 200, &[(0, 0, 98, 190, 0.7)]);
        let found = foreground(&grey, 100, 200, &ForegroundCrop { threshold: 0.08, margin: 0.5 });
        assert_eq!(found, Region { top: 0, left: 0, height: 100, width: 200 });
    }

    #[test]
    fn nearly_nothing_keeps_the_whole() {
        let whole = Region { top: 0, left: 0, height: 100, width: 200 };
        for boxes in [&[][..], &[(50, 50, 4, 4, 1.0)], &[(50, 0, 3, 200, 1.0)]] {
            let mut grey = canvas(100, 200, boxes);
            grey.iter_mut().filter(|value| **value < 0.1).for_each(|value| *value = 0.0);
            assert_eq!(foreground(&grey, 100, 200, &ForegroundCrop::default()), whole, "{boxes:?}");
        }
    }

    #[test]
    fn negative_backgrounds_are_background() {
        let mut grey = canvas(100, 100, &[(20, 20, 50, 50, 400.0)]);
        grey.iter_mut().filter(|value| **value < 1.0).for_each(|value| *value = -1000.0);
        let found = foreground(&grey, 100, 100, &ForegroundCrop { threshold: 0.08, margin: 0.0 });
        assert_eq!(found, Region { top: 20, left: 20, height: 50, width: 50 });
    }
}
