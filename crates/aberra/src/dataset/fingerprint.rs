//! What is kept of an image to recognise the same image again, though recompressed, resized, mirrored or turned.

use aberra_image::{Image, ImageId};

/// Side of a thumbnail.
pub(crate) const THUMBNAIL_PX: usize = 32;
/// A pixel is foreground above this share of full scale: 10 of 255.
const FOREGROUND: f32 = 10.0 / 255.0;
/// In an image whose brightest value is below this or above 1, that value is taken for full scale.
const LEAST_BRIGHT: f32 = 0.25;

/// Identity of an image, a hash of its pixels and three thumbnails by which near-duplicates are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which image of which content it is.
    pub id: ImageId,
    /// BLAKE3 hash of the decoded grey values and their shape.
    pub pixels: [u8; 32],
    /// `[32, 32]` grey values of the foreground's box, its sides stretched to a square, contrast stretched to 0..255.
    pub stretched: Vec<u8>,
    /// The same of the foreground's box padded to a square, which distinguishes shapes.
    pub padded: Vec<u8>,
    /// The same of the whole frame, its sides stretched to a square: finds copies whose foreground's box differs by a
    /// speck or a caption.
    pub frame: Vec<u8>,
}

impl Fingerprint {
    /// Takes the fingerprint of an image.
    pub fn of(image: &Image) -> Self {
        Self::with_grey(image, &image.to_grey())
    }

    /// Takes the fingerprint of an image whose grey values are known.
    pub(super) fn with_grey(image: &Image, grey: &[f32]) -> Self {
        let (height, width) = (image.height, image.width);
        let frame = Part { top: 0, left: 0, height, width };
        let foreground = foreground(grey, height, width);
        let side = foreground.height.max(foreground.width);
        Self {
            id: image.source.id,
            pixels: hash_pixels(grey, height, width),
            stretched: thumbnail(grey, width, foreground, foreground.height, foreground.width),
            padded: thumbnail(grey, width, foreground, side, side),
            frame: thumbnail(grey, width, frame, height, width),
        }
    }
}

/// Equal for equal pixels, whether they are stored as grey or as equal red, green and blue.
fn hash_pixels(grey: &[f32], height: usize, width: usize) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(height as u64).to_le_bytes());
    hasher.update(&(width as u64).to_le_bytes());
    let mut bytes = Vec::with_capacity(grey.len() * 2);
    if grey.iter().all(|value| (0.0..=1.0).contains(value)) {
        // Rounds by adding a half: `round` is a function call on processors without an instruction for it.
        bytes.extend(grey.iter().flat_map(|&value| ((value * 65535.0 + 0.5) as u16).to_le_bytes()));
    } else {
        bytes.extend(grey.iter().flat_map(|value| value.to_le_bytes()));
    }
    hasher.update(&bytes);
    *hasher.finalize().as_bytes()
}

