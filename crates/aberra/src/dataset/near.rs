//! Near-copies: pairs of images that are unusually similar for their set, over the eight flips and quarter turns.

use rayon::prelude::*;

use super::Inspection;
use super::fingerprint::THUMBNAIL_PX;

pub(super) const PIXELS: usize = THUMBNAIL_PX * THUMBNAIL_PX;

/// Pairs of near-copies and the similarity above which they are.
pub(super) struct NearCopies {
    /// Pairs of samples, the smaller first, sorted.
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) threshold: f32,
}

/// Finds near-copies among the images that could be read.
pub(super) fn copies(inspection: &Inspection) -> NearCopies {
    let threshold = 0.97;
    let samples: Vec<usize> =
        (0..inspection.images.len()).filter(|&index| inspection.get(index).is_some()).collect();
    let upright: Vec<Vec<f32>> = samples
        .iter()
        .filter_map(|&index| inspection.get(index))
        .map(|seen| normalized(seen.fingerprint.thumbnail.iter().map(|&v| f32::from(v)).collect()))
        .collect();
    let pairs = (0..samples.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            let turned: Vec<Vec<f32>> =
                (0..8).map(|orientation| oriented(&upright[a], orientation)).collect();
            let close = |b: &usize| turned.iter().any(|turned| dot(turned, &upright[*b]) > threshold);
            (a + 1..samples.len()).filter(close).map(|b| (samples[a], samples[b])).collect::<Vec<_>>()
        })
        .collect();
    NearCopies { pairs, threshold }
}

/// Mean 0 and length 1; all zero if flat.
pub(super) fn normalized(mut values: Vec<f32>) -> Vec<f32> {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    values.iter_mut().for_each(|v| *v -= mean);
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    values.iter_mut().for_each(|v| *v *= scale);
    values
}

/// A square of values, turned by `orientation % 4` quarter turns after a flip if `orientation >= 4`.
pub(super) fn oriented(values: &[f32], orientation: usize) -> Vec<f32> {
    let n = THUMBNAIL_PX;
    let at = |y: usize, x: usize| {
        let x = if orientation >= 4 { n - 1 - x } else { x };
        let (y, x) = match orientation % 4 {
            0 => (y, x),
            1 => (x, n - 1 - y),
            2 => (n - 1 - y, n - 1 - x),
            _ => (n - 1 - x, y),
        };
        values[y * n + x]
    };
    (0..n).flat_map(|y| (0..n).map(move |x| (y, x))).map(|(y, x)| at(y, x)).collect()
}

/// Sum of products, in eight interleaved sums so that the order does not depend on the machine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!((a.len(), b.len()), (PIXELS, PIXELS));
    let mut sums = [0.0f32; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
