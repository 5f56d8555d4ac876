//! Small images for the tests: soft blobs are normal, stripes are anomalous.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};

/// Width and height of the images.
pub(crate) const SIDE: u32 = 40;

/// `normal/` with blobs and `stripes/` with stripes.
pub(crate) fn write_data_set(folder: &Path, normals: usize, anomalies: usize) {
    for class in ["normal", "stripes"] {
        fs::create_dir_all(folder.join(class)).unwrap();
    }
    for index in 0..normals {
        blobs(index as u64).save(folder.join("normal").join(format!("{index}.png"))).unwrap();
    }
    for index in 0..anomalies {
        stripes(index as u64).save(folder.join("stripes").join(format!("{index}.png"))).unwrap();
    }
}

/// A soft blob near the centre, with random position, size and brightness.
pub(crate) fn blobs(seed: u64) -> GrayImage {
    let mut draw = draws(seed);
    let side = f64::from(SIDE);
    let [left, top] = [0.45 + 0.1 * draw(), 0.45 + 0.1 * draw()].map(|share| share * side);
    let (width, bright) = ((0.15 + 0.05 * draw()) * side, 180.0 + 60.0 * draw());
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let distance = (f64::from(x) - left).powi(2) + (f64::from(y) - top).powi(2);
        Luma([(bright * (-distance / (2.0 * width * width)).exp()) as u8])
    })
}

/// Black and white stripes, made distinct by a single pixel.
pub(crate) fn stripes(seed: u64) -> GrayImage {
    let mut image =
        GrayImage::from_fn(SIDE, SIDE, |x, _| Luma([if (x / 5).is_multiple_of(2) { 255 } else { 0 }]));
    image.put_pixel(0, seed as u32 % SIDE, Luma([200]));
    image
}

/// A PNG whose header claims `side` x `side` pixels without the data for them.
pub(crate) fn png_header(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    GrayImage::new(1, 1).write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    let mut header = b"IHDR".to_vec();
    header.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
    header.extend([8, 0, 0, 0, 0]);
    let checksum = crc32(&header);
    bytes.splice(12..29, header);
    bytes.splice(29..33, checksum.to_be_bytes());
    bytes
}

/// Numbers from 0 to 1 from a linear congruential generator, independent of the library's.
fn draws(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    })
}
