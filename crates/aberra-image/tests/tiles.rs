//! Images of a grid of network inputs: their proportions stay, intensities are those of the whole, maps and masks find the way.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use aberra_image::{Image, IntensityScaling, Preprocessing, Region, TileGrid, Tiles};
use proptest::prelude::*;

fn settings(rows: usize, columns: usize, height_px: usize, width_px: usize) -> Preprocessing {
    Preprocessing {
        size_px: 32,
        tiles: Tiles::Grid(TileGrid { rows, columns, height_px, width_px }),
        foreground_crop: None,
        intensity: IntensityScaling { low_percentile: 0.0, high_percentile: 100.0 },
        ..Preprocessing::default()
    }
}

#[test]
fn a_long_image_keeps_its_resolution_and_its_proportions() {
    // 64 x 160 with three tiles of 32: half the size, where one square would leave a fifth.
    let (height, width) = (64, 160);
    let circle = |at: usize| {
        let (y, x) = ((at / width) as f32 - 31.5, (at % width) as f32 - 99.5);
        f32::from(u8::from(y.hypot(x) < 20.0))
    };
    let image = Image::from_pixels((0..height * width).map(circle).collect(), height, width, 1).unwrap();
    let input = settings(1, 3, 32, 80).apply(&image).unwrap();
    assert_eq!((input.height, input.width, input.pixels.len()), (32, 80, 32 * 80));
    assert_eq!(input.placement.image_share(), 1.0);
    let lit: Vec<usize> = (0..32 * 80).filter(|&at| input.pixels[at] > 0.5).collect();
    let extent = |of: &dyn Fn(usize) -> usize| {
        let along: Vec<usize> = lit.iter().map(|&at| of(at)).collect();
        along.iter().max().unwrap() + 1 - along.iter().min().unwrap()
    };
    assert_eq!((extent(&|at| at / 80), extent(&|at| at % 80)), (20, 20), "a circle stays one");
}

#[test]
fn intensities_are_scaled_by_the_whole_image() {
    // Dark on the left, bright on the right: each tile alone would be stretched to 0..1.
    let image =
        Image::from_pixels((0..32 * 88).map(|at| (at % 88) as f32 / 87.0).collect(), 32, 88, 1).unwrap();
    let preprocessing = settings(1, 3, 32, 88);
    let input = preprocessing.apply(&image).unwrap();
    let tiling = preprocessing.tiling().unwrap();
    let mean = |tile: usize| tiling.cut(&input.pixels, 1, tile).iter().sum::<f32>() / 1024.0;
    assert!(mean(0) < 0.3 && (mean(1) - 0.5).abs() < 0.01 && mean(2) > 0.7);
}

#[test]
fn an_image_of_other_proportions_is_padded_and_not_squeezed() {
    for (height, width, content_height, content_width) in
        [(64, 64, 32, 32), (200, 80, 32, 13), (20, 200, 8, 80)]
    {
        let image = Image::from_pixels(vec![1.0; height * width], height, width, 1).unwrap();
        let mut pixels = image.pixels.clone();
        pixels[0] = 0.0;
        let image = Image { pixels, ..image };
        let input = settings(1, 3, 32, 80).apply(&image).unwrap();
        let lit = |at: &usize| input.pixels[*at] > 0.5;
        let rows = (0..32).filter(|row| (0..80).map(|x| row * 80 + x).any(|at| lit(&at))).count();
        let columns = (0..80).filter(|x| (0..32).map(|row| row * 80 + x).any(|at| lit(&at))).count();
        assert!(
            rows.abs_diff(content_height) <= 1 && columns.abs_diff(content_width) <= 1,
            "{rows} x {columns}"
        );
    }
}

#[test]
fn grids_that_do_not_fit_are_refused_with_what_was_expected() {
    let image = Image::from_pixels(vec![0.5; 64 * 64], 64, 64, 1).unwrap();
    let with = |tiles: Tiles| Preprocessing { size_px: 32, tiles, ..Preprocessing::default() };
    for (bad, expected) in [
        (with(Tiles::Counted { rows: 7, columns: 7 }), "expected 1 to 48 tiles in all, found 7 x 7"),
        (with(Tiles::Counted { rows: 0, columns: 3 }), "expected 1 to 48 tiles in all, found 0 x 3"),
        (
            settings(1, 3, 32, 97),
            "expected 34 to 96 as width_px of 3 tiles of 32 px beside each other, found 97",
        ),
        (settings(2, 1, 32, 32), "expected 33 to 64 as height_px"),
        (settings(1, 2, 40, 60), "expected 32 to 32 as height_px"),
        (Preprocessing { square_pad: false, ..settings(1, 3, 32, 80) }, "with square_pad = false, found 1x3"),
    ] {
        let error = bad.validate().unwrap_err();
        assert!(error.is_settings() && error.to_string().contains(expected), "{error}");
        assert!(bad.apply(&image).unwrap_err().is_settings());
    }
    let unsettled = with(Tiles::Auto);
    unsettled.validate().unwrap();
    let error = unsettled.apply(&image).unwrap_err().to_string();
    assert!(error.contains("found auto, which is settled when a detector is trained"), "{error}");
}

