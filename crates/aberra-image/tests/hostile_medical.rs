//! Hostile DICOM, NIfTI, NumPy and GIF files: cut, changed, with lengths that lie, sizes beyond limits, bombs and deep nests. Each
//! gives an image or a clear error, soon and in little memory, and no decoder panics. One test, so that the peak of memory is its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test helpers may panic, and say what they did")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aberra_image::{Images, Limits};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn golden() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let is_of_these =
        |name: &str| [".dcm", ".nii", ".nii.gz", ".npy", ".gif"].iter().any(|end| name.ends_with(end));
    let named =
        files.into_iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    named.filter(|(name, _)| is_of_these(name)).map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// A DICOM file of explicit little-endian elements, with the pixels last.
fn dicom(syntax: &str, elements: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 128];
    file.extend(b"DICM\x02\0\x10\0UI");
    file.extend((syntax.len() as u16).to_le_bytes());
    file.extend(syntax.bytes());
    file.extend(elements);
    file
}

fn short(group: u16, element: u16, value: u16) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend(b"US\x02\0");
    bytes.extend(value.to_le_bytes());
    bytes
}

fn text(group: u16, element: u16, vr: &str, value: &str) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
    bytes.extend(vr.bytes());
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value.bytes());
    bytes
}

/// The elements of grey 16-bit pixels.
fn grey(rows: u16, columns: u16, frames: &str) -> Vec<u8> {
    let mut bytes = [short(0x28, 2, 1), text(0x28, 4, "CS", "MONOCHROME2 ")].concat();
    bytes.extend(text(0x28, 8, "IS", frames));
    bytes.extend([short(0x28, 0x10, rows), short(0x28, 0x11, columns)].concat());
    bytes.extend([short(0x28, 0x100, 16), short(0x28, 0x101, 16), short(0x28, 0x103, 0)].concat());
    bytes
}

