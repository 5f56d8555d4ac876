//! Which images whose thumbnails are alike are copies: those that share their fine structure ([`likeness`]).
//!
//! Thumbnails of photographs of one kind of part are all alike, and those of a copy that is cropped or toned are alike
//! less than those of neighbours in an aligned set. So pairs found by thumbnail are confirmed, and images that are alone
//! then are compared with those that are most like them; two that are each other's best match are copies, too.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::Serialize;

use super::likeness::likeness;
use super::near::{likely_orientations, most_similar};
use super::union::Union;
use super::{Fingerprint, Inspected, Inspection};
use crate::Result;

/// Images with thumbnails of near-duplicates are copies if they share more than this of their fine structure, or have
/// none.
const CONFIRMED: f32 = 0.87;
/// Of the images that are alone, two that share more of it with each other than with any other are copies above this.
const MATCHED: f32 = 0.85;
/// Each image that is alone is compared with at most this many others, the most similar ...
const CANDIDATES: usize = 16;
/// ... of those whose thumbnails are more similar than this.
const SIMILARITY: f32 = 0.75;
/// Orientations are tried that are as good as the best, by thumbnail, but for this.
const ORIENTATION_SLACK: f32 = 0.02;
/// Pairs that are compared at a time: not all, since what is joined already need not be compared.
const PAIRS_AT_A_TIME: usize = 64;

/// What comparing look-alikes closely found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CloseLook {
    /// Images whose thumbnails are those of near-duplicates of another.
    pub look_alikes: usize,
    /// Of these, with a copy.
    pub confirmed: usize,
    /// Images with a copy that their thumbnails do not show.
    pub matched: usize,
}

/// Those of `pairs` of look-alikes that confirmed copies join, and pairs of other images that are copies; sorted.
///
/// # Errors
/// Fine structure that cannot be read again.
pub(super) fn confirmed(
    inspection: &Inspection,
    pairs: &[(usize, usize)],
) -> Result<(Vec<(usize, usize)>, CloseLook)> {
    let count = inspection.images.len();
    let mut union = Union::new(count);
    let mut waiting = pairs.iter().copied();
    loop {
        let open: Vec<(usize, usize)> =
            waiting.by_ref().filter(|&(a, b)| union.root(a) != union.root(b)).take(PAIRS_AT_A_TIME).collect();
        if open.is_empty() {
            break;
        }
        let are_copies: Vec<bool> =
            open.par_iter().map(|&(a, b)| are_copies(inspection, a, b)).collect::<Result<_>>()?;
        let copies = open.into_iter().zip(are_copies).filter(|&(_, are_copies)| are_copies);
        copies.for_each(|((a, b), _)| union.join(a, b));
    }
    let mut copies: Vec<(usize, usize)> =
        pairs.iter().copied().filter(|&(a, b)| union.root(a) == union.root(b)).collect();
    let in_pairs =
        |pairs: &[(usize, usize)]| -> HashSet<usize> { pairs.iter().flat_map(|&(a, b)| [a, b]).collect() };
    let joined = in_pairs(&copies);
    let alone: Vec<usize> =
        (0..count).filter(|index| !joined.contains(index) && inspection.get(*index).is_some()).collect();
    let matches = matches(inspection, &alone)?;
    let look =
        CloseLook { look_alikes: in_pairs(pairs).len(), confirmed: joined.len(), matched: 2 * matches.len() };
    copies.extend(matches);
    copies.sort_unstable();
    Ok((copies, look))
}

fn are_copies(inspection: &Inspection, a: usize, b: usize) -> Result<bool> {
    let (Some(a), Some(b)) = (inspection.get(a), inspection.get(b)) else { return Ok(false) };
    if a.fingerprint.pixels == b.fingerprint.pixels {
        return Ok(true);
    }
    let (first, second) = (a.detail.get()?, b.detail.get()?);
    Ok(likely_orientations(&a.fingerprint, &b.fingerprint, ORIENTATION_SLACK)
        .into_iter()
        .any(|at| likeness(&first, at, &second).is_none_or(|likeness| likeness > CONFIRMED)))
}

/// Pairs of the images `alone` that are each other's best match.
fn matches(inspection: &Inspection, alone: &[usize]) -> Result<Vec<(usize, usize)>> {
    let images: Vec<&Inspected> = alone.iter().filter_map(|&index| inspection.get(index)).collect();
    let candidates = candidates(&images);
    let shares: Vec<f32> = candidates
        .par_iter()
        .with_max_len(1)
        .map(|&(a, b)| {
            let (a, b) = (images[a], images[b]);
            let (first, second) = (a.detail.get()?, b.detail.get()?);
            let orientations = likely_orientations(&a.fingerprint, &b.fingerprint, ORIENTATION_SLACK);
            let shares = orientations.into_iter().filter_map(|at| likeness(&first, at, &second));
            Ok(shares.fold(0.0, f32::max))
        })
        .collect::<Result<_>>()?;
    let mut best = vec![(MATCHED, usize::MAX); images.len()];
    for (&(a, b), &share) in candidates.iter().zip(&shares) {
        for (image, other) in [(a, b), (b, a)] {
            if share > best[image].0 {
                best[image] = (share, other);
            }
        }
    }
    let is_best = |&(a, b): &(usize, usize)| best[a].1 == b && best[b].1 == a;
    Ok(candidates.into_iter().filter(is_best).map(|(a, b)| (alone[a], alone[b])).collect())
}

/// Pairs of images that may be copies, the smaller first, sorted.
fn candidates(images: &[&Inspected]) -> Vec<(usize, usize)> {
    let fingerprints: Vec<&Fingerprint> = images.iter().map(|image| &image.fingerprint).collect();
    let lists = most_similar(&fingerprints, SIMILARITY, CANDIDATES).into_iter().enumerate();
    let mut pairs: Vec<(usize, usize)> = lists
        .flat_map(|(a, list)| list.into_iter().map(move |(_, b)| (a.min(b as usize), a.max(b as usize))))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}
