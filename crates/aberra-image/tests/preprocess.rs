//! Preprocessing against Pillow and NumPy (`golden/make_golden.py`), and what must hold for any image.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::path::PathBuf;

use aberra_image::{
    Color, ForegroundCrop, Image, InputColor, IntensityScaling, InvalidValue, Limits, Placement,
    Preprocessing, Region, RelativeRegion, Remark, Tiles, Window, decode, encode_png, fit_mask, read,
};
use proptest::prelude::*;
use serde::Deserialize;

/// Pillow resamples in `f64` coefficients as we do, and rounds to `f32` between its two passes.
const RESIZE_TOLERANCE: f32 = 2e-6;

#[derive(Deserialize)]
struct Case {
    file: String,
    size_px: usize,
    color: InputColor,
    square_pad: bool,
    crop: bool,
    low: f32,
    high: f32,
    content: [usize; 4],
    pixels: Vec<f32>,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn a_picture_in_colors_is_none_of_three_named_channels() {
    let names = ["t1", "t2", "flair"].map(str::to_owned).to_vec();
    let steps = Preprocessing { channels: names, size_px: 16, ..Preprocessing::default() };
    let unnamed = Image::from_pixels(vec![0.5; 20 * 20 * 3], 20, 20, 3).unwrap();
    assert_eq!(steps.apply(&unnamed).unwrap().channels, 3);
    let png = encode_png(&[100; 20 * 20 * 3], 20, 20, Color::Rgb).unwrap();
    let photograph = decode(&png, &Limits::default()).unwrap();
    let refused = steps.apply(&photograph).unwrap_err().to_string();
    assert!(refused.contains("of the channels t1, t2, flair, found a picture in colours"), "{refused}");
}

#[test]
fn an_image_given_away_becomes_the_same_input() {
    let pixels: Vec<f32> = (0..40 * 30 * 3).map(|at| (at * 37 % 251) as f32 / 250.0).collect();
    let colored = Image::from_pixels(pixels, 40, 30, 3).unwrap();
    for color in [InputColor::Grey, InputColor::Rgb] {
        let steps = Preprocessing { color, size_px: 16, ..Preprocessing::default() };
        assert_eq!(steps.apply_owned(colored.clone()).unwrap(), steps.apply(&colored).unwrap());
    }
    let huge = Image::from_pixels(vec![2e30; 40 * 30 * 3], 40, 30, 3).unwrap();
    assert!(Preprocessing::default().apply_owned(huge).is_err());
}

#[test]
fn agrees_with_pillow_and_numpy() {
    let cases: Vec<Case> =
        serde_json::from_slice(&std::fs::read(golden("preprocess.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let preprocessing = Preprocessing {
            size_px: case.size_px,
            color: case.color,
            channels: Vec::new(),
            window: None,
            invalid: Vec::new(),
            region: None,
            ignore: Vec::new(),
            tiles: Tiles::None,
            foreground_crop: case.crop.then_some(ForegroundCrop { threshold: 0.08, margin: 0.0 }),
            square_pad: case.square_pad,
            intensity: IntensityScaling { low_percentile: case.low, high_percentile: case.high },
        };
        let input = preprocessing.apply(&read(&golden(&case.file), &Limits::default()).unwrap()).unwrap();
        let [top, left, height, width] = case.content;
        assert_eq!(input.placement.content, Region { top, left, height, width }, "{}", case.file);
        assert_eq!(input.pixels.len(), case.pixels.len());
        for (index, (found, expected)) in input.pixels.iter().zip(&case.pixels).enumerate() {
            assert!(
                (found - expected).abs() <= RESIZE_TOLERANCE,
                "{} {index}: {found} {expected}",
                case.file
            );
        }
    }
}

fn part(left: f64, top: f64, width: f64, height: f64) -> RelativeRegion {
    RelativeRegion { left, top, width, height }
}

/// A colourful object on a dark ground, `[height, width, channels]`.
fn object(height: usize, width: usize, channels: usize) -> Vec<f32> {
    let value = |at: usize| {
        let (y, x, channel) = (at / channels / width, at / channels % width, at % channels);
        let lit = (6..height - 4).contains(&y) && (9..width - 7).contains(&x);
        if lit { 0.3 + ((y * 7 + x * 13 + channel * 5) % 17) as f32 / 25.0 } else { 0.02 }
    };
    (0..height * width * channels).map(value).collect()
}

#[test]
fn a_region_gives_what_its_pixels_alone_give() {
    let (height, width) = (48, 60);
    let region = Region { top: 12, left: 6, height: 30, width: 36 };
    for (channels, color, crop) in [
        (1, InputColor::Grey, true),
        (3, InputColor::Rgb, true),
        (3, InputColor::Grey, true),
        (3, InputColor::Rgb, false),
    ] {
        let pixels = object(height, width, channels);
        let rows = pixels.chunks_exact(width * channels).skip(region.top).take(region.height);
        let inside: Vec<f32> =
            rows.flat_map(|row| &row[region.left * channels..][..region.width * channels]).copied().collect();
        let plain = Preprocessing {
            size_px: 24,
            color,
            foreground_crop: crop.then(ForegroundCrop::default),
            ..Preprocessing::default()
        };
        let parted = Preprocessing { region: Some(part(0.1, 0.25, 0.6, 0.625)), ..plain.clone() };
        let image = Image::from_pixels(pixels, height, width, channels).unwrap();
        let cut = Image::from_pixels(inside, region.height, region.width, channels).unwrap();
        let (found, wanted) = (parted.apply(&image).unwrap(), plain.apply(&cut).unwrap());
        assert_eq!(found.pixels, wanted.pixels);
        assert_eq!(parted.apply_owned(image.clone()).unwrap(), found);
        let [own, of_cut] = [found, wanted].map(|input| input.placement.content);
        let shifted = Region { top: of_cut.top + region.top, left: of_cut.left + region.left, ..of_cut };
        assert_eq!((own, parted.content(&image).unwrap()), (shifted, own));
    }
    let narrow = Preprocessing { region: Some(part(0.0, 0.0, 0.05, 1.0)), ..Preprocessing::default() };
    let image = Image::from_pixels(object(height, width, 1), height, width, 1).unwrap();
    let refused = narrow.apply(&image).unwrap_err().to_string();
    assert!(refused.contains("at least 8 x 8 pixels, found 3 x 48"), "{refused}");
}

#[test]
fn nothing_in_an_ignored_area_is_seen() {
    let (height, width) = (40, 50);
    let ignored = Region { top: 10, left: 20, height: 8, width: 15 };
    let within = |at: usize| {
        (ignored.top..ignored.top + ignored.height).contains(&(at / width))
            && (ignored.left..ignored.left + ignored.width).contains(&(at % width))
    };
    for (channels, color) in [(1, InputColor::Grey), (3, InputColor::Rgb), (3, InputColor::Grey)] {
        let steps = Preprocessing {
            size_px: 40,
            color,
            ignore: vec![part(0.4, 0.25, 0.3, 0.2), part(0.0, 0.9, 0.2, 0.1)],
            ..Preprocessing::default()
        };
        let pixels = object(height, width, channels);
        let mut other = pixels.clone();
        for (at, value) in other.iter_mut().enumerate().filter(|(at, _)| within(at / channels)) {
            *value = [7.0, -3.0, 0.0][at % 3];
        }
        let [plain, changed] = [pixels, other].map(|pixels| {
            let image = Image::from_pixels(pixels, height, width, channels).unwrap();
            assert_eq!(steps.apply_owned(image.clone()).unwrap(), steps.apply(&image).unwrap());
            steps.apply(&image).unwrap()
        });
        assert_eq!(plain.pixels, changed.pixels);

        let mut map = vec![1.0; 40 * 40];
        plain.clear_unseen(&mut map);
        let back = plain.placement.restore(&map, 40, 40).unwrap();
        let middle = |region: &Region| back[(region.top + 4) * width + region.left + 7];
        assert_eq!(middle(&ignored), 0.0);
        assert_eq!(middle(&Region { top: 20, ..ignored }), 1.0);
        let cleared = map.iter().filter(|value| **value == 0.0).count();
        let share = cleared as f64 / map.len() as f64;
        let covered = (8.0 * 15.0) / (plain.placement.height as f64 * plain.placement.width as f64);
        assert!((share - covered).abs() < 0.03, "{share} of {covered}");
        let mut maps = vec![1.0; plain.pixels.len()];
        plain.clear_unseen(&mut maps);
        assert!(
            maps.chunks_exact(plain.channels)
                .zip(&map)
                .all(|(pixel, one)| pixel.iter().all(|value| value == one))
        );
    }
}

#[test]
fn a_window_shows_a_value_alike_in_every_image() {
    let window = Some(Window { center: 40.0, width: 400.0 });
    let steps = Preprocessing { size_px: 20, window, foreground_crop: None, ..Preprocessing::default() };
    let image = |shift: f32| {
        let units = (0..400).map(|at| at as f32 * 5.0 - 1000.0 + shift).collect();
        Image::from_pixels(units, 20, 20, 1).unwrap()
    };
    // By percentiles both would be the same.
    let input = steps.apply(&image(0.0)).unwrap();
    for (at, &value) in input.pixels.iter().enumerate() {
        let expected = ((at as f32 * 5.0 - 1000.0 + 160.0) / 400.0).clamp(0.0, 1.0);
        assert!((value - expected).abs() < 1e-6, "{at}: {value} {expected}");
    }
    let shifted = steps.apply(&image(100.0)).unwrap();
    assert_eq!(input.pixels[20..], shifted.pixels[..380]);

    // Where pixels are what a viewer shows, the values in their unit count.
    let shown = Image { pixels: vec![0.5; 400], unscaled: Some(image(0.0).pixels), ..image(0.0) };
    assert_eq!(steps.apply(&shown).unwrap().pixels, input.pixels);
    assert!(steps.content(&shown).is_ok());
    let short = Image { unscaled: Some(vec![0.0; 399]), ..shown };
    assert!(steps.apply(&short).unwrap_err().to_string().contains("20 x 20 values in the unit"));

    // Padding is as dark as values below the window, and a fringe of them is cut away.
    let wide = Image::from_pixels(image(0.0).pixels, 10, 40, 1).unwrap();
    let padded = steps.apply(&wide).unwrap().pixels;
    assert!(padded[..20].iter().all(|&value| value == 0.0) && padded.contains(&1.0));
    let crop = Preprocessing { foreground_crop: Some(ForegroundCrop::default()), ..steps.clone() };
    assert!(crop.content(&image(0.0)).unwrap().top > 5);

    let picture = decode(&encode_png(&[100; 400], 20, 20, Color::Grey).unwrap(), &Limits::default()).unwrap();
    let refused = steps.apply(&picture).unwrap_err().to_string();
    assert!(refused.contains("values have a unit, for the window") && refused.contains("PNG"), "{refused}");
    let colors = Image::from_pixels(vec![0.5; 1200], 20, 20, 3).unwrap();
    assert!(steps.apply(&colors).is_err());
}

fn invalid(value: f64, channel: Option<&str>) -> InvalidValue {
    InvalidValue { value, channel: channel.map(str::to_owned) }
}

/// A slope of depths from 100 to 200, and the same with a hole of `value` from row and column 8 to 16.
fn slope_and_hole(value: f32) -> [Image; 2] {
    let depth = |at: usize| 100.0 + (at % 32) as f32 / 31.0 * 100.0;
    let in_hole = |at: usize| (8..16).contains(&(at / 32)) && (8..16).contains(&(at % 32));
    let whole = (0..32 * 32).map(depth).collect();
    let holed = (0..32 * 32).map(|at| if in_hole(at) { value } else { depth(at) }).collect();
    [whole, holed].map(|pixels| Image::from_measurements(pixels, 32, 32, 1).unwrap())
}

#[test]
fn holes_are_filled_and_nothing_is_mapped_in_them() {
    let plain = Preprocessing { size_px: 16, foreground_crop: None, ..Preprocessing::default() };
    let steps = Preprocessing { invalid: vec![invalid(0.0, None)], ..plain.clone() };
    let [whole, holed] = slope_and_hole(0.0);
    let (expected, found) = (steps.apply(&whole).unwrap(), steps.apply(&holed).unwrap());
    assert!(expected.unseen.is_empty());
    assert_eq!(expected.pixels, plain.apply(&whole).unwrap().pixels);
    let most = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most(&expected.pixels, &found.pixels) < 0.08, "{}", most(&expected.pixels, &found.pixels));
    assert!(most(&expected.pixels, &plain.apply(&holed).unwrap().pixels) > 0.4);

    let hole = |at: usize| (4..8).contains(&(at / 16)) && (4..8).contains(&(at % 16));
    assert!((0..256).all(|at| found.unseen[at] == hole(at)));
    assert_eq!((steps.invalid_share(&holed).unwrap(), found.source.remarks.len()), (1.0 / 16.0, 0));
    let mut blind = holed.clone();
    blind.pixels[..600].fill(0.0);
    assert_eq!(steps.apply(&blind).unwrap().source.remarks, [Remark::MostlyNotMeasured]);
    let mut map = vec![1.0; 256];
    found.clear_unseen(&mut map);
    assert!((0..256).all(|at| (map[at] == 0.0) == hole(at)));
    expected.clear_unseen(&mut map);
    assert_eq!(map.iter().filter(|value| **value == 0.0).count(), 16);
}

#[test]
fn nan_is_filled_as_a_value_is_and_in_colours_as_in_grey() {
    let steps = Preprocessing { size_px: 16, ..Preprocessing::default() };
    let of_value = Preprocessing { invalid: vec![invalid(0.0, None)], ..steps.clone() };
    let ([_, zeros], [_, holed]) = (slope_and_hole(0.0), slope_and_hole(f32::NAN));
    assert_eq!(holed.pixels[8 * 32 + 8], 100.0);
    let (found, expected) = (steps.apply(&holed).unwrap(), of_value.apply(&zeros).unwrap());
    assert_eq!((&found.pixels, &found.unseen), (&expected.pixels, &expected.unseen));
    assert_eq!(steps.content(&holed).unwrap(), of_value.content(&zeros).unwrap());

    let tripled: Vec<f32> = slope_and_hole(f32::NAN)[1]
        .pixels
        .iter()
        .zip(&holed.not_finite)
        .flat_map(|(value, gap)| [if *gap { f32::NAN } else { *value }; 3])
        .collect();
    let colored = Image::from_measurements(tripled, 32, 32, 3).unwrap();
    for color in [InputColor::Grey, InputColor::Rgb] {
        let steps = Preprocessing { color, ..steps.clone() };
        let input = steps.apply(&colored).unwrap();
        assert_eq!(input, steps.apply_owned(colored.clone()).unwrap());
        let first: Vec<f32> = input.pixels.iter().step_by(input.channels).copied().collect();
        assert_eq!(first, found.pixels);
        assert_eq!(input.unseen.len(), input.pixels.len());
    }
    assert!(Image::from_measurements(vec![f32::NAN; 64], 8, 8, 1).is_none());
}

#[test]
fn what_one_channel_did_not_measure_is_cleared_in_its_map_alone() {
    let [whole, holed] = slope_and_hole(0.0);
    let joined = Image::of_channels(vec![("grey".into(), whole), ("depth".into(), holed)]).unwrap();
    let channels = joined.source.channels.clone();
    let invalid = vec![invalid(0.0, Some("depth"))];
    let steps =
        Preprocessing { size_px: 16, channels, invalid, foreground_crop: None, ..Preprocessing::default() };
    let input = steps.apply(&joined).unwrap();
    let (mut map, mut maps) = (vec![1.0; 256], vec![1.0; 512]);
    input.clear_unseen(&mut map);
    input.clear_unseen(&mut maps);
    assert!(map.iter().all(|value| *value == 1.0));
    let cleared = |channel| maps.iter().skip(channel).step_by(2).filter(|value| **value == 0.0).count();
    assert_eq!((cleared(0), cleared(1)), (0, 16));
}

#[test]
fn settings_are_checked() {
    let good = Preprocessing::default();
    good.validate().unwrap();
    let crop = |threshold, margin| Some(ForegroundCrop { threshold, margin });
    let scaling = |low_percentile, high_percentile| IntensityScaling { low_percentile, high_percentile };
    let window = Some(Window { center: 40.0, width: 400.0 });
    for (bad, setting) in [
        (Preprocessing { size_px: 15, ..good.clone() }, "size_px"),
        (Preprocessing { size_px: 1025, ..good.clone() }, "size_px"),
        (Preprocessing { window: Some(Window { center: 0.0, width: 0.0 }), ..good.clone() }, "window"),
        (Preprocessing { window: Some(Window { center: f64::NAN, width: 1.0 }), ..good.clone() }, "window"),
        (Preprocessing { window, channels: vec!["a".to_owned()], ..good.clone() }, "window"),
        (Preprocessing { invalid: vec![invalid(f64::NAN, None)], ..good.clone() }, "invalid"),
        (Preprocessing { region: Some(part(0.5, 0.0, 0.6, 1.0)), ..good.clone() }, "region"),
        (Preprocessing { region: Some(part(0.0, f64::NAN, 1.0, 1.0)), ..good.clone() }, "region"),
        (Preprocessing { ignore: vec![part(0.0, 0.0, 1.0, 0.0)], ..good.clone() }, "ignore"),
        (Preprocessing { ignore: vec![part(-0.1, 0.0, 1.0, 0.5)], ..good.clone() }, "ignore"),
        (Preprocessing { ignore: vec![part(0.0, 0.0, 1.0, 1.0)], ..good.clone() }, "ignore"),
        (Preprocessing { ignore: vec![part(0.0, 0.0, 0.1, 0.1); 101], ..good.clone() }, "ignore"),
        (Preprocessing { foreground_crop: crop(f32::NAN, 0.0), ..good.clone() }, "foreground_crop.threshold"),
        (Preprocessing { foreground_crop: crop(1.0, 0.0), ..good.clone() }, "foreground_crop.threshold"),
        (Preprocessing { foreground_crop: crop(0.1, f32::NAN), ..good.clone() }, "foreground_crop.margin"),
        (Preprocessing { foreground_crop: crop(0.1, -0.1), ..good.clone() }, "foreground_crop.margin"),
        (Preprocessing { intensity: scaling(f32::NAN, 99.0), ..good.clone() }, "intensity.low_percentile"),
        (Preprocessing { intensity: scaling(5.0, 5.0), ..good.clone() }, "intensity.high_percentile"),
        (Preprocessing { intensity: scaling(5.0, f32::NAN), ..good.clone() }, "intensity.high_percentile"),
    ] {
        let image = Image::from_pixels(vec![0.5; 64], 8, 8, 1).unwrap();
        // Whether areas leave something is known of an image alone.
        let error = bad.validate().and_then(|()| bad.apply(&image)).unwrap_err();
        assert!(error.is_settings() && error.to_string().contains(&format!("`{setting}`")), "{error}");
        assert!(bad.apply(&image).unwrap_err().is_settings());
    }
    assert_eq!(
        Preprocessing { size_px: 0, ..good }.validate().unwrap_err().to_string(),
        "preprocessing setting `size_px`: expected 16 to 1024, found 0"
    );
}

#[test]
fn settings_survive_json_and_reject_unknown_names() {
    let settings =
        Preprocessing { color: InputColor::Rgb, foreground_crop: None, ..Preprocessing::default() };
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), settings);
    assert_eq!(serde_json::from_str::<Preprocessing>("{}").unwrap(), Preprocessing::default());
    assert!(serde_json::from_str::<Preprocessing>(r#"{"size": 3}"#).is_err());
}

#[test]
fn constant_images_become_zeros() {
    for value in [0.0, 0.5, 1.0, -3.0] {
        let image = Image::from_pixels(vec![value; 40 * 60], 40, 60, 1).unwrap();
        let input = Preprocessing::default().apply(&image).unwrap();
        assert!(input.pixels.iter().all(|pixel| *pixel == 0.0), "{value}");
    }
}

#[test]
fn padding_is_black_whatever_the_darkest_value() {
    let pixels = (0..20 * 60).map(|index| 0.4 + 0.5 * (index % 7) as f32 / 7.0).collect();
    let image = Image::from_pixels(pixels, 20, 60, 1).unwrap();
    let input = Preprocessing { size_px: 60, ..Preprocessing::default() }.apply(&image).unwrap();
    assert_eq!(input.placement.top, -20);
    assert!((input.placement.image_share() - 1.0 / 3.0).abs() < 1e-6);
    assert!(input.pixels[..19 * 60].iter().chain(&input.pixels[41 * 60..]).all(|pixel| *pixel == 0.0));
    assert!(input.pixels[21 * 60..39 * 60].iter().any(|pixel| *pixel > 0.9));
}

#[test]
fn rgb_with_equal_channels_preprocesses_as_grey() {
    let grey: Vec<f32> = (0..64 * 50).map(|index| ((index * 37) % 256) as f32 / 255.0).collect();
    let rgb = grey.iter().flat_map(|value| [*value; 3]).collect();
    let from_grey = Preprocessing::default().apply(&Image::from_pixels(grey, 64, 50, 1).unwrap()).unwrap();
    let from_rgb = Preprocessing::default().apply(&Image::from_pixels(rgb, 64, 50, 3).unwrap()).unwrap();
    assert_eq!(from_grey, from_rgb);
}

#[test]
fn a_long_thin_image_stays_small_in_memory() {
    let pixels = (0..8 * 16_384).map(|index| (index % 251) as f32).collect::<Vec<_>>();
    for (height, width) in [(8, 16_384), (16_384, 8)] {
        let image = Image::from_pixels(pixels.clone(), height, width, 1).unwrap();
        let input = Preprocessing::default().apply(&image).unwrap();
        assert!(input.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
        let restored = input.placement.restore(&vec![1.0; 128 * 128], 128, 128).unwrap();
        assert!(restored.iter().all(|value| (value - 1.0).abs() < 1e-6));
    }
}

#[test]
fn maps_return_to_where_they_came_from() {
    // 40 x 40 input over rows 10..30 of a 20-row content padded to 40 x 40, in a 50 x 60 image.
    let content = Region { top: 15, left: 5, height: 20, width: 40 };
    let placement =
        Placement { image_height: 50, image_width: 60, top: 5, left: 5, height: 40, width: 40, content };
    let mut map = vec![0.0; 40 * 40];
    map[17 * 40 + 8] = 1.0; // input row 17 is image row 22, column 8 is 13
    map[2 * 40 + 8] = 1.0; // in the padding
    let restored = placement.restore(&map, 40, 40).unwrap();
    let bright: Vec<usize> = (0..50 * 60).filter(|index| restored[*index] > 0.5).collect();
    assert_eq!(bright, [22 * 60 + 13]);
    assert!(placement.restore(&map[1..], 40, 40).is_err());

    let mut mask = vec![false; 50 * 60];
    mask[22 * 60 + 13] = true;
    mask[2] = true; // outside the content
    let projected = placement.project_mask(&mask, 50, 60, (40, 40)).unwrap();
    let set: Vec<usize> = (0..40 * 40).filter(|index| projected[*index]).collect();
    assert_eq!(set, [17 * 40 + 8]);
}

#[test]
fn masks_need_more_than_half_of_a_pixel() {
    let placement = Placement::whole(32, 32);
    let mask: Vec<bool> = (0..32 * 32).map(|index| index % 32 < 9).collect();
    let projected = placement.project_mask(&mask, 32, 32, (16, 16)).unwrap();
    assert!(
        (0..16 * 16).all(|index| projected[index] == (index % 16 < 4)),
        "column 4 is half covered: a tie"
    );
}

#[test]
fn masks_of_another_size_are_stretched() {
    let mask = [true, false, false, true, true, false];
    assert_eq!(fit_mask(&mask, 2, 3, 2, 3).unwrap(), mask);
    let large = fit_mask(&mask, 2, 3, 4, 6).unwrap();
    assert_eq!(&large[..6], [true, true, false, false, false, false]);
    assert_eq!(&large[12..18], [true, true, true, true, false, false]);
    assert!(fit_mask(&mask, 2, 2, 4, 6).is_err());
    let projected = Placement::whole(40, 60).project_mask(&mask, 2, 3, (30, 30)).unwrap();
    assert!(projected[0] && !projected[15] && projected[29 * 30 + 15] && !projected[29 * 30 + 29]);
}

#[test]
fn any_positive_value_makes_a_mask() {
    let image = Image::from_pixels(vec![0.0, 1.0 / 255.0, 0.0, 1.0 / 255.0], 2, 2, 1).unwrap();
    assert_eq!(image.to_mask(), [false, true, false, true]);
    assert_eq!(Image::from_pixels(vec![0.0; 4], 2, 2, 1).unwrap().to_mask(), [false; 4]);
}

fn any_image() -> impl Strategy<Value = Image> {
    (8_usize..60, 8_usize..60, prop::sample::select(vec![1_usize, 3]), any::<u64>(), -30_i32..30).prop_map(
        |(height, width, channels, seed, exponent)| {
            let mut state = seed | 1;
            let scale = 10.0_f32.powi(exponent);
            let pixels = (0..height * width * channels)
                .map(|_| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let value = (state >> 40) as f32 / (1_u64 << 24) as f32;
                    if state >> 60 < 9 { 0.0 } else { (value - 0.2 * (seed % 2) as f32) * scale }
                })
                .collect();
            Image::from_pixels(pixels, height, width, channels).unwrap()
        },
    )
}

fn any_settings() -> impl Strategy<Value = Preprocessing> {
    (
        16_usize..80,
        prop::sample::select(vec![InputColor::Grey, InputColor::Rgb]),
        prop::option::of((0.0_f32..0.99, 0.0_f32..=1.0)),
        any::<bool>(),
        0.0_f32..50.0,
        50.1_f32..=100.0,
    )
        .prop_map(|(size_px, color, crop, square_pad, low_percentile, high_percentile)| Preprocessing {
            size_px,
            color,
            channels: Vec::new(),
            window: None,
            invalid: Vec::new(),
            region: None,
            ignore: Vec::new(),
            tiles: Tiles::None,
            foreground_crop: crop.map(|(threshold, margin)| ForegroundCrop { threshold, margin }),
            square_pad,
            intensity: IntensityScaling { low_percentile, high_percentile },
        })
}

proptest! {
    #[test]
    fn inputs_are_finite_in_range_and_repeatable(image in any_image(), settings in any_settings()) {
        let input = settings.apply(&image).unwrap();
        let channels = if settings.color == InputColor::Rgb { 3 } else { 1 };
        prop_assert_eq!(input.pixels.len(), settings.size_px * settings.size_px * channels);
        prop_assert!(input.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
        prop_assert_eq!(&settings.apply(&image).unwrap(), &input);

        let placement = input.placement;
        prop_assert!(!settings.square_pad || placement.height == placement.width);
        let Region { top, left, height, width } = placement.content;
        prop_assert!(height > 0 && width > 0 && top + height <= image.height && left + width <= image.width);
        prop_assert!(placement.image_share() > 0.0 && placement.image_share() <= 1.0);

        // A map of ones is one exactly where the network saw something.
        let size_px = settings.size_px;
        let ones = placement.restore(&vec![1.0; size_px * size_px], size_px, size_px).unwrap();
        for (index, value) in ones.iter().enumerate() {
            let (y, x) = (index / image.width, index % image.width);
            let seen = (top..top + height).contains(&y) && (left..left + width).contains(&x);
            prop_assert!((value - f32::from(u8::from(seen))).abs() < 1e-5);
        }
    }

    /// A box brought to the input and back covers itself but for a border as wide as the larger pixel.
    #[test]
    fn masks_go_to_the_input_and_back(
        image in any_image(), settings in any_settings(),
        corner in (0.0_f64..0.7, 0.0_f64..0.7), extent in (0.2_f64..0.3, 0.2_f64..0.3),
    ) {
        let placement = settings.apply(&image).unwrap().placement;
        let at = |share: f64, side: usize| (share * side as f64) as usize;
        let (top, left) = (at(corner.0, image.height), at(corner.1, image.width));
        let (bottom, right) = (at(corner.0 + extent.0, image.height), at(corner.1 + extent.1, image.width));
        let content = placement.content;
        let is_in = |y: i64, x: i64, border: i64| {
            y >= (top.max(content.top)) as i64 - border
                && y < bottom.min(content.top + content.height) as i64 + border
                && x >= left.max(content.left) as i64 - border
                && x < right.min(content.left + content.width) as i64 + border
        };
        let mask: Vec<bool> = (0..image.height * image.width)
            .map(|index| is_in((index / image.width) as i64, (index % image.width) as i64, 0))
            .collect();
        let size_px = settings.size_px;
        let projected = placement.project_mask(&mask, image.height, image.width, (size_px, size_px)).unwrap();
        prop_assert_eq!(projected.len(), size_px * size_px);
        let map: Vec<f32> = projected.iter().map(|set| f32::from(u8::from(*set))).collect();
        let restored = placement.restore(&map, size_px, size_px).unwrap();
        let border = 2 + 2 * placement.height.max(placement.width).div_ceil(size_px) as i64;
        for (index, value) in restored.iter().enumerate() {
            let (y, x) = ((index / image.width) as i64, (index % image.width) as i64);
            prop_assert!(*value <= 0.5 || is_in(y, x, border));
            prop_assert!(*value > 0.5 || !is_in(y, x, -border));
        }
    }
}

#[test]
fn each_channel_is_scaled_as_it_would_be_alone() {
    let part = |scale: f32, step: usize| {
        let values = (0..24 * 16).map(|at| scale * ((at * step % 97) as f32 - 11.0)).collect();
        Image::from_pixels(values, 24, 16, 1).unwrap()
    };
    let parts = [part(1.0, 7), part(1e4, 5), part(-1e-3, 3)];
    let alone = Preprocessing { size_px: 32, foreground_crop: None, ..Preprocessing::default() };
    let names = ["a", "b", "c"].map(str::to_owned);
    let together = Preprocessing { channels: names.to_vec(), ..alone.clone() };
    let joined = Image::of_channels(names.iter().cloned().zip(parts.clone()).collect()).unwrap();
    let input = together.apply(&joined).unwrap();
    assert_eq!((input.height, input.width, input.channels), (32, 32, 3));
    for (channel, part) in parts.iter().enumerate() {
        let own: Vec<f32> = input.pixels.iter().skip(channel).step_by(3).copied().collect();
        assert_eq!(own, alone.apply(part).unwrap().pixels);
    }
    // Three channels with names are no colours, and a detector of colours refuses them.
    assert_eq!(together.shown_as(), Color::Rgb);
    let refused = alone.apply(&joined).unwrap_err().to_string();
    assert!(refused.contains("in grey or in colours, found an image of the channels a, b, c"), "{refused}");
    let swapped = Preprocessing { channels: vec!["b".into(), "a".into(), "c".into()], ..alone };
    assert!(
        swapped.apply(&joined).unwrap_err().to_string().contains("expected an image of the channels b, a, c")
    );
}

#[test]
fn colors_that_are_not_settled_make_no_input() {
    let image = Image::from_pixels(object(20, 30, 3), 20, 30, 3).unwrap();
    let open = Preprocessing { color: InputColor::Auto, size_px: 16, ..Preprocessing::default() };
    open.validate().unwrap();
    let refused = open.apply(&image).unwrap_err();
    assert!(refused.is_settings(), "{refused}");
    assert!(refused.to_string().contains("expected grey or rgb, found auto"), "{refused}");
    for (most_in_color, channels) in [(true, 3), (false, 1)] {
        let settled = open.settled(most_in_color, &[]);
        assert_eq!(settled.channel_count(), channels);
        assert_eq!(settled.apply(&image).unwrap().channels, channels);
    }
    let grey = Preprocessing { color: InputColor::Grey, ..open };
    assert_eq!(grey.settled(true, &[]).color, InputColor::Grey, "what was asked for stays");
}