fn pixels(length: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0];
    bytes.extend(length.to_le_bytes());
    bytes.extend(data);
    bytes
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(start: &[u8], zeros: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(start).unwrap();
    let block = vec![0; 1 << 20];
    (0..zeros >> 20).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

fn nifti(dimensions: [i16; 8], datatype: i16) -> Vec<u8> {
    let mut header = vec![0; 352];
    header[..4].copy_from_slice(&348_i32.to_le_bytes());
    for (at, dimension) in dimensions.into_iter().enumerate() {
        header[40 + 2 * at..42 + 2 * at].copy_from_slice(&dimension.to_le_bytes());
    }
    header[70..72].copy_from_slice(&datatype.to_le_bytes());
    header[108..112].copy_from_slice(&352_f32.to_le_bytes());
    header[344..348].copy_from_slice(b"n+1\0");
    header
}

/// Files that are hostile on purpose.
fn made() -> Vec<(String, Vec<u8>)> {
    const PLAIN: &str = "1.2.840.10008.1.2.1\0";
    let sequence = [8, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff];
    let item = [0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff];
    let nest = [sequence.as_slice(), &item].concat().repeat(200_000);
    let groups = [[0, 0x52, 0x30, 0x92, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff].as_slice(), &item].concat();
    let empty_items = [0xfe, 0xff, 0, 0xe0, 0, 0, 0, 0].repeat(2_000_000);
    let bomb = [grey(16384, 4096, "1"), pixels(16384 * 4096 * 2, &vec![0; 16384 * 4096 * 2])].concat();
    let mut files = vec![
        ("deep sequences", dicom(PLAIN, &nest)),
        ("deep groups", dicom(PLAIN, &[grey(4, 4, "1"), groups.repeat(100_000)].concat())),
        ("many fragments", dicom("1.2.840.10008.1.2.5 ", &[grey(4, 4, "1"), pixels(u32::MAX, &empty_items)].concat())),
        ("many frames", dicom("1.2.840.10008.1.2.5 ", &[grey(4, 4, "1999999 "), pixels(u32::MAX, &empty_items)].concat())),
        ("giant", dicom(PLAIN, &[grey(65535, 65535, "1 "), pixels(10, &[0; 10])].concat())),
        ("giant and compressed", dicom("1.2.840.10008.1.2.4.90", &[grey(16384, 4096, "1 "), pixels(u32::MAX, &empty_items)].concat())),
        ("frames without pixels", dicom(PLAIN, &[grey(4, 4, "2147483647"), pixels(32, &[0; 32])].concat())),
        ("no columns", dicom(PLAIN, &[grey(4, 0, "2147483647"), pixels(32, &[0; 32])].concat())),
        ("a length of gigabytes", dicom(PLAIN, &[grey(4, 4, "1 "), pixels(0xffff_fff0, &[0; 32])].concat())),
        ("deflated zeros", dicom("1.2.840.10008.1.2.1.99", &deflated(&vec![0; 300 << 20]))),
        ("deflated pixels", dicom("1.2.840.10008.1.2.1.99", &deflated(&bomb))),
        ("cubed", nifti([3, 32767, 32767, 32767, 1, 1, 1, 1], 64)),
        ("all dimensions", nifti([7, 32767, 32767, 32767, 32767, 32767, 32767, 32767], 2)),
        ("negative", nifti([3, -5, 5, 5, 1, 1, 1, 1], 2)),
        ("inflated cube", gzipped(&nifti([3, 1000, 1000, 1000, 1, 1, 1, 1], 2), 900 << 20)),
        ("inflated slices", gzipped(&nifti([3, 1000, 1000, 200, 1, 1, 1, 1], 2), 200 << 20)),
        ("inflated volumes", gzipped(&nifti([4, 20, 20, 20, 32767, 1, 1, 1], 64), 200 << 20)),
        ("gzip of zeros", gzipped(&[], 500 << 20)),
        ("array", [&b"\x93NUMPY\x01\0\x80\0{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000, 4000000000), }"[..], &[b' '; 128]].concat()),
        ("array header", b"\x93NUMPY\x02\0\xff\xff\xff\xff{".to_vec()),
    ];
    let mut animation = b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec();
    animation.extend([0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0].repeat(100_000));
    files.push(("giant animation", animation));
    files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

/// Golden files cut and changed.
fn changed() -> Vec<(String, Vec<u8>)> {
    let mut random = Random(16);
    let mut files = Vec::new();
    for (name, bytes) in golden() {
        for round in 0..24 {
            let mut changed = bytes.clone();
            match round % 4 {
                0 => changed.truncate(random.below(bytes.len())),
                1 => {
                    let at = random.below(bytes.len());
                    changed[at] ^= 1 << random.below(8);
                }
                2 => {
                    // A length, size or offset.
                    let at = random.below(bytes.len() - 4);
                    let value = [u32::MAX, 0x7fff_ffff, 0, 0xffff, 0x8000_0000][random.below(5)];
                    changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
                _ => (0..12).for_each(|_| {
                    let at = random.below(bytes.len());
                    changed[at] = random.below(256) as u8;
                }),
            }
            files.push((format!("{name}, round {round}"), changed));
        }
    }
    files
}

#[test]
fn hostile_files_give_an_image_or_an_error_soon_and_in_little_memory() {
    const MOST_MEGABYTES: f32 = 512.0;
    let limits = Limits::default();
    let mut wrong = Vec::new();
    let (mut decoded, mut refused) = (0, 0);
    for (name, bytes) in made().into_iter().chain(changed()) {
        MEMORY.reset_peak_usage();
        let (before, start) = (MEMORY.current_usage_as_mb(), Instant::now());
        let images = Images::open(&bytes, &limits);
        let result = images.and_then(|images| {
            let last = images.count()?.saturating_sub(1);
            images.header(last)?;
            images.decode(last)
        });
        let (elapsed, used) = (start.elapsed(), MEMORY.peak_usage_as_mb() - before);
        match &result {
            Ok(image) => {
                decoded += 1;
                assert!(image.pixels.iter().all(|value| value.is_finite()), "{name}");
            }
            Err(_) => refused += 1,
        }
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        if elapsed > Duration::from_secs(1) || used > MOST_MEGABYTES || error.contains("gave up") {
            wrong.push(format!("{name}: {elapsed:?}, {used} MB, {error}"));
        }
    }
    println!("{decoded} decoded, {refused} refused");
    assert!(decoded > 100 && refused > 300, "{decoded} decoded, {refused} refused");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
