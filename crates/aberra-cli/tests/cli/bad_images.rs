//! Unusable images: each is reported with its reason, and none stops the others.

use image::{GrayImage, Rgb32FImage};

use crate::pictures::{blobs, png_header, stripes as stripes_picture};
use crate::program::{Room, detector, stripes};

/// The messages for a file that cannot be scored: it does not stop a good one beside it; alone, it is an error.
fn skipped(name: &str, bytes: &[u8]) -> String {
    let room = Room::new();
    std::fs::write(room.path(name), bytes).unwrap();
    let (detector, good) = (detector(), stripes());
    let both = room.run(&format!("score {} {name} {} --json", detector.display(), good.display()));
    assert_eq!((both.code, both.json_lines().len()), (2, 1), "{}", both.err);
    assert!(both.err.starts_with(&format!("warning: skipped {name}: ")), "{}", both.err);
    room.run(&format!("score {} {name}", detector.display())).refusal(&room)
}

fn encoded(image: impl Into<image::DynamicImage>, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn a_text_file_named_png() {
    insta::assert_snapshot!(skipped("text.png", b"not a picture"), @r#"
    warning: skipped text.png: not an image: it begins with "not a picture"; expected PNG, JPEG, DICOM, TIFF, BMP, WebP, GIF, NIfTI or NumPy array
    error: expected images, found 1 file that cannot be used
    "#);
}

#[test]
fn a_header_of_60000_by_60000() {
    insta::assert_snapshot!(skipped("huge.png", &png_header(60_000)), @r"
    warning: skipped huge.png: the image is 60000 pixels wide, but the limit is 16384; if the image is what you expect, raise the setting `max_width_px`
    error: expected images, found 1 file that cannot be used
    ");
}

#[test]
fn a_truncated_jpeg() {
    let mut bytes = encoded(stripes_picture(1), image::ImageFormat::Jpeg);
    bytes.truncate(bytes.len() / 2);
    insta::assert_snapshot!(skipped("cut.jpg", &bytes), @r"
    warning: skipped cut.jpg: not a whole JPEG image: it is truncated: no end-of-image marker in its 352 bytes; copy or export the file again
    error: expected images, found 1 file that cannot be used
    ");
}

#[test]
fn an_image_of_one_pixel() {
    insta::assert_snapshot!(skipped("dot.png", &encoded(GrayImage::new(1, 1), image::ImageFormat::Png)), @r"
    warning: skipped dot.png: expected at least 8 x 8 pixels, found 1 x 1 (width x height); leave the image out
    error: expected images, found 1 file that cannot be used
    ");
}

#[test]
fn values_that_are_not_numbers() {
    let mut image = Rgb32FImage::new(40, 40);
    image.get_pixel_mut(3, 3).0[1] = f32::NAN;
    insta::assert_snapshot!(skipped("nan.tiff", &encoded(image, image::ImageFormat::Tiff)), @r"
    warning: skipped nan.tiff: expected finite values, found 1 NaN and 0 infinite (or beyond 32-bit floats) among 4800; replace them, for instance by the background value, or train with --invalid nan if they were not measured
    error: expected images, found 1 file that cannot be used
    ");
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(skipped("empty.jpg", b""), @r"
    warning: skipped empty.jpg: not an image: the file is empty (0 bytes); expected PNG, JPEG, DICOM, TIFF, BMP, WebP, GIF, NIfTI or NumPy array
    error: expected images, found 1 file that cannot be used
    ");
}

#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    blobs(0).save(room.path("secret.png")).unwrap();
    std::fs::set_permissions(room.path("secret.png"), std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(room.path("secret.png")).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let said = room.run(&format!("score {} secret.png", detector().display())).refusal(&room);
    assert!(said.contains("secret.png: Permission denied"), "{said}");
}