/// A part of an image.
#[derive(Clone, Copy)]
struct Part {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

/// The box, centred in `padded_height` x `padded_width` black pixels, averaged to a thumbnail, its darkest value at 0 and
/// its brightest at 255.
fn thumbnail(grey: &[f32], stride: usize, part: Part, padded_height: usize, padded_width: usize) -> Vec<u8> {
    let small = averaged(grey, stride, part, padded_height, padded_width, THUMBNAIL_PX);
    let low = small.iter().copied().fold(f32::INFINITY, f32::min);
    let high = small.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    small.iter().map(|value| ((value - low) * scale).round() as u8).collect()
}

/// A whole image, averaged down (or up) to `n` x `n`.
pub(super) fn shrunk(grey: &[f32], height: usize, width: usize, n: usize) -> Vec<f32> {
    averaged(grey, width, Part { top: 0, left: 0, height, width }, height, width, n)
}

/// A square of values, turned by `orientation % 4` quarter turns, after a flip if `orientation >= 4`.
pub(super) fn oriented(values: &[f32], n: usize, orientation: usize) -> Vec<f32> {
    let from = |y: usize, x: usize| {
        let x = if orientation >= 4 { n - 1 - x } else { x };
        let (y, x) = match orientation % 4 {
            0 => (y, x),
            1 => (x, n - 1 - y),
            2 => (n - 1 - y, n - 1 - x),
            _ => (n - 1 - x, y),
        };
        y * n + x
    };
    // The index moves evenly along a row, which is faster than working out each.
    let (first, second) = (from(0, 0), from(0, 1.min(n - 1)));
    let mut turned = Vec::with_capacity(n * n);
    for y in 0..n {
        let start = from(y, 0);
        if second >= first {
            turned.extend(values[start..].iter().step_by((second - first).max(1)).take(n));
        } else {
            turned.extend(values[..=start].iter().rev().step_by(first - second).take(n));
        }
    }
    turned
}

/// The box, centred in `padded_height` x `padded_width` black pixels, averaged down (or up) to `n` x `n`.
fn averaged(
    grey: &[f32],
    stride: usize,
    part: Part,
    padded_height: usize,
    padded_width: usize,
    n: usize,
) -> Vec<f32> {
    // Columns first, then rows: each a weighted mean over the pixels that a small pixel covers.
    let columns = coverage(padded_width, (padded_width - part.width) / 2, part.width, n);
    let rows = coverage(padded_height, (padded_height - part.height) / 2, part.height, n);
    let mut narrow = vec![0.0f32; part.height * n];
    for (y, line) in narrow.chunks_exact_mut(n).enumerate() {
        let source = &grey[(part.top + y) * stride + part.left..][..part.width];
        for (value, weights) in line.iter_mut().zip(&columns) {
            *value = weights.iter().map(|&(x, weight)| source[x] * weight).sum();
        }
    }
    let mut small = vec![0.0f32; n * n];
    for (line, weights) in small.chunks_exact_mut(n).zip(&rows) {
        for &(y, weight) in weights {
            for (value, source) in line.iter_mut().zip(&narrow[y * n..]) {
                *value += source * weight;
            }
        }
    }
    small
}

/// The box around everything brighter than the dark border; the whole image if nothing is.
fn foreground(grey: &[f32], height: usize, width: usize) -> Part {
    let brightest = grey.iter().copied().fold(0.0, f32::max);
    let threshold = FOREGROUND * if (LEAST_BRIGHT..=1.0).contains(&brightest) { 1.0 } else { brightest };
    let (mut rows, mut columns) = (vec![false; height], vec![false; width]);
    for (row, line) in rows.iter_mut().zip(grey.chunks_exact(width)) {
        for (column, &value) in columns.iter_mut().zip(line) {
            *row |= value > threshold;
            *column |= value > threshold;
        }
    }
    let range = |bright: &[bool]| {
        let (first, last) = bright.iter().position(|&b| b).zip(bright.iter().rposition(|&b| b))?;
        Some((first, last + 1 - first))
    };
    match (range(&rows), range(&columns)) {
        (Some((top, height)), Some((left, width))) => Part { top, left, height, width },
        _ => Part { top: 0, left: 0, height, width },
    }
}

/// `padded` pixels hold `length` real ones from `before` on. For each of `n` equal stretches of the padded pixels: the
/// real pixels it covers, numbered from the first real one, and their weights, which sum to 1 less the padding's.
fn coverage(padded: usize, before: usize, length: usize, n: usize) -> Vec<Vec<(usize, f32)>> {
    let step = padded as f64 / n as f64;
    (0..n)
        .map(|i| {
            let (start, end) = (i as f64 * step - before as f64, (i + 1) as f64 * step - before as f64);
            let weight = |x: usize| ((end.min((x + 1) as f64) - start.max(x as f64)) / step) as f32;
            let pixels = start.max(0.0) as usize..(end.max(0.0).ceil() as usize).min(length);
            pixels.map(|x| (x, weight(x))).filter(|&(_, weight)| weight > 0.0).collect()
        })
        .collect()
}