#[test]
fn the_foreground_settles_the_tiles() {
    // A bright bar of 20 x 90 in a dark square: its own shape counts.
    let pixels = (0..100 * 100)
        .map(|at| f32::from(u8::from((40..60).contains(&(at / 100)) && (5..95).contains(&(at % 100)))));
    let image = Image::from_pixels(pixels.collect(), 100, 100, 1).unwrap();
    let preprocessing = Preprocessing { size_px: 32, tiles: Tiles::Auto, ..Preprocessing::default() };
    let content = preprocessing.content(&image).unwrap();
    assert!(content.height < 24 && content.width > 88, "{content:?}");
    let settled = preprocessing.settled(false, &[content]);
    let grid = settled.tiling().unwrap().grid();
    assert!(grid.rows == 1 && grid.columns > 3, "{grid:?}");
    let whole = Preprocessing { foreground_crop: None, ..preprocessing };
    assert_eq!(whole.settled(false, &[whole.content(&image).unwrap()]).tiles, Tiles::None);
}

proptest! {
    #[test]
    fn maps_and_masks_go_to_the_canvas_and_back(
        height in 16_usize..200, width in 16_usize..200, rows in 1_usize..4, columns in 1_usize..4,
        corner in (0.0_f64..0.6, 0.0_f64..0.6),
    ) {
        let extent = |count: usize| 32 + (count - 1) * 28;
        let preprocessing = settings(rows, columns, extent(rows), extent(columns));
        let pixels = (0..height * width).map(|at| (at % 89) as f32 / 88.0).collect();
        let image = Image::from_pixels(pixels, height, width, 1).unwrap();
        let input = preprocessing.apply(&image).unwrap();
        let placement = input.placement;
        prop_assert!(input.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
        // Never squeezed: an image pixel is as high as it is wide on the canvas, to a pixel's rounding.
        let (down, across) = (input.height as f64 / placement.height as f64, input.width as f64 / placement.width as f64);
        prop_assert!((down / across - 1.0).abs() < 2.0 / height.min(width) as f64, "{down} {across}");

        let ones = placement.restore(&vec![1.0; input.height * input.width], input.height, input.width).unwrap();
        prop_assert!(ones.iter().all(|value| (value - 1.0).abs() < 1e-5));
        prop_assert!(placement.restore(&[1.0; 32], input.height, input.width).is_err());

        let (top, left) = ((corner.0 * height as f64) as usize, (corner.1 * width as f64) as usize);
        let within = Region { top, left, height: height * 2 / 5, width: width * 2 / 5 };
        let is_in = |at: usize, border: i64| {
            let (y, x) = ((at / width) as i64, (at % width) as i64);
            y >= within.top as i64 - border && y < (within.top + within.height) as i64 + border
                && x >= within.left as i64 - border && x < (within.left + within.width) as i64 + border
        };
        let mask: Vec<bool> = (0..height * width).map(|at| is_in(at, 0)).collect();
        let projected = placement.project_mask(&mask, height, width, (input.height, input.width)).unwrap();
        let map: Vec<f32> = projected.iter().map(|&set| f32::from(u8::from(set))).collect();
        let restored = placement.restore(&map, input.height, input.width).unwrap();
        let border = 2 + (2.0 / down.min(across)).ceil() as i64;
        for (at, value) in restored.iter().enumerate() {
            prop_assert!(*value <= 0.5 || is_in(at, border));
            prop_assert!(*value > 0.5 || !is_in(at, -border));
        }
    }
}

#[test]
fn an_image_without_content_to_look_at_leaves_one_input() {
    assert_eq!(Tiles::Auto.settled(32, &[]), Tiles::None);
    let whole = Region { top: 0, left: 0, height: 20, width: 400 };
    let stretched = Preprocessing { square_pad: false, tiles: Tiles::Auto, ..Preprocessing::default() };
    assert_eq!(stretched.settled(false, &[whole]).tiles, Tiles::None, "sides that are stretched are not cut");
}
