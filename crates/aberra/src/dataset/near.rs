//! Look-alikes: pairs of images whose thumbnails are unusually similar for their set, over the eight flips and quarter
//! turns. Which of them are near-duplicates, [`closely`](super::closely) says.
//!
//! The similarity of two images is the correlation of their thumbnails in the best orientation. Images of an aligned
//! set are all alike, so what counts is not the similarity itself but how small the difference (1 - similarity) is
//! beside the average difference of two images of the set. That is the same as taking the mean image off first: the
//! average squared distance of a pair is twice the variance about the mean image.

use rayon::prelude::*;

use super::fingerprint::{THUMBNAIL_PX, oriented};
use super::forest::{self, Neighbours, dot};
use super::{Fingerprint, Inspection};

/// Near-duplicates differ by less than this in the stretched foreground ...
const STRETCHED: f32 = 0.03;
/// ... and by less than this in the padded foreground ...
const PADDED: f32 = 0.025;
/// ... or by less than this in the whole frame, where equal dark borders make everything alike.
const FRAME: f32 = 0.0001;
/// All three shrink in proportion where the average difference of the set's stretched foregrounds is below this.
const USUAL_AVERAGE: f32 = 0.45;
/// A sketch's estimate of a difference is above this share of it, two standard errors below
/// (see [`Sketch`](super::Sketch)).
const SKETCH_ERROR: f32 = 0.72;
/// The average difference is taken over the pairs of at most this many images.
const SAMPLED_IMAGES: usize = 256;
/// Pairs whose coarse thumbnails differ by more than this are not compared further: copies differ by far less, since
/// what copies differ in (sharpness, compression) is fine.
const COARSE: f32 = 0.1;
/// Side of a coarse thumbnail.
const COARSE_PX: usize = 8;
/// Images compared at a time, so that their thumbnails stay in the cache.
const BLOCK: usize = 16;
/// More images than this are not all compared with each other, but each with the most similar that a forest finds ...
const ALL_PAIRS: usize = 4096;
/// ... which are at most so many.
const NEIGHBOURS: usize = 32;

/// Pairs whose thumbnails are those of near-duplicates, and the similarity above which they are.
pub(super) struct NearCopies {
    /// Pairs of samples, the smaller first, sorted.
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) threshold: f32,
}

/// The similarity above which an image counts as a near-duplicate of one of the training images `train` where only
/// sketches are left to compare: that of this set's near-duplicates, or more if the groups (sample -> group) in which
/// near-duplicates divide the images look alike. Then at most one training image in a hundred is a near-duplicate of one
/// of another group.
pub fn similarity_threshold(inspection: &Inspection, train: &[usize], group_of: Option<&[usize]>) -> f32 {
    let alike = alike(inspection, train);
    let Some(group_of) = group_of else { return alike.threshold };
    let mut nearest = vec![0.0f32; inspection.images.len()];
    for (a, b) in alike.pairs.into_iter().filter(|&(a, b)| group_of[a] != group_of[b]) {
        if let (Some(first), Some(second)) = (inspection.get(a), inspection.get(b)) {
            let (first, second) = (&first.fingerprint.stretched, &second.fingerprint.stretched);
            let similarity = best(&orientations(first), &orientations(second)[0]);
            nearest[a] = nearest[a].max(similarity);
            nearest[b] = nearest[b].max(similarity);
        }
    }
    nearest.sort_by(|a, b| b.total_cmp(a));
    let nearest = nearest.get(train.len() / 100).copied().unwrap_or(0.0);
    alike.threshold.max(1.0 - SKETCH_ERROR * (1.0 - nearest))
}

/// Finds near-duplicates among the images that could be read.
pub(super) fn copies(inspection: &Inspection) -> NearCopies {
    alike(inspection, &(0..inspection.images.len()).collect::<Vec<_>>())
}

/// Finds near-duplicates among some of the images.
fn alike(inspection: &Inspection, samples: &[usize]) -> NearCopies {
    let samples: Vec<usize> =
        samples.iter().copied().filter(|&index| inspection.get(index).is_some()).collect();
    let fingerprints: Vec<&Fingerprint> =
        samples.iter().filter_map(|&index| Some(&inspection.get(index)?.fingerprint)).collect();
    let scale = (average_difference(&fingerprints) / USUAL_AVERAGE).min(1.0);
    let is_copy = |a: &Views, b: &Views| {
        let differ = |view: fn(&Views) -> &Vec<Vec<f32>>| 1.0 - best(view(a), &view(b)[0]);
        (differ(|views| &views.coarse_stretched) < COARSE
            && differ(|views| &views.stretched) < STRETCHED * scale
            && differ(|views| &views.padded) < PADDED * scale)
            || (differ(|views| &views.coarse_frame) < COARSE * scale
                && differ(|views| &views.frame) < FRAME * scale)
    };
    let mut pairs = match samples.len() <= ALL_PAIRS {
        true => all_pairs(&fingerprints, is_copy),
        false => neighbouring_pairs(&fingerprints, is_copy),
    };
    pairs.iter_mut().for_each(|(a, b)| (*a, *b) = (samples[*a], samples[*b]));
    pairs.sort_unstable();
    NearCopies { pairs, threshold: 1.0 - STRETCHED * scale }
}

