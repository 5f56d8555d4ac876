//! Files that are whole but unusual: each is read rightly, or says what it is, and what was decided is a remark.
#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use aberra_image::testing::{TiffPage, tiff};
use aberra_image::{
    FileClaim, Image, Limits, Remark, claim, count_pages, decode, decode_page, read, read_page,
};
use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgba, RgbaImage};

fn golden(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn decoded(bytes: &[u8]) -> Image {
    decode(bytes, &Limits::default()).unwrap()
}

/// The message of what is whole but not supported.
fn unsupported(bytes: &[u8]) -> String {
    let error = decode(bytes, &Limits::default()).unwrap_err();
    assert!(error.is_unsupported() && error.is_format(), "{error}");
    error.to_string()
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A grey page of one value.
fn flat(side: u32, value: u8) -> TiffPage {
    TiffPage::new(side, side, vec![value; (side * side) as usize])
}

const NEW_SUBFILE_TYPE: u16 = 254;

#[test]
fn several_pages_are_said_and_can_be_read_one_by_one() {
    let stack = tiff(&[flat(16, 10), flat(16, 20), flat(16, 30)]);
    let first = decoded(&stack);
    assert_eq!(first.source.remarks, [Remark::Page { page: 1, of: 3 }]);
    assert_eq!(first.source.remarks[0].to_string(), "page 1 of 3 is read, the others are not");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.tif");
    fs::write(&path, &stack).unwrap();
    assert_eq!(count_pages(&path, &Limits::default()).unwrap(), 3);
    for (page, value) in [(0, 10.0_f32), (1, 20.0), (2, 30.0)] {
        let image = read_page(&path, page, &Limits::default()).unwrap();
        assert_eq!((image.pixels[0], image.source.id.frame), (value / 255.0, page));
    }
    let error = decode_page(&stack, 3, &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "expected page 4 of the TIFF, found 3 of full resolution");
    assert!(decode_page(&golden("rgb8.png"), 1, &Limits::default()).is_err());
    assert!(decoded(&tiff(&[flat(16, 10)])).source.remarks.is_empty());
}

#[test]
fn the_page_of_full_resolution_is_read_and_never_a_thumbnail() {
    let thumbnail = || flat(8, 1).with(NEW_SUBFILE_TYPE, &[1]);
    let image = || flat(64, 200).with(NEW_SUBFILE_TYPE, &[0]);
    let mask = || flat(64, 7).with(NEW_SUBFILE_TYPE, &[4]);
    let below = TiffPage { below: vec![image()], ..thumbnail() };
    for (name, pages, remarks) in [
        ("marked", vec![thumbnail(), image()], vec![Remark::ReducedCopy]),
        ("after", vec![image(), thumbnail()], vec![]),
        ("below", vec![below], vec![Remark::ReducedCopy]),
        ("old mark", vec![flat(8, 1).with(255, &[2]), image()], vec![Remark::ReducedCopy]),
        ("not marked", vec![flat(8, 1), flat(64, 200)], vec![Remark::ReducedCopy]),
        ("mask", vec![mask(), image()], vec![]),
    ] {
        let bytes = tiff(&pages);
        let found = decoded(&bytes);
        assert_eq!((found.height, found.width), (64, 64), "{name}");
        assert!(found.pixels.iter().all(|&value| value == 200.0 / 255.0), "{name}");
        assert_eq!(found.source.remarks, remarks, "{name}");
        assert_eq!(found.source.id.frame, 0);
        let header = aberra_image::header(&bytes, &Limits::default()).unwrap();
        assert_eq!((header.height, header.width), (64, 64), "{name}");
    }
    // Pages of other proportions are pages.
    let wide = tiff(&[TiffPage::new(16, 8, vec![3; 128]), flat(64, 200)]);
    assert_eq!(decoded(&wide).source.remarks, [Remark::Page { page: 1, of: 2 }]);
}

#[test]
fn directories_that_run_in_circles_end() {
    let mut bytes = tiff(&[flat(16, 10), flat(16, 20)]);
    let first = bytes[4..8].to_vec();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&first);
    assert_eq!(decoded(&bytes).source.remarks, [Remark::Page { page: 1, of: 2 }]);
}

#[test]
fn raw_files_of_cameras_are_named() {
    let filter = tiff(&[flat(8, 1), flat(64, 2).with(262, &[32803])]);
    let nikon = tiff(&[TiffPage { below: vec![flat(64, 2).with(259, &[34713])], ..flat(8, 1) }]);
    let mut canon = tiff(&[flat(64, 1)]);
    canon.splice(8..8, *b"CR\x02\0");
    for bytes in [filter, nikon, canon] {
        assert!(unsupported(&bytes).contains("raw data of a camera's sensor"), "{}", unsupported(&bytes));
    }
    // By its name, where what can be decoded is a preview.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("DSC_1.NEF");
    fs::write(&path, tiff(&[flat(64, 1)])).unwrap();
    assert!(read(&path, &Limits::default()).unwrap_err().is_unsupported());
    assert_eq!(claim(&path), FileClaim::Unsupported("a raw file of a camera"));
    for (name, start) in
        [("a.raf", &b"FUJIFILMCCD-RAW 0201"[..]), ("b", b"\0\0\0\x18ftypcrx "), ("c.orf", b"IIRO\x08\0\0\0")]
    {
        let path = folder.path().join(name);
        fs::write(&path, start).unwrap();
        assert_eq!(claim(&path), FileClaim::Unsupported("a raw file of a camera"), "{name}");
        assert!(read(&path, &Limits::default()).unwrap_err().is_unsupported(), "{name}");
    }
}

#[test]
fn what_a_file_claims_is_told_by_name_and_content() {
    let folder = tempfile::tempdir().unwrap();
    let [in_dicom, in_gzip] = ["plain.dcm", "flipped.nii.gz"].map(golden);
    for (name, content, expected) in [
        ("a.jxl", &b"words"[..], FileClaim::Unsupported("a JPEG XL image")),
        ("b.bin", b"\xff\x0a...", FileClaim::Unsupported("a JPEG XL image")),
        ("animation", b"GIF89a", FileClaim::Image),
        ("volume.nii.gz", b"words", FileClaim::Image),
        ("archive.tar.gz", b"\x1f\x8bwords", FileClaim::Other),
        (".png", b"words", FileClaim::Other),
        ("IM000001", &in_dicom, FileClaim::Image),
        ("volume", &in_gzip, FileClaim::Image),
        ("c.pgm", b"P5 1 1 255 ", FileClaim::Unsupported("a Netpbm image")),
        ("big", b"II+\0\x08\0\0\0", FileClaim::Image),
        ("d.png", b"words", FileClaim::Image),
        ("e.zip", b"PK\x03\x04", FileClaim::Other),
        ("f.txt", b"words", FileClaim::Other),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        assert_eq!(claim(&path), expected, "{name}");
    }
}

#[test]
fn alpha_of_0_throughout_is_ignored_and_partial_alpha_is_said() {
    let grey = |x: u32, y: u32| (x * 7 + y * 3) as u8;
    let rgba = |alpha: u8| {
        RgbaImage::from_fn(16, 16, |x, y| {
            Rgba([grey(x, y), grey(x, y), grey(x, y), if x == 0 { alpha } else { 0 }])
        })
    };
    let plain = decoded(&encoded(GrayImage::from_fn(16, 16, |x, y| Luma([grey(x, y)])), ImageFormat::Png));
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::WebP] {
        let found = decoded(&encoded(rgba(0), format));
        assert_eq!(found.source.remarks, [Remark::AlphaIgnored], "{format:?}");
        assert_eq!(found.to_grey(), plain.pixels, "{format:?}");
        let partly = decoded(&encoded(rgba(255), format));
        assert_eq!(partly.source.remarks, [Remark::Transparent], "{format:?}");
        assert!(partly.pixels[3..16 * 3].iter().all(|&value| value == 0.0), "{format:?}");
    }
    assert!(decoded(&golden("rgb8.png")).source.remarks.is_empty());
    let opaque = RgbaImage::from_pixel(16, 16, Rgba([9, 9, 9, 255]));
    assert!(decoded(&encoded(opaque, ImageFormat::Png)).source.remarks.is_empty());

    // A bitmap of version 5 with a mask for alpha, as Windows writes it.
    let mut bmp = b"BM".to_vec();
    let mut words = |values: &[u32]| bmp.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    words(&[138 + 16 * 16 * 4, 0, 138, 124, 16, 16]);
    words(&[1 | 32 << 16, 3, 16 * 16 * 4, 0, 0, 0, 0, 0xff_0000, 0xff00, 0xff, 0xff00_0000]);
    bmp.resize(138, 0);
    for y in (0..16).rev() {
        for x in 0..16 {
            bmp.extend([grey(x, y), grey(x, y), grey(x, y), 0]);
        }
    }
    let found = decoded(&bmp);
    assert_eq!((found.to_grey(), found.source.remarks), (plain.pixels, vec![Remark::AlphaIgnored]));
}

