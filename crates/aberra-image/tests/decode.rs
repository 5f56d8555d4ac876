//! Decoding against golden files made by Pillow and tifffile (`golden/make_golden.py`): every format, colour mode, depth
//! and orientation.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use aberra_image::{ColorMode, Format, Limits, decode, decode_grey, header, probe, read};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    format: Format,
    color_mode: ColorMode,
    bit_depth: u8,
    height: usize,
    width: usize,
    channels: usize,
    tolerance: f32,
    pixels: Vec<f32>,
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn cases() -> BTreeMap<String, Case> {
    serde_json::from_slice(&std::fs::read(golden("decode.json")).unwrap()).unwrap()
}

#[test]
fn pixels_and_source_agree_with_pillow() {
    let mut wrong = Vec::new();
    for (name, case) in cases() {
        let image = match read(&golden(&name), &Limits::default()) {
            Ok(image) => image,
            Err(error) => {
                wrong.push(format!("{error}"));
                continue;
            }
        };
        let bytes = std::fs::read(golden(&name)).unwrap();
        let found = (image.height, image.width, image.channels);
        let source = &image.source;
        if found != (case.height, case.width, case.channels)
            || (source.format, source.color_mode, source.bit_depth)
                != (case.format, case.color_mode, case.bit_depth)
        {
            wrong.push(format!("{name}: {found:?} {source:?}"));
            continue;
        }
        assert_eq!((source.id.hash, source.id.frame), (*blake3::hash(&bytes).as_bytes(), 0));
        assert_eq!(source.bytes, bytes.len() as u64);
        assert_eq!(source.path.as_deref(), Some(&*golden(&name)));
        // Golden values have six digits.
        let worst = image
            .pixels
            .iter()
            .zip(&case.pixels)
            .map(|(found, expected)| (found - expected).abs() - 5e-6 * expected.abs())
            .fold(0.0, f32::max);
        if image.pixels.len() != case.pixels.len() || worst > case.tolerance {
            wrong.push(format!("{name}: off by {worst}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bands_of_a_tiff_are_channels_and_no_colours() {
    let three = read(&golden("bands3.tif"), &Limits::default()).unwrap();
    assert!(!three.is_grey_or_rgb());
    assert_eq!(three.channel_names(), ["1", "2", "3"]);
    let grey = three.into_grey();
    assert!(grey.is_grey_or_rgb() && grey.channels == 1);
    let colors = read(&golden("rgb8.tif"), &Limits::default()).unwrap();
    assert!(colors.is_grey_or_rgb() && colors.channel_names().is_empty());
}

/// Every file, also those that are refused.
#[test]
fn what_is_decoded_in_grey_is_what_becomes_grey_afterwards() {
    let mut colors = 0;
    let files = std::fs::read_dir(golden("")).unwrap().map(|file| file.unwrap().path());
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension != "json")) {
        let bytes = std::fs::read(&path).unwrap();
        match (decode(&bytes, &Limits::default()), decode_grey(&bytes, &Limits::default())) {
            (Ok(image), Ok(grey)) => {
                let is_color = image.is_grey_or_rgb() && image.channels == 3;
                colors += usize::from(is_color);
                let expected = if is_color { image.into_grey() } else { image };
                assert_eq!(grey, expected, "{}", path.display());
            }
            (Err(error), Err(other)) => assert_eq!(error.to_string(), other.to_string()),
            _ => panic!("{}: one of them is refused", path.display()),
        }
    }
    assert!(colors >= 15, "{colors}");
}

#[test]
fn header_says_what_decoding_says() {
    for (name, case) in cases() {
        let found = probe(&golden(&name), &Limits::default()).unwrap();
        assert_eq!((found.height, found.width), (case.height, case.width), "{name}");
        assert_eq!((found.format, found.color_mode), (case.format, case.color_mode), "{name}");
        assert_eq!(found.bit_depth, case.bit_depth, "{name}");
    }
}

/// However a file is cut, the result is an error or the very same pixels: never a part of the image.
#[test]
fn a_cut_file_is_an_error_or_the_same_image() {
    for name in cases().into_keys() {
        let bytes = std::fs::read(golden(&name)).unwrap();
        let whole = decode(&bytes, &Limits::default()).unwrap();
        let step = (bytes.len() / 150).max(1);
        for length in (0..bytes.len()).step_by(step) {
            if let Ok(image) = decode(&bytes[..length], &Limits::default()) {
                assert!(image.pixels == whole.pixels, "{name} cut to {length} of {} bytes", bytes.len());
            }
            let _ = header(&bytes[..length], &Limits::default());
        }
    }
}

/// Flipped bits give an error or some image, but never a panic.
#[test]
fn a_damaged_file_does_not_panic() {
    for name in cases().into_keys() {
        let bytes = std::fs::read(golden(&name)).unwrap();
        let step = (bytes.len() / 60).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            if let Ok(image) = decode(&damaged, &Limits::default()) {
                assert_eq!(image.pixels.len(), image.height * image.width * image.channels);
                assert!(image.pixels.iter().all(|value| value.is_finite()), "{name} byte {at}");
            }
        }
    }
}

#[test]
fn equal_channels_are_exactly_grey() {
    let image = read(&golden("grey8.bmp"), &Limits::default()).unwrap();
    let grey = read(&golden("grey8.png"), &Limits::default()).unwrap();
    assert_eq!((image.channels, grey.channels), (3, 1));
    assert_eq!(image.to_grey(), grey.pixels);
}