/// The pairs that `is_copy` holds for, the smaller first.
fn all_pairs(
    fingerprints: &[&Fingerprint],
    is_copy: impl Fn(&Views, &Views) -> bool + Sync,
) -> Vec<(usize, usize)> {
    let views: Vec<Views> = fingerprints.par_iter().map(|fingerprint| Views::of(fingerprint)).collect();
    let blocks = views.len().div_ceil(BLOCK);
    let of_block = |block: usize| {
        let rows = block * BLOCK..((block + 1) * BLOCK).min(views.len());
        let mut pairs = Vec::new();
        for b in rows.start + 1..views.len() {
            for a in rows.start..rows.end.min(b) {
                if is_copy(&views[a], &views[b]) {
                    pairs.push((a, b));
                }
            }
        }
        pairs
    };
    (0..blocks).into_par_iter().with_max_len(1).flat_map_iter(of_block).collect()
}

/// As [`all_pairs`], of each image and the most similar others alone.
fn neighbouring_pairs(
    fingerprints: &[&Fingerprint],
    is_copy: impl Fn(&Views, &Views) -> bool + Sync,
) -> Vec<(usize, usize)> {
    let lists = neighbours(fingerprints, 1.0 - COARSE, NEIGHBOURS);
    let mut pairs: Vec<(usize, usize)> = lists
        .par_iter()
        .enumerate()
        .flat_map_iter(|(a, list)| {
            let views = Views::of(fingerprints[a]);
            let copies =
                list.iter().filter(|&&(_, b)| is_copy(&views, &Views::upright(fingerprints[b as usize])));
            copies.map(|&(_, b)| (a.min(b as usize), a.max(b as usize))).collect::<Vec<_>>()
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// For each image the most similar others, by coarse thumbnails of foreground and frame.
fn neighbours(fingerprints: &[&Fingerprint], least: f32, count: usize) -> Vec<Neighbours> {
    let thumbnails = |of: fn(&Fingerprint) -> &Vec<u8>| -> Vec<Vec<f32>> {
        fingerprints.par_iter().map(|fingerprint| normalised(coarse(of(fingerprint)))).collect()
    };
    let kinds =
        [thumbnails(|fingerprint| &fingerprint.stretched), thumbnails(|fingerprint| &fingerprint.frame)];
    forest::neighbours(&kinds, COARSE_PX, least, count)
}

/// For each image at most `count` others whose foreground or frame is more similar than `least`, the most similar first.
pub(super) fn most_similar(fingerprints: &[&Fingerprint], least: f32, count: usize) -> Vec<Neighbours> {
    let sorted = |mut list: Neighbours| {
        list.retain(|&(similarity, _)| similarity > least);
        list.sort_by(|(s, a), (t, b)| t.total_cmp(s).then(a.cmp(b)));
        list.truncate(count);
        list
    };
    if fingerprints.len() > ALL_PAIRS {
        let lists = neighbours(fingerprints, least, NEIGHBOURS.max(count)).into_par_iter().enumerate();
        let compared = |(a, list): (usize, Neighbours)| {
            let views = Views::of(fingerprints[a]);
            let similarity = |b: u32| views.similarity(&Views::upright(fingerprints[b as usize]), least);
            sorted(list.into_iter().map(|(_, b)| (similarity(b), b)).collect())
        };
        return lists.map(compared).collect();
    }
    let views: Vec<Views> = fingerprints.par_iter().map(|fingerprint| Views::of(fingerprint)).collect();
    let compared = |a: usize| {
        let others = (0..views.len()).filter(|&b| b != a);
        sorted(others.map(|b| (views[a].similarity(&views[b], least), b as u32)).collect())
    };
    (0..views.len()).into_par_iter().with_max_len(1).map(compared).collect()
}

/// Thumbnails with mean 0 and length 1, upright and, of one of two images that are compared, in the seven other orientations.
struct Views {
    stretched: Vec<Vec<f32>>,
    padded: Vec<Vec<f32>>,
    frame: Vec<Vec<f32>>,
    coarse_stretched: Vec<Vec<f32>>,
    coarse_frame: Vec<Vec<f32>>,
}

impl Views {
    /// In all orientations.
    fn of(fingerprint: &Fingerprint) -> Self {
        Self::turned(fingerprint, forest::ORIENTATIONS)
    }

    /// Upright alone, for the other image.
    fn upright(fingerprint: &Fingerprint) -> Self {
        Self::turned(fingerprint, 1)
    }

    fn turned(fingerprint: &Fingerprint, orientations: usize) -> Self {
        let fine = |thumbnail: &[u8]| {
            let values = thumbnail.iter().map(|&value| f32::from(value)).collect();
            first_orientations(values, THUMBNAIL_PX, orientations)
        };
        let coarse = |thumbnail: &[u8]| first_orientations(coarse(thumbnail), COARSE_PX, orientations);
        Self {
            stretched: fine(&fingerprint.stretched),
            padded: fine(&fingerprint.padded),
            frame: fine(&fingerprint.frame),
            coarse_stretched: coarse(&fingerprint.stretched),
            coarse_frame: coarse(&fingerprint.frame),
        }
    }

    /// The greater of the similarities of foreground and frame to another's; 0 if both are below `least` when coarse.
    fn similarity(&self, other: &Self, least: f32) -> f32 {
        let mut similarity = 0.0f32;
        if best(&self.coarse_stretched, &other.coarse_stretched[0]) > least {
            similarity = similarity.max(best(&self.stretched, &other.stretched[0]));
        }
        if best(&self.coarse_frame, &other.coarse_frame[0]) > least {
            similarity = similarity.max(best(&self.frame, &other.frame[0]));
        }
        similarity
    }
}

/// The orientations of `a` in which foreground or frame are as similar to those of `b` as in the best, but for `slack`;
/// the likeliest first.
pub(super) fn likely_orientations(a: &Fingerprint, b: &Fingerprint, slack: f32) -> Vec<usize> {
    let behind_best = |a: &[u8], b: &[u8]| -> [f32; 8] {
        let (turned, upright) =
            (orientations(a), normalised(b.iter().map(|&value| f32::from(value)).collect()));
        let similarities: [f32; 8] = std::array::from_fn(|at| dot(&turned[at], &upright));
        let best = similarities.into_iter().fold(-1.0, f32::max);
        similarities.map(|similarity| best - similarity)
    };
    let stretched = behind_best(&a.stretched, &b.stretched);
    let frame = behind_best(&a.frame, &b.frame);
    let mut likely: Vec<(f32, usize)> =
        (0..8).map(|at| (stretched[at].min(frame[at]), at)).filter(|&(behind, _)| behind <= slack).collect();
    likely.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    likely.into_iter().map(|(_, at)| at).collect()
}

/// A thumbnail with mean 0 and length 1 (all zero if flat), upright first, then in the seven other orientations.
pub(super) fn orientations(thumbnail: &[u8]) -> Vec<Vec<f32>> {
    let values = thumbnail.iter().map(|&value| f32::from(value)).collect();
    first_orientations(values, THUMBNAIL_PX, forest::ORIENTATIONS)
}

fn first_orientations(values: Vec<f32>, side: usize, count: usize) -> Vec<Vec<f32>> {
    let upright = normalised(values);
    (0..count).map(|orientation| oriented(&upright, side, orientation)).collect()
}

/// Sums over squares of a thumbnail.
fn coarse(thumbnail: &[u8]) -> Vec<f32> {
    let factor = THUMBNAIL_PX / COARSE_PX;
    let mut sums = vec![0.0; COARSE_PX * COARSE_PX];
    for (index, &value) in thumbnail.iter().enumerate() {
        let (y, x) = (index / THUMBNAIL_PX, index % THUMBNAIL_PX);
        sums[y / factor * COARSE_PX + x / factor] += f32::from(value);
    }
    sums
}

/// Average difference of two images' stretched foregrounds, over an evenly spaced sample of the images.
fn average_difference(fingerprints: &[&Fingerprint]) -> f32 {
    let step = fingerprints.len().div_ceil(SAMPLED_IMAGES).max(1);
    let sampled: Vec<Vec<Vec<f32>>> =
        fingerprints.iter().step_by(step).map(|fingerprint| orientations(&fingerprint.stretched)).collect();
    let difference = |a: &[Vec<f32>], b: &[Vec<f32>]| f64::from(1.0 - best(a, &b[0]));
    let sums: Vec<f64> = (0..sampled.len())
        .into_par_iter()
        .map(|a| sampled[..a].iter().map(|b| difference(&sampled[a], b)).sum())
        .collect();
    let pairs = sampled.len() * sampled.len().saturating_sub(1) / 2;
    (sums.iter().sum::<f64>() / pairs.max(1) as f64) as f32
}

/// The greatest similarity over the orientations of one of the two.
fn best(orientations: &[Vec<f32>], upright: &[f32]) -> f32 {
    orientations.iter().map(|turned| dot(turned, upright)).fold(-1.0, f32::max)
}

fn normalised(mut values: Vec<f32>) -> Vec<f32> {
    let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
    values.iter_mut().for_each(|value| *value -= mean);
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    values.iter_mut().for_each(|value| *value *= scale);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_orientations_differ_and_keep_all_values() {
        let values: Vec<f32> = (0..THUMBNAIL_PX * THUMBNAIL_PX).map(|index| index as f32).collect();
        let all: Vec<Vec<f32>> =
            (0..8).map(|orientation| oriented(&values, THUMBNAIL_PX, orientation)).collect();
        for (index, turned) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other != turned));
            let mut sorted = turned.clone();
            sorted.sort_by(f32::total_cmp);
            assert_eq!(sorted, values);
        }
    }
}
