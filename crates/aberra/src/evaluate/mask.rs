//! Masks at the resolution of the network input, so that they can be laid over error maps.

use aberra_image::{Image, Placement};

use crate::{Error, Result};

/// The part of a network input that lies in the image: the rest is padding, and no pixel of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    first_row: usize,
    first_column: usize,
    rows: usize,
    columns: usize,
    size_px: usize,
}

impl Window {
    /// Of an input of `size_px` pixels a side: the pixels whose centre lies in the image.
    pub(super) fn of(placement: &Placement, size_px: usize) -> Self {
        let inside = |start: i64, covered: usize, sides: usize| {
            let centre = |pixel: usize| start as f64 + (pixel as f64 + 0.5) * covered as f64 / size_px as f64;
            let first = (0..size_px).position(|pixel| centre(pixel) >= 0.0).unwrap_or(size_px);
            let count = (first..size_px).take_while(|&pixel| centre(pixel) < sides as f64).count();
            (first, count)
        };
        let (first_row, rows) = inside(placement.top, placement.height, placement.image_height);
        let (first_column, columns) = inside(placement.left, placement.width, placement.image_width);
        Self { first_row, first_column, rows, columns, size_px }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// The window's part of a map of the whole input.
    pub(super) fn cut<T: Copy>(&self, map: &[T]) -> Vec<T> {
        let row = |row: usize| {
            let start = row * self.size_px + self.first_column;
            map.get(start..start + self.columns).unwrap_or_default().iter().copied()
        };
        (self.first_row..self.first_row + self.rows).flat_map(row).collect()
    }
}

/// The mask of an image at its network input, `[size_px, size_px]`: a pixel is anomalous where at least half of what it
/// covers is. A mask's pixel is anomalous above half of the mask's brightest value, so that 1 and 255 mean the same.
///
/// # Errors
/// A data error where mask and image differ in size.
pub(super) fn project(mask: &Image, placement: &Placement, size_px: usize) -> Result<Vec<bool>> {
    let (height, width) = (placement.image_height, placement.image_width);
    if (mask.height, mask.width) != (height, width) {
        return Err(Error::data(format!(
            "expected a mask of the image's size, {width} x {height}, found {} x {}",
            mask.width, mask.height
        )));
    }
    let grey = mask.to_grey();
    let brightest = grey.iter().copied().fold(0.0, f32::max);
    let is_anomalous = |value: f32| f64::from(u8::from(value > brightest / 2.0));
    let columns = coverage(placement.left, placement.width, width, size_px);
    let rows = coverage(placement.top, placement.height, height, size_px);
    // Columns first, then rows: each the share of the covered stretch that is anomalous.
    let mut narrow = vec![0.0; height * size_px];
    for (line, source) in narrow.chunks_exact_mut(size_px).zip(grey.chunks_exact(width)) {
        for (share, weights) in line.iter_mut().zip(&columns) {
            *share = weights.iter().map(|&(column, weight)| is_anomalous(source[column]) * weight).sum();
        }
    }
    let share = |weights: &[(usize, f64)], column: usize| -> f64 {
        weights.iter().map(|&(row, weight)| narrow[row * size_px + column] * weight).sum()
    };
    let pixels = rows.iter().flat_map(|weights| (0..size_px).map(move |column| share(weights, column)));
    Ok(pixels.map(|share| share >= 0.5 - 1e-9).collect())
}

/// For each pixel of the input: the image pixels that it covers along one side, and the share of it that each fills.
fn coverage(start: i64, covered: usize, side: usize, size_px: usize) -> Vec<Vec<(usize, f64)>> {
    let step = covered as f64 / size_px as f64;
    let pixel = |pixel: usize| {
        let low = start as f64 + pixel as f64 * step;
        let (low, high) = (low.max(0.0), (low + step).min(side as f64));
        let touched = low as usize..(high.ceil().max(0.0) as usize).min(side);
        let share = |at: usize| ((at + 1) as f64).min(high) - (at as f64).max(low);
        touched.map(|at| (at, share(at).max(0.0) / step)).collect()
    };
    (0..size_px).map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mask of `height` x `width` with the given box anomalous, at brightness `value`.
    fn mask(height: usize, width: usize, rows: [usize; 2], columns: [usize; 2], value: f32) -> Image {
        let inside = |at: usize, [low, high]: [usize; 2]| (low..high).contains(&at);
        let pixel = |at: usize| inside(at / width, rows) && inside(at % width, columns);
        let pixels = (0..height * width).map(|at| if pixel(at) { value } else { 0.0 }).collect();
        Image::from_pixels(pixels, height, width, 1).unwrap()
    }

    fn placed(image_height: usize, image_width: usize, top: i64, left: i64, side: usize) -> Placement {
        Placement { image_height, image_width, top, left, height: side, width: side }
    }

    #[test]
    fn a_mask_of_the_inputs_size_stays_itself() {
        for value in [1.0, 1.0 / 255.0] {
            let projected = project(&mask(8, 8, [2, 5], [3, 4], value), &placed(8, 8, 0, 0, 8), 8).unwrap();
            let expected: Vec<bool> = (0..64).map(|at| (2..5).contains(&(at / 8)) && at % 8 == 3).collect();
            assert_eq!(projected, expected);
        }
    }

    #[test]
    fn half_of_a_pixel_is_enough_and_less_is_not() {
        // Each input pixel covers 4 x 4 image pixels, the first column's rows 0 to 4 of columns 0 to 4.
        for (columns, expected) in [([0, 2], true), ([0, 1], false)] {
            let projected = project(&mask(8, 8, [0, 4], columns, 1.0), &placed(8, 8, 0, 0, 8), 2).unwrap();
            assert_eq!(projected, [expected, false, false, false]);
        }
    }

    #[test]
    fn padding_lies_outside_the_window_and_is_never_masked() {
        // An image of 4 rows and 8 columns in the middle of a square of 8: rows 0, 1, 6 and 7 of the input are padding.
        let placement = placed(4, 8, -2, 0, 8);
        let projected = project(&mask(4, 8, [0, 4], [0, 8], 1.0), &placement, 8).unwrap();
        assert!(projected.iter().enumerate().all(|(at, &masked)| masked == (2..6).contains(&(at / 8))));
        let window = Window::of(&placement, 8);
        assert_eq!((window.pixels(), window.columns()), (32, 8));
        assert!(window.cut(&projected).iter().all(|&masked| masked));
    }

    #[test]
    fn a_crop_leaves_out_what_it_cut_away() {
        // The input covers rows 4 to 8 and columns 2 to 6 of a 10 x 10 image.
        let projected = project(&mask(10, 10, [0, 6], [0, 4], 1.0), &placed(10, 10, 4, 2, 4), 4).unwrap();
        let expected: Vec<bool> = (0..16).map(|at| at / 4 < 2 && at % 4 < 2).collect();
        assert_eq!(projected, expected);
        assert_eq!(Window::of(&placed(10, 10, 4, 2, 4), 4).pixels(), 16);
    }

    #[test]
    fn an_empty_mask_is_empty_and_another_size_is_refused() {
        let empty = project(&mask(8, 8, [0, 0], [0, 0], 1.0), &placed(8, 8, 0, 0, 8), 4).unwrap();
        assert!(!empty.contains(&true));
        let refused = project(&mask(8, 9, [0, 1], [0, 1], 1.0), &placed(8, 8, 0, 0, 8), 4).unwrap_err();
        assert!(refused.is_data() && refused.to_string().contains("found 9 x 8"), "{refused}");
    }
}
