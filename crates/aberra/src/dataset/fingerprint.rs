//! What is kept of an image to recognise the same image again, though recompressed, resized, mirrored or turned.

use aberra_image::Image;

/// Side of the thumbnail.
pub(crate) const THUMBNAIL_PX: usize = 32;
/// A pixel is foreground above this share of the image's brightest values.
const FOREGROUND: f32 = 0.08;

/// Hashes of an image and a thumbnail of its foreground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// BLAKE3 hash of the file's bytes.
    pub content: [u8; 32],
    /// BLAKE3 hash of the decoded grey values and their shape.
    pub pixels: [u8; 32],
    /// `[32, 32]` grey values of the foreground, contrast stretched to 0..255.
    pub thumbnail: Vec<u8>,
}

impl Fingerprint {
    /// Takes the fingerprint of an image; `grey` are its grey values.
    pub(crate) fn of(image: &Image, grey: &[f32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(image.height as u64).to_le_bytes());
        hasher.update(&(image.width as u64).to_le_bytes());
        let mut bytes = Vec::with_capacity(grey.len() * 2);
        // 16 bits: equal pixels stay equal, whichever of grey or equal red, green and blue they are stored as.
        bytes.extend(grey.iter().flat_map(|&v| ((v.clamp(0.0, 1.0) * 65535.0).round() as u16).to_le_bytes()));
        hasher.update(&bytes);
        let pixels = *hasher.finalize().as_bytes();
        Self {
            content: image.source.content_hash,
            pixels,
            thumbnail: thumbnail(grey, image.height, image.width),
        }
    }
}

/// The foreground's box, averaged down (or up) to a square, its darkest value at 0 and its brightest at 255.
fn thumbnail(grey: &[f32], height: usize, width: usize) -> Vec<u8> {
    let (top, bottom, left, right) = foreground_box(grey, height, width);
    let n = THUMBNAIL_PX;
    // Columns first, then rows: each a weighted mean over the pixels that a thumbnail pixel covers.
    let columns = coverage(left, right, n);
    let rows = coverage(top, bottom, n);
    let mut narrow = vec![0.0f32; (bottom - top) * n];
    for (line, y) in narrow.chunks_exact_mut(n).zip(top..bottom) {
        let source = &grey[y * width..(y + 1) * width];
        for (value, weights) in line.iter_mut().zip(&columns) {
            *value = weights.iter().map(|&(x, weight)| source[x] * weight).sum();
        }
    }
    let mut small = vec![0.0f32; n * n];
    for (line, weights) in small.chunks_exact_mut(n).zip(&rows) {
        for &(y, weight) in weights {
            for (value, source) in line.iter_mut().zip(&narrow[(y - top) * n..]) {
                *value += source * weight;
            }
        }
    }
    let low = small.iter().copied().fold(f32::INFINITY, f32::min);
    let high = small.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    small.iter().map(|v| ((v - low) * scale).round() as u8).collect()
}

/// First and past-the-end row and column of what is brighter than the dark border; everything if nothing is.
fn foreground_box(grey: &[f32], height: usize, width: usize) -> (usize, usize, usize, usize) {
    let mut sorted: Vec<f32> = grey.to_vec();
    let rank = (sorted.len().saturating_sub(1)) * 995 / 1000;
    let (_, high, _) = sorted.select_nth_unstable_by(rank, f32::total_cmp);
    let threshold = FOREGROUND * *high;
    // A row or column counts once a hundredth of it is bright, so that specks and compression noise do not.
    let (mut rows, mut columns) = (vec![0usize; height], vec![0usize; width]);
    for (row, line) in rows.iter_mut().zip(grey.chunks_exact(width)) {
        for (column, &value) in columns.iter_mut().zip(line) {
            let bright = usize::from(value > threshold);
            *row += bright;
            *column += bright;
        }
    }
    let range = |counts: &[usize], across: usize| {
        let least = across / 100;
        let first = counts.iter().position(|&count| count > least);
        let last = counts.iter().rposition(|&count| count > least);
        first.zip(last).map_or((0, counts.len()), |(first, last)| (first, last + 1))
    };
    let ((top, bottom), (left, right)) = (range(&rows, width), range(&columns, height));
    (top, bottom, left, right)
}

/// For each of `n` equal stretches of `first..last`: the pixels it covers and their weights, which sum to 1.
fn coverage(first: usize, last: usize, n: usize) -> Vec<Vec<(usize, f32)>> {
    let step = (last - first) as f64 / n as f64;
    (0..n)
        .map(|i| {
            let (start, end) = (first as f64 + i as f64 * step, first as f64 + (i + 1) as f64 * step);
            let pixels = start.floor() as usize
                ..(end.ceil() as usize)
                    .clamp(start.floor() as usize + 1, last.max(start.floor() as usize + 1));
            let weight = |x: usize| ((end.min((x + 1) as f64) - start.max(x as f64)) / step) as f32;
            pixels.filter(|&x| x < last).map(|x| (x, weight(x).max(0.0))).collect()
        })
        .collect()
}
