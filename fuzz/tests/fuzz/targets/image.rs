//! Images: any bytes give a reason or a sound image, which preprocesses to a sound network input.

use std::fs;
use std::io::Cursor;

use ::image::{DynamicImage, ImageFormat};
use aberra_image::testing::{TiffPage, tiff};
use aberra_image::{ColorMode, Limits, MAX_CHANNELS, Preprocessing, decode, decode_page, header};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::mutate::bytes;

const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_width_px: 2048,
    max_height_px: 2048,
    max_pixels: 1 << 20,
    max_alloc_bytes: 64 << 20,
    // What is not a number is filled, which takes more code than refusing it.
    not_finite: true,
};

/// Pictures of every format; the golden files add what encoders here do not write (CMYK, progressive, LZW, tiles).
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/aberra-image/tests/golden");
    let mut files: Vec<_> = fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let is_image = |path: &std::path::PathBuf| {
        let end = path.extension().unwrap_or_default();
        ["png", "jpg", "tif", "bmp", "webp", "gif", "dcm", "nii", "gz", "npy"].iter().any(|one| end == *one)
    };
    let mut seeds: Vec<Vec<u8>> =
        files.iter().filter(|path| is_image(path)).map(|path| fs::read(path).unwrap()).collect();
    let picture = ::image::RgbaImage::from_fn(24, 17, |x, y| {
        let tone = ((x * 13 + y * 29) % 256) as u8;
        ::image::Rgba([tone, 255 - tone, (x * 10) as u8, if y < 3 { 0 } else { 255 }])
    });
    let picture = DynamicImage::from(picture);
    for image in [picture.to_luma8().into(), picture.to_luma16().into(), picture.to_rgb8().into(), picture] {
        let image: DynamicImage = image;
        for format in
            [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::WebP]
        {
            let mut file = Cursor::new(Vec::new());
            if image.write_to(&mut file, format).is_ok() {
                seeds.push(file.into_inner());
            }
        }
    }
    let page = |side: u32| TiffPage::new(side, side, (0..side * side).map(|at| at as u8).collect());
    seeds.push(tiff(&[page(16), page(16), page(16)]));
    seeds.push(tiff(&[page(8).with(254, &[1]), page(16)]));
    seeds.push(tiff(&[TiffPage { below: vec![page(16)], ..page(8) }]));
    seeds.push(tiff(&[page(16).with(266, &[2])]));
    seeds.push(tiff(&[page(16).with(339, &[2]).with(274, &[6])]));
    seeds.push(tiff(&[TiffPage::new(4, 4, vec![9; 48])
        .with(258, &[8, 8, 8])
        .with(277, &[3])
        .with(262, &[2])
        .with(284, &[2])]));
    // Stray bytes between the segments of a JPEG.
    let jpeg = seeds.iter().find(|seed| seed.starts_with(&[0xff, 0xd8])).unwrap();
    seeds.push([&jpeg[..20], &[0, 0, 0], &jpeg[20..]].concat());
    seeds
}

pub(super) fn mutate(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let tokens = [
        "IHDR", "IDAT", "IEND", "PLTE", "tRNS", "acTL", "eXIf", "RIFF", "WEBP", "VP8 ", "VP8L", "ALPH",
        "Exif\0\0",
    ];
    let mut changed = bytes(rng, input, other, &tokens);
    if rng.random_bool(0.8) {
        with_right_checksums(&mut changed);
    }
    changed
}

/// A PNG whose checksums are wrong is refused before anything else is looked at.
fn with_right_checksums(file: &mut [u8]) {
    if !file.starts_with(b"\x89PNG") {
        return;
    }
    let mut at = 8;
    while let Some(head) = file.get(at..at + 8) {
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let Some(chunk) = file.get(at + 4..(at + 8).saturating_add(length)) else { return };
        let mut checksum = flate2::Crc::new();
        checksum.update(chunk);
        let end = at + 8 + length;
        let Some(place) = file.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&checksum.sum().to_be_bytes());
        at = end + 4;
    }
}

pub(super) fn run(bytes: &[u8]) -> String {
    let header = header(bytes, &LIMITS);
    let image = match decode(bytes, &LIMITS) {
        Ok(image) => image,
        Err(error) => return error.to_string(),
    };
    let header = header.expect("what decodes has a header");
    assert_eq!((header.height, header.width), (image.height, image.width));
    assert_eq!((header.format, header.color_mode, header.bit_depth), {
        (image.source.format, image.source.color_mode, image.source.bit_depth)
    });
    assert!(match image.source.color_mode {
        ColorMode::Channels => (2..=MAX_CHANNELS).contains(&image.channels),
        _ => matches!(image.channels, 1 | 3),
    });
    assert_eq!(image.pixels.len(), image.height * image.width * image.channels);
    assert!(image.pixels.iter().all(|value| value.is_finite()));
    if let Ok(input) = Preprocessing::default().apply(&image) {
        assert!(input.pixels.iter().all(|value| (0.0..=1.0).contains(value)));
        let restored = input.placement.restore(&input.pixels, input.height, input.width);
        assert_eq!(restored.map(|map| map.len()).ok(), Some(image.height * image.width));
    }
    // Other pages are read as the first is, or give a reason.
    let second = decode_page(bytes, 1, &LIMITS).map(|page| page.source.id.frame);
    assert!(second.as_ref().is_ok_and(|&frame| frame == 1) || second.is_err());
    let remarks: String = image.source.remarks.iter().map(|remark| format!(" {remark}")).collect();
    let source = &image.source;
    format!(
        "{} {} x{} turned {}{remarks}",
        source.format,
        source.color_mode,
        image.channels,
        source.orientation != 1
    )
}
