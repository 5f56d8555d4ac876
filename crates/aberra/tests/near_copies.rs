//! Near-duplicates that are copies: photographs recoded, resized, cropped, turned and toned are found among phantoms and
//! among photographs of one small part at any angle, whose thumbnails are alike; nothing else is.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use aberra::dataset::{
    Dataset, Fingerprint, GroupBy, Grouping, Inspection, OpenOptions, Sketch, Split, SplitSettings, doctor,
    similarity_threshold,
};
use aberra::image::Limits;
use aberra::phantom;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, crop_imm, flip_horizontal, resize, rotate90};
use image::{GrayImage, Luma};
use rayon::prelude::*;

/// A small generator (xorshift64*), so that the test depends on no library's.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Photographs of one kind of screw at any angle.
fn parts(seed: u64, count: u64, side: u32) -> Vec<GrayImage> {
    let drawn = |index| {
        let photograph = phantom::Product::Screw.photograph(seed, index, None);
        resize(&grey(&photograph.pixels, photograph.width), side, side, FilterType::Triangle)
    };
    (0..count).into_par_iter().map(drawn).collect()
}

fn phantoms(count: u64) -> Vec<GrayImage> {
    let drawn = |index| {
        let slice = phantom::slice(7, index, 128);
        grey(&slice.pixels, slice.size_px)
    };
    (0..count).map(drawn).collect()
}

fn grey(pixels: &[f32], side: usize) -> GrayImage {
    let bytes = pixels.iter().map(|value| (value * 255.0).round() as u8).collect();
    GrayImage::from_raw(side as u32, side as u32, bytes).unwrap()
}

const KINDS: [&str; 6] = ["recoded", "resized", "cropped", "flipped", "turned", "toned"];

fn copy(image: &GrayImage, kind: &str, random: &mut Random) -> GrayImage {
    let (width, height) = image.dimensions();
    match kind {
        "recoded" => {
            let mut bytes = Vec::new();
            let quality = random.between(70.0, 95.0) as u8;
            image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
            image::load(Cursor::new(bytes), image::ImageFormat::Jpeg).unwrap().to_luma8()
        }
        "resized" => {
            let scale =
                if random.unit() < 0.5 { random.between(0.6, 0.85) } else { random.between(1.2, 1.6) };
            let scaled = |length: u32| (f64::from(length) * scale) as u32;
            resize(image, scaled(width), scaled(height), FilterType::CatmullRom)
        }
        "cropped" => {
            let mut cut = |length: u32| (f64::from(length) * random.between(0.0, 0.05)) as u32;
            let (left, right, top, bottom) = (cut(width), cut(width), cut(height), cut(height));
            crop_imm(image, left, top, width - left - right, height - top - bottom).to_image()
        }
        "flipped" => flip_horizontal(image),
        "turned" => rotate90(image),
        _ => {
            let gamma =
                if random.unit() < 0.5 { random.between(0.6, 0.85) } else { random.between(1.2, 1.6) };
            let tone = |value: u8| (255.0 * (f64::from(value) / 255.0).powf(gamma) * 0.95 + 4.0) as u8;
            GrayImage::from_fn(width, height, |x, y| Luma([tone(image.get_pixel(x, y)[0])]))
        }
    }
}

/// Writes `images`, the first `planted` of them also as copies of all kinds in turn; the original of each sample by name.
fn write(folder: &Path, images: &[GrayImage], planted: usize) -> HashMap<String, (usize, &'static str)> {
    let mut random = Random(11);
    let mut originals = HashMap::new();
    let mut save = |image: &GrayImage, original: usize, kind| {
        let name = format!("{original:04}-{kind}.png");
        image.save(folder.join(&name)).unwrap();
        originals.insert(name, (original, kind));
    };
    for (index, image) in images.iter().enumerate() {
        save(image, index, "original");
        if index < planted {
            let kind = KINDS[index % KINDS.len()];
            save(&copy(image, kind, &mut random), index, kind);
        }
    }
    originals
}

fn look_at(folder: &Path) -> (Dataset, Inspection) {
    let dataset =
        Dataset::open(folder, &OpenOptions { normal: vec!["*".into()], ..OpenOptions::default() }).unwrap();
    let inspection = dataset.inspect(&Limits::default());
    (dataset, inspection)
}

