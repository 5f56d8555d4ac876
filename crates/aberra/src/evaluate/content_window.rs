//! The pixels of a preprocessed image that count when error maps are compared with masks.

use aberra_image::{Placement, Region};
use aberra_models::Shape;

/// The part of a preprocessed image that shows the image: the rest is padding, and no pixel of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentWindow {
    first_row: usize,
    first_column: usize,
    rows: usize,
    columns: usize,
    /// Columns of the whole input.
    width: usize,
}

impl ContentWindow {
    /// Of a preprocessed image of this shape: the pixels whose centre lies in what the network saw of the image.
    pub(crate) fn of(placement: &Placement, shape: Shape) -> Self {
        // Image pixels covered from `start`, of which `length` from `seen` on were seen.
        let inside = |side: usize, start: i64, covered: usize, seen: usize, length: usize| {
            let centre = |pixel: usize| start as f64 + (pixel as f64 + 0.5) * covered as f64 / side as f64;
            let end = (seen + length) as f64;
            let first = (0..side).position(|pixel| centre(pixel) >= seen as f64).unwrap_or(side);
            (first, (first..side).take_while(|&pixel| centre(pixel) < end).count())
        };
        let content = &placement.content;
        let (first_row, rows) =
            inside(shape.height, placement.top, placement.height, content.top, content.height);
        let (first_column, columns) =
            inside(shape.width, placement.left, placement.width, content.left, content.width);
        Self { first_row, first_column, rows, columns, width: shape.width }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The pixels of the input that count.
    pub(crate) fn region(&self) -> Region {
        Region { top: self.first_row, left: self.first_column, height: self.rows, width: self.columns }
    }

    pub(crate) fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    /// The window's part of a map of the whole input.
    pub(crate) fn cut<T: Copy>(&self, map: &[T]) -> Vec<T> {
        let row = |row: usize| {
            let start = row * self.width + self.first_column;
            map.get(start..start + self.columns).unwrap_or_default().iter().copied()
        };
        (self.first_row..self.first_row + self.rows).flat_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use aberra_image::{ForegroundCrop, Image, Preprocessing};

    use super::*;

    #[test]
    fn padding_lies_outside_the_window() {
        // 4 rows and 8 columns in the middle of a square of 8: rows 0, 1, 6 and 7 of the input are padding.
        let placement = Placement { top: -2, height: 8, ..Placement::whole(4, 8) };
        let window = ContentWindow::of(&placement, Shape::square(8, 1));
        assert_eq!((window.pixels(), window.columns()), (32, 8));
        let rows: Vec<usize> = (0..64).map(|at| at / 8).collect();
        assert!(window.cut(&rows).iter().all(|row| (2..6).contains(row)));
        assert_eq!(ContentWindow::of(&placement, Shape::square(4, 1)).pixels(), 8);
        assert_eq!(ContentWindow::of(&Placement::whole(5, 9), Shape::square(7, 1)).pixels(), 49);
    }

    #[test]
    fn the_window_holds_every_masked_pixel_and_none_is_lost_to_a_crop() {
        // A bright box in the dark, wider than high: cropped to it, then padded to a square.
        let (height, width) = (40, 60);
        let is_bright = |at: usize| (12..24).contains(&(at / width)) && (8..48).contains(&(at % width));
        let mask: Vec<bool> = (0..height * width).map(is_bright).collect();
        let pixels = mask.iter().map(|&bright| if bright { 0.8 } else { 0.0 }).collect();
        let image = Image::from_pixels(pixels, height, width, 1).unwrap();
        let preprocessing = Preprocessing {
            size_px: 32,
            foreground_crop: Some(ForegroundCrop::default()),
            ..Preprocessing::default()
        };
        let input = preprocessing.apply(&image).unwrap();
        let window = ContentWindow::of(&input.placement, Shape::square(32, 1));
        assert!(window.pixels() < 32 * 32 / 2);
        let projected = input.placement.project_mask(&mask, height, width, (32, 32)).unwrap();
        let count = |mask: &[bool]| mask.iter().filter(|&&masked| masked).count();
        assert!(count(&projected) > 200);
        assert_eq!(count(&window.cut(&projected)), count(&projected));
    }
}