#[test]
fn tags_that_change_pixels_are_honoured_or_refused() {
    // The lowest bit of each byte first: 1 bit and 8 bits a sample.
    let bits = TiffPage::new(16, 8, vec![0b0000_0001; 16]).with(258, &[1]).with(266, &[2]);
    let found = decoded(&tiff(&[bits]));
    assert!(found.pixels.chunks(8).all(|byte| byte[0] == 1.0 && byte[1..].iter().all(|&bit| bit == 0.0)));
    let bytes = flat(8, 0b0000_0010).with(266, &[2]);
    assert!(decoded(&tiff(&[bytes])).pixels.iter().all(|&value| value == 64.0 / 255.0));

    // Colours in planes, and the same interleaved.
    let planes: Vec<u8> = [10_u8, 20, 30].iter().flat_map(|&value| vec![value; 64]).collect();
    let rgb = |data: Vec<u8>| TiffPage::new(8, 8, data).with(262, &[2]).with(277, &[3]).with(258, &[8; 3]);
    let planar = rgb(planes).with(284, &[2]).with(273, &[8, 72, 136]).with(279, &[64; 3]);
    let packed = rgb([10, 20, 30].repeat(64));
    let expected: Vec<f32> = [10.0_f32, 20.0, 30.0].map(|value| value / 255.0).repeat(64);
    assert_eq!(decoded(&tiff(&[planar])).pixels, expected);
    assert_eq!(decoded(&tiff(&[packed])).pixels, expected);

    // Samples beyond the colours are left out, and said.
    let extra =
        TiffPage::new(8, 8, [10, 20, 30, 77].repeat(64)).with(262, &[2]).with(277, &[4]).with(258, &[8; 4]);
    let found = decoded(&tiff(&[extra.with(338, &[0])]));
    assert_eq!(found.source.remarks, [Remark::ExtraSamples]);
    assert_eq!(found.pixels[..3], [10.0 / 255.0, 20.0 / 255.0, 30.0 / 255.0]);
    let curve = flat(8, 3).with(291, &[0; 256]);
    assert_eq!(decoded(&tiff(&[curve])).source.remarks, [Remark::NotCorrected]);

    // Rec. 601's luma and the full range are what is assumed where nothing is said.
    let luma = TiffPage::new(8, 8, [90, 120, 200].repeat(64))
        .with(262, &[6])
        .with(277, &[3])
        .with(258, &[8; 3])
        .with(530, &[1, 1]);
    let full = [0, 255_000, 128_000, 255_000, 128_000, 255_000];
    let said = luma.clone().with(529, &[299, 587, 114]).with(532, &full);
    assert_eq!(decoded(&tiff(&[said])).pixels, decoded(&tiff(std::slice::from_ref(&luma))).pixels);
    let range = [0, 255_000].repeat(3);
    let found = decoded(&tiff(&[rgb([10, 20, 30].repeat(64)).with(532, &range)]));
    assert_eq!((found.pixels, found.source.remarks), (expected, vec![]));

    let inks =
        TiffPage::new(8, 8, vec![9; 256]).with(262, &[5]).with(277, &[4]).with(258, &[8; 4]).with(332, &[2]);
    for (page, what) in [
        (inks, "other inks"),
        (flat(8, 3).with(32997, &[4]), "several slices"),
        (flat(8, 3).with(258, &[12]), "12 bits per sample"),
        (flat(8, 3).with(262, &[2]).with(277, &[3]).with(258, &[4; 3]), "RGB(4)"),
        (flat(8, 3).with(277, &[2]).with(258, &[4; 2]), "not supported"),
        (flat(8, 3).with(339, &[5]), "rare kind"),
        (flat(8, 3).with(259, &[50000]), "ZSTD compression"),
        (flat(8, 3).with(259, &[50001]), "WebP compression"),
        (flat(8, 3).with(259, &[34925]), "LZMA compression"),
        (flat(8, 3).with(259, &[34712]), "JPEG 2000 compression"),
        (flat(8, 3).with(277, &[17]).with(258, &[8; 17]), "17 bands"),
        // With alpha among them, and where 0 is white.
        (flat(8, 3).with(277, &[5]).with(258, &[8; 5]).with(338, &[2, 0, 0, 0]), "5 bands"),
        (flat(8, 3).with(262, &[0]).with(277, &[5]).with(258, &[8; 5]), "5 bands"),
        (luma.clone().with(529, &[213, 715, 72]), "luma of other coefficients"),
        (luma.with(532, &[16_000, 235_000, 128_000, 240_000, 128_000, 240_000]), "limited range"),
    ] {
        let text = unsupported(&tiff(&[page]));
        assert!(text.contains(what) && text.contains("not supported"), "{what}: {text}");
    }
}

