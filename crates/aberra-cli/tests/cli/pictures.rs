//! Small pictures for the tests: smooth blobs are normal, noise is not.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};

/// Side of the pictures.
pub(crate) const SIDE: u32 = 40;

/// `normal/` with blobs and `noise/` with noise.
pub(crate) fn write_data_set(folder: &Path, normals: usize, anomalies: usize) {
    for class in ["normal", "noise"] {
        fs::create_dir_all(folder.join(class)).unwrap();
    }
    for index in 0..normals {
        blobs(index as u64).save(folder.join("normal").join(format!("{index}.png"))).unwrap();
    }
    for index in 0..anomalies {
        noise(index as u64).save(folder.join("noise").join(format!("{index}.png"))).unwrap();
    }
}

/// Three soft blobs of their own place, size and brightness.
pub(crate) fn blobs(seed: u64) -> GrayImage {
    let mut draw = draws(seed);
    let side = f64::from(SIDE);
    let blobs: Vec<[f64; 4]> = (0..3)
        .map(|_| [draw() * side, draw() * side, (0.1 + 0.15 * draw()) * side, 60.0 + 120.0 * draw()])
        .collect();
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let height = |[left, top, width, bright]: &[f64; 4]| {
            let distance = (f64::from(x) - left).powi(2) + (f64::from(y) - top).powi(2);
            bright * (-distance / (2.0 * width * width)).exp()
        };
        Luma([blobs.iter().map(height).sum::<f64>().min(255.0) as u8])
    })
}

/// Every pixel at random.
pub(crate) fn noise(seed: u64) -> GrayImage {
    let mut draw = draws(seed + 1_000);
    GrayImage::from_fn(SIDE, SIDE, |_, _| Luma([(draw() * 255.0) as u8]))
}

/// A PNG whose header says `side` x `side` and which holds next to nothing.
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

/// Numbers from 0 to 1, by a linear congruential generator: the test's own, independent of the library's.
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