/// Precision and recall of the pairs in one group.
fn check(name: &str, folder: &Path, originals: &HashMap<String, (usize, &'static str)>) -> [f64; 2] {
    let (dataset, inspection) = look_at(folder);
    let start = std::time::Instant::now();
    let grouping = Grouping::of(&dataset, &inspection, GroupBy::Near).unwrap();
    let grouped = start.elapsed();
    let original: Vec<_> = dataset.samples.iter().map(|sample| originals[sample.name.as_str()]).collect();
    let (mut both, mut found, mut real) = (0, 0, 0);
    let mut missed: HashMap<&str, usize> = HashMap::new();
    for (a, b) in (0..original.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let is_found = grouping.group_of[a] == grouping.group_of[b];
        let is_real = original[a].0 == original[b].0;
        both += usize::from(is_found && is_real);
        found += usize::from(is_found);
        real += usize::from(is_real);
        if is_real && !is_found {
            let kind = [original[a].1, original[b].1].into_iter().find(|kind| *kind != "original");
            *missed.entry(kind.unwrap()).or_default() += 1;
        }
    }
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    let shares = [share(both, found), share(both, real)];
    assert_eq!(grouping.dominating(), None);
    let report = doctor(&dataset, &inspection, &grouping).to_string();
    assert!(report.contains("look-alikes compared closely"), "{report}");
    println!(
        "{name}: {} images, grouped in {grouped:.1?}, {} groups, {:?}; precision, recall {shares:.3?}, missed {missed:?}",
        original.len(),
        grouping.count,
        grouping.close_look
    );
    shares
}

/// A photograph of a tile: grain at several scales under uneven light, and its own noise.
fn tile(random: &mut Random, side: u32) -> GrayImage {
    let waves: Vec<[f64; 4]> = (0..60)
        .map(|_| {
            let (sin, cos) = random.between(0.0, std::f64::consts::TAU).sin_cos();
            let frequency = 6.0 * 2f64.powf(random.between(0.0, 4.5));
            [
                frequency * cos,
                frequency * sin,
                random.between(0.0, std::f64::consts::TAU),
                14.0 / frequency.powf(0.4),
            ]
        })
        .collect();
    let (by_x, by_y) = (random.between(-40.0, 40.0), random.between(-40.0, 40.0));
    GrayImage::from_fn(side, side, |x, y| {
        let (x, y) = (f64::from(x) / f64::from(side), f64::from(y) / f64::from(side));
        let grain: f64 =
            waves.iter().map(|[fx, fy, phase, size]| size * (fx * x + fy * y + phase).sin()).sum();
        let value = 128.0 + by_x * (x - 0.5) + by_y * (y - 0.5) + grain + 3.0 * random.normal();
        Luma([value.round().clamp(0.0, 255.0) as u8])
    })
}

#[test]
fn copies_among_phantoms_are_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let originals = write(folder.path(), &phantoms(240), 120);
    let shares = check("phantoms", folder.path(), &originals);
    assert!(shares.iter().all(|share| *share >= 0.98), "{shares:?}");
}

#[test]
fn copies_among_like_parts_at_any_angle_are_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let images = parts(3, 400, 512);
    let originals = write(folder.path(), &images, 120);
    let shares = check("parts", folder.path(), &originals);
    assert!(shares.iter().all(|share| *share >= 0.98), "{shares:?}");
}

#[test]
fn copies_among_tiles_are_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(5);
    let images: Vec<GrayImage> = (0..240).map(|_| tile(&mut random, 192)).collect();
    let originals = write(folder.path(), &images, 120);
    let shares = check("tiles", folder.path(), &originals);
    assert!(shares.iter().all(|share| *share >= 0.98), "{shares:?}");
}

/// The detector keeps sketches of its training images. Other photographs of the part are not taken for leaked ones, and
/// copies that are whole are found.
#[test]
fn sketches_tell_copies_of_like_parts_from_other_photographs() {
    let images = parts(9, 240, 512);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &images, 0);
    let (dataset, inspection) = look_at(folder.path());
    let grouping = Grouping::of(&dataset, &inspection, GroupBy::Near).unwrap();
    let split = Split::of(&dataset, &inspection, &grouping, &SplitSettings::default()).unwrap();
    let threshold = similarity_threshold(&inspection, &split.train, Some(&split.group_of));
    let print = |index: usize| inspection.get(index).unwrap().fingerprint.clone();
    let sketches: Vec<Sketch> = split.train.iter().map(|&index| Sketch::of(&print(index))).collect();
    let found = |images: &[GrayImage]| {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), images, 0);
        let (_, seen) = look_at(folder.path());
        let prints: Vec<Fingerprint> =
            seen.images.iter().map(|seen| seen.as_ref().unwrap().fingerprint.clone()).collect();
        let found = Sketch::find_copies(&sketches, &prints.iter().collect::<Vec<_>>(), threshold);
        found.iter().filter(|found| found.is_some()).count()
    };
    let others = parts(10, 100, 512);
    let of_train = |kind| -> Vec<GrayImage> {
        let mut random = Random(2);
        let images = split.train.iter().take(50).map(|&index| &images[index]);
        images.map(|image| copy(image, kind, &mut random)).collect()
    };
    let (leaked, copies) =
        (found(&others), ["recoded", "resized", "flipped", "turned"].map(|kind| found(&of_train(kind))));
    println!("threshold {threshold}, {leaked} of 100 others, copies {copies:?} of 50");
    assert!(leaked <= 5, "{leaked}");
    assert!(copies.iter().all(|found| *found >= 49), "{copies:?}");
}

#[test]
fn a_group_of_more_than_a_tenth_dominates() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(4);
    let image = &parts(4, 1, 96)[0];
    for index in 0..30 {
        let image = if index < 11 { image.clone() } else { tile(&mut random, 96) };
        image.save(folder.path().join(format!("{index:02}.png"))).unwrap();
    }
    let (dataset, inspection) = look_at(folder.path());
    let grouping = Grouping::of(&dataset, &inspection, GroupBy::Near).unwrap();
    let group = grouping.dominating().unwrap();
    assert_eq!((group.images, group.of, group.example), (11, 30, 0));
    assert_eq!(group.text(&dataset), "one group holds 11 of 30 images (like 00.png)");
    assert_eq!(Grouping::of(&dataset, &inspection, GroupBy::None).unwrap().dominating(), None);
}