/// A JPEG with bytes between two segments of its header.
fn with_stray(jpeg: &[u8], stray: &[u8]) -> Vec<u8> {
    // After the start of image, the first segment, by its length.
    let end = 4 + usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    [&jpeg[..end], stray, &jpeg[end..]].concat()
}

#[test]
fn stray_bytes_between_headers_decode_to_the_same_pixels() {
    for name in ["grey.jpg", "progressive.jpg", "orientation6.jpg"] {
        let jpeg = golden(name);
        let whole = decoded(&jpeg);
        for stray in [&b"\0\0\0"[..], b"\xff\xff", b"\x12\xff\x00\x34", b"\xff\xd0\x01"] {
            let found = decoded(&with_stray(&jpeg, stray));
            assert_eq!(found.pixels, whole.pixels, "{name} {stray:?}");
            assert_eq!(found.source.orientation, whole.source.orientation);
        }
        // Damage remains damage.
        let cut = with_stray(&jpeg[..jpeg.len() - 20], b"\0\0");
        let error = decode(&cut, &Limits::default()).unwrap_err();
        assert!(error.is_format() && !error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("not a whole JPEG"), "{error}");
    }
}

#[test]
fn variants_of_jpeg_that_are_not_decoded_are_named() {
    let jpeg = golden("grey.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for (marker, bits, what) in [
        (0xc1, 12, "12 bits per sample"),
        (0xc3, 8, "lossless compression"),
        (0xc9, 8, "arithmetic coding"),
        (0xc5, 8, "hierarchical compression"),
        (0xf7, 8, "JPEG-LS compression"),
    ] {
        let mut variant = jpeg.clone();
        (variant[frame + 1], variant[frame + 4]) = (marker, bits);
        assert_eq!(
            unsupported(&variant),
            format!(
                "the file is a JPEG with {what}, which is not supported; convert it to an ordinary PNG or TIFF"
            )
        );
        // The same within a TIFF.
        let length = variant.len() as u32;
        let page = TiffPage { data: variant, ..flat(8, 0) };
        let text = unsupported(&tiff(&[page.with(259, &[7]).with(279, &[length])]));
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn animations_say_that_one_frame_is_read() {
    let png = encoded(GrayImage::from_pixel(16, 16, Luma([50])), ImageFormat::Png);
    // An animation control chunk for 5 frames after the header; the default image stays as it is.
    let mut chunk = b"acTL".to_vec();
    chunk.extend(5_u32.to_be_bytes());
    chunk.extend(0_u32.to_be_bytes());
    let crc = crc32(&chunk);
    let animated = [&png[..33], &8_u32.to_be_bytes(), &chunk, &crc.to_be_bytes(), &png[33..]].concat();
    assert_eq!(decoded(&animated).source.remarks, [Remark::Animation { frames: 5 }]);
    assert!(decoded(&png).source.remarks.is_empty());

    // A WebP of two frames, each a lossless picture.
    let still = encoded(RgbaImage::from_pixel(16, 16, Rgba([50, 60, 70, 255])), ImageFormat::WebP);
    let picture = &still[12..];
    let riff = |name: &[u8], data: &[u8]| {
        let mut chunk = [name, &(data.len() as u32).to_le_bytes(), data].concat();
        chunk.resize(chunk.len() + data.len() % 2, 0);
        chunk
    };
    let side = [15, 0, 0];
    let frame = [&[0_u8; 6][..], &side[..], &side[..], &[100, 0, 0, 2][..], picture].concat();
    let body = [
        b"WEBP".to_vec(),
        riff(b"VP8X", &[&[2, 0, 0, 0][..], &side, &side].concat()),
        riff(b"ANIM", &[0; 6]),
        riff(b"ANMF", &frame),
        riff(b"ANMF", &frame),
    ]
    .concat();
    let found = decoded(&riff(b"RIFF", &body));
    assert_eq!(found.source.remarks.last(), Some(&Remark::Animation { frames: 2 }));
    assert_eq!(found.pixels[..3], [50.0 / 255.0, 60.0 / 255.0, 70.0 / 255.0]);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[test]
fn every_label_of_a_lossless_mask_is_foreground() {
    let labels =
        GrayImage::from_fn(16, 16, |x, y| Luma([if y > 3 { 0 } else { [1, 4, 255, 0][x as usize / 4] }]));
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
        let mask = decoded(&encoded(labels.clone(), format)).to_mask();
        assert_eq!(mask.iter().filter(|&&set| set).count(), 4 * 12, "{format:?}");
        assert!(mask[..12].iter().all(|&set| set) && !mask[12], "{format:?}");
    }
    // JPEG makes small values around 0.
    let soft = GrayImage::from_fn(64, 64, |x, _| Luma([if x < 32 { 255 } else { 3 }]));
    let mask = decoded(&encoded(soft, ImageFormat::Jpeg)).to_mask();
    assert_eq!(mask.iter().filter(|&&set| set).count(), 32 * 64);
    // A colour that has no weight in grey values counts, too.
    let blue = image::RgbImage::from_pixel(8, 8, image::Rgb([0, 0, 1]));
    assert!(decoded(&encoded(blue, ImageFormat::Png)).to_mask().iter().all(|&set| set));
}

#[test]
fn a_mask_is_turned_as_its_image_or_resampled_or_refused() {
    let mask = |width: u32, height: u32| {
        let image =
            GrayImage::from_fn(width, height, |x, y| Luma([u8::from(x < width / 4 && y < height / 2)]));
        decoded(&encoded(image, ImageFormat::Png))
    };
    let upright = mask(96, 64).into_mask_of(64, 96, 1).unwrap();
    assert!(upright.remarks.is_empty() && upright.foreground[0] && !upright.foreground[24]);
    // Orientation 6: stored rows become columns, from the right.
    let turned = mask(96, 64).into_mask_of(96, 64, 6).unwrap();
    assert_eq!(turned.remarks, [Remark::MaskTurned]);
    let set = |x: usize, y: usize| turned.foreground[y * 64 + x];
    assert!(set(63, 0) && set(32, 23) && !set(31, 0) && !set(63, 24));
    assert!(mask(64, 96).into_mask_of(96, 64, 6).unwrap().remarks.is_empty());
    let small = mask(48, 32).into_mask_of(64, 96, 1).unwrap();
    assert_eq!((small.remarks, &small.foreground), (vec![Remark::MaskResampled], &upright.foreground));
    let both = mask(48, 32).into_mask_of(96, 64, 6).unwrap();
    assert_eq!(both.remarks, [Remark::MaskTurned, Remark::MaskResampled]);
    for (width, height, orientation) in [(96, 64, 1), (64, 64, 1), (96, 96, 6), (96, 64, 3)] {
        let error = mask(width, height).into_mask_of(96, 64, orientation).unwrap_err();
        assert!(error.is_pixels() && error.to_string().contains("same proportions"), "{error}");
    }
    let of = |value: u8| decoded(&encoded(GrayImage::from_pixel(8, 8, Luma([value])), ImageFormat::Png));
    assert_eq!(of(0).into_mask_of(8, 8, 1).unwrap().remarks, [Remark::MaskEmpty]);
    assert_eq!(of(1).into_mask_of(8, 8, 1).unwrap().remarks, [Remark::MaskFull]);
}
