//! Files that are not what they seem: each gives a clear error, quickly, and nothing panics.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aberra_image::{Color, Error, Limits, Preprocessing, Remark, decode, encode_png, header, probe, read};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn error_of(path: &Path) -> Error {
    read(path, &Limits::default()).unwrap_err()
}

fn written(content: &[u8], name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// A PNG with only a header chunk (its checksum is right).
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut checksum = u32::MAX;
    for byte in &chunk {
        checksum ^= u32::from(*byte);
        for _ in 0..8 {
            checksum = (checksum >> 1) ^ if checksum & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(chunk);
    png.extend((!checksum).to_be_bytes());
    png.extend(b"\0\0\0\0IDAT");
    png
}

#[test]
fn a_huge_header_fails_at_once() {
    let start = Instant::now();
    let error = decode(&png_header(60_000, 60_000), &Limits::default()).unwrap_err();
    assert!(error.is_limit());
    assert_eq!(
        error.to_string(),
        "the image is 60000 pixels wide, but the limit is 16384; if the image is what you expect, raise the setting \
         `max_width_px`"
    );
    assert!(header(&png_header(60_000, 60_000), &Limits::default()).unwrap_err().is_limit());
    let wide = Limits { max_width_px: 100_000, max_height_px: 100_000, ..Limits::default() };
    assert!(decode(&png_header(60_000, 60_000), &wide).unwrap_err().to_string().contains("`max_pixels`"));
    let many = Limits { max_pixels: u64::MAX, ..wide };
    assert!(
        decode(&png_header(60_000, 60_000), &many).unwrap_err().to_string().contains("`max_alloc_bytes`")
    );
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

/// Sizes near the largest that the formats can state, in formats that other decoders read.
#[test]
fn huge_sizes_in_other_formats() {
    let mut jpeg = fs::read(golden("grey.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    assert!(decode(&jpeg, &Limits::default()).unwrap_err().is_limit());

    let mut bmp = fs::read(golden("rgb8.bmp")).unwrap();
    bmp[18..22].copy_from_slice(&60_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000_u32.to_le_bytes());
    assert!(decode(&bmp, &Limits::default()).unwrap_err().is_limit());

    let mut tiff = fs::read(golden("grey8.tif")).unwrap();
    let entry = tiff.windows(4).position(|tag| tag == [0, 1, 3, 0] || tag == [0, 1, 4, 0]).unwrap();
    tiff[entry + 2] = 4;
    tiff[entry + 8..entry + 12].copy_from_slice(&60_000_u32.to_le_bytes());
    let error = decode(&tiff, &Limits::default()).unwrap_err();
    assert!(error.is_limit(), "{error}");
}

/// Lengths within a file that decoders would take memory for, by what they state alone.
#[test]
fn lengths_beyond_the_file_are_refused_before_memory_is_taken() {
    let mut webp = fs::read(golden("orientation3.webp")).unwrap();
    let exif = webp.windows(4).position(|name| name == b"EXIF").unwrap();
    assert!(decode(&webp, &Limits::default()).is_ok());
    webp[exif + 4..exif + 8].copy_from_slice(&0xd900_001a_u32.to_le_bytes());
    let error = decode(&webp, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("it is truncated"), "{error}");
    assert!(header(&webp, &Limits::default()).is_err());

    // Seven million offsets of strips, as whole numbers and as fractions.
    for kind in [4, 5] {
        let mut tiff = fs::read(golden("grey8.tif")).unwrap();
        let entry = tiff.windows(4).position(|tag| tag == [0x11, 1, 3, 0] || tag == [0x11, 1, 4, 0]).unwrap();
        tiff[entry + 2] = kind;
        tiff[entry + 4..entry + 8].copy_from_slice(&0x70_0001_u32.to_le_bytes());
        let error = decode(&tiff, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("no whole directory of tags"), "{error}");
    }
}

#[test]
fn each_limit_is_named() {
    let path = golden("rgb8.png");
    let free = Limits::default();
    for (limits, setting) in [
        (Limits { max_bytes: 10, ..free }, "max_bytes"),
        (Limits { max_width_px: 8, ..free }, "max_width_px"),
        (Limits { max_height_px: 5, ..free }, "max_height_px"),
        (Limits { max_pixels: 53, ..free }, "max_pixels"),
        (Limits { max_alloc_bytes: 100, ..free }, "max_alloc_bytes"),
    ] {
        for error in [read(&path, &limits).unwrap_err(), probe(&path, &limits).unwrap_err()] {
            assert!(error.is_limit() && error.to_string().contains(&format!("`{setting}`")), "{error}");
            assert_eq!(error.path(), Some(&*path));
        }
    }
    let exact = Limits { max_width_px: 9, max_height_px: 6, max_pixels: 54, ..free };
    assert!(read(&path, &exact).is_ok());
}

#[test]
fn text_named_png() {
    let (_folder, path) = written(b"hello, this is no image", "photo.png");
    let error = error_of(&path);
    assert!(error.is_format());
    assert_eq!(
        error.to_string(),
        format!(
            "{}: not an image: it begins with \"hello, this is n\"; expected {}",
            path.display(),
            aberra_image::Format::names()
        )
    );
}

#[test]
fn known_but_unsupported_formats_are_named() {
    let mut pair = vec![0; 344];
    pair.extend(b"ni1\0");
    for (content, name) in [
        (&b"\xff\x0a..."[..], "a JPEG XL image"),
        (&pair, "the header of a NIfTI pair"),
        (b"%PDF-1.7", "a PDF document"),
    ] {
        let error = decode(content, &Limits::default()).unwrap_err();
        assert!(error.is_format() && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn content_decides_not_the_name() {
    let (_folder, path) = written(&fs::read(golden("rgb8.png")).unwrap(), "photo.jpg");
    assert_eq!(read(&path, &Limits::default()).unwrap().source.format, aberra_image::Format::Png);
}

#[test]
fn empty_folder_missing() {
    let (folder, path) = written(b"", "empty.png");
    assert!(error_of(&path).is_format());
    assert!(error_of(&path).to_string().contains("empty (0 bytes)"));
    assert!(error_of(folder.path()).is_io());
    assert!(error_of(folder.path()).to_string().contains("found a folder"));
    let missing = error_of(&folder.path().join("missing.png"));
    assert!(missing.is_io() && missing.to_string().contains("No such file"), "{missing}");
}

#[cfg(unix)]
#[test]
fn devices_are_refused_without_reading() {
    let error = error_of(Path::new("/dev/zero"));
    assert!(error.is_io() && error.to_string().contains("found a device"), "{error}");
}

#[cfg(unix)]
#[test]
fn no_permission() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = written(&fs::read(golden("rgb8.png")).unwrap(), "secret.png");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match read(&path, &Limits::default()) {
        Err(error) => assert!(error.is_io() && error.to_string().contains("ermission denied"), "{error}"),
        Ok(_) => println!("skipped: this user may read every file"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(OsStr::from_bytes(b"na\xffme, with space.png"));
    fs::write(&path, fs::read(golden("rgb8.png")).unwrap()).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap().source.path, Some(path));
}

#[test]
fn a_truncated_jpeg_says_so() {
    for name in ["grey.jpg", "rgb_420.jpg", "progressive.jpg"] {
        let bytes = fs::read(golden(name)).unwrap();
        let error = decode(&bytes[..bytes.len() - 20], &Limits::default()).unwrap_err();
        assert!(error.is_format() && error.to_string().contains("truncated"), "{error}");
    }
    // With an end marker put where the data was cut, the decoder has to notice. (It cannot in a progressive file, which
    // may lawfully end after any scan.)
    for name in ["grey.jpg", "rgb_420.jpg"] {
        let bytes = fs::read(golden(name)).unwrap();
        let cut = bytes.len() - 60;
        let capped = [&bytes[..cut], &[0xff, 0xd9][..]].concat();
        let error = decode(&capped, &Limits::default());
        assert!(error.is_err(), "{name}: half an image passed for a whole one");
    }
}

/// A little-endian TIFF of 8 x 8 32-bit floats.
fn float_tiff(values: &[f32; 64]) -> Vec<u8> {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u16, u32); 9] = [
        (256, 3, 8),
        (257, 3, 8),
        (258, 3, 32),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 9 * 12 + 4),
        (278, 3, 8),
        (279, 4, 256),
        (339, 3, 3),
    ];
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

#[test]
fn nan_and_infinity_are_counted() {
    let mut values = [0.5; 64];
    assert_eq!(decode(&float_tiff(&values), &Limits::default()).unwrap().pixels, values);
    values[3] = f32::NAN;
    values[4] = f32::NAN;
    values[60] = f32::INFINITY;
    let error = decode(&float_tiff(&values), &Limits::default()).unwrap_err();
    assert!(error.is_pixels());
    assert!(error.to_string().starts_with("expected finite values, found 2 NaN and 1 infinite"), "{error}");
    assert!(error.to_string().contains("--invalid nan"), "{error}");

    let accepting = Limits { not_finite: true, ..Limits::default() };
    values[5] = 0.25;
    let image = decode(&float_tiff(&values), &accepting).unwrap();
    assert_eq!((image.pixels[3], image.pixels[5], image.pixels[6]), (0.25, 0.25, 0.5));
    let gaps: Vec<usize> = (0..64).filter(|&at| image.not_finite[at]).collect();
    assert_eq!((gaps, image.source.remarks), (vec![3, 4, 60], vec![Remark::NotMeasured]));
    let error = decode(&float_tiff(&[f32::NAN; 64]), &accepting).unwrap_err();
    assert!(error.to_string().contains("expected finite values, found none"), "{error}");
    assert!(decode(&float_tiff(&[0.5; 64]), &accepting).unwrap().not_finite.is_empty());
}

#[test]
fn one_pixel_is_too_small() {
    let png = encode_png(&[200], 1, 1, Color::Grey).unwrap();
    let image = decode(&png, &Limits::default()).unwrap();
    let error = Preprocessing::default().apply(&image).unwrap_err();
    assert!(error.is_pixels());
    assert_eq!(
        error.to_string(),
        "expected at least 8 x 8 pixels, found 1 x 1 (width x height); leave the image out"
    );
}

#[test]
fn encoded_pngs_read_back() {
    let grey: Vec<u8> = (0..=255).collect();
    let image = decode(&encode_png(&grey, 8, 32, Color::Grey).unwrap(), &Limits::default()).unwrap();
    assert_eq!((image.height, image.width, image.channels), (8, 32, 1));
    assert!(image.pixels.iter().zip(&grey).all(|(found, value)| *found == f32::from(*value) / 255.0));
    let rgb: Vec<u8> = (0..240).collect();
    let image = decode(&encode_png(&rgb, 8, 10, Color::Rgb).unwrap(), &Limits::default()).unwrap();
    assert_eq!((image.height, image.width, image.channels), (8, 10, 3));
    assert!(encode_png(&rgb, 8, 11, Color::Rgb).is_err());
    assert!(encode_png(&[], 0, 11, Color::Rgb).is_err());
}
